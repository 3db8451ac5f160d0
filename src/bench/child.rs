//! Another program with all that it starts: a script is a shell, and what works is its child. Whoever lets go of it ends them all.

use rustix::process::{Pid, Signal, kill_process_group};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// Runs `command` in a process group of its own, to its end or for no longer than `patience`.
///
/// # Errors
/// In words: it cannot be started, or took too long.
pub async fn output(mut command: Command, patience: Duration) -> Result<Output, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
    let child = command.spawn().map_err(|error| error.to_string())?;
    let _group = Group::of(&child);
    let ended = tokio::time::timeout(patience, child.wait_with_output()).await;
    ended.map_err(|_| format!("took longer than {} s", patience.as_secs_f64()))?.map_err(|error| error.to_string())
}

/// The process group that a child leads.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Where all have ended there is nobody to be found.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn what_it_says_and_how_it_ends_come_back() {
        let output = output(shell("echo out; echo err >&2; exit 3"), Duration::from_secs(10)).await.unwrap();
        assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(output.status.code(), Some(3));
    }

    #[tokio::test]
    async fn one_that_takes_too_long_is_not_waited_for() {
        let refused = output(shell("exec sleep 1000"), Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(refused, "took longer than 0.02 s");
    }

    #[tokio::test]
    async fn what_a_script_has_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let script = format!("(echo on; exec sleep 1000) >{} & wait", pipe.display());
        let (begun, runs) = tokio::sync::oneshot::channel();
        let reader = tokio::task::spawn_blocking(move || {
            let mut pipe = std::fs::File::open(pipe).unwrap();
            pipe.read_exact(&mut [0; 3]).unwrap();
            begun.send(()).unwrap();
            // It comes to its end when nobody holds the other one any more.
            pipe.read(&mut [0]).unwrap()
        });
        tokio::select! {
            ended = output(shell(&script), Duration::from_secs(100)) => panic!("{ended:?}"),
            runs = runs => runs.unwrap(),
        }
        assert_eq!(tokio::time::timeout(Duration::from_secs(10), reader).await.unwrap().unwrap(), 0);
    }
}
