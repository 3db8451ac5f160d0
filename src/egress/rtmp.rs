//! RTMP through an installed ffmpeg: fragmented MP4 into its input, pictures as they are, sound as AAC.
//!
//! The address is looked up here and passed the guard. Without TLS ffmpeg is given that very address, and the name beside it; with TLS it
//! connects by name and trusts a certificate for that name alone. What ffmpeg says may hold the stream's key: only what kind of fault it is goes on.

use super::driver::{PERIOD, up};
use super::life::Reason;
use super::mux::{self, Mux};
use super::output::{Output, Work};
use crate::address::{Rtmp, reach, resolve};
use crate::process;
use crate::runtime::clock;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

/// What is handed over at a time.
const FRAGMENT: Duration = Duration::from_millis(250);
/// How long ffmpeg may take none of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to come up: names, connections and handshakes.
const COMES_UP: Duration = Duration::from_secs(20);
/// How long it may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);
/// Its address space, in bytes. It copies pictures and encodes sound: a tenth of that.
const MEMORY: u64 = 1 << 30;
/// Bytes of its messages that are looked at.
const MOST_TEXT: u64 = 64 << 10;

pub async fn run(work: &Work, output: &Output, stream: &Rtmp) -> Reason {
    let Some(program) = process::find(&work.settings.ffmpeg) else { return Reason::Program };
    let private = work.settings.private_networks;
    let found = tokio::select! {
        found = resolve(&stream.host, stream.port, |ip| reach(ip).is_allowed(private)) => found,
        () = work.stop().cancelled() => return Reason::Requested,
    };
    let Some(address) = found.ok().and_then(|found| found.first().copied()) else { return Reason::Address };
    let mut pipe = Pipe { program, arguments: arguments(stream, address), running: None };
    let mut mux = Mux::new(FRAGMENT);
    let mut beat = tokio::time::interval(PERIOD);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = work.stop().cancelled() => {
                pipe.finish().await;
                return Reason::Requested;
            }
        }
        let wall = clock::wall();
        while let Some(item) = output.edge.pop() {
            mux.handle(item, wall);
            while let Some(out) = mux.poll_output() {
                if matches!(out, mux::Output::Broken) {
                    output.edge.break_off();
                } else if let Err(reason) = pipe.take(out).await {
                    return reason;
                }
            }
        }
        match pipe.look().await {
            Ok(true) => up(work, output),
            Ok(false) => {}
            Err(reason) => return reason,
        }
    }
}

/// What is pushed goes through an ffmpeg, and through another one where a stream of another size begins: RTMP has none.
struct Pipe {
    program: PathBuf,
    arguments: Vec<String>,
    running: Option<Running>,
}

impl Pipe {
    async fn take(&mut self, out: mux::Output) -> Result<(), Reason> {
        let bytes = match out {
            mux::Output::Broken => return Ok(()),
            mux::Output::Fragment(fragment) => fragment.bytes,
            mux::Output::Head(bytes) => {
                self.finish().await;
                self.running = Some(Running::start(&self.program, &self.arguments, clock::now()).ok_or(Reason::Program)?);
                bytes
            }
        };
        let Some(running) = &mut self.running else { return Ok(()) };
        match tokio::time::timeout(PATIENCE, running.input.write_all(&bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(running.end().await),
            Err(_) if running.works() => Err(Reason::Slow),
            Err(_) => Err(Reason::Timeout),
        }
    }

    /// Whether it sends.
    async fn look(&mut self) -> Result<bool, Reason> {
        let Some(running) = &mut self.running else { return Ok(false) };
        if !matches!(running.child.try_wait(), Ok(None)) {
            return Err(running.end().await);
        }
        let works = running.works();
        if !works && clock::now().saturating_duration_since(running.since) > COMES_UP {
            return Err(Reason::Timeout);
        }
        Ok(works)
    }

    async fn finish(&mut self) {
        if let Some(running) = self.running.take() {
            running.finish().await;
        }
    }
}

fn arguments(stream: &Rtmp, address: SocketAddr) -> Vec<String> {
    let input = "-hide_banner -loglevel warning -nostats -progress pipe:1 -stats_period 0.5 -fflags +nobuffer -analyzeduration 500000 -probesize 500000 -f mp4 -i pipe:0";
    let coding = "-map 0:v:0 -map 0:a:0? -c:v copy -c:a aac -b:a 128k -ar 48000 -ac 2 -f flv -flvflags no_duration_filesize";
    let mut arguments: Vec<String> = input.split(' ').chain(coding.split(' ')).map(str::to_owned).collect();
    let path = &stream.path;
    if stream.tls {
        arguments.extend(process::tls_arguments());
        arguments.push(format!("rtmps://{}:{}{path}", stream.host, stream.port));
    } else {
        let name = if stream.port == 1935 { stream.host.clone() } else { format!("{}:{}", stream.host, stream.port) };
        arguments.extend(["-rtmp_tcurl".to_owned(), format!("rtmp://{name}/{}", stream.application())]);
        arguments.push(format!("rtmp://{address}{path}"));
    }
    arguments
}

/// An ffmpeg that runs. Dropped, it is killed.
struct Running {
    child: Child,
    input: ChildStdin,
    since: Instant,
    /// It has connected and sends.
    works: watch::Receiver<bool>,
    fault: Arc<Mutex<Option<Reason>>>,
}

impl Running {
    /// `None`: it cannot be run.
    fn start(program: &Path, arguments: &[String], now: Instant) -> Option<Self> {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().inspect_err(|error| tracing::error!(%error, "ffmpeg cannot be run")).ok()?;
        process::limit(&child, MEMORY).inspect_err(|error| tracing::error!(%error, "ffmpeg cannot be bounded")).ok()?;
        let (input, progress, messages) = (child.stdin.take()?, child.stdout.take()?, child.stderr.take()?);
        let (tell, works) = watch::channel(false);
        tokio::spawn(follow(progress, tell));
        let fault = Arc::default();
        tokio::spawn(listen(messages, Arc::clone(&fault)));
        Some(Self { child, input, since: now, works, fault })
    }

