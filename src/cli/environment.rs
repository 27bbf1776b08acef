//! The variables of the environment and of `.env`, by the names that this program uses.
//!
//! People's environments need cleaning first: Docker keeps the quotes of an env file, an empty
//! variable means "not set", and other programs have other names for the same setting. Nothing is
//! written to the process environment. What a variable means is not known here.

use std::{collections::HashMap, ffi::OsString, fmt};

/// Names that other programs and samples use: ours, then theirs.
const ALIASES: [(&str, &str); 8] = [
    ("AZURE_OPENAI_DEPLOYMENT", "AZURE_OPENAI_CHAT_DEPLOYMENT"),
    ("AZURE_OPENAI_DEPLOYMENT", "AZURE_OPENAI_DEPLOYMENT_NAME"),
    (
        "AZURE_OPENAI_DEPLOYMENT",
        "AZURE_OPENAI_CHAT_DEPLOYMENT_NAME",
    ),
    ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_KEY"),
    ("HTTPS_PROXY", "all_proxy"),
    ("HTTPS_PROXY", "ALL_PROXY"),
    ("HTTP_PROXY", "all_proxy"),
    ("HTTP_PROXY", "ALL_PROXY"),
];

/// Names that count more than ours, as curl documents: ours, then theirs.
const LOWER_CASE: [(&str, &str); 3] = [
    ("HTTPS_PROXY", "https_proxy"),
    ("HTTP_PROXY", "http_proxy"),
    ("NO_PROXY", "no_proxy"),
];

/// The variables that are set.
#[derive(Default)]
pub(super) struct Environment(HashMap<String, Variable>);

/// A variable's value and where it was found.
#[derive(Clone)]
pub(super) struct Variable {
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// Where a variable was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the environment of the process.
    Environment,
    /// In the file `.env`.
    DotEnv,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "the environment",
            Self::DotEnv => ".env",
        })
    }
}

/// Shows no value: keys are among them.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

impl Environment {
    /// Merges the variables of the process with those of `.env`; the process's win.
    pub(super) fn new(
        process: impl IntoIterator<Item = (OsString, OsString)>,
        dot_env: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut environment = Self::default();
        for (name, value) in dot_env {
            environment.insert(name, &value, Origin::DotEnv);
        }
        for (name, value) in process {
            // No setting has a name or value that is not Unicode.
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                environment.insert(name, &value, Origin::Environment);
            }
        }
        for (ours, theirs) in LOWER_CASE {
            if let Some(variable) = environment.0.get(theirs).cloned() {
                environment.0.insert(ours.to_owned(), variable);
            }
        }
        for (ours, theirs) in ALIASES {
            if !environment.0.contains_key(ours)
                && let Some(variable) = environment.0.get(theirs).cloned()
            {
                environment.0.insert(ours.to_owned(), variable);
            }
        }
        environment
    }

    pub(super) fn get(&self, name: &str) -> Option<&Variable> {
        self.0.get(name)
    }

    fn insert(&mut self, name: String, value: &str, origin: Origin) {
        let value = unquoted(value.trim());
        if !value.is_empty() {
            let value = value.to_owned();
            self.0.insert(name, Variable { value, origin });
        }
    }
}

/// Removes one pair of outer quotes, which is not part of a value: `docker --env-file` keeps it.
fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}
