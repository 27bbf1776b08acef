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
    logging::flush();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => refuse(&sentence),
    }
}

async fn serve(settings: Settings) -> Result<(), String> {
    start_log(settings.log_format, &settings.rust_log)?;
    let config = Config::new(settings).map_err(|error| error.to_string())?;
    let (exit, mut reload) = listen()?.split();
    let server = Server::start(config, exit)
        .await
        .map_err(|error| error.to_string())?;
    let again = server.reload();
    actix_web::rt::spawn(async move {
        while reload.recv().await.is_some() {
            log::info!("SIGHUP: reading the access tokens and the certificate again");
            let again = again.clone();
            // On a thread of its own: a network file system may take its time.
            let _ = tokio::task::spawn_blocking(again).await;
        }
    });
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
    start_log(logging::Format::Text, "info")?;
    let simulator = simulate::start(&args).await?;
    print(&simulate::instructions(&simulator, &args))?;
    listen()?.split().0.await;
    Ok(())
}

fn listen() -> Result<signals::Requests, String> {
    signals::listen()
        .map_err(|error| format!("cannot wait for signals ({error}): allow more threads and files"))
}

fn start_log(format: logging::Format, filter: &str) -> Result<(), String> {
    logging::start(format, filter)
        .map_err(|error| format!("cannot start a thread for the log ({error}): allow more threads"))
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let system = actix_web::rt::System::new();
    let done = system.block_on(work);
    // Dropping it would wait for its blocking threads, of which one may hang in a file or a name
    // look-up. The end of the process does not wait.
    std::mem::forget(system);
    done
}

fn print(text: &str) -> Result<(), String> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| format!("cannot write to standard output ({error})"))
}

fn refuse(sentence: &str) -> ExitCode {
    logging::write_line(&format!("rasta-stream: {sentence}"));
    ExitCode::FAILURE
}