    fn works(&self) -> bool {
        *self.works.borrow()
    }

    /// It has ended, or is about to: why.
    async fn end(&mut self) -> Reason {
        let _ = tokio::time::timeout(GOODBYE, self.child.wait()).await;
        let told = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if self.works() { told.filter(|told| *told == Reason::Refused).unwrap_or(Reason::Closed) } else { told.unwrap_or(Reason::Program) }
    }

    /// Lets it say goodbye.
    async fn finish(self) {
        let Self { mut child, input, .. } = self;
        drop(input);
        let _ = tokio::time::timeout(GOODBYE, child.wait()).await;
    }
}

/// Reads its progress: how many pictures it has sent.
async fn follow(progress: impl AsyncRead + Unpin, tell: watch::Sender<bool>) {
    let mut lines = BufReader::new(progress).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.strip_prefix("frame=").and_then(|pictures| pictures.trim().parse::<u64>().ok()).is_some_and(|pictures| pictures > 0) {
            tell.send_if_modified(|works| !std::mem::replace(works, true));
        }
    }
}

/// Reads its messages for what kind of fault they tell of; the last one counts.
async fn listen(messages: impl AsyncRead + Unpin, fault: Arc<Mutex<Option<Reason>>>) {
    let mut lines = BufReader::new(messages.take(MOST_TEXT)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(reason) = kind(&line) {
            *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        }
    }
    // It must not wait for somebody to read what it says.
    let mut rest = lines.into_inner().into_inner().into_inner();
    let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
}

fn kind(line: &str) -> Option<Reason> {
    let line = line.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| line.contains(word));
    match () {
        () if says(&["certificate", "tls alert"]) => Some(Reason::Tls),
        () if says(&["refused", "no route", "unreachable"]) => Some(Reason::Connect),
        () if says(&["timed out"]) => Some(Reason::Timeout),
        () if says(&["server error", "netconnection", "netstream", "denied", "unauthorized", "not authorized"]) => Some(Reason::Refused),
        () if says(&["broken pipe", "connection reset", "end of file"]) => Some(Reason::Closed),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::check_rtmp;

    #[test]
    fn ffmpeg_is_given_the_address_that_was_checked_and_the_name_beside_it() {
        let stream = check_rtmp("rtmp://example.org/live/key?x=1", false).unwrap();
        let told = arguments(&stream, "192.0.2.7:1935".parse().unwrap());
        assert_eq!(told[told.len() - 3..], ["-rtmp_tcurl", "rtmp://example.org/live", "rtmp://192.0.2.7:1935/live/key?x=1"]);
        let stream = check_rtmp("rtmps://example.org/live/key", false).unwrap();
        let told = arguments(&stream, "192.0.2.7:443".parse().unwrap());
        assert!(told.windows(2).any(|pair| pair == ["-tls_verify", "1"]), "by name, and with a certificate of that name");
        assert_eq!(told.last().map(String::as_str), Some("rtmps://example.org:443/live/key"));
    }

    #[test]
    fn what_ffmpeg_says_becomes_a_kind_of_fault_and_nothing_else_of_it_goes_on() {
        for (line, reason) in [
            ("rtmp://127.0.0.1/live/secret: Connection refused", Some(Reason::Connect)),
            ("[rtmp @ 0x1] Server error: Authentication failed", Some(Reason::Refused)),
            ("[tls @ 0x1] Peer certificate failed verification", Some(Reason::Tls)),
            ("[rtmps @ 0x1] Cannot open connection tls://example.org:443", None),
            ("av_interleaved_write_frame(): Broken pipe", Some(Reason::Closed)),
            ("[flv @ 0x1] Timestamps are unset", None),
        ] {
            assert_eq!(kind(line), reason, "{line}");
        }
    }
}
