//! A server as a child process: the one under measurement has a process of its own, so that its processor
//! time and memory are its own alone, as the kernel counts them.

pub use crate::overload::host::{Usage, usage_of};
use std::{process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Until the server says where it listens.
const START: Duration = Duration::from_secs(20);
/// Until it has ended by itself after a SIGTERM.
const END: Duration = Duration::from_secs(5);

pub struct Server {
    child: Child,
    pub address: String,
    pid: u32,
}

impl Server {
    /// Starts this very program as `serve --dev --no-demo` on `bind`; port 0 is any free one. `settings` are variables of its
    /// environment, such as `MIXDOWN_ROOMS_MAX_PARTICIPANTS`.
    pub async fn start(bind: &str, settings: &[(&str, &str)]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let mut child = Command::new(program)
            .args(["serve", "--dev", "--no-demo", "--bind", bind])
            .env("MIXDOWN_LOG_FILTER", "warn")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start the server: {error}"))?;
        let pid = child.id().ok_or("the server ended at once")?;
        let stdout = child.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(address) = line.split_whitespace().find(|word| word.starts_with("http://")) {
                    return Some(address.to_owned());
                }
            }
            None
        };
        let address = timeout(START, address).await.ok().flatten().ok_or("the server did not say where it listens")?;
        // A full pipe must never hold the server up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, address, pid })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub async fn stop(mut self) {
        let terminated = Command::new("kill").arg(self.pid.to_string()).status().await;
        if terminated.is_err() || timeout(END, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// Sum of all series of a metric in Prometheus' text format; `None`: there is none.
pub fn metric(text: &str, name: &str) -> Option<f64> {
    let mut values = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok())?
    });
    let first = values.next()?;
    Some(first + values.sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_a_metric_add_up_and_longer_names_do_not_count() {
        let text = "# TYPE a_total counter\na_total{x=\"1\"} 2\na_total{x=\"2\"} 3\na_total_more 9\n";
        assert_eq!(metric(text, "a_total"), Some(5.0));
        assert_eq!(metric(text, "b_total"), None);
    }
}
