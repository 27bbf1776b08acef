//! What the settings' flags need from clap: to be read without the environment, and to be explained
//! in one line.

use clap::{
    Arg, Command,
    error::{ContextKind, ErrorKind},
};

/// Why flags cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// Help, the version, or a usage error that clap explains best, in several lines.
    #[error("{0}")]
    Usage(clap::Error),
    /// A value is not allowed.
    #[error("{flag} {wanted}, not {value:?}")]
    Value {
        /// The flag, with its dashes.
        flag: String,
        /// What was given; no secret is checked by its value.
        value: String,
        /// What is allowed, as a clause that begins with "must".
        wanted: String,
    },
}

/// The command, blind to the process environment, in which a later flag overrides an earlier one.
pub(crate) fn without_environment(command: Command) -> Command {
    for_each_argument(command, |arg| arg.env(Option::<&'static str>::None)).args_override_self(true)
}

/// The command with every argument changed, also those of its subcommands.
pub(crate) fn for_each_argument(command: Command, change: fn(Arg) -> Arg) -> Command {
    command
        .mut_args(change)
        .mut_subcommands(move |subcommand| for_each_argument(subcommand, change))
}

/// Puts a value error into one line.
pub(crate) fn explained(error: clap::Error) -> FlagError {
    if !matches!(
        error.kind(),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue
    ) {
        return FlagError::Usage(error);
    }
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    if error.kind() == ErrorKind::InvalidValue && context(ContextKind::InvalidValue).is_empty() {
        // A flag without its value.
        return FlagError::Usage(error);
    }
    // Such as `--port <PORT>`.
    let argument = context(ContextKind::InvalidArg);
    FlagError::Value {
        flag: argument.split(' ').next().unwrap_or_default().to_owned(),
        value: context(ContextKind::InvalidValue),
        wanted: match std::error::Error::source(&error) {
            Some(source) => source.to_string(),
            None => format!("must be one of {}", context(ContextKind::ValidValue)),
        },
    }
}
