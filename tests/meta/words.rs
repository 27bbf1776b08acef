//! Code and documents use plain words and American spelling.
//!
//! Each list names the word to use instead, which is also the text of a failure.

use super::files::{read, repository_files};

/// A word or phrase, and what to write instead. A `*` at the end matches any ending.
type Rule = (&'static str, &'static str);

/// Words and phrases that hide who does what. The replacements name it.
const UNCLEAR: &[Rule] = &[
    ("let go", "close, release or evict"),
    ("lets go", "closes, releases or evicts"),
    ("in its stead", "instead, or name the replacement"),
    ("in their stead", "instead, or name the replacement"),
    ("in the stead of", "instead of"),
    ("in the place of", "instead of"),
    ("dawdl*", "is slow, or exceeds a timeout"),
    ("nothing better", "prefers"),
    ("tells of", "reports or describes"),
    ("left alone", "unchanged, or skipped"),
    ("leave alone", "skip"),
    ("nobody", "no one, or the name of the thing that is missing"),
    ("somebody", "the name of the caller"),
    ("everybody", "all, with the name of the group"),
    ("anybody", "any, with the name of the group"),
    ("whoever", "any caller, or the name of the caller"),
    ("found wanting", "failed"),
    ("heed*", "obey, or apply"),
    ("lest", "so that … not"),
    ("hitherto", "so far"),
    ("for ever", "forever"),
    ("come again", "reconnect or retry"),
    ("comes again", "reconnects or retries"),
    ("comes late", "arrives late"),
    ("as it stands", "unchanged"),
    ("as they stand", "unchanged"),
    ("stands there", "is there"),
    ("of upstream's", "from upstream"),
    ("sent no word", "sent no response"),
    ("says no word", "says nothing"),
    ("is passed by", "is not used"),
    ("are passed by", "are not used"),
    ("passed over", "skipped or ignored"),
    ("taken for", "treated as"),
    ("at hand", "available"),
    ("of its own making", "its own"),
    ("in mid", "in the middle of"),
    ("makes good", "repairs"),
    ("made good", "repaired"),
    ("bear", "accept or tolerate"),
    ("bears", "accepts or tolerates"),
    ("thrice", "three times"),
    ("ought", "should"),
    ("shall", "must or will"),
    ("save for", "except for"),
    ("be it", "whether it is"),
];

/// Names of an earlier vocabulary, and the field's terms that replaced them.
const RENAMED: &[Rule] = &[
    ("copier*", "leader"),
    ("mirror*", "follower"),
    ("heal", "resync"),
    ("heals", "resynchronizes"),
    ("healed", "resynchronized"),
    ("lessons", "capabilities"),
    ("learnt", "learned"),
    ("condemn*", "retract or filter"),
    ("desk", "TokenCache, or gateway in the simulator"),
    ("tape", "frames"),
    ("farewell", "reconnect hint"),
    ("vanish*", "invalidate, or disconnect for clients"),
];

/// British spellings, as beginnings of words.
const BRITISH: &[Rule] = &[
    ("analys*", "analyze"),
    ("artefact*", "artifact"),
    ("behaviour*", "behavior"),
    ("centre*", "center"),
    ("colour*", "color"),
    ("favour*", "favor"),
    ("grey*", "gray"),
    ("honour*", "honor"),
    ("initialis*", "initialize"),
    ("judgement*", "judgment"),
    ("labelled", "labeled"),
    ("licence*", "license"),
    ("neighbour*", "neighbor"),
    ("normalis*", "normalize"),
    ("optimis*", "optimize"),
    ("organis*", "organize"),
    ("recognis*", "recognize"),
    ("resynchronis*", "resynchronize"),
    ("serialis*", "serialize"),
    ("deserialis*", "deserialize"),
    ("summaris*", "summarize"),
    ("synchronis*", "synchronize"),
    ("unoptimis*", "unoptimized"),
    ("unrecognis*", "unrecognized"),
    ("whilst", "while"),
];

/// What the rules apply to. The verses of the simulator are poetry, `CHANGELOG.md` may name what it
/// replaced, and this file has the phrases themselves.
fn checked_files() -> Vec<String> {
    let folders = [
        "src", "static", "docs", "deploy", "benches", "fuzz", "tests",
    ];
    let exempt = ["verse/lines.rs", "meta/words.rs", "transcripts/README.md"];
    let mut files = repository_files(&folders);
    files.retain(|file| {
        let text = [
            ".rs", ".js", ".html", ".css", ".md", ".yaml", ".conf", ".sh",
        ];
        text.iter().any(|ending| file.ends_with(ending))
            && !exempt.iter().any(|ending| file.ends_with(ending))
    });
    for name in ["README.md", "DESIGN.md", "CONTRIBUTING.md", ".env.example"] {
        files.push(name.to_owned());
    }
    files
}

/// The text as lower-case words, each with the number of its line. Words of a `CamelCase` or
/// `snake_case` identifier count on their own.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut word = String::new();
        let mut after_lower = false;
        for character in line.chars().chain([' ']) {
            let in_word = character.is_alphabetic() || character == '\'' || character == '’';
            let starts_word = after_lower && character.is_uppercase();
            if (!in_word || starts_word) && !word.is_empty() {
                words.push((number, std::mem::take(&mut word)));
            }
            if in_word {
                word.extend(character.to_lowercase());
            }
            after_lower = character.is_lowercase();
        }
    }
    words
}

fn matches(word: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => word.starts_with(beginning),
        None => word == pattern,
    }
}

/// Every place where a rule applies, as `file:line: "phrase": write …`.
fn violations(file: &str, text: &str, rules: &[Rule]) -> Vec<String> {
    let words = words(text);
    let mut found = Vec::new();
    for (phrase, instead) in rules {
        let patterns: Vec<&str> = phrase.split(' ').collect();
        for window in words.windows(patterns.len()) {
            if patterns
                .iter()
                .zip(window)
                .all(|(pattern, (_, word))| matches(word, pattern))
            {
                let line = window[0].0;
                found.push(format!("{file}:{line}: \"{phrase}\": write {instead}"));
            }
        }
    }
    found
}

fn assert_none(rules: &[Rule]) {
    let found: Vec<String> = checked_files()
        .iter()
        .flat_map(|file| violations(file, &read(file), rules))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn no_unclear_phrase_is_used() {
    assert_none(UNCLEAR);
}

#[test]
fn no_renamed_term_is_used() {
    assert_none(RENAMED);
}

#[test]
fn spelling_is_american() {
    assert_none(BRITISH);
}

#[test]
fn only_the_error_code_speaks_of_a_producer() {
    let found: Vec<String> = checked_files()
        .iter()
        .flat_map(|file| {
            let text = read(file)
                .replace("producer_lost", "")
                .replace("ProducerLost", "");
            violations(file, &text, &[("producer*", "leader, or generation")])
        })
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn phrases_are_found_across_lines_and_inside_identifiers() {
    let text = "// It is let\n// go.\nfn is_normalised() {}\nstruct TapeHead;\nlet go_on = 1;";
    let rules = [("let go", "a"), ("normalis*", "b"), ("tape", "c")];
    assert_eq!(
        violations("f", text, &rules),
        [
            "f:1: \"let go\": write a",
            "f:5: \"let go\": write a",
            "f:3: \"normalis*\": write b",
            "f:4: \"tape\": write c",
        ]
    );
}
