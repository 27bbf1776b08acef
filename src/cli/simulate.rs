//! `rasta-stream simulate`: the simulator of Azure OpenAI alone, on a port that other programs use as
//! their endpoint.

use std::net::{IpAddr, SocketAddr};

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    config::value::{from_1_to, ip_address, port},
    simulator::{Group, Limits, Options, Pace, Scenario, Simulator},
};

/// The settings of `simulate`.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = ip_address)]
    pub host: IpAddr,
    /// The port to listen on; 0 lets the system choose
    #[arg(long, default_value_t = 8081, value_parser = port)]
    pub port: u16,
    /// The only key that is accepted; unset, every key is accepted
    #[arg(long, value_name = "KEY")]
    pub key: Option<SecretString>,
    /// A deployment that exists; may be given several times; unset, every name exists
    #[arg(long = "deployment", value_name = "NAME")]
    pub deployments: Vec<String>,
    /// How fast it answers: like a model, or at once
    #[arg(long, value_enum, default_value = "real")]
    pub pace: PaceArg,
    /// The scenario to play for every request; a deployment named sim-NAME plays NAME for its own
    #[arg(long, value_name = "NAME", value_parser = scenario)]
    pub scenario: Option<Scenario>,
    /// Requests that each deployment accepts in a minute; unset, any number
    #[arg(long, value_name = "NUMBER", value_parser = from_1_to::<1_000_000_000>)]
    pub requests_per_minute: Option<u64>,
    /// Tokens that each deployment accepts in a minute, estimated from the length of the prompt and
    /// the request's own token limit; unset, any number
    #[arg(long, value_name = "NUMBER", value_parser = from_1_to::<1_000_000_000>)]
    pub tokens_per_minute: Option<u64>,
    /// Print every scenario and what it does, grouped by API
    #[arg(long)]
    pub list: bool,
}

/// How fast the simulator answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PaceArg {
    /// Like a model
    Real,
    /// Without any wait
    Instant,
}

fn scenario(text: &str) -> Result<Scenario, String> {
    text.parse()
        .map_err(|_| "must be one of the names that --list prints".to_owned())
}

/// The scenarios, grouped by the APIs over which they have an effect, with a line for each.
#[must_use]
pub fn list() -> String {
    let width = Scenario::ALL.iter().map(|scenario| scenario.name().len());
    let width = width.max().unwrap_or_default();
    let line = |scenario: &Scenario| {
        let others = scenario.names().iter().skip(1);
        let others: String = others.map(|name| format!(" Also {name}.")).collect();
        format!("  {scenario:<width$}  {}{others}\n", scenario.about())
    };
    let group = |(group, heading): (Group, &str)| {
        let scenarios = Scenario::ALL.iter();
        let lines = scenarios.filter(|scenario| scenario.group() == group);
        format!("{heading}:\n{}", lines.map(line).collect::<String>())
    };
    [
        (Group::General, "Both APIs"),
        (
            Group::Chat,
            "Chat Completions; the Responses API answers as usual",
        ),
        (
            Group::Responses,
            "Responses API; Chat Completions answers as usual",
        ),
    ]
    .map(group)
    .join("\n")
}

/// Starts the simulator, which runs until it is dropped.
///
/// # Errors
///
/// One line with the remedy, if it cannot listen.
pub async fn start(args: &SimulateArgs) -> Result<Simulator, String> {
    let addr = SocketAddr::new(args.host, args.port);
    let options = Options {
        addr,
        key: args.key.as_ref().map(|key| key.expose_secret().to_owned()),
        deployments: args.deployments.clone(),
        pace: match args.pace {
            PaceArg::Real => Pace::Real,
            PaceArg::Instant => Pace::Instant,
        },
        scenario: args.scenario,
        limits: Limits {
            requests_per_minute: args.requests_per_minute,
            tokens_per_minute: args.tokens_per_minute,
        },
        ..Options::default()
    };
    Simulator::start(options).await.map_err(|error| {
        format!("cannot listen on {addr} ({error}): choose another --host or --port")
    })
}

/// How to use a running simulator, as lines for a `.env`. They do not show the key.
#[must_use]
pub fn instructions(simulator: &Simulator, args: &SimulateArgs) -> String {
    let key = if args.key.is_some() { "THE-KEY" } else { "any" };
    let deployment = args.deployments.first().map_or("any", String::as_str);
    format!(
        "The simulator of Azure OpenAI is listening. Use it with:\n\
         AZURE_OPENAI_ENDPOINT={}\n\
         AZURE_OPENAI_API_KEY={key}\n\
         AZURE_OPENAI_DEPLOYMENT={deployment}\n",
        simulator.url()
    )
}
