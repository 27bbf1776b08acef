//! Why the command line, the environment or `.env` cannot be used.

use super::{dot_env::DotEnvError, environment::Origin};
use crate::config::FlagError;

/// Why the command line or the environment cannot be used. Displayed in one line with the remedy,
/// except for usage errors of clap's.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// The file `.env`.
    #[error(transparent)]
    DotEnv(#[from] DotEnvError),
    /// A variable's value is not allowed.
    #[error("{name} {wanted}, not {value:?} (set in {origin})")]
    Variable {
        /// The variable's name.
        name: String,
        /// What was given; no secret is checked by its value.
        value: String,
        /// What is allowed, as a clause that begins with "must".
        wanted: String,
        /// Where it was found.
        origin: Origin,
    },
}
