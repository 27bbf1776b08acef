//! The program: reads the command line and runs one subcommand. A start-up error is one line with
//! its remedy.

use std::{io::Write as _, process::ExitCode};

use rasta_stream::{
    check,
    cli::{self, CliError, Command, healthcheck, signals, simulate},
    config::{Config, FlagError, settings::Settings},
    logging,
    server::Server,
};

fn main() -> ExitCode {
    let command = match cli::read() {
        Ok(command) => command,
        Err(CliError::Flag(FlagError::Usage(usage))) => usage.exit(),
        Err(error) => return refuse(&error.to_string()),
    };
    let done = match command {
        Command::Serve(settings) => block_on(serve(*settings)),
        Command::Check(settings) => block_on(check(*settings)),
        Command::Simulate(args) if args.list => print(&simulate::list()),
        Command::Simulate(args) => block_on(simulate(args)),
        Command::Healthcheck(args) => healthcheck::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => refuse(&sentence),
    }
}

async fn serve(settings: Settings) -> Result<(), String> {
    logging::start(settings.log_format, &settings.rust_log);
    let config = Config::new(settings).map_err(|error| error.to_string())?;
    let server = Server::start(config, signals::shutdown_requested())
        .await
        .map_err(|error| error.to_string())?;
    server
        .run()
        .await
        .map_err(|error| format!("the server stopped ({error})"))
}

async fn check(settings: Settings) -> Result<(), String> {
    let config = Config::new(settings).map_err(|error| error.to_string())?;
    print(&format!("{}\n", check::check(&config).await?))
}

async fn simulate(args: simulate::SimulateArgs) -> Result<(), String> {
    logging::start(logging::Format::Text, "info");
    let simulator = simulate::start(&args).await?;
    print(&simulate::instructions(&simulator, &args))?;
    signals::shutdown_requested().await;
    Ok(())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(work)
}

fn print(text: &str) -> Result<(), String> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| format!("cannot write to standard output ({error})"))
}

fn refuse(sentence: &str) -> ExitCode {
    // If standard error is closed, there is nowhere to say it.
    let _ = writeln!(std::io::stderr(), "rasta-stream: {sentence}");
    ExitCode::FAILURE
}
