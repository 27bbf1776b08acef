//! What each module defines, declares and imports, and all that is written in it.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenTree};

use super::{
    Sources,
    paths::{self, Found, Path, is_mark, is_test_attribute, trees},
};

/// A module of the crate, in a file of its own or within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleId(usize);

#[derive(Debug)]
pub enum Binding {
    /// Defined in the module.
    Item,
    Module(ModuleId),
    /// By a `use`, with the path that it names.
    Import(Path),
}

#[derive(Debug)]
pub struct Module {
    pub file: String,
    pub parent: Option<ModuleId>,
    pub names: BTreeMap<String, Binding>,
    /// The modules whose names are imported by `*`.
    pub globs: Vec<Path>,
    /// What is written in it and not in a module within it.
    pub found: Found,
    /// The inherent `impl` blocks: the type, and what is in the block.
    pub implemented: Vec<(Path, Found)>,
    name: String,
}

#[derive(Debug, Default)]
pub struct Scopes {
    modules: Vec<Module>,
    files: BTreeSet<String>,
}

impl Scopes {
    pub fn module(&self, id: ModuleId) -> &Module {
        &self.modules[id.0]
    }

    pub fn all(&self) -> impl Iterator<Item = (ModuleId, &Module)> {
        let modules = self.modules.iter().enumerate();
        modules.map(|(index, module)| (ModuleId(index), module))
    }

    /// The files of all modules. A file that no `mod` leads to is not among them.
    pub fn files(&self) -> &BTreeSet<String> {
        &self.files
    }

    pub fn root_of(&self, id: ModuleId) -> ModuleId {
        let mut root = id;
        while let Some(parent) = self.module(root).parent {
            root = parent;
        }
        root
    }

    /// The name of the module below the root that this one is or lies in.
    pub fn top(&self, id: ModuleId) -> Option<String> {
        let mut top = id;
        loop {
            let parent = self.module(top).parent?;
            if self.module(parent).parent.is_none() {
                return Some(self.module(top).name.clone());
            }
            top = parent;
        }
    }

    pub fn bind(&mut self, module: ModuleId, name: &str, binding: Binding) {
        let names = &mut self.modules[module.0].names;
        // A type and a function may share a name. What is defined here counts, not what is imported.
        if !matches!(names.get(name), Some(Binding::Item | Binding::Module(_))) {
            names.insert(name.to_owned(), binding);
        }
    }

    /// Reads a crate from its root's file on.
    pub fn add_root(&mut self, file: &str, sources: &Sources) -> ModuleId {
        let root = self.add(file, None, "");
        self.read_file(root, file, "", sources);
        root
    }

    fn add(&mut self, file: &str, parent: Option<ModuleId>, name: &str) -> ModuleId {
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            names: BTreeMap::new(),
            globs: Vec::new(),
            found: Found::default(),
            implemented: Vec::new(),
            name: name.to_owned(),
        });
        ModuleId(self.modules.len() - 1)
    }

    /// `folder` is where the files of the module's children lie, with a slash at its end.
    fn read_file(&mut self, module: ModuleId, file: &str, folder: &str, sources: &Sources) {
        self.files.insert(file.to_owned());
        let tokens = sources[file].parse();
        let tokens = tokens.unwrap_or_else(|error| panic!("{file}: {error}"));
        self.read_items(module, &trees(tokens), folder, sources);
    }

    fn read_items(
        &mut self,
        module: ModuleId,
        mut rest: &[TokenTree],
        folder: &str,
        sources: &Sources,
    ) {
        let mut found = Found::default();
        while !rest.is_empty() {
            let (item, after) = rest.split_at(length_of_item(rest));
            rest = after;
            let Some((keyword, name)) = head_of(item) else {
                continue;
            };
            match keyword.as_str() {
                "mod" => {
                    self.read_module(module, &name, item, folder, sources);
                    continue;
                }
                "impl" => self.modules[module.0].implemented.extend(implemented(item)),
                "use" => {}
                "macro_rules" => self.bind_made(module, &name, item),
                _ => self.bind(module, &name, Binding::Item),
            }
            found.add(item);
        }
        for (name, path) in &found.imports {
            match name.as_str() {
                "*" => self.modules[module.0].globs.push(path.clone()),
                name => self.bind(module, name, Binding::Import(path.clone())),
            }
        }
        self.modules[module.0].found = found;
    }

    /// A macro counts as called where it is defined: what it defines by a name of its own is the module's.
    fn bind_made(&mut self, module: ModuleId, name: &str, item: &[TokenTree]) {
        self.bind(module, name, Binding::Item);
        let Some(TokenTree::Group(rules)) = item.last() else {
            return;
        };
        for rule in trees(rules.stream()) {
            let TokenTree::Group(made) = rule else {
                continue;
            };
            let made = trees(made.stream());
            let mut rest = &made[..];
            while !rest.is_empty() {
                let (item, after) = rest.split_at(length_of_item(rest));
                rest = after;
                if let Some((_, name)) = head_of(item) {
                    self.bind(module, &name, Binding::Item);
                }
            }
        }
    }

    fn read_module(
        &mut self,
        parent: ModuleId,
        name: &str,
        item: &[TokenTree],
        folder: &str,
        sources: &Sources,
    ) {
        let inside = format!("{folder}{name}/");
        if let Some(TokenTree::Group(content)) = item.last() {
            let file = self.module(parent).file.clone();
            let child = self.add(&file, Some(parent), name);
            self.bind(parent, name, Binding::Module(child));
            self.read_items(child, &trees(content.stream()), &inside, sources);
            return;
        }
        let candidates = [format!("{folder}{name}.rs"), format!("{inside}mod.rs")];
        let file = candidates.iter().find(|file| sources.contains_key(*file));
        let file = file.unwrap_or_else(|| panic!("no file for `mod {name}` in {folder:?}"));
        let child = self.add(file, Some(parent), name);
        self.bind(parent, name, Binding::Module(child));
        self.read_file(child, file, &inside, sources);
    }
}

