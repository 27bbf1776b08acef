//! Where a setting's value comes from: its flag, else the environment, else the file `.env`.
//!
//! clap knows flags, and reads the environment only as it is. People's environments are not: Docker
//! keeps the quotes of an env file, an empty variable means "not set", and other programs' names
//! for the same thing are in use. So the environment is read here and handed to clap as flags that
//! stand before the real ones, which override them. Nothing is written to the process environment.

use std::{collections::HashMap, ffi::OsString, fmt};

use clap::{
    CommandFactory as _, FromArgMatches as _, ValueEnum as _, error::ContextKind, error::ErrorKind,
};

use super::{
    ConfigError,
    settings::{AuthMode, Cli, Command, MoreDeployment},
};

/// Names that other programs and samples use: ours, then theirs.
const ALIASES: [(&str, &str); 4] = [
    ("AZURE_OPENAI_DEPLOYMENT", "AZURE_OPENAI_CHAT_DEPLOYMENT"),
    ("AZURE_OPENAI_DEPLOYMENT", "AZURE_OPENAI_DEPLOYMENT_NAME"),
    (
        "AZURE_OPENAI_DEPLOYMENT",
        "AZURE_OPENAI_CHAT_DEPLOYMENT_NAME",
    ),
    ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_KEY"),
];

/// The numbers that further deployments may have.
const NUMBERS: std::ops::RangeInclusive<u8> = 2..=9;

/// The values of the environment and of `.env`, cleaned.
#[derive(Default)]
pub struct Environment(HashMap<String, String>);

/// Shows no value: keys are among them.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

impl Environment {
    /// Merges the process's variables with the text of a `.env` file; the former win.
    ///
    /// # Errors
    ///
    /// [`ConfigError::DotEnv`] with the line that cannot be read, never with its content.
    pub fn new(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        dot_env: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let mut values = HashMap::new();
        for (name, value) in read_dot_env(dot_env.unwrap_or_default())? {
            insert(&mut values, name, &value);
        }
        for (name, value) in variables {
            // A name or value that is not Unicode is none of ours.
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                insert(&mut values, name, &value);
            }
        }
        for (ours, theirs) in ALIASES {
            if !values.contains_key(ours)
                && let Some(value) = values.get(theirs).cloned()
            {
                values.insert(ours.to_owned(), value);
            }
        }
        Ok(Self(values))
    }

    /// The deployments with numbered variables, in the order of their numbers.
    fn more_deployments(&self) -> Result<Vec<MoreDeployment>, ConfigError> {
        let mut all = Vec::new();
        for n in NUMBERS {
            let get = |name: &str| self.get(&format!("{name}_{n}")).map(str::to_owned);
            let more = MoreDeployment {
                endpoint: get("AZURE_OPENAI_ENDPOINT"),
                deployment: get("AZURE_OPENAI_DEPLOYMENT"),
                api_key: get("AZURE_OPENAI_API_KEY").map(Into::into),
                api_key_file: get("AZURE_OPENAI_API_KEY_FILE").map(Into::into),
                api_version: get("AZURE_OPENAI_API_VERSION"),
                auth: get("AZURE_OPENAI_AUTH")
                    .map(|value| auth_mode(n, value))
                    .transpose()?,
            };
            let any = more.endpoint.is_some()
                || more.deployment.is_some()
                || more.api_key.is_some()
                || more.api_key_file.is_some()
                || more.api_version.is_some()
                || more.auth.is_some();
            if any {
                all.push(more);
            }
        }
        Ok(all)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn auth_mode(n: u8, value: String) -> Result<AuthMode, ConfigError> {
    AuthMode::from_str(&value, true).map_err(|_| ConfigError::Value {
        name: format!("AZURE_OPENAI_AUTH_{n}"),
        flag: "no flag".to_owned(),
        value,
        wanted: "must be one of key, entra, none".to_owned(),
    })
}

fn insert(values: &mut HashMap<String, String>, name: String, value: &str) {
    let value = unquoted(value.trim());
    if !value.is_empty() {
        values.insert(name, value.to_owned());
    }
}

/// One pair of outer quotes is not part of a value: `docker --env-file` keeps them.
fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

fn read_dot_env(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    dotenvy::from_read_iter(text.as_bytes())
        .map(|pair| {
            pair.map_err(|error| ConfigError::DotEnv {
                line: match error {
                    dotenvy::Error::LineParse(content, _) => line_of(text, &content),
                    _ => 1,
                },
            })
        })
        .collect()
}

/// dotenvy tells the part of the line that it could not read, and not the line's number.
fn line_of(text: &str, content: &str) -> usize {
    let first = content.lines().next().unwrap_or_default();
    1 + text
        .lines()
        .position(|line| line.contains(first))
        .unwrap_or_default()
}

/// Reads the command line, with the environment behind it. `args` begins with the program's name.
///
/// # Errors
///
/// [`ConfigError::Usage`] for what clap itself shows (help and version among them), and
/// [`ConfigError::Value`] for a value that is out of bounds.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Cli, ConfigError> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let original = args.clone();
    let named = args.get(1).and_then(|arg| arg.to_str());
    let whole = Cli::command();
    let (chosen, at) = match named.and_then(|name| whole.find_subcommand(name)) {
        Some(subcommand) => (subcommand, 2),
        None => (&whole, 1),
    };
    let injected: Vec<OsString> = chosen
        .get_arguments()
        .filter_map(|arg| {
            let name = arg.get_env()?.to_str()?;
            let value = environment.get(name)?;
            Some(format!("--{}={value}", arg.get_long()?).into())
        })
        .collect();
    args.splice(at.min(args.len())..at.min(args.len()), injected);

    let parsed = with_only_flags(Cli::command()).try_get_matches_from(args);
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(mut cli) => {
            match &mut cli.command {
                Some(Command::Serve(settings) | Command::Check(settings)) => {
                    settings.more_deployments = environment.more_deployments()?;
                }
                None => cli.settings.more_deployments = environment.more_deployments()?,
                Some(Command::Simulate(_) | Command::Healthcheck(_)) => {}
            }
            Ok(cli)
        }
        Err(error) => Err(one_line(error, &original)),
    }
}

