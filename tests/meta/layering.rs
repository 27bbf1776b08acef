//! The table in `src/lib.rs` says which module may use which; here it is kept true.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The table as it is drawn: module, and what it may use.
fn drawn() -> BTreeMap<String, BTreeSet<String>> {
    let lib = fs::read_to_string(source().join("lib.rs")).unwrap();
    lib.lines()
        .filter(|line| line.starts_with("//! | `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            (
                quoted(cells[1]).into_iter().next().unwrap(),
                quoted(cells[3]),
            )
        })
        .collect()
}

fn files_of(module: &str) -> Vec<PathBuf> {
    let single = source().join(format!("{module}.rs"));
    if single.is_file() {
        return vec![single];
    }
    let mut files = Vec::new();
    let mut folders = vec![source().join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                files.push(path);
            }
        }
    }
    files
}

/// The modules that a source text names by `crate::`, its unit tests left out.
fn used(text: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut names = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        if let Some(list) = after.strip_prefix('{') {
            // The names at the first level of `use crate::{a::b, c::{d, e}}`.
            let (mut depth, mut name, mut taking) = (0, String::new(), true);
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        names.insert(std::mem::take(&mut name));
                        taking = true;
                        continue;
                    }
                    ':' => taking = false,
                    _ => {}
                }
                if depth == 0 && taking && (c.is_alphanumeric() || c == '_') {
                    name.push(c);
                }
            }
            names.insert(name);
        } else {
            names.insert(
                after
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
    names.remove("");
    names
}

#[test]
fn modules_use_exactly_what_the_table_says() {
    let drawn = drawn();
    assert!(drawn.len() > 10, "the table was not found");
    for (module, allowed) in &drawn {
        let mut found = BTreeSet::new();
        for file in files_of(module) {
            found.extend(used(&fs::read_to_string(file).unwrap()));
        }
        found.remove(module);
        assert_eq!(&found, allowed, "what `{module}` uses");
    }
    let lib = fs::read_to_string(source().join("lib.rs")).unwrap();
    let declared: BTreeSet<String> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect();
    assert_eq!(declared, drawn.keys().cloned().collect());
}

#[test]
fn vendor_types_stay_home() {
    for (vendor, homes) in [
        ("awc::", &["upstream/client.rs"][..]),
        ("azure_core::", &["upstream/auth/"]),
        ("azure_identity::", &["upstream/auth/"]),
        ("rustls::", &["upstream/client.rs"]),
        (
            "actix_web::",
            &[
                "upstream/client.rs",
                "viewer/mod.rs",
                "server.rs",
                "main.rs",
                "routes/",
            ],
        ),
        ("httparse::", &["simulator/"]),
        // In the store's own module the name is its submodule's.
        ("redis::", &["store/replication/", "store/mod.rs"]),
    ] {
        let mut folders = vec![source()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path
                    .strip_prefix(source())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                let at_home = homes.iter().any(|home| name.starts_with(home));
                let uses = code
                    .lines()
                    .any(|line| line.contains(vendor) && !line.trim_start().starts_with("//"));
                assert!(!uses || at_home, "{name} uses {vendor}");
            }
        }
    }
}
