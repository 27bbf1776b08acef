//! Verses: the text of the simulator's replies.
//!
//! Composes a rhyming verse about a prompt, and splits a verse into deltas as a model would. The same
//! prompt after the same number of messages always gives the same verse. This module knows nothing of
//! JSON, time or sockets.

mod lines;
mod markdown;
mod topic;

pub(super) use markdown::MARKDOWN;

use lines::{FAMILIES, FLOURISHES, Family, ORNAMENTS};

/// Composes the verse for a prompt in a conversation of so many messages: 8, 12 or 16 lines in
/// couplets.
pub(super) fn compose(prompt: &str, message_count: usize) -> String {
    let mut words = topic::words(prompt).into_iter().cycle();
    let mut dice = Dice::seeded(prompt, message_count);
    let mut families: Vec<&Family> = FAMILIES.iter().collect();
    dice.shuffle(&mut families);
    let couplets = [4, 4, 6, 6, 8][dice.below(5)];
    let mut verse = String::new();
    for (number, family) in families.into_iter().take(couplets).enumerate() {
        if number > 0 {
            verse.push_str(if number.is_multiple_of(2) {
                "\n\n"
            } else {
                "\n"
            });
        }
        let [first, second] = couplet(family, number, &mut dice).map(|line| {
            if !line.contains("{}") {
                return line.to_owned();
            }
            line.replacen("{}", &words.next().unwrap_or_default(), 1)
        });
        let between = [",", ",", ";"][dice.below(3)];
        let after = if number + 1 == couplets { "!" } else { "." };
        verse.extend([&first, between, "\n", &second, after]);
    }
    if dice.below(6) == 0 {
        verse.extend([" ", FLOURISHES[dice.below(FLOURISHES.len())]]);
    }
    verse
}

