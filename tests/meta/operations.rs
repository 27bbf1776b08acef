//! The operations page quotes what there is: log messages, figures and settings.

use std::collections::BTreeSet;

use clap::CommandFactory as _;
use rasta_stream::cli::Cli;

use super::files::{read, repository_files};

/// The spans in backticks of the page. None of them goes over a line.
fn spans() -> BTreeSet<String> {
    let page = read("docs/operations.md");
    let lines = page.lines();
    let spans = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.map(str::to_owned).collect()
}

/// The program, with its strings that go over several lines in one.
fn source() -> String {
    let files = repository_files(&["src"]);
    let files = files.iter().filter(|file| file.ends_with(".rs"));
    let mut text = String::new();
    for file in files {
        let source = read(file);
        let mut rest = source.as_str();
        while let Some((before, after)) = rest.split_once("\\\n") {
            text.push_str(before);
            rest = after.trim_start();
        }
        text.push_str(rest);
    }
    text
}

#[test]
fn every_message_that_the_operations_page_quotes_is_in_the_source() {
    let (spans, source) = (spans(), source());
    let messages = spans.iter().filter_map(|span| {
        let message = span.strip_prefix('"')?.strip_suffix('"')?;
        (!message.contains('"')).then_some(message)
    });
    let messages: Vec<_> = messages.collect();
    assert!(messages.len() > 20, "only {} messages", messages.len());
    // The end of a string, too: a message is quoted whole.
    let missing: Vec<_> = messages
        .iter()
        .filter(|message| !source.contains(&format!("{message}\"")))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_figure_that_the_operations_page_names_is_in_the_source() {
    let (spans, source) = (spans(), source());
    let figures: Vec<_> = spans
        .iter()
        .filter(|span| span.starts_with("rasta_stream_") || span.starts_with("gen_ai_"))
        .collect();
    assert!(figures.len() > 5, "only {} figures", figures.len());
    let missing: Vec<_> = figures
        .iter()
        .filter(|name| !source.contains(&format!("\"{name}\"")))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_limit_that_the_operations_page_lists_is_a_setting() {
    let command = Cli::command();
    let settings: BTreeSet<_> = command
        .get_arguments()
        .filter_map(|arg| arg.get_env())
        .collect();
    let page = read("docs/operations.md");
    let table = page.split("## The limits that you set").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let named: Vec<_> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() > 10, "only {} settings", named.len());
    for name in named {
        assert!(settings.contains(std::ffi::OsStr::new(name)), "{name}");
    }
}
