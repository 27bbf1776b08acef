//! The command line: what the program can do, and with which settings.
//!
//! Each setting is taken from its flag, else from the environment, else from the file `.env`. This
//! is the top of the crate: nothing but `main` uses it.

mod arguments;
mod command;
mod dot_env;
mod environment;
mod error;
mod any_certificate;
pub mod healthcheck;
pub mod signals;
pub mod simulate;

use std::path::Path;

use self::environment::Environment;
pub use self::{
    command::{Cli, Command},
    dot_env::DotEnvError,
    environment::Origin,
    error::CliError,
};
use crate::config::FlagError;

/// Reads the process's arguments, its environment, and `.env` in the working directory; gives the
/// subcommand to run.
///
/// # Errors
///
/// [`CliError`].
pub fn read() -> Result<Command, CliError> {
    let (dot_env, dot_env_error) = match dot_env::read(Path::new(".env")) {
        Ok(variables) => (variables, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let environment = Environment::new(std::env::vars_os(), dot_env);
    let command = arguments::parse(std::env::args_os(), &environment).map(|cli| {
        cli.command
            .unwrap_or_else(|| Command::Serve(Box::new(cli.settings)))
    });
    match (dot_env_error, command) {
        // Neither help nor the simulator needs the file.
        (_, help @ Err(CliError::Flag(FlagError::Usage(_)))) => help,
        (_, simulate @ Ok(Command::Simulate(_))) => simulate,
        (Some(error), _) => Err(error.into()),
        (None, command) => command,
    }
}

#[cfg(test)]
mod tests;
