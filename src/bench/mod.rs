//! `mixdown bench`: what a conference costs, measured by anyone.
//!
//! Senders are WebRTC peers that replay clips coded beforehand, whose pictures and sound say what they are; viewers are peers that
//! look at what comes back. The server is a process of its own, so that what the kernel counts is its alone. No figure without its
//! guards: see [`guard`].
//!
//! * PURE: [`setup`], [`sender`], [`viewer`], [`figures`], [`guard`], [`ramp`], [`chart`], [`ivf`].
//! * Codecs and files: [`clip`], [`material`], [`quality`], [`floor`].
//! * TOKIO: [`mod@run`] is one run, [`meter`] reads the server, [`compare`] lets other programs do the same as a [`child`], and this file
//!   starts it all.
//!
//! `mixdown demo --report` is one fixed run of it.

mod chart;
mod child;
mod clip;
mod compare;
mod datagrams;
mod figures;
mod floor;
mod guard;
mod ivf;
mod material;
mod meter;
mod print;
mod quality;
mod ramp;
mod run;
mod sender;
mod setup;
mod sweep;
mod viewer;

pub use setup::Args;

use crate::client::Target;
use crate::demo::{self, server::Server};
use clip::Clip;
use indicatif::{ProgressBar, ProgressStyle};
use material::Wanted;
use meter::Meter;
use run::{Error, Run};
use setup::{Axis, Setup};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// The server of a bench takes as many as are sent, gives nothing up for them (guards say when it is too much), and keeps nothing.
const SERVER: [(&str, &str); 7] = [
    ("MIXDOWN_LIMITS_JOINS_PER_SECOND_PER_IP", "10000"),
    ("MIXDOWN_HTTP_MAX_CONNECTIONS_PER_IP", "1024"),
    ("MIXDOWN_ROOMS_MAX_PARTICIPANTS", "5000"),
    ("MIXDOWN_RECORDINGS_ENABLED", "false"),
    ("MIXDOWN_NET_PORT", "0"),
    ("MIXDOWN_OVERLOAD_GOVERNOR", "false"),
    ("MIXDOWN_OVERLOAD_ADMISSION", "false"),
];

/// Runs what was asked for and prints it. False: a guard has broken.
///
/// # Errors
/// In words: what could not be measured, and why.
pub async fn run(args: Args) -> Result<bool, String> {
    args.check()?;
    let bench = Bench::new(&args);
    let outcome = tokio::select! {
        outcome = Box::pin(bench.all(&args)) => Some(outcome),
        () = interrupted() => None,
    };
    bench.bar.finish_and_clear();
    // By now all that was started has been killed. The runtime would wait for clips that are still being coded.
    outcome.unwrap_or_else(|| std::process::exit(INTERRUPTED))
}