/// Composes a verse whose lines begin with characters of two to four bytes, some of them joined.
pub(super) fn compose_multibyte(prompt: &str, message_count: usize) -> String {
    let mut ornaments = ORNAMENTS.iter().cycle();
    let verse = compose(prompt, message_count);
    let lines = verse.split('\n').map(|line| match ornaments.next() {
        Some(ornament) if !line.is_empty() => format!("{ornament} {line}"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Chooses two lines of a family with different rhymes. The first line of a verse quotes the prompt.
fn couplet(family: &Family, number: usize, dice: &mut Dice) -> [&'static str; 2] {
    let quoting = |line: &&&str| number > 0 || line.contains("“{}”");
    let topical: Vec<&str> = family.topical.iter().filter(quoting).copied().collect();
    let first = dice.pick(&topical);
    let rest = |lines: &'static [&'static str]| -> Vec<&'static str> {
        lines
            .iter()
            .filter(|line| last_word(line) != last_word(first))
            .copied()
            .collect()
    };
    let answer = dice.pick(&rest(family.plain));
    // The first couplet of a stanza begins with the topic; the second one need not name it.
    match if number.is_multiple_of(2) {
        0
    } else {
        dice.below(3)
    } {
        0 => [first, answer],
        1 => [answer, first],
        _ => {
            let others = rest(family.plain);
            let other = others
                .into_iter()
                .find(|line| last_word(line) != last_word(answer));
            [answer, other.unwrap_or(first)]
        }
    }
}

/// The last word of a line: its rhyme.
fn last_word(line: &str) -> &str {
    let line = line.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    line.rsplit(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default()
}

/// Splits a verse into deltas like a model's tokens: a word with the space before it, punctuation on
/// its own, some long words in two. Joined, the deltas are the verse.
pub(super) fn deltas(verse: &str) -> Vec<String> {
    let mut dice = Dice::seeded(verse, 0);
    let mut deltas: Vec<String> = Vec::new();
    let mut last = None;
    for c in verse.chars() {
        let kind = Kind::of(c);
        let joins = last == Some(kind) || last == Some(Kind::Space) && kind != Kind::Break;
        match deltas.last_mut() {
            Some(delta) if joins => delta.push(c),
            _ => deltas.push(c.to_string()),
        }
        last = Some(kind);
    }
    let mut tokens = Vec::with_capacity(deltas.len() + 8);
    for delta in deltas {
        let length = delta.chars().count();
        let cut = delta
            .char_indices()
            .nth(length / 2)
            .map_or(0, |(cut, _)| cut);
        if length > 7 && dice.below(3) == 0 {
            tokens.push(delta[..cut].to_owned());
            tokens.push(delta[cut..].to_owned());
        } else {
            tokens.push(delta);
        }
    }
    tokens
}

/// The kind of delta to which a character belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Break,
    Space,
    Word,
    Mark,
}

impl Kind {
    fn of(c: char) -> Self {
        match c {
            '\n' => Self::Break,
            ' ' => Self::Space,
            '\'' => Self::Word,
            '“' | '”' => Self::Mark,
            c if c.is_ascii_punctuation() => Self::Mark,
            _ => Self::Word,
        }
    }
}

/// A repeatable random source: SplitMix64 from an FNV-1a seed. By hand, because neither the standard
/// library nor `rand` promises the same numbers in its next version.
struct Dice(u64);

impl Dice {
    fn seeded(text: &str, message_count: usize) -> Self {
        let bytes = text.bytes().chain(message_count.to_le_bytes());
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Draws a number below `bound`; 0 if `bound` is 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    fn pick(&mut self, lines: &[&'static str]) -> &'static str {
        lines
            .get(self.below(lines.len()))
            .copied()
            .unwrap_or_default()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{lines::RHYMES, *};

    const PROMPTS: &[&str] = &[
        "Tell me about the ocean at dawn",
        "How do I sort a list in Rust?",
        "¿Qué es la niñez?",
        "What is it?",
        "",
        "Erkläre mir die Photosynthese",
        "愛とは何ですか",
        "🎉🎉🎉",
    ];

    fn family_of(word: &str) -> Option<usize> {
        RHYMES.iter().position(|rhymes| rhymes.contains(&word))
    }

    #[test]
    fn every_line_ends_with_a_rhyme_of_its_family() {
        assert_eq!(FAMILIES.len(), RHYMES.len());
        for (family, rhymes) in FAMILIES.iter().zip(RHYMES) {
            for line in family.topical.iter().chain(family.plain) {
                assert!(rhymes.contains(&last_word(line)), "{line}");
            }
            assert!(
                family
                    .topical
                    .iter()
                    .all(|line| line.matches("{}").count() == 1)
            );
            assert!(family.plain.iter().all(|line| !line.contains("{}")));
            assert!(family.topical.iter().any(|line| line.contains("“{}”")));
            for line in family.topical {
                let answers: HashSet<_> = family.plain.iter().map(|line| last_word(line)).collect();
                assert!(
                    answers
                        .iter()
                        .filter(|word| **word != last_word(line))
                        .count()
                        > 1
                );
            }
        }
    }

    #[test]
    fn no_rhyme_belongs_to_two_families() {
        let all: Vec<_> = RHYMES.iter().copied().flatten().collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn couplets_rhyme_on_two_different_words() {
        for turn in 0..50 {
            for prompt in PROMPTS {
                let verse = compose(prompt, turn);
                let lines: Vec<_> = verse.lines().filter(|line| !line.is_empty()).collect();
                assert!([8, 12, 16].contains(&lines.len()), "{verse}");
                for couplet in lines.chunks(2) {
                    let [one, two] = [last_word(couplet[0]), last_word(couplet[1])];
                    assert_ne!(one, two, "{verse}");
                    assert!(family_of(one).is_some(), "{verse}");
                    assert_eq!(family_of(one), family_of(two), "{verse}");
                }
            }
        }
    }

    #[test]
    fn the_first_line_quotes_a_word_of_the_prompt() {
        for prompt in PROMPTS.iter().filter(|prompt| !prompt.is_empty()) {
            let verse = compose(prompt, 1);
            let first = verse.lines().next().unwrap();
            let quoted = first.split(['“', '”']).nth(1).unwrap();
            assert!(prompt.contains(quoted), "{first}");
        }
    }

    #[test]
    fn the_deltas_of_a_verse_joined_are_the_verse() {
        for turn in 0..20 {
            for prompt in PROMPTS {
                for verse in [compose(prompt, turn), compose_multibyte(prompt, turn)] {
                    let deltas = deltas(&verse);
                    assert_eq!(deltas.concat(), verse);
                    assert!(deltas.iter().all(|delta| !delta.is_empty()));
                    assert!(deltas.len() > 40);
                }
            }
        }
    }

    #[test]
    fn the_same_prompt_gives_the_same_verse_and_other_prompts_give_others() {
        assert_eq!(compose("the sea", 1), compose("the sea", 1));
        assert_ne!(compose("the sea", 1), compose("the sea", 3));
        let verses: HashSet<_> = (0..200)
            .map(|n| compose(&format!("number {n}"), 1))
            .collect();
        assert!(verses.len() > 190, "{}", verses.len());
    }
}
