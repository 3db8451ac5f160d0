//! Child processes: started without a shell and with an empty environment, bounded in memory, and gone with whoever holds them.
//!
//! Nobody waits for a child on the media plane: what it writes is read on a thread or a task of its own, what it says about itself comes
//! line by line over a bounded channel that drops. A child whose [`Child`] is dropped is killed; one whose parent was killed ends with its
//! next write, because nobody reads it any more.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::mpsc;

/// Lines of its standard error that wait to be read, and the bytes that are kept of each.
const LINES: usize = 64;
const LINE_BYTES: usize = 400;

/// Where `program` is: as it stands if it is a path, else in the folders of `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let is_program = |path: &Path| path.is_file();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| is_program(path));
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| is_program(path))
}

/// Whom ffmpeg trusts: builds with OpenSSL know nobody by themselves.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What makes an ffmpeg look at the certificate of whom it talks to. Who runs the server may trust others in place of the machine's: those in the file that
/// `SSL_CERT_FILE` names, as OpenSSL has it.
pub fn tls_arguments() -> Vec<String> {
    let own = std::env::var("SSL_CERT_FILE").ok().filter(|file| Path::new(file).is_file());
    let file = own.unwrap_or_else(|| AUTHORITIES.to_owned());
    let verify = ["-tls_verify", "1"].map(str::to_owned).into_iter();
    if Path::new(&file).is_file() { verify.chain(["-ca_file".to_owned(), file]).collect() } else { verify.collect() }
}

/// Those that were started and of whose end nobody has heard here.
static STARTED: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// The sum over all children that run, by their numbers; `of` knows nothing of those that are gone.
pub fn sum(of: impl Fn(u32) -> Option<Duration>) -> Duration {
    let (mut started, mut sum) = (STARTED.lock().unwrap_or_else(PoisonError::into_inner), Duration::ZERO);
    started.retain(|id| {
        let part = of(*id);
        sum += part.unwrap_or_default();
        part.is_some()
    });
    sum
}

/// A running child.
#[derive(Debug)]
pub struct Child {
    process: tokio::process::Child,
    /// What it says on its standard error, a line at a time.
    pub lines: mpsc::Receiver<String>,
}

/// Starts `program` with nothing but `environment` around it, at most `memory_bytes` of address space, and no core dumps. Returns it with what it
/// writes to its standard output, for a thread that may block on it. Must be called on the tokio runtime.
pub fn start<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    environment: &[(&str, &str)],
    memory_bytes: u64,
) -> io::Result<(Child, File)> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn()?;
    limit(&process, memory_bytes)?;
    let (Some(out), Some(err)) = (process.stdout.take(), process.stderr.take()) else { return Err(io::Error::other("no pipes")) };
    let (sender, lines) = mpsc::channel(LINES);
    tokio::spawn(read_lines(err, sender));
    Ok((Child { process, lines }, File::from(out.into_owned_fd()?)))
}

/// Raises the number of files and connections that this process may have open to what the system lets it have. Returns that; `None`: as many as it likes.
pub fn open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Bounds a child's address space, and lets it write no core dump. From now on it is in the [`sum`].
///
/// # Errors
/// The kernel refuses.
pub fn limit(process: &tokio::process::Child, memory_bytes: u64) -> io::Result<()> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner).extend(process.id());
    let pid = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    for (resource, most) in [(Resource::As, memory_bytes), (Resource::Core, 0)] {
        match prlimit(pid, resource, Rlimit { current: Some(most), maximum: Some(most) }) {
            // It has ended already: whoever waits for it learns so.
            Ok(_) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

impl Child {
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits for its end, no longer than `patience`; then it is killed. `None`: it had to be, or nobody knows how it ended.
    pub async fn end(mut self, patience: Duration) -> Option<ExitStatus> {
        if let Ok(ended) = tokio::time::timeout(patience, self.process.wait()).await {
            return ended.ok();
        }
        // It cannot refuse.
        let _ = self.process.kill().await;
        None
    }
}

async fn read_lines(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<String>) {
    let (mut buffer, mut line) = ([0; 1024], Vec::new());
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        for byte in &buffer[..read] {
            match byte {
                b'\n' | b'\r' if line.is_empty() => {}
                b'\n' | b'\r' => {
                    // A full channel has what came before.
                    let _ = to.try_send(String::from_utf8_lossy(&line).into_owned());
                    line.clear();
                }
                _ if line.len() < LINE_BYTES => line.push(*byte),
                _ => {}
            }
        }
    }
}

/// The last lines that a child said, for the reason of its end.
#[derive(Debug, Default)]
pub struct Tail(VecDeque<String>);

impl Tail {
    const LINES: usize = 8;

    pub fn push(&mut self, line: String) {
        if self.0.len() == Self::LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    pub fn last(&self) -> Option<&str> {
        self.0.back().map(String::as_str)
    }

    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn shell(script: &str) -> (Child, File) {
        start(Path::new("/bin/sh"), &["-c", script], &[("GREETING", "hello")], 256 << 20).unwrap()
    }

    #[tokio::test]
    async fn a_child_has_its_own_environment_alone_and_its_words_are_bounded() {
        let (mut child, mut out) = shell("echo $GREETING $HOME; head -c 3000 /dev/zero | tr '\\0' x >&2; echo >&2; echo last >&2; exit 3");
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        assert_eq!(text.trim(), "hello");
        assert_eq!(child.lines.recv().await.map(|line| line.len()), Some(LINE_BYTES));
        assert_eq!(child.lines.recv().await.as_deref(), Some("last"));
        assert_eq!(child.end(Duration::from_secs(10)).await.and_then(|status| status.code()), Some(3));
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_and_one_that_is_let_go_of_too() {
        let (child, mut out) = shell("exec sleep 1000");
        assert_eq!(child.end(Duration::from_millis(10)).await, None);
        assert_eq!(out.read(&mut [0]).unwrap(), 0, "its end is seen");
        let (child, mut out) = shell("exec sleep 1000");
        drop(child);
        assert_eq!(out.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn programs_are_found_in_the_path_or_where_they_are_said_to_be() {
        assert!(find("sh").is_some() && find("/bin/sh").is_some());
        assert!(find("no-such-program-anywhere").is_none() && find("/no/such").is_none());
    }

    #[test]
    fn so_many_files_may_be_open_as_the_system_allows() {
        let most = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum: most }).unwrap();
        assert_eq!(open_files(), most);
        assert_eq!(getrlimit(Resource::Nofile).current, most);
    }

    #[test]
    fn a_tail_keeps_the_last_lines() {
        let mut tail = Tail::default();
        (0..20).for_each(|n| tail.push(n.to_string()));
        assert_eq!((tail.last(), tail.lines().count(), tail.lines().next()), (Some("19"), Tail::LINES, Some("12")));
    }
}
