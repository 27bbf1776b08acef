//! Imports go one way: between the modules as the table in `src/lib.rs` says, and between files without a
//! loop. The types of other crates stay in the files that are their home.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
};

use super::imports::{Graph, Imports, Sources};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn imports() -> Imports {
    let mut sources = Sources::new();
    let mut folders = vec![source()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(source()).unwrap().to_str().unwrap();
                sources.insert(name.to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    Imports::read(&sources, "rasta_stream")
}

fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The table in `src/lib.rs`: each module, and what it may use.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let lib = fs::read_to_string(source().join("lib.rs")).unwrap();
    lib.lines()
        .filter(|line| line.starts_with("//! | `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            let module = quoted(cells[1]).into_iter().next().unwrap();
            (module, quoted(cells[3]))
        })
        .collect()
}

#[test]
fn modules_use_exactly_what_the_table_says() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, modules) in imports().modules {
        let first = file.split('/').next().unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        if !["lib", "main"].contains(&module) {
            found.entry(module.to_owned()).or_default().extend(modules);
        }
    }
    assert!(found.len() > 10, "the modules were not found");
    let table = table();
    for (module, uses) in &found {
        assert_eq!(Some(uses), table.get(module), "what `{module}` uses");
    }
    assert_eq!(found.len(), table.len(), "the table lists no other module");
}

/// For each node the shortest way back to itself, unless it lies on one that was found before.
fn loops(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    let mut covered = BTreeSet::new();
    for start in graph.keys() {
        if covered.contains(start) {
            continue;
        }
        let mut ways = VecDeque::from([vec![start]]);
        let mut reached = BTreeSet::new();
        while let Some(way) = ways.pop_front() {
            let Some(next) = graph.get(way[way.len() - 1]) else {
                continue;
            };
            if next.contains_key(start) {
                covered.extend(way.iter().copied());
                found.push(description(graph, &[&way[..], &[start]].concat()));
                break;
            }
            for node in next.keys().filter(|node| reached.insert(*node)) {
                ways.push_back([&way[..], &[node]].concat());
            }
        }
    }
    found
}

/// `a -> b (a name that a imports from b) -> a (a name that b imports from a)`
fn description(graph: &Graph, way: &[&String]) -> String {
    let mut text = way[0].clone();
    for pair in way.windows(2) {
        text += &format!(" -> {} ({})", pair[1], graph[pair[0]][pair[1]]);
    }
    text
}

/// The loops between the files and folders that lie in one folder, for every folder. `mod.rs` is a file as any
/// other. A loop of files shows up in the folder that all of them are in.
fn loops_in_folders(files: &Graph) -> Vec<String> {
    let mut folders: BTreeMap<&str, Graph> = BTreeMap::new();
    for (file, imported) in files {
        for (other, name) in imported {
            let shared = file
                .bytes()
                .zip(other.bytes())
                .take_while(|(a, b)| a == b)
                .count();
            let folder = file[..shared].rfind('/').map_or(0, |slash| slash + 1);
            let node = |file: &str| {
                let slash = file[folder..].find('/');
                file[..slash.map_or(file.len(), |slash| folder + slash + 1)].to_owned()
            };
            let graph = folders.entry(&file[..folder]).or_default();
            let imported = graph.entry(node(file)).or_default();
            imported.entry(node(other)).or_insert_with(|| name.clone());
        }
    }
    folders.values().flat_map(loops).collect()
}

#[test]
fn no_import_runs_back_up_and_no_files_import_each_other() {
    let found = loops_in_folders(&imports().files);
    assert!(found.is_empty(), "loops of imports:\n{}", found.join("\n"));
}

#[test]
fn vendor_types_stay_home() {
    let used = imports().crates;
    for (vendor, homes) in [
        ("awc", &["upstream/client.rs", "upstream/client/"][..]),
        ("azure_core", &["upstream/auth/"]),
        ("azure_identity", &["upstream/auth/"]),
        ("actix_tls", &["upstream/client.rs"]),
        (
            "rustls",
            &[
                "upstream/transport/",
                "connection/certificates.rs",
                "cli/any_certificate.rs",
                "cli/healthcheck.rs",
            ],
        ),
        (
            "tokio_rustls",
            &[
                "upstream/transport/tls.rs",
                "connection/certificates.rs",
                "server/",
            ],
        ),
        (
            "actix_web",
            &[
                "upstream/client.rs",
                "upstream/client/",
                "viewer/mod.rs",
                "server/",
                "main.rs",
                "routes/",
            ],
        ),
        ("httparse", &["simulator/", "upstream/transport/head.rs"]),
        ("redis", &["store/replication/"]),
    ] {
        let mut users = used.iter().filter(|(_, crates)| crates.contains(vendor));
        assert!(users.clone().count() > 0, "no file uses {vendor}");
        let stranger = users.find(|(file, _)| !homes.iter().any(|home| file.starts_with(home)));
        assert_eq!(stranger, None, "uses {vendor}");
    }
}

/// `auth` reads the JSON of token endpoints, which is no dialect.
#[test]
fn upstream_json_is_read_and_written_by_the_dialects_alone() {
    let used = imports().crates;
    let mut users = used.iter().filter(|(file, crates)| {
        file.starts_with("upstream/") && (crates.contains("serde_json") || crates.contains("serde"))
    });
    assert!(users.clone().count() > 0, "no file does");
    let homes = ["upstream/dialect/", "upstream/auth/"];
    let stranger = users.find(|(file, _)| !homes.iter().any(|home| file.starts_with(home)));
    assert_eq!(stranger, None);
}

/// The loops in a crate of four files in two folders, by the names that each file imports.
fn loops_of(imports: [(&str, &str); 4]) -> Vec<String> {
    let mut sources: Sources = imports
        .into_iter()
        .map(|(file, text)| (file.to_owned(), format!("{text} pub struct Own;")))
        .collect();
    let declared = "mod one; mod two;".to_owned();
    sources.insert("lib.rs".to_owned(), declared);
    let text = sources.get_mut("one/mod.rs").unwrap();
    text.push_str("pub mod a; pub mod b;");
    loops_in_folders(&Imports::read(&sources, "this").files)
}

#[test]
fn every_kind_of_loop_is_found() {
    let sound = [
        ("one/mod.rs", "use a::Own as A; use b::Own as B;"),
        (
            "one/a.rs",
            "use super::b::Own as B; use crate::two::Own as C;",
        ),
        ("one/b.rs", ""),
        ("two.rs", ""),
    ];
    assert_eq!(loops_of(sound), [""; 0]);
    for (file, import, found) in [
        (
            "one/b.rs",
            "use super::a::Own as A;",
            "one/a.rs -> one/b.rs (Own) -> one/a.rs (Own)",
        ),
        // Up to the parent.
        (
            "one/b.rs",
            "use super::Own as Parent;",
            "one/a.rs -> one/b.rs (Own) -> one/mod.rs (Own) -> one/a.rs (Own)",
        ),
        // No two files import each other, yet the folders do.
        (
            "two.rs",
            "use crate::one::b::Own as B;",
            "one/ -> two.rs (Own) -> one/ (Own)",
        ),
        // By a re-export.
        (
            "one/b.rs",
            "pub use super::a::B as Same; pub mod inner { use crate::one::a::Own; }",
            "one/a.rs -> one/b.rs (Own) -> one/a.rs (Own)",
        ),
    ] {
        let mut changed = sound;
        changed
            .iter_mut()
            .find(|(name, _)| *name == file)
            .unwrap()
            .1 = import;
        assert_eq!(loops_of(changed), [found]);
    }
}