/// The words that may stand between an item's visibility and its keyword.
const QUALIFIERS: [&str; 4] = ["async", "unsafe", "extern", "pub"];

/// An item's keyword and the word after it. `None` for what is compiled for tests only.
fn head_of(item: &[TokenTree]) -> Option<(String, String)> {
    let mut rest = item;
    loop {
        rest = match rest {
            [] => return None,
            _ if is_test_attribute(rest) => return None,
            [hash, bang, _, ..] if is_mark(hash, '#') && is_mark(bang, '!') => &rest[3..],
            [hash, _, ..] if is_mark(hash, '#') => &rest[2..],
            [TokenTree::Ident(word), after @ ..] => match after {
                _ if QUALIFIERS.iter().any(|qualifier| word == qualifier) => after,
                [TokenTree::Ident(next), ..] if word == "const" && is_function_word(next) => after,
                // `macro_rules! name`
                [bang, TokenTree::Ident(name), ..] if is_mark(bang, '!') => {
                    return Some((word.to_string(), name.to_string()));
                }
                [TokenTree::Ident(name), ..] => return Some((word.to_string(), name.to_string())),
                _ => return Some((word.to_string(), String::new())),
            },
            // Of `pub(crate)` and `extern "C"`, or a stray semicolon.
            [_, after @ ..] => after,
        }
    }
}

fn is_function_word(word: &proc_macro2::Ident) -> bool {
    ["fn", "async", "unsafe", "extern"]
        .iter()
        .any(|function| word == function)
}

/// How many tokens the first item has. Braces end it, save where a semicolon must follow.
fn length_of_item(tokens: &[TokenTree]) -> usize {
    let keyword = head_of_any(tokens);
    let by_semicolon = ["use", "const", "static", "type"].contains(&keyword.as_str());
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !by_semicolon,
        token => is_mark(token, ';'),
    };
    let end = tokens.iter().position(ends);
    end.map_or(tokens.len(), |end| end + 1)
}

/// The keyword, whether or not the item is for tests.
fn head_of_any(tokens: &[TokenTree]) -> String {
    let mut rest = tokens;
    while is_test_attribute(rest) {
        rest = &rest[2..];
    }
    match head_of(rest) {
        Some((keyword, _)) => keyword,
        None => String::new(),
    }
}

/// The type of an inherent `impl`.
fn implemented(item: &[TokenTree]) -> Option<(Path, Found)> {
    let at = item
        .iter()
        .position(|token| matches!(token, TokenTree::Ident(word) if word == "impl"))?;
    let rest = &item[at + 1..];
    let is_trait = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word == "for");
    if rest.iter().any(is_trait) {
        return None;
    }
    // `impl<T: Into<U>>`
    let mut depth = 0;
    let start = rest.iter().position(|token| {
        depth += i32::from(is_mark(token, '<')) - i32::from(is_mark(token, '>'));
        depth == 0 && !is_mark(token, '>')
    })?;
    let (path, _) = paths::path(&rest[start..])?;
    let mut found = Found::default();
    found.add(item);
    Some((path, found))
}
