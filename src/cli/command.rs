//! The subcommands and their arguments.

use clap::{Parser, Subcommand};

use super::{healthcheck::HealthcheckArgs, simulate::SimulateArgs};
use crate::config::settings::Settings;

/// Streams chat replies from Azure OpenAI to the browser, and never loses one.
#[derive(Debug, Parser)]
#[command(
    name = "rasta-stream",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
#[command(
    after_help = "Each setting is taken from its flag, else from the environment, else from \
    the file .env in the working directory. Without any Azure setting, the built-in simulator \
    answers."
)]
pub struct Cli {
    /// What to do; `serve` if nothing is given.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of `serve`.
    #[command(flatten)]
    pub settings: Settings,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the page and the API (the default)
    Serve(Box<Settings>),
    /// Send a short prompt to each configured deployment and report what is wrong
    Check(Box<Settings>),
    /// Run only the simulator of Azure OpenAI, to develop other programs against it
    Simulate(SimulateArgs),
    /// Exit with 0 if the local server is alive, and with 1 if not
    Healthcheck(HealthcheckArgs),
}
