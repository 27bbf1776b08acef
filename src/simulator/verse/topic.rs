//! The topic of a prompt: the one to three words that a verse is about.
//!
//! It works for any script: words are separated by spaces and punctuation. The words are the user's
//! own, of bounded length, without characters that could disturb a terminal.

/// The most topic words.
const WORD_LIMIT: usize = 3;
/// The most characters of a topic word: scripts without spaces have very long "words".
const CHARACTER_LIMIT: usize = 24;
/// The characters of the prompt that are searched. Bounds the work for a very long prompt.
const SEARCH_LIMIT: usize = 4_000;
/// The topic of a prompt without words.
const FALLBACK: &str = "silence";

/// Words that say nothing about the topic: short ones, and those that only ask.
const STOP_WORDS: &[&str] = &[
    "a", "about", "again", "all", "also", "am", "an", "and", "answer", "any", "are", "as", "ask",
    "at", "be", "because", "been", "but", "by", "can", "could", "couplet", "describe", "did", "do",
    "does", "don't", "explain", "for", "from", "get", "give", "had", "has", "have", "hello",
    "help", "her", "here", "hey", "hi", "his", "how", "i", "i'd", "i'm", "if", "in", "into", "is",
    "it", "it's", "its", "just", "know", "let", "like", "lines", "make", "may", "me", "mean",
    "more", "my", "need", "no", "not", "now", "of", "on", "one", "or", "our", "out", "over",
    "please", "poem", "question", "really", "rhyme", "say", "she", "should", "show", "sing", "so",
    "some", "song", "tell", "than", "thank", "thanks", "that", "that's", "the", "their", "them",
    "then", "there", "these", "they", "thing", "things", "think", "this", "to", "too", "up", "us",
    "use", "verse", "very", "want", "was", "we", "were", "what", "what's", "when", "where",
    "which", "who", "why", "will", "with", "word", "words", "would", "write", "you", "your",
    // The most common ones of German, French and Spanish.
    "das", "dem", "den", "der", "des", "die", "ein", "eine", "ich", "ist", "mir", "mit", "nicht",
    "sind", "und", "von", "was", "wie", "zu", "avec", "dans", "les", "pour", "quel", "quelle",
    "que", "une", "como", "con", "cuál", "del", "las", "los", "para", "por", "qué", "una",
];

/// Picks the words that describe a prompt best, the best first; never none.
pub(super) fn words(prompt: &str) -> Vec<String> {
    let searched: String = prompt.chars().take(SEARCH_LIMIT).collect();
    let all: Vec<&str> = searched
        .split(is_separator)
        .map(|word| word.trim_matches(|c| matches!(c, '\'' | '’' | '-')))
        .filter(|word| !word.is_empty())
        .collect();
    let mut found: Vec<(usize, String)> = Vec::new();
    for (index, word) in all.iter().enumerate() {
        if is_stop_word(word) {
            continue;
        }
        let after_about = index > 0 && all[..index].iter().rev().take(2).any(|w| *w == "about");
        let proper = index > 0 && word.chars().next().is_some_and(char::is_uppercase);
        let score = word.chars().count().min(10)
            + if after_about { 5 } else { 0 }
            + if proper { 3 } else { 0 };
        let word = bounded(word);
        if !found
            .iter()
            .any(|(_, known)| known.to_lowercase() == word.to_lowercase())
        {
            found.push((score, word));
        }
    }
    // The sort is stable: of equal words, the first one in the prompt wins.
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let mut words: Vec<String> = found
        .into_iter()
        .take(WORD_LIMIT)
        .map(|(_, word)| word)
        .collect();
    if words.is_empty() {
        words.extend(all.first().map(|word| bounded(word)));
    }
    if words.is_empty() {
        words.push(FALLBACK.to_owned());
    }
    words
}

fn is_stop_word(word: &str) -> bool {
    let lower = word.to_lowercase().replace('’', "'");
    let short = word.is_ascii() && (word.len() < 2 || word.len() == 2 && lower == word);
    short || STOP_WORDS.contains(&lower.as_str())
}

fn is_separator(c: char) -> bool {
    match c {
        // Part of a word: "don't", "rock-steady", Persian, joined emoji.
        '\'' | '’' | '-' | '\u{200c}' | '\u{200d}' => false,
        // Punctuation, and direction marks, which would reverse the rest of a line.
        '\u{2000}'..='\u{206f}'
        | '\u{3000}'..='\u{303f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffd}' => true,
        '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' => true,
        '\u{ff5b}'..='\u{ff65}' | '¡' | '¿' | '«' | '»' | '·' | '،' | '؟' | '؛' | '।' | '።' => {
            true
        }
        '\u{061c}' | '\u{ad}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => c.is_whitespace() || c.is_control() || c.is_ascii_punctuation(),
    }
}

/// Cuts after [`CHARACTER_LIMIT`] characters, never between a character and its combining marks.
fn bounded(word: &str) -> String {
    let characters: Vec<char> = word.chars().collect();
    if characters.len() <= CHARACTER_LIMIT {
        return word.to_owned();
    }
    let mut end = CHARACTER_LIMIT;
    while end > 1 && (joins(characters[end]) || characters[end - 1] == '\u{200d}') {
        end -= 1;
    }
    characters[..end].iter().collect()
}

fn joins(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_leads_and_stop_words_are_left_out() {
        assert_eq!(words("Write me a poem about the sea, please"), ["sea"]);
        assert_eq!(words("How does photosynthesis work?")[0], "photosynthesis");
        assert_eq!(words("What is AI?"), ["AI"]);
    }

    #[test]
    fn words_of_any_script_stay_whole() {
        assert_eq!(words("¿Qué es la niñez?")[0], "niñez");
        assert_eq!(words("नमस्ते दुनिया")[0], "नमस्ते");
        assert_eq!(words("和平。"), ["和平"]);
        assert_eq!(words("👩🏾‍🌾"), ["👩🏾‍🌾"]);
    }

    #[test]
    fn a_prompt_without_topic_still_gives_a_word() {
        assert_eq!(words("what is it"), ["what"]);
        assert_eq!(words(""), [FALLBACK]);
        assert_eq!(words("?!…"), [FALLBACK]);
    }

    #[test]
    fn words_are_bounded_and_free_of_controls() {
        let long = "あ".repeat(500);
        assert_eq!(words(&long)[0].chars().count(), CHARACTER_LIMIT);
        let marked = "e\u{301}".repeat(40);
        assert!(words(&marked)[0].ends_with('\u{301}'));
        let hostile = words("bell\u{7}tower \u{1b}[31mred \u{202e}turned");
        assert!(
            hostile
                .iter()
                .all(|word| !word.chars().any(|c| c.is_control() || c == '\u{202e}'))
        );
    }
}
