//! What the documents list is what there is, in one order.

use std::{collections::BTreeSet, fs, path::Path};

use clap::CommandFactory as _;
use rasta_stream::cli::Cli;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The variables of all settings, in the order of `--help`.
fn settings() -> Vec<String> {
    let command = Cli::command();
    let names = command.get_arguments().filter_map(|arg| arg.get_env());
    names
        .map(|name| name.to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_example_lists_every_setting_in_the_order_of_help() {
    let example = read(".env.example");
    let listed: Vec<&str> = example
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .filter_map(|line| line.split_once('=').map(|(name, _)| name))
        .filter(|name| !name.contains(' '))
        .collect();
    assert_eq!(listed, settings());
}

#[test]
fn what_is_optional_is_commented_out_in_the_example() {
    let example = read(".env.example");
    let set: Vec<&str> = example
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .collect();
    let azure = [
        "AZURE_OPENAI_ENDPOINT=",
        "AZURE_OPENAI_DEPLOYMENT=",
        "AZURE_OPENAI_API_KEY=",
    ];
    assert_eq!(set, azure);
}

#[test]
fn the_readme_lists_every_setting_with_its_default_in_the_order_of_help() {
    let readme = read("README.md");
    let table = readme
        .split("## Settings")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`'));
            (cells.next().unwrap(), cells.next().unwrap())
        })
        .collect();
    assert_eq!(
        rows.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        settings()
    );
    let command = Cli::command();
    for (name, default) in rows {
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_env().is_some_and(|env| env == name))
            .unwrap();
        if let [value] = arg.get_default_values()
            && name != "SYSTEM_PROMPT"
        {
            assert_eq!(default, value.to_str().unwrap(), "{name}");
        }
    }
}

#[test]
fn the_readme_lists_every_error_code() {
    let readme = read("README.md");
    let source = read("src/event/error.rs");
    let list = source
        .split("pub enum ErrorCode {")
        .nth(1)
        .unwrap()
        .split('}')
        .next()
        .unwrap();
    let codes: BTreeSet<String> = list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let snake = name.chars().flat_map(|c| {
                let underscore = c.is_ascii_uppercase().then_some('_');
                underscore
                    .into_iter()
                    .chain(std::iter::once(c.to_ascii_lowercase()))
            });
            snake.collect::<String>().trim_start_matches('_').to_owned()
        })
        .collect();
    assert_eq!(codes.len(), 18);
    for code in codes {
        assert!(
            readme.contains(&format!("`{code}`")),
            "{code} is not in README.md"
        );
    }
}
