//! `mixdown serve|demo|bench|join|record|recording|compose|doctor|healthcheck|config|token|layout`.

mod compose;
mod health;
mod layout;
mod output;
mod record;
mod recording;
mod settings;
mod token;

use clap::{Args, Parser, Subcommand};
use mixdown::config::Mode;
use mixdown::demo;
use mixdown::runtime::{clock, doctor, logging, serve, version};
use output::{Table, out};
use settings::Settings;
use std::path::PathBuf;
use std::process::ExitCode;

/// An MCU conferencing server: one composed picture and one mixed sound for every subscriber.
#[derive(Parser)]
#[command(name = "mixdown", disable_version_flag = true, arg_required_else_help = true)]
struct Cli {
    /// Print the version; with --verbose also those of the codecs, their assembly and the processor's features.
    #[arg(short = 'V', long)]
    version: bool,
    #[arg(short, long, requires = "version")]
    verbose: bool,
    /// JSON in place of text.
    #[arg(long, requires = "version")]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve(Serve),
    /// Let built-in people talk in a room of a running server.
    Demo(mixdown::demo::Args),
    /// Measure what a conference costs: load a server with senders and viewers that check what they receive.
    Bench(Box<mixdown::bench::Args>),
    /// Join a room from the command line.
    Join(mixdown::demo::join::Args),
    /// Record a room of a running server, and fetch the file.
    Record(record::Record),
    /// Recordings on this machine's disk.
    #[command(subcommand)]
    Recording(recording::Command),
    /// Compose a recording's tracks again, in another layout.
    Compose(compose::Compose),
    /// Check whether this machine can run the server, and say what to do where it cannot.
    Doctor(Doctor),
    /// Ask the server that runs here whether it is well; for containers.
    Healthcheck(Settings),
    /// Settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Layouts.
    #[command(subcommand)]
    Layout(LayoutCommand),
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    settings: Settings,
    /// Where API and pages are served, in place of http.bind.
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<std::net::SocketAddr>,
    /// The media port, in place of net.port.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// With --dev: nobody talks in the room `demo`.
    #[arg(long)]
    no_demo: bool,
}

#[derive(Args)]
struct Doctor {
    #[command(flatten)]
    settings: Settings,
    /// JSON in place of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print the commented settings with their defaults.
    Default,
    /// Say what is wrong with a file, one line each.
    Check {
        file: PathBuf,
        /// As `serve --dev` would see it: no API key is needed, but a loopback address.
        #[arg(long)]
        dev: bool,
    },
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a participant's token with a configured API key.
    Create(token::Create),
}

#[derive(Subcommand)]
enum LayoutCommand {
    /// Turn a layout of another system into one of ours.
    Convert(layout::Convert),
}

pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help on a closed pipe is no failure.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    if cli.version {
        return show_version(cli.verbose, cli.json);
    }
    match cli.command {
        None => ExitCode::from(2),
        Some(Command::Serve(args)) => serve_command(args),
        Some(Command::Demo(args)) if args.report => block_on(mixdown::bench::report(&args)),
        Some(Command::Demo(args)) => block_on(mixdown::demo::run(args)),
        Some(Command::Bench(args)) => bench_command(*args),
        Some(Command::Join(args)) => block_on(mixdown::demo::join::run(args)),
        Some(Command::Record(args)) => block_on(record::run(args)),
        Some(Command::Recording(command)) => recording::run(&command),
        Some(Command::Compose(args)) => compose::run(&args),
        Some(Command::Doctor(args)) => doctor_command(args),
        Some(Command::Healthcheck(settings)) => healthcheck_command(&settings),
        Some(Command::Config(ConfigCommand::Default)) => out(mixdown::config::DEFAULT_FILE),
        Some(Command::Config(ConfigCommand::Check { file, dev })) => check_command(file, dev),
        Some(Command::Token(TokenCommand::Create(args))) => token::create(args),
        Some(Command::Layout(LayoutCommand::Convert(args))) => layout::run(&args),
    }
}

