//! Small crates whose imports are known.

use super::{Imports, Sources};

fn read(files: &[(&str, &str)]) -> Imports {
    let sources: Sources = files
        .iter()
        .map(|&(file, text)| (file.to_owned(), text.to_owned()))
        .collect();
    Imports::read(&sources, "this")
}

/// The imports between two files, `a.rs` and `b.rs`, as `a -> b`.
fn between(a: &str, b: &str) -> Vec<String> {
    let root = ("lib.rs", "mod a; mod b;");
    edges(&read(&[root, ("a.rs", a), ("b.rs", b)]))
}

fn edges(imports: &Imports) -> Vec<String> {
    let mut edges = Vec::new();
    for (file, homes) in &imports.files {
        edges.extend(homes.keys().map(|home| format!("{file} -> {home}")));
    }
    edges
}

#[test]
fn an_import_is_found_however_it_is_written() {
    for a in [
        "use crate::b::Thing;",
        "use super::b::{Thing as Other};",
        "use crate::{b::{Thing, other::Missing}};",
        "pub(crate) use self::super::b::Thing;",
        "use super::b; fn f(_: b::Thing) {}",
        "use crate::b::{self as c}; fn f() -> Vec<c::Thing> { vec![] }",
        "use super::b::*;",
        "fn f() { super::b::Thing::new(); }",
        "fn f() { use super::b; b::Thing.call() }",
        "fn f() { println!(\"{}\", crate::b::Thing); }",
        "#[derive(crate::b::Thing)] struct S;",
        "struct S { #[arg(with = crate::b::Thing)] field: u8 }",
        "impl super::b::Thing {}",
        "impl<T: Into<u8>> From<T> for super::b::Thing {}",
        "fn f(x: u8) { match x { super::b::Thing => {} } }",
        "mod inner { fn f() { super::super::b::Thing; } }",
        "#[cfg(not(test))] use crate::b::Thing;",
    ] {
        let b = "pub struct Thing; pub mod other { pub struct Missing; }";
        assert_eq!(between(a, b), ["a.rs -> b.rs"], "{a}");
    }
}

#[test]
fn what_is_no_import_is_none() {
    for a in [
        "// use crate::b::Thing;",
        "/// As [`crate::b::Thing`](super::b::Thing).\nfn f() {}",
        "fn f() { \"crate::b::Thing\"; }",
        "#[cfg(test)] use crate::b::Thing;",
        "#[cfg(test)] mod tests { use crate::b::Thing; }",
        "#[cfg(test)] fn f() { crate::b::Thing; } fn g() {}",
        "impl S { #[cfg(test)] fn f() { crate::b::Thing; } fn g(self) {} } struct S;",
        "fn f() { #[cfg(test)] crate::b::Thing.call(); g() } fn g() {}",
        // Naming a module brings nothing of it.
        "use super::b;",
        "pub(in super::b) fn f() {}",
        "struct Thing; fn f() -> Thing { Thing }",
        "fn f(b: S) { b.Thing }",
    ] {
        assert_eq!(between(a, "pub struct Thing;"), [""; 0], "{a}");
    }
}

#[test]
fn a_re_export_leads_to_the_file_that_defines_the_name() {
    let files = [
        ("lib.rs", "mod a; mod b; mod user;"),
        (
            "a/mod.rs",
            "mod inner; pub use inner::{Thing as Renamed, *};",
        ),
        ("a/inner.rs", "pub struct Thing; pub fn make() {}"),
        ("b.rs", "pub use crate::a::{Renamed as Again, make};"),
        (
            "user.rs",
            "use crate::b::Again; fn f() { crate::b::make() }",
        ),
    ];
    let expected = [
        "a/mod.rs -> a/inner.rs",
        "b.rs -> a/inner.rs",
        "user.rs -> a/inner.rs",
    ];
    let imports = read(&files);
    assert_eq!(edges(&imports), expected);
    let user = &imports.modules["user.rs"];
    assert!(user.contains("b") && user.contains("a"), "{user:?}");
}

#[test]
fn a_child_that_takes_a_name_of_its_parents_imports_the_parents_file() {
    let files = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod inner; pub struct Mine; use inner::Theirs;"),
        ("a/inner.rs", "use super::Mine; pub struct Theirs;"),
    ];
    let expected = ["a/inner.rs -> a/mod.rs", "a/mod.rs -> a/inner.rs"];
    assert_eq!(edges(&read(&files)), expected);
}

#[test]
fn a_method_outside_the_file_of_its_type_is_an_import_for_who_calls_it() {
    let a = "pub struct Thing; fn f(thing: Thing) { thing.rare() }";
    let b = "use crate::a::Thing; impl Thing { pub fn rare(&self) {} }";
    assert_eq!(between(a, b), ["a.rs -> b.rs", "b.rs -> a.rs"]);
    let a = "pub struct Thing; fn f(thing: Thing) { thing.other() } trait T { fn rare(); }";
    assert_eq!(between(a, b), ["b.rs -> a.rs"]);
}

#[test]
fn a_name_that_a_macro_defines_is_the_modules() {
    let a = "macro_rules! make { ($($x:ident)+) => { pub enum Thing { $($x,)+ } } } make! { A B }";
    assert_eq!(between(a, "use crate::a::Thing;"), ["b.rs -> a.rs"]);
}

#[test]
fn the_program_sees_the_library_by_its_name() {
    let files = [
        ("lib.rs", "pub mod a;"),
        ("a.rs", "pub fn run() {}"),
        (
            "main.rs",
            "mod own; use this::a; fn main() { a::run(); own::go() }",
        ),
        ("own.rs", "pub fn go() {}"),
    ];
    let expected = ["main.rs -> a.rs", "main.rs -> own.rs"];
    assert_eq!(edges(&read(&files)), expected);
}

#[test]
fn another_crate_is_found_where_it_is_named_and_not_where_it_is_re_exported_to() {
    let a = "pub use vendor::deep::Thing; fn f() { other::call() }";
    let root = ("lib.rs", "mod a; mod b;");
    let imports = read(&[root, ("a.rs", a), ("b.rs", "use crate::a::Thing;")]);
    assert!(imports.crates["a.rs"].contains("vendor"));
    assert!(imports.crates["a.rs"].contains("other"));
    assert!(imports.crates["b.rs"].is_empty());
    assert_eq!(edges(&imports), ["b.rs -> a.rs"]);
}

#[test]
#[should_panic(expected = "a.rs: crate::b::Thing leads nowhere")]
fn an_import_that_leads_nowhere_is_a_failure() {
    between("use crate::b::Thing;", "");
}

#[test]
#[should_panic(expected = "no file for `mod a`")]
fn a_module_without_a_file_is_a_failure() {
    read(&[("lib.rs", "mod a;")]);
}
