//! The program: arguments, `.env`, logger, subcommand. A start-up error is one line with its remedy.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use rasta_stream::{
    check,
    config::{
        Cli, Command, Config, ConfigError,
        environment::{self, Environment},
        settings::{HealthcheckArgs, PaceArg, Settings, SimulateArgs},
    },
    logging,
    server::Server,
    simulator::{Limits, Options, Pace, Scenario, Simulator},
};
use secrecy::ExposeSecret as _;

/// How long the local server may take to say that it is alive.
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let cli = match read_settings() {
        Ok(cli) => cli,
        Err(ConfigError::Usage(usage)) => usage.exit(),
        Err(error) => return refuse(&error.to_string()),
    };
    let command = cli
        .command
        .unwrap_or_else(|| Command::Serve(Box::new(cli.settings)));
    let runtime = actix_web::rt::System::new();
    let done = match command {
        Command::Serve(settings) => runtime.block_on(serve(*settings)),
        Command::Check(settings) => runtime.block_on(checked(*settings)),
        Command::Simulate(args) if args.list => list_scenarios(),
        Command::Simulate(args) => runtime.block_on(simulate(args)),
        Command::Healthcheck(args) => healthcheck(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => refuse(&sentence),
    }
}

fn refuse(sentence: &str) -> ExitCode {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(std::io::stderr(), "rasta-stream: {sentence}");
    ExitCode::FAILURE
}

fn read_settings() -> Result<Cli, ConfigError> {
    let dot_env = match std::fs::read_to_string(".env") {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(ConfigError::DotEnvUnreadable(error)),
    };
    let environment = Environment::new(std::env::vars_os(), dot_env.as_deref())?;
    environment::parse(std::env::args_os(), &environment)
}

async fn serve(settings: Settings) -> Result<(), String> {
    logging::start(settings.log_format, &settings.rust_log);
    let config = Config::new(settings).map_err(|error| error.to_string())?;
    let server = Server::start(config, signalled())
        .await
        .map_err(|error| error.to_string())?;
    server
        .run()
        .await
        .map_err(|error| format!("the server stopped ({error})"))
}

async fn checked(settings: Settings) -> Result<(), String> {
    let config = Config::new(settings).map_err(|error| error.to_string())?;
    print(&format!("{}\n", check::check(&config).await?))
}

async fn simulate(args: SimulateArgs) -> Result<(), String> {
    logging::start(logging::Format::Text, "info");
    let addr = SocketAddr::new(args.host, args.port);
    let options = Options {
        addr,
        key: args.key.map(|key| key.expose_secret().to_owned()),
        deployments: args.deployments,
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
    let simulator = Simulator::start(options)
        .await
        .map_err(|error| format!("cannot listen on {addr} ({error}): choose another --port"))?;
    print(&format!(
        "The simulator of Azure OpenAI listens.\n\
         AZURE_OPENAI_ENDPOINT={}\n\
         AZURE_OPENAI_API_KEY=any\n\
         AZURE_OPENAI_DEPLOYMENT=any\n",
        simulator.url()
    ))?;
    Signals::new().next().await;
    Ok(())
}

fn list_scenarios() -> Result<(), String> {
    let lines = Scenario::ALL
        .iter()
        .map(|s| format!("{:<24} {}\n", s.to_string(), s.about()));
    print(&lines.collect::<String>())
}

fn healthcheck(args: &HealthcheckArgs) -> Result<(), String> {
    let host = match args.host {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let addr = SocketAddr::new(host, args.port);
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&addr, HEALTHCHECK_TIMEOUT)?;
        stream.set_read_timeout(Some(HEALTHCHECK_TIMEOUT))?;
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok::<_, std::io::Error>(status)
    };
    match ask() {
        Ok(status) if &status == b"HTTP/1.1 200" => Ok(()),
        Ok(_) => Err(format!("{addr} is not well: it did not answer 200")),
        Err(error) => Err(format!(
            "{addr} does not answer ({error}): is the server running?"
        )),
    }
}

/// Resolves with the first signal to stop; the second one ends the process at once. Signals count
/// from the call on.
fn signalled() -> impl Future<Output = ()> {
    let mut signals = Signals::new();
    async move {
        signals.next().await;
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(130);
        });
    }
}

/// The signals to stop: SIGTERM and SIGINT.
#[cfg(unix)]
struct Signals(Option<[tokio::signal::unix::Signal; 2]>);

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let both = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        );
        Self(match both {
            (Ok(terminate), Ok(interrupt)) => Some([terminate, interrupt]),
            // Without handlers the system's default ends the process, which is what a signal asks for.
            _ => None,
        })
    }

    async fn next(&mut self) {
        let Some([terminate, interrupt]) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// The signal to stop: Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn print(text: &str) -> Result<(), String> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| format!("cannot write ({error})"))
}
