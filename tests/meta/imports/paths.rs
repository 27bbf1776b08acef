//! Every path that stands in a row of tokens: in `use`, types, expressions, patterns, attributes, and what
//! macros are given. A path is a row of names joined by `::`; the tokens have no comments and no strings.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path as the source has it. A leading `::` is an empty first name.
pub type Path = Vec<String>;

#[derive(Debug, Default)]
pub struct Found {
    pub paths: Vec<Path>,
    /// Names that a `use` brings into scope, each with the path behind it; `*` for all of a module.
    pub imports: Vec<(String, Path)>,
    /// The names of functions and methods that are defined.
    pub functions: BTreeSet<String>,
    /// The names after a dot: methods that are called, and fields.
    pub dotted: BTreeSet<String>,
}

impl Found {
    /// Adds what stands in tokens of any kind, code for tests left out.
    pub fn add(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while at < tokens.len() {
            at += match &tokens[at..] {
                rest if is_test_attribute(rest) => length_of_next(&rest[2..]) + 2,
                rest if begins_use(rest) => {
                    let end = rest.iter().position(|token| is_mark(token, ';'));
                    let end = end.unwrap_or(rest.len());
                    self.add_use(&rest[1..end]);
                    end
                }
                // Who may see it is no import.
                [TokenTree::Ident(word), TokenTree::Group(who), ..]
                    if word == "pub" && who.delimiter() == Delimiter::Parenthesis =>
                {
                    2
                }
                [TokenTree::Group(group), ..] => {
                    self.add(&trees(group.stream()));
                    1
                }
                [dot, TokenTree::Ident(name), ..] if is_mark(dot, '.') => {
                    self.dotted.insert(name.to_string());
                    2
                }
                [TokenTree::Ident(word), TokenTree::Ident(name), ..] if word == "fn" => {
                    self.functions.insert(name.to_string());
                    2
                }
                rest => match path(rest) {
                    Some((path, length)) => {
                        self.paths.push(path);
                        length
                    }
                    None => 1,
                },
            };
        }
    }

    /// Whether a method or associated function of this name may be called.
    pub fn calls(&self, name: &str) -> bool {
        let ends = |path: &Path| path.len() > 1 && path.last().is_some_and(|last| last == name);
        self.dotted.contains(name) || self.paths.iter().any(ends)
    }

    /// `tokens` are what stands between `use` and `;`.
    fn add_use(&mut self, tokens: &[TokenTree]) {
        let mut leaves = Vec::new();
        leaves_of(tokens, &Path::new(), &mut leaves);
        for (name, path) in leaves {
            let mut written = path.clone();
            written.extend((name == "*").then(|| name.clone()));
            self.paths.push(written);
            self.imports.push((name, path));
        }
    }
}

pub fn trees(tokens: TokenStream) -> Vec<TokenTree> {
    tokens.into_iter().collect()
}

pub fn is_mark(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == mark)
}

/// `#[cfg(test)]`, `#[cfg(all(test, …))]` and `#[test]`.
pub fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    match tokens {
        [hash, TokenTree::Group(group), ..] if is_mark(hash, '#') => {
            let words = group.stream().to_string().replace(' ', "");
            words == "cfg(test)" || words.starts_with("cfg(all(test") || words == "test"
        }
        _ => false,
    }
}

/// How many tokens an item, statement, field or argument has, with what ends it.
fn length_of_next(tokens: &[TokenTree]) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_mark(token, ';') || is_mark(token, ','),
    };
    let end = tokens.iter().position(ends);
    end.map_or(tokens.len(), |end| end + 1)
}

/// And no `use<'a>` in a type.
fn begins_use(tokens: &[TokenTree]) -> bool {
    match tokens {
        [TokenTree::Ident(word), next, ..] => word == "use" && !is_mark(next, '<'),
        _ => false,
    }
}

/// The path with which tokens begin, and how many of them it is.
pub fn path(tokens: &[TokenTree]) -> Option<(Path, usize)> {
    let mut path = Path::new();
    let mut at = 0;
    loop {
        match &tokens[at..] {
            [TokenTree::Ident(name), ..] => {
                path.push(name.to_string());
                at += 1;
            }
            _ => return (at > 0).then_some((path, at)),
        }
        match &tokens[at..] {
            [first, second, TokenTree::Ident(_), ..]
                if is_mark(first, ':') && is_mark(second, ':') =>
            {
                at += 2;
            }
            _ => return Some((path, at)),
        }
    }
}

fn leaves_of(tokens: &[TokenTree], before: &Path, leaves: &mut Vec<(String, Path)>) {
    let mut path = before.clone();
    let mut renamed = None;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at..] {
            [TokenTree::Ident(word), TokenTree::Ident(name), ..] if word == "as" => {
                renamed = Some(name.to_string());
                at += 1;
            }
            [TokenTree::Ident(name), ..] => path.push(name.to_string()),
            [TokenTree::Group(group), ..] => {
                for tree in trees(group.stream()).split(|token| is_mark(token, ',')) {
                    if !tree.is_empty() {
                        leaves_of(tree, &path, leaves);
                    }
                }
                return;
            }
            [star, ..] if is_mark(star, '*') => {
                leaves.push(("*".to_owned(), path));
                return;
            }
            [colon, ..] if at == 0 && is_mark(colon, ':') => path.push(String::new()),
            _ => {}
        }
        at += 1;
    }
    // `a::{self}` names `a`.
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let name = renamed.or_else(|| path.last().cloned());
    leaves.extend(name.map(|name| (name, path)));
}