/// The media stages have threads of their own: the runtime needs few.
fn block_on<E: std::fmt::Display>(future: impl Future<Output = Result<(), E>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(1, format_args!("cannot start: {error}")),
    };
    match runtime.block_on(future) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::fail(1, error),
    }
}

/// 0: all guards held; 1: one has broken, or nothing could be measured.
fn bench_command(args: mixdown::bench::Args) -> ExitCode {
    let broken = || "a guard has broken".to_owned();
    block_on(async { mixdown::bench::run(args).await?.then_some(()).ok_or_else(broken) })
}

fn serve_command(args: Serve) -> ExitCode {
    mixdown_codecs::memory::large_blocks_apart();
    let mode = args.settings.mode();
    let mut config = match args.settings.load() {
        Ok(config) => config,
        Err(fault) => return output::fail(2, fault),
    };
    config.http.bind = args.bind.unwrap_or(config.http.bind);
    config.net.port = args.port.unwrap_or(config.net.port);
    let faults = config.check(mode, clock::wall());
    if !faults.is_empty() {
        return output::fail_all(2, &faults);
    }
    logging::start(&config.log);
    let mut cast = None;
    let ready = |address| {
        if mode == Mode::Dev {
            cast = demo_room(address, args.no_demo);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(1, format_args!("cannot start: {error}")),
    };
    let settings = args.settings;
    let read = std::sync::Arc::new(move || settings.load());
    let outcome = runtime.block_on(serve::serve(config, mode, read, ready));
    drop(cast);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::fail(2, error),
    }
}

/// Says where to go, and lets three people talk there.
fn demo_room(address: std::net::SocketAddr, empty: bool) -> Option<demo::Cast> {
    let root = format!("http://{address}/");
    if empty {
        let _ = out(&format!("{root}\n"));
        return None;
    }
    let _ = out(&format!("The demo room is open: {root}r/demo\n"));
    let target = mixdown::client::Target::new(&root, Some("demo")).ok()?;
    demo::Cast::start(target, 3).inspect_err(|error| tracing::warn!(%error, "nobody talks in the demo room")).ok()
}

fn doctor_command(args: Doctor) -> ExitCode {
    let mode = args.settings.mode();
    let config = match args.settings.load() {
        Ok(config) => config,
        Err(fault) => return output::fail(2, fault),
    };
    let checks = doctor::examine(&config, mode, clock::wall(), clock::now);
    let bad = checks.iter().any(|check| check.outcome == doctor::Outcome::Bad);
    if args.json {
        let _ = out(&(serde_json::json!({"good": !bad, "checks": checks}).to_string() + "\n"));
    } else {
        let mut table = Table::default();
        for check in &checks {
            let sign = match check.outcome {
                doctor::Outcome::Good => "ok",
                doctor::Outcome::Warning => "warning",
                doctor::Outcome::Bad => "BAD",
            };
            table.row([sign, check.name, &check.found]);
            if !check.next.is_empty() {
                table.row(["", "", &format!("→ {}", check.next)]);
            }
        }
        let _ = out(&table.to_string());
    }
    if bad { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

fn healthcheck_command(settings: &Settings) -> ExitCode {
    match settings.load() {
        Ok(config) => health::ask(config.http.bind).map_or_else(|error| output::fail(1, error), |()| ExitCode::SUCCESS),
        Err(fault) => output::fail(2, fault),
    }
}

fn check_command(file: PathBuf, dev: bool) -> ExitCode {
    let settings = Settings { config: Some(file.clone()), dev };
    let faults = match settings.load() {
        Ok(config) => config.check(settings.mode(), clock::wall()),
        Err(fault) => vec![fault],
    };
    if faults.is_empty() {
        return out(&format!("{} is good\n", file.display()));
    }
    output::fail_all(2, &faults)
}

fn show_version(verbose: bool, json: bool) -> ExitCode {
    let report = version::report();
    if json {
        return out(&(serde_json::json!(report).to_string() + "\n"));
    }
    let mut text = format!("mixdown {}\n", report.mixdown);
    if verbose {
        let mut table = Table::default();
        report.parts.iter().for_each(|(name, value)| table.row([name, value, ""]));
        text += &table.to_string();
    }
    out(&text)
}
