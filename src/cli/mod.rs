//! The command line: what the program can do, and with which settings.
//!
//! Each setting is taken from its flag, else from the environment, else from the file `.env`. This
//! is the top of the crate: nothing but `main` uses it.

mod arguments;
mod command;
mod dot_env;
mod environment;
mod error;
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

/// Reads the process's arguments, its environment, and `.env` in the working directory; gives the
/// subcommand to run.
///
/// # Errors
///
/// [`CliError`].
pub fn read() -> Result<Command, CliError> {
    let dot_env = dot_env::read(Path::new(".env"))?;
    let environment = Environment::new(std::env::vars_os(), dot_env);
    let cli = arguments::parse(std::env::args_os(), &environment)?;
    Ok(cli
        .command
        .unwrap_or_else(|| Command::Serve(Box::new(cli.settings))))
}

#[cfg(test)]
mod tests;