/// Other programs are in process groups of their own: a Ctrl-C reaches this one alone, which ends them.
async fn interrupted() {
    let (Ok(mut end), Ok(mut hangup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = end.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// `mixdown demo --report`: one room on a server of its own, its figures beside their goals.
///
/// # Errors
/// As [`run()`].
pub async fn report(args: &demo::Args) -> Result<(), String> {
    let setup = Setup {
        rooms: 1,
        senders: args.senders,
        viewers: args.viewers,
        talkers: args.senders,
        most_talkers: args.senders,
        idle: false,
        layout: "grid".into(),
        codec: args.codec,
        lines: vec![360],
        renditions: 1,
        conference: args.conference,
        seconds: args.seconds.unwrap_or(60).clamp(5, 3600) as u16,
        more_viewers: 30,
    };
    let bench = Bench { server: None, pid: None, token: None, film: None, bar: bar(args.json) };
    let run = Box::pin(bench.once(&setup)).await;
    bench.bar.finish_and_clear();
    print::report(&run?, args.json)
}

/// Where it runs.
struct Bench {
    server: Option<String>,
    pid: Option<u32>,
    token: Option<String>,
    film: Option<PathBuf>,
    bar: ProgressBar,
}

fn bar(json: bool) -> ProgressBar {
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(1) };
    bar.set_style(ProgressStyle::with_template("{bar:24} {elapsed_precise} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

impl Bench {
    fn new(args: &Args) -> Self {
        let (server, token, film) = (args.server.clone(), args.token.clone(), args.clip.clone());
        Self { server, pid: args.pid, token, film, bar: bar(args.json) }
    }

    async fn all(&self, args: &Args) -> Result<bool, String> {
        let setup = args.setup();
        if let Some(axis) = args.ramp {
            return self.ramp(&setup, axis, args.json).await;
        }
        if args.compare {
            let comparison = compare::run(self, &setup, args.rounds).await?;
            return print::comparison(&comparison, args.json);
        }
        if let Some(folder) = &args.plot {
            let curves = if args.curves.is_empty() { &Axis::ALL[..] } else { &args.curves };
            let sweeps = sweep::run(self, &setup, curves, folder).await?;
            return print::sweeps(&sweeps, args.json);
        }
        print::run(&self.once(&setup).await?, args.json)
    }

    /// One run, on a server of its own where none is given.
    async fn once(&self, setup: &Setup) -> Result<Run, Error> {
        let clips = self.clips(setup).await?;
        self.with(setup, &clips).await
    }

    async fn with(&self, setup: &Setup, clips: &[Arc<Clip>]) -> Result<Run, Error> {
        // A server that somebody uses has rooms of the same name neither from him nor from another run.
        let rooms = format!("bench-{:08x}", rand::random::<u32>());
        let target = |address: &str| {
            let target = Target::new(address, Some(&rooms)).map_err(|error| error.to_string())?;
            Ok::<_, String>(Target { token: self.token.clone(), ..target })
        };
        if let Some(address) = &self.server {
            let meter = Meter { target: target(address)?, pid: self.pid };
            return Box::pin(run::run(setup, &meter, clips, &self.bar)).await;
        }
        self.bar.set_message("starting a server");
        let server = Server::start("127.0.0.1:0", &SERVER).await?;
        let meter = Meter { target: target(&server.address)?, pid: Some(server.pid()) };
        let outcome = Box::pin(run::run(setup, &meter, clips, &self.bar)).await;
        server.stop().await;
        outcome
    }

    /// What the senders will send, coded now where it is not in the cache.
    async fn clips(&self, setup: &Setup) -> Result<Vec<Arc<Clip>>, String> {
        let count = |count: u16| u8::try_from(count).unwrap_or(u8::MAX);
        let (people, talkers) = (count(setup.senders), count(setup.talkers));
        let wanted = Wanted { people, talkers, codec: setup.codec, sizes: setup.sizes(), film: self.film.clone() };
        let bar = self.bar.clone();
        let coding = tokio::task::spawn_blocking(move || material::clips(&wanted, &material::folder(), &bar));
        coding.await.map_err(|error| error.to_string())?
    }

    /// Adds until a guard breaks or the server is full; what fails for another reason ends it.
    async fn ramp(&self, setup: &Setup, axis: Axis, json: bool) -> Result<bool, String> {
        let mut ramp = ramp::Ramp::new(setup.count(axis), axis.most());
        let (mut runs, mut clips) = (Vec::new(), Vec::<Arc<Clip>>::new());
        while let Some(count) = ramp.next() {
            let setup = setup.with(axis, count);
            if clips.len() < usize::from(setup.senders) {
                clips = self.clips(&setup).await?;
            }
            let run = Box::pin(self.with(&setup, &clips)).await;
            if let Err(Error::Failed(why)) = &run {
                return Err(format!("with {count} {}: {why}", axis.name()));
            }
            ramp.report(run.as_ref().is_ok_and(|run| run.held));
            let step = print::Step::of(count, run);
            if !json {
                self.bar.suspend(|| print::step(axis, &step))?;
            }
            runs.push(step);
        }
        print::ramp(axis, &ramp, &runs, json)
    }
}
