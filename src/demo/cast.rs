//! The people of a demo room: a thread of their own that keeps one session per bot and joins again
//! when a session ends, so that the demo outlives whatever is tried on it.

use super::bot::{Bot, Settings};
use crate::client::{Config, Session, Target};
use crate::runtime::clock;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

/// Between two attempts to join.
const PAUSE: Duration = Duration::from_secs(2);
/// How often a running session is looked at.
const WATCH: Duration = Duration::from_millis(500);
/// What the bandwidth estimate begins with.
const ESTIMATE: u32 = 1_500_000;

/// Bots at work. They leave when this is dropped.
pub struct Cast {
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Cast {
    /// Sends `people` bots to `target`'s room. Fails only where the machine gives no thread.
    pub fn start(target: Target, people: u8) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("demo".into()).spawn(move || play(&target, people, &stopped))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Lets them leave, and waits until they have.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        self.end();
    }
}

fn play(target: &Target, people: u8, stop: &CancellationToken) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::warn!(%error, "no runtime for the demo's people"),
    };
    let epoch = clock::now();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..people {
            let settings = Settings { number, people, seed: 7, marker: false, video: true, audio: true };
            let bot = Attendance { target: target.clone(), settings, epoch, stop: stop.clone() };
            tasks.spawn(bot.keep());
        }
        while tasks.join_next().await.is_some() {}
    });
}

/// One bot's stay in the room.
struct Attendance {
    target: Target,
    settings: Settings,
    epoch: Instant,
    stop: CancellationToken,
}

impl Attendance {
    async fn keep(self) {
        let mut told = false;
        while !self.stop.is_cancelled() {
            match self.session().await {
                Ok(()) => told = false,
                Err(error) => {
                    // Once per trouble, not once per attempt.
                    if !told {
                        tracing::warn!(bot = self.settings.number, %error, "a demo bot could not join; it goes on trying");
                    }
                    told = true;
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn session(&self) -> Result<(), crate::client::session::Error> {
        let bot = Bot::new(self.settings, self.epoch);
        let target = Target { name: Some(bot.name().to_owned()), ..self.target.clone() };
        let config = Config { video_codecs: Bot::codecs(self.settings.number), estimate_bps: Some(ESTIMATE), ..Config::default() };
        let session = Session::join(&target, config, bot).await?;
        while !session.is_over() && !self.stop.is_cancelled() {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(WATCH) => {}
            }
        }
        session.leave().await;
        Ok(())
    }
}
