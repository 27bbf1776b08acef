//! JSON that is none: numbers that JSON cannot express, and several objects in one frame.
//!
//! Python writes `NaN` and `Infinity`, C++ writes `nan` and `inf`. They stand in figures that this
//! program does not read, so `null` in their place loses nothing.

/// Replaces every number that JSON cannot express by `null`; `None` if there is none.
pub(super) fn without_non_numbers(data: &str) -> Option<String> {
    let mut repaired = String::new();
    let mut rest = data;
    // What is outside of strings up to a quote, and the string behind it.
    while let Some(quote) = rest.find('"') {
        let (outside, string) = rest.split_at(quote);
        push_repaired(outside, &mut repaired);
        let (string, after) = string.split_at(string_end(string));
        repaired.push_str(string);
        rest = after;
    }
    push_repaired(rest, &mut repaired);
    (repaired != data).then_some(repaired)
}

/// The objects of a frame in which each stands on a line of its own: servers that end their frames by
/// one line end instead of two. `None` if there is only one line.
pub(super) fn lines(data: &str) -> Option<impl Iterator<Item = &str>> {
    data.contains('\n')
        .then(|| data.lines().filter(|line| !line.trim().is_empty()))
}

/// Where the string ends that `text` begins with.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

fn push_repaired(outside: &str, repaired: &mut String) {
    let is_of_a_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
    let mut rest = outside;
    while let Some(start) = rest.find(is_of_a_word) {
        let (punctuation, word) = rest.split_at(start);
        repaired.push_str(punctuation);
        let end = word.find(|c| !is_of_a_word(c)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        let name = word.trim_start_matches(['-', '+']).to_ascii_lowercase();
        repaired.push_str(match name.as_str() {
            "nan" | "inf" | "infinity" => "null",
            _ => word,
        });
        rest = after;
    }
    repaired.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_cannot_express_become_null() {
        for (data, repaired) in [
            (r#"{"a":NaN}"#, Some(r#"{"a":null}"#)),
            (
                r#"{"a":[Infinity,-Infinity , nan,-inf,1e3]}"#,
                Some(r#"{"a":[null,null , null,null,1e3]}"#),
            ),
            (
                r#"{"NaN":"NaN \" NaN","b":NaN}"#,
                Some(r#"{"NaN":"NaN \" NaN","b":null}"#),
            ),
            (
                r#"{"a":"\\","b":NaN,"c":"é"}"#,
                Some(r#"{"a":"\\","b":null,"c":"é"}"#),
            ),
            (r#"{"a":"NaN","b":-1.5e-3,"c":true}"#, None),
            (r#"{"a":"NaN"#, None),
            ("", None),
        ] {
            assert_eq!(without_non_numbers(data).as_deref(), repaired, "for {data}");
        }
    }

    #[test]
    fn the_objects_of_a_frame_are_its_lines() {
        let objects = |data| lines(data).map(Iterator::collect::<Vec<_>>);
        assert_eq!(objects("{}"), None);
        assert_eq!(objects("{}\n\n[DONE]"), Some(vec!["{}", "[DONE]"]));
    }
}
