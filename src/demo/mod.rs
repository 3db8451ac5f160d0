//! The demo room: synthetic people with faces and voices who join over real WebRTC. What measures a room of them is
//! [`bench`](crate::bench).
//!
//! * PURE: [`person`], [`voice`], [`schedule`], [`marker`], [`beep`], and [`bot`], which is all of them with codecs.
//! * TOKIO: [`Cast`] keeps bots in a room, [`join`] is one participant on the command line, [`server`] a server as a child process.

mod backdrop;
pub mod beep;
pub mod bot;
pub mod brush;
pub mod cast;
pub mod join;
pub mod layer;
pub mod look;
pub mod marker;
pub mod paint;
pub mod person;
pub mod schedule;
pub mod server;
pub mod voice;

pub use cast::Cast;

use crate::client::Target;
use std::{io::Write, time::Duration};

#[cfg(test)]
mod preview;

/// Settings of `mixdown demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A running server to talk on; without it the demo starts one of its own.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    #[arg(long, default_value = "demo")]
    pub room: String,
    /// How many people talk.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub people: u8,
    /// Token for a server that wants one.
    #[arg(long, env = "MIXDOWN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// End after so many seconds, else with Ctrl-C; with --report, how long to measure.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// Measure a room, and print frame rate, latency, gaps and cost beside their goals.
    #[arg(long)]
    pub report: bool,
    /// Senders of the report.
    #[arg(long, default_value_t = 4, requires = "report", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub senders: u16,
    /// Viewers of the report.
    #[arg(long, default_value_t = 4, requires = "report", value_parser = clap::value_parser!(u16).range(1..=500))]
    pub viewers: u16,
    /// The report's senders receive as well, each without its own voice.
    #[arg(long, requires = "report")]
    pub conference: bool,
    /// What the report's pictures are coded as.
    #[arg(long, default_value = "h264", requires = "report", value_parser = join::codec)]
    pub codec: mixdown_codecs::VideoCodec,
    /// The report as JSON.
    #[arg(long, requires = "report")]
    pub json: bool,
}

/// Lets people talk until Ctrl-C, or measures.
pub async fn run(args: Args) -> Result<(), String> {
    let own = match &args.server {
        Some(_) => None,
        None => Some(server::Server::start("127.0.0.1:8080", &[]).await?),
    };
    let address = args.server.as_deref().or(own.as_ref().map(|server| server.address.as_str())).unwrap_or_default();
    let mut target = Target::new(address, Some(&args.room)).map_err(|error| error.to_string())?;
    target.token.clone_from(&args.token);
    let link = format!("{}r/{}", target.base, target.room);
    let cast = Cast::start(target, args.people).map_err(|error| format!("cannot start the people: {error}"))?;
    let _ = writeln!(std::io::stdout().lock(), "{} people talk at {link} (Ctrl-C ends)", args.people);
    let end = async {
        match args.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = end => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    // Their thread waits for the network, which this runtime does not serve.
    let _ = tokio::task::spawn_blocking(move || cast.stop()).await;
    if let Some(server) = own {
        server.stop().await;
    }
    Ok(())
}
