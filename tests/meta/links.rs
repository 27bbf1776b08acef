//! What the documents refer to exists: links, anchors, files, and the constants of the bounds table.

use std::{collections::BTreeSet, path::Path};

use super::files::{read, repository_files, root};

fn documents() -> Vec<String> {
    let mut documents = repository_files(&["docs", "tests"]);
    documents.retain(|file| file.ends_with(".md"));
    for name in ["README.md", "DESIGN.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        documents.push(name.to_owned());
    }
    documents
}

/// The text outside of fenced code blocks.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// The targets of all inline links and images.
fn link_targets(text: &str) -> Vec<String> {
    let prose = prose(text);
    let after = prose.split("](").skip(1);
    after
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// The anchors of a document's headings, by GitHub's rule.
fn anchors(text: &str) -> BTreeSet<String> {
    prose(text)
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// Why a link of `document` leads nowhere, if it does.
fn broken(document: &str, target: &str) -> Option<String> {
    if target.starts_with("http://") || target.starts_with("https://") {
        return None;
    }
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (target, None),
    };
    let folder = Path::new(document).parent().unwrap();
    let file = if path.is_empty() {
        document.to_owned()
    } else {
        folder.join(path).to_string_lossy().into_owned()
    };
    if !root().join(&file).exists() {
        return Some(format!("{document}: ({target}): no such file"));
    }
    match anchor {
        Some(anchor) if !anchors(&read(&file)).contains(anchor) => {
            Some(format!("{document}: ({target}): no such heading"))
        }
        _ => None,
    }
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut links = 0;
    let mut found = Vec::new();
    for document in documents() {
        for target in link_targets(&read(&document)) {
            links += 1;
            found.extend(broken(&document, &target));
        }
    }
    assert!(links > 10, "only {links} links were found");
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Paths of source files in a document: in the prose and in its pictures.
fn source_paths(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_alphanumeric() || "/._-".contains(c)))
        .map(|word| word.trim_start_matches(['.', '/']).trim_end_matches('.'))
        .filter(|word| word.ends_with(".rs") && word.len() > ".rs".len())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_source_file_that_a_document_names_exists() {
    let sources = repository_files(&["src", "tests", "fuzz", "benches"]);
    let mut named = 0;
    let mut found = Vec::new();
    for document in documents() {
        for path in source_paths(&read(&document)) {
            named += 1;
            let ending = format!("/{path}");
            let exists = sources
                .iter()
                .any(|file| *file == path || file.ends_with(&ending));
            if !exists {
                found.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(named > 20, "only {named} files are named");
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A row of a bounds table: the constant, its value, and its file.
struct Bound {
    name: String,
    value: String,
    file: String,
}

/// The rows of the bounds tables.
fn bounds() -> Vec<Bound> {
    let architecture = read("docs/architecture.md");
    let section = architecture.split("\n## Bounds\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            let cell = |index: usize| cells[index].trim().trim_matches('`').to_owned();
            Bound {
                name: cell(0),
                value: cell(1),
                file: cell(3),
            }
        })
        .collect()
}

/// The constants of a source file, its unit tests left out: name, type and value.
fn constants(text: &str) -> Vec<(String, String, String)> {
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.split("\nconst ")
        .flat_map(|rest| rest.split("\npub const "))
        .flat_map(|rest| rest.split("\npub(super) const "))
        .skip(1)
        .filter_map(|rest| {
            let (name, rest) = rest.split_once(": ")?;
            let (kind, rest) = rest.split_once(" = ")?;
            let (value, _) = rest.split_once(';')?;
            Some((name.to_owned(), kind.to_owned(), value.to_owned()))
        })
        .collect()
}

#[test]
fn every_bound_of_the_tables_is_a_constant_of_its_file_with_this_value() {
    let bounds = bounds();
    assert!(bounds.len() > 30, "only {} bounds", bounds.len());
    for Bound { name, value, file } in bounds {
        let constants = constants(&read(&format!("src/{file}")));
        let found = constants.iter().find(|(constant, ..)| *constant == name);
        let (_, _, actual) = found.unwrap_or_else(|| panic!("{name} is not in src/{file}"));
        assert_eq!(*actual, value, "{name} in src/{file}");
    }
}

/// Sizes that limit nothing: of a header in memory, and of texts that count as secrets.
const OTHER_SIZES: [&str; 3] = ["HEADER_BYTES", "SHARED_BYTES", "ECHO_BYTES"];

#[test]
fn every_bound_of_the_source_is_in_a_table() {
    let listed: BTreeSet<String> = bounds().into_iter().map(|bound| bound.name).collect();
    let mut missing = Vec::new();
    for file in repository_files(&["src"]) {
        // The simulator is a test double with limits of its own.
        if !file.ends_with(".rs") || file.contains("/tests") || file.contains("/simulator/") {
            continue;
        }
        for (name, kind, _) in constants(&read(&file)) {
            let is_bound =
                name.starts_with("MAX_") || name.ends_with("_LIMIT") || name.ends_with("_BYTES");
            let is_number = !kind.contains("Duration");
            let is_other = OTHER_SIZES.contains(&name.as_str());
            if is_bound && is_number && !is_other && !listed.contains(&name) {
                missing.push(format!("{file}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}
