//! What the kernel says: what this process has used, and what it may use.
//!
//! A container has less than the machine: affinity and quotas (cgroup v1 and v2) count, and are read anew every second, for they are changed
//! while the process runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where cgroups are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";
/// Of what there is, how much this process may have where nothing else is said.
const MEMORY_SHARE: f64 = 0.9;

/// What the kernel says of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// User and system time since its start, all threads.
    pub cpu: Duration,
    /// The same of its children that have ended, and of theirs.
    pub ended: Duration,
    pub parent: u32,
    /// Of its own, without files; 0: the system does not say.
    pub resident_bytes: u64,
}

/// Of a process of this machine with all its threads; `None` where there is none of that number.
pub fn usage_of(pid: u32) -> Option<Usage> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    usage(&read("stat")?, &read("status").unwrap_or_default())
}

/// `stat` counts in hundredths of a second on every Linux; `status` in KiB.
fn usage(stat: &str, status: &str) -> Option<Usage> {
    // The name in brackets may contain anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let time = |from: usize| {
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Duration::from_millis((ticks(from)? + ticks(from + 1)?) * 10))
    };
    // Not every kernel tells files from the rest.
    let resident_bytes = kib(status, "RssAnon:").or_else(|| kib(status, "VmRSS:")).unwrap_or(0);
    Some(Usage { cpu: time(11)?, ended: time(13)?, parent: fields.get(1)?.parse().ok()?, resident_bytes })
}

/// The bytes of a line of `status` or `meminfo`.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// What this process may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Processor seconds per second: its affinity, or a quota below that.
    pub cores: f64,
    /// A quota that is less than its affinity: whoever takes more than that is stopped for a while.
    pub quota: Option<f64>,
    pub memory_bytes: u64,
}

pub fn limits() -> Limits {
    let affinity = f64::from(processors());
    let quota = quota().filter(|quota| *quota < affinity);
    Limits { cores: quota.unwrap_or(affinity), quota, memory_bytes: memory() }
}

/// How many processors the kernel lets it run on. The masks in `/proc/self/status` also hold those that the machine does not have, but may get.
fn processors() -> u32 {
    let known = rustix::thread::sched_getaffinity(None).map(|set| set.count()).ok().filter(|count| *count > 0);
    known.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |count| count.get() as u32))
}

/// The tightest quota of this process's groups, in processors.
fn quota() -> Option<f64> {
    let unified = folders("").into_iter().filter_map(|folder| quota_v2(&fs::read_to_string(folder.join("cpu.max")).ok()?));
    let legacy = folders("cpu").into_iter().filter_map(|folder| {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        quota_v1(&read("cpu.cfs_quota_us")?, &read("cpu.cfs_period_us")?)
    });
    unified.chain(legacy).min_by(f64::total_cmp)
}

/// `max 100000`, or quota and period.
fn quota_v2(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    quota_v1(quota, period)
}

/// −1: none.
fn quota_v1(quota: &str, period: &str) -> Option<f64> {
    let (quota, period) = (quota.trim().parse::<f64>().ok()?, period.trim().parse::<f64>().ok()?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

/// The memory that this process may have: nine tenths of its groups' limit, or of the machine's.
fn memory() -> u64 {
    let limit = |folder: PathBuf, name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let unified = folders("").into_iter().filter_map(|folder| limit(folder, "memory.max"));
    let legacy = folders("memory").into_iter().filter_map(|folder| limit(folder, "memory.limit_in_bytes"));
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kib(&text, "MemTotal:"));
    let least = unified.chain(legacy).chain(machine).min().unwrap_or(0);
    (least as f64 * MEMORY_SHARE) as u64
}

/// The folders of this process's group and those above it, of a controller of version 1; `""`: of version 2.
fn folders(controller: &str) -> Vec<PathBuf> {
    let Ok(text) = fs::read_to_string("/proc/self/cgroup") else { return Vec::new() };
    let Some(group) = group(&text, controller) else { return Vec::new() };
    let root = Path::new(CGROUPS).join(controller);
    // Seen from inside of a container its own group may be the root, whatever the path says.
    let path = Path::new(group.trim_start_matches('/'));
    path.ancestors().map(|part| root.join(part)).collect()
}

/// The path of a controller's group: `4:cpu,cpuacct:/path`, or `0::/path`.
fn group<'a>(text: &'a str, controller: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        controllers.split(',').any(|name| name == controller).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_and_memory_are_read_past_odd_process_names() {
        let ms = Duration::from_millis;
        let stat = "77 (mix (down) x) S 1 77 77 0 -1 4194304 100 0 0 0 250 50 30 10 20 0 9 0 100 1000 200 18446744073709551615";
        let status = "Name:\tmix\nVmPeak:\t  999 kB\nVmRSS:\t   9999 kB\nRssAnon:\t   2048 kB\n";
        assert_eq!(usage(stat, status), Some(Usage { cpu: ms(3000), ended: ms(400), parent: 1, resident_bytes: 2 << 20 }));
        let resident = |status: &str| usage(stat, status).map(|usage| usage.resident_bytes);
        assert_eq!(
            (resident("VmRSS:\t   1024 kB\n"), resident("")),
            (Some(1 << 20), Some(0)),
            "one line that is missing hides nothing else"
        );
        assert_eq!(usage("nonsense", status), None);
    }

    #[test]
    fn quotas_of_both_versions_are_read() {
        assert_eq!((quota_v2("60000 100000\n"), quota_v2("max 100000\n"), quota_v2("")), (Some(0.6), None, None));
        assert_eq!((quota_v1("150000\n", "100000\n"), quota_v1("-1\n", "100000\n")), (Some(1.5), None));
        let groups = "12:memory:/a\n4:cpu,cpuacct:/b/c\n0::/d\n";
        assert_eq!((group(groups, "cpu"), group(groups, "memory"), group(groups, "")), (Some("/b/c"), Some("/a"), Some("/d")));
        assert_eq!(group(groups, "cpuset"), None);
    }

    /// How many processors the machine has at the moment: `0-3,6`.
    fn online() -> u32 {
        let text = fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
        let span = |part: &str| part.split_once('-').map_or(1, |(from, to)| to.parse::<u32>().unwrap() - from.parse::<u32>().unwrap() + 1);
        text.trim().split(',').map(span).sum()
    }

    #[test]
    fn a_process_that_may_run_on_one_processor_has_one() {
        let mut set = rustix::thread::CpuSet::new();
        let all = rustix::thread::sched_getaffinity(None).unwrap();
        set.set((0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).unwrap());
        // Of this thread alone, which is all that is looked at here.
        rustix::thread::sched_setaffinity(None, &set).unwrap();
        assert!(processors() == 1 && limits().cores <= 1.0, "{} {:?}", processors(), limits());
    }

    #[test]
    fn this_process_is_known_to_itself() {
        assert!(usage_of(std::process::id()).is_some_and(|usage| usage.resident_bytes > 0));
        assert!((1..=online()).contains(&processors()), "{} of {}", processors(), online());
        let limits = limits();
        assert!((0.01..=4096.0).contains(&limits.cores) && limits.memory_bytes > 1 << 20, "{limits:?}");
    }
}
