//! A server as a child process: the one under measurement has a process of its own, so that its processor
//! time and memory are its own alone, as the kernel counts them.

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

/// What the kernel says of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// User and system time since its start.
    pub cpu: Duration,
    pub resident_bytes: u64,
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

/// Of a process of this machine with all its threads; `None` where there is none of that number.
pub fn usage_of(pid: u32) -> Option<Usage> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    usage(&read("stat")?, &read("status")?)
}

/// `stat` counts in hundredths of a second on every Linux; `status` in KiB.
fn usage(stat: &str, status: &str) -> Option<Usage> {
    // The name in brackets may contain anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = resident.split_whitespace().next()?.parse().ok()?;
    Some(Usage { cpu: Duration::from_millis(ticks * 10), resident_bytes: kib * 1024 })
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
    fn processor_time_and_memory_are_read_past_odd_process_names() {
        let stat = "77 (mix (down) x) S 1 77 77 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 100 1000 200 18446744073709551615";
        let status = "Name:\tmix\nVmPeak:\t  999 kB\nVmRSS:\t   9999 kB\nRssAnon:\t   2048 kB\n";
        assert_eq!(usage(stat, status), Some(Usage { cpu: Duration::from_secs(3), resident_bytes: 2 << 20 }));
        assert_eq!(usage("nonsense", status), None);
    }

    #[test]
    fn the_series_of_a_metric_add_up_and_longer_names_do_not_count() {
        let text = "# TYPE a_total counter\na_total{x=\"1\"} 2\na_total{x=\"2\"} 3\na_total_more 9\n";
        assert_eq!(metric(text, "a_total"), Some(5.0));
        assert_eq!(metric(text, "b_total"), None);
    }
}
