//! Which file of this crate imports from which, read from the source's tokens.
//!
//! [`scope`] learns what each module defines and imports, [`paths`] finds every path that is written in it,
//! and here the two are joined: a path leads to the file that *defines* its name, whatever re-exports
//! lie between. Code for tests is left out. A path through the crate that leads nowhere is a failure of the
//! graph and not an import of nothing. The rules stand in `layering`, this knows only names.

mod paths;
mod scope;
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use paths::Path;
use scope::{Binding, ModuleId, Scopes};

/// Source texts by their path under `src`.
pub type Sources = BTreeMap<String, String>;
/// For each file, the files that it imports from and one of the names.
pub type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// What the source of a crate imports.
#[derive(Debug, Default)]
pub struct Imports {
    /// File to file.
    pub files: Graph,
    /// The modules below the root that the paths in a file pass through, its own left out.
    pub modules: BTreeMap<String, BTreeSet<String>>,
    /// Other crates that a file names.
    pub crates: BTreeMap<String, BTreeSet<String>>,
}

/// Where a path leads.
enum Target {
    /// A name that a module defines.
    Name(ModuleId, String),
    Module(ModuleId),
    Crate(String),
    /// A local variable, a type parameter, the prelude.
    Elsewhere,
}

impl Imports {
    /// Reads the crate whose roots are `lib.rs` and, if there is one, `main.rs`, which knows the former by
    /// the name `library`.
    pub fn read(sources: &Sources, library: &str) -> Self {
        let mut scopes = Scopes::default();
        let lib = scopes.add_root("lib.rs", sources);
        if sources.contains_key("main.rs") {
            let main = scopes.add_root("main.rs", sources);
            scopes.bind(main, library, Binding::Module(lib));
        }
        let mut imports = Self::default();
        for file in scopes.files() {
            imports.files.insert(file.clone(), BTreeMap::new());
            imports.modules.insert(file.clone(), BTreeSet::new());
            imports.crates.insert(file.clone(), BTreeSet::new());
        }
        for (id, module) in scopes.all() {
            for path in &module.found.paths {
                imports.add(&scopes, id, path);
            }
        }
        imports.add_methods(&scopes);
        imports
    }

    /// Methods are called without an import. Where an `impl` stands outside the file that defines its type, who
    /// knows the type and calls one of its methods imports from the file of the `impl`.
    fn add_methods(&mut self, scopes: &Scopes) {
        for (id, module) in scopes.all() {
            for (path, block) in &module.implemented {
                let Target::Name(home, _) = resolve(scopes, id, path, &mut Vec::new(), 0) else {
                    continue;
                };
                let home = &scopes.module(home).file;
                let others = || scopes.all().filter(|(_, other)| other.file != module.file);
                // A name that another function has, too, says nothing.
                let rare = block.functions.iter().filter(|&name| {
                    others().all(|(_, other)| !other.found.functions.contains(name))
                });
                for method in rare.filter(|_| *home != module.file) {
                    for (_, caller) in others().filter(|(_, other)| other.found.calls(method)) {
                        let homes = self.files.entry(caller.file.clone()).or_default();
                        if caller.file == *home || homes.contains_key(home) {
                            homes.entry(module.file.clone()).or_insert(method.clone());
                        }
                    }
                }
            }
        }
    }

    fn add(&mut self, scopes: &Scopes, module: ModuleId, path: &Path) {
        let file = &scopes.module(module).file;
        let mut passed = Vec::new();
        match resolve(scopes, module, path, &mut passed, 0) {
            Target::Name(home, name) => {
                let home = &scopes.module(home).file;
                if home != file {
                    let homes = self.files.entry(file.clone()).or_default();
                    homes.entry(home.clone()).or_insert(name);
                }
            }
            Target::Crate(name) => {
                self.crates.entry(file.clone()).or_default().insert(name);
            }
            Target::Module(_) => {}
            Target::Elsewhere => {
                let inside = ["crate", "self", "super"].contains(&path[0].as_str());
                let lost = inside && path.len() > 1;
                assert!(!lost, "{file}: {} leads nowhere", path.join("::"));
            }
        }
        let own = scopes.top(module);
        let tops = passed.into_iter().filter_map(|module| scopes.top(module));
        let others = tops.filter(|top| Some(top) != own.as_ref());
        self.modules.entry(file.clone()).or_default().extend(others);
    }
}

/// Follows a path from a module. Every module on the way is added to `passed`.
fn resolve(
    scopes: &Scopes,
    from: ModuleId,
    names: &Path,
    passed: &mut Vec<ModuleId>,
    depth: usize,
) -> Target {
    // Two modules may re-export each other's names by a glob.
    if depth > 16 {
        return Target::Elsewhere;
    }
    let mut here = from;
    for (index, name) in names.iter().enumerate() {
        match name.as_str() {
            "" => {
                return names
                    .get(1)
                    .cloned()
                    .map_or(Target::Elsewhere, Target::Crate);
            }
            "crate" => here = scopes.root_of(from),
            "self" => {}
            "super" => here = scopes.module(here).parent.unwrap_or(here),
            "*" => return Target::Name(here, "*".to_owned()),
            name => match find(scopes, here, name, passed, depth) {
                Target::Module(module) => here = module,
                // One name alone is a variable or a macro of the prelude.
                Target::Elsewhere
                    if index == 0 && names.len() > 1 && name.starts_with(char::is_lowercase) =>
                {
                    return Target::Crate(name.to_owned());
                }
                // What a file re-exports of another crate is that file's.
                Target::Crate(_) if scopes.module(here).file != scopes.module(from).file => {
                    return Target::Name(here, name.to_owned());
                }
                found => return found,
            },
        }
        passed.push(here);
    }
    Target::Module(here)
}

/// A name in a module: its own, or one that it imports.
fn find(
    scopes: &Scopes,
    module: ModuleId,
    name: &str,
    passed: &mut Vec<ModuleId>,
    depth: usize,
) -> Target {
    match scopes.module(module).names.get(name) {
        Some(Binding::Item) => return Target::Name(module, name.to_owned()),
        Some(Binding::Module(child)) => return Target::Module(*child),
        // `use a::b as b` within itself would loop forever.
        Some(Binding::Import(path)) => return resolve(scopes, module, path, passed, depth + 1),
        None => {}
    }
    for glob in &scopes.module(module).globs {
        let mut on_the_way = Vec::new();
        if let Target::Module(source) = resolve(scopes, module, glob, &mut on_the_way, depth + 1)
            && source != module
        {
            match find(scopes, source, name, &mut on_the_way, depth + 1) {
                Target::Elsewhere => {}
                found => {
                    passed.append(&mut on_the_way);
                    return found;
                }
            }
        }
    }
    Target::Elsewhere
}