/// The same command, blind to the process environment, in which a later flag overrides an earlier.
fn with_only_flags(command: clap::Command) -> clap::Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|c| c.get_name().to_owned())
        .collect();
    let command = command
        .args_override_self(true)
        .mut_args(|arg| arg.env(Option::<&'static str>::None));
    names.iter().fold(command, |command, name| {
        command.mut_subcommand(name, with_only_flags)
    })
}

/// The command as help shows it: with the variables' names, and never their values.
fn for_help(command: clap::Command) -> clap::Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|c| c.get_name().to_owned())
        .collect();
    let command = command.mut_args(|arg| arg.hide_env_values(true));
    names.iter().fold(command, |command, name| {
        command.mut_subcommand(name, for_help)
    })
}

fn one_line(error: clap::Error, args: &[OsString]) -> ConfigError {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match for_help(Cli::command()).try_get_matches_from(args) {
                Err(help) => ConfigError::Usage(help),
                Ok(_) => ConfigError::Usage(error),
            }
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
            let flag = context(ContextKind::InvalidArg);
            let flag = flag
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned();
            let wanted = match std::error::Error::source(&error) {
                Some(source) => source.to_string(),
                None => format!("must be one of {}", context(ContextKind::ValidValue)),
            };
            ConfigError::Value {
                name: variable_of(&flag),
                flag: format!("flag {flag}"),
                value: context(ContextKind::InvalidValue),
                wanted,
            }
        }
        _ => ConfigError::Usage(error),
    }
}

fn variable_of(flag: &str) -> String {
    let long = flag
        .trim_start_matches("--")
        .split('=')
        .next()
        .unwrap_or_default();
    Cli::command()
        .get_arguments()
        .find(|arg| arg.get_long() == Some(long))
        .and_then(|arg| arg.get_env()?.to_str().map(str::to_owned))
        .unwrap_or_else(|| flag.to_owned())
}
