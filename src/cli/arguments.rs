//! Reads the command line, with the environment behind it.
//!
//! clap can read the environment by itself, but only as it is (see [`Environment`]). So clap is told
//! to ignore it, and each variable whose flag is not given is handed to clap as that flag.

use std::ffi::{OsStr, OsString};

use clap::{CommandFactory as _, FromArgMatches as _, ValueEnum, error::ErrorKind};

use super::{
    command::{Cli, Command},
    environment::{Environment, Variable},
    error::CliError,
};
use crate::config::{FlagError, flags, settings::MoreDeployment};

/// The numbers that further deployments may have, as in `AZURE_OPENAI_DEPLOYMENT_2`.
const DEPLOYMENT_NUMBERS: std::ops::RangeInclusive<u8> = 2..=9;

/// Reads `args`, which begin with the program's name, and takes what they leave open from the
/// environment.
///
/// # Errors
///
/// [`FlagError::Usage`] for what clap itself prints (help and version among them);
/// [`FlagError::Value`] and [`CliError::Variable`] for a value that is not allowed.
pub(super) fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Cli, CliError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let whole = Cli::command();
    let named = args.get(1).and_then(|arg| arg.to_str());
    let (chosen, first_flag) = match named.and_then(|name| whole.find_subcommand(name)) {
        Some(subcommand) => (subcommand, 2),
        None => (&whole, 1),
    };
    let first_flag = first_flag.min(args.len());
    let variables: Vec<(&str, &str, &Variable)> = chosen
        .get_arguments()
        .filter_map(|arg| {
            let (flag, name) = (arg.get_long()?, arg.get_env()?.to_str()?);
            let variable = environment.get(name)?;
            (!is_given(flag, &args[first_flag..])).then_some((flag, name, variable))
        })
        .collect();
    let injected = variables
        .iter()
        .map(|(flag, _, variable)| format!("--{flag}={}", variable.value).into());
    let mut all = args.clone();
    all.splice(first_flag..first_flag, injected);

    let parsed = flags::without_environment(Cli::command()).try_get_matches_from(all);
    let mut cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return Err(explained(error, &args, &variables)),
    };
    match &mut cli.command {
        Some(Command::Serve(settings) | Command::Check(settings)) => {
            settings.more_deployments = more_deployments(environment)?;
        }
        None => cli.settings.more_deployments = more_deployments(environment)?,
        Some(Command::Simulate(_) | Command::Healthcheck(_)) => {}
    }
    Ok(cli)
}

fn is_given(flag: &str, args: &[OsString]) -> bool {
    let flag = OsStr::new(flag).as_encoded_bytes();
    args.iter().any(|arg| {
        let given = arg.as_encoded_bytes().strip_prefix(b"--");
        given
            .and_then(|given| given.strip_prefix(flag))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
    })
}

/// Tells a variable by its own name and place, although clap was given it as a flag.
fn explained(
    error: clap::Error,
    args: &[OsString],
    variables: &[(&str, &str, &Variable)],
) -> CliError {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return FlagError::Usage(help(args).unwrap_or(error)).into();
    }
    match flags::explained(error) {
        FlagError::Value {
            flag,
            value,
            wanted,
        } => {
            let variable = variables
                .iter()
                .find(|(long, ..)| flag.strip_prefix("--") == Some(long));
            match variable {
                Some((_, name, variable)) => CliError::Variable {
                    name: (*name).to_owned(),
                    value,
                    wanted,
                    origin: variable.origin,
                },
                None => CliError::Flag(FlagError::Value {
                    flag,
                    value,
                    wanted,
                }),
            }
        }
        usage @ FlagError::Usage(_) => usage.into(),
    }
}

/// The help that `args` ask for: with the names of the variables, and never their values.
fn help(args: &[OsString]) -> Option<clap::Error> {
    let command = flags::for_each_argument(Cli::command(), |arg| arg.hide_env_values(true));
    command.try_get_matches_from(args).err()
}

/// The deployments with numbered variables, in the order of their numbers.
fn more_deployments(environment: &Environment) -> Result<Vec<MoreDeployment>, CliError> {
    let mut all = Vec::new();
    for number in DEPLOYMENT_NUMBERS {
        let get = |name: &str| environment.get(&format!("{name}_{number}"));
        let text = |name: &str| get(name).map(|variable| variable.value.clone());
        let more = MoreDeployment {
            number,
            endpoint: text("AZURE_OPENAI_ENDPOINT"),
            deployment: text("AZURE_OPENAI_DEPLOYMENT"),
            api_key: text("AZURE_OPENAI_API_KEY").map(Into::into),
            api_key_file: text("AZURE_OPENAI_API_KEY_FILE").map(Into::into),
            api_version: text("AZURE_OPENAI_API_VERSION"),
            api: get("AZURE_OPENAI_API")
                .map(|variable| one_of(&format!("AZURE_OPENAI_API_{number}"), variable))
                .transpose()?,
            auth: get("AZURE_OPENAI_AUTH")
                .map(|variable| one_of(&format!("AZURE_OPENAI_AUTH_{number}"), variable))
                .transpose()?,
        };
        if more.says_anything() {
            all.push(more);
        }
    }
    Ok(all)
}

/// The value of a variable that has a list of words.
fn one_of<T: ValueEnum>(name: &str, variable: &Variable) -> Result<T, CliError> {
    T::from_str(&variable.value, true).map_err(|_| {
        let words: Vec<_> = T::value_variants()
            .iter()
            .filter_map(|variant| Some(variant.to_possible_value()?.get_name().to_owned()))
            .collect();
        CliError::Variable {
            name: name.to_owned(),
            value: variable.value.clone(),
            wanted: format!("must be one of {}", words.join(", ")),
            origin: variable.origin,
        }
    })
}
