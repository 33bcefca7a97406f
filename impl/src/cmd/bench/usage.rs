//! How much CPU and memory processes have used, as `/proc` tells it.

use std::fs;
use std::time::{Duration, Instant};

/// CPU time of processes up to a moment, and their memory at it.
#[derive(Clone, Debug)]
pub(super) struct Usage {
    at: Instant,
    /// Of this process.
    pub(super) load: Option<Duration>,
    /// Of each server that is a process here.
    pub(super) servers: Vec<Option<Duration>>,
    /// Bytes of memory that each of them has.
    pub(super) resident_bytes: Vec<Option<u64>>,
    machine: Option<Machine>,
}

/// What all CPUs of this machine have done up to a moment, in ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Machine {
    idle: u64,
    total: u64,
}

impl Usage {
    pub(super) fn now(servers: &[u32]) -> Self {
        Self {
            at: Instant::now(),
            load: cpu_time("self"),
            servers: servers.iter().map(|id| cpu_time(&id.to_string())).collect(),
            resident_bytes: servers.iter().map(|&id| resident_bytes(id)).collect(),
            machine: fs::read_to_string("/proc/stat").ok().and_then(|stat| Machine::parse(&stat)),
        }
    }

    /// The time that passed until `after`.
    pub(super) fn until(&self, after: &Self) -> Duration {
        after.at.duration_since(self.at)
    }

    /// The part of this machine's CPU time that was not idle, from 0 to 1, whoever used it. It counts what no process is
    /// charged for: the kernel's work on datagrams, and what other guests of the host took.
    pub(super) fn machine_busy(&self, after: &Self) -> Option<f64> {
        let (before, after) = (self.machine?, after.machine?);
        let total = after.total.saturating_sub(before.total);
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
        (total > 0).then(|| 1.0 - after.idle.saturating_sub(before.idle) as f64 / total as f64)
    }

    /// The part of one CPU's time between two moments that a process used.
    pub(super) fn cpus(&self, after: &Self, used: [Option<Duration>; 2]) -> Option<f64> {
        let [before, later] = used;
        let used = later?.saturating_sub(before?);
        let passed = self.until(after);
        (passed > Duration::ZERO).then(|| used.as_secs_f64() / passed.as_secs_f64())
    }
}

impl Machine {
    /// From the first line of `/proc/stat`, whose fourth and fifth numbers are idle time and idle time with disks at work.
    fn parse(stat: &str) -> Option<Self> {
        let all = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = all.split_whitespace().map_while(|field| field.parse().ok()).collect();
        // Time of guests, after the eighth number, is in the first two already.
        Some(Self { idle: ticks.get(3)? + ticks.get(4)?, total: ticks.iter().take(8).sum() })
    }
}

fn cpu_time(process: &str) -> Option<Duration> {
    parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// From the second number of `/proc/PID/statm`, in pages.
fn resident_bytes(process: u32) -> Option<u64> {
    let pages = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = pages.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// User and system time from a line of `/proc/PID/stat`: fields 14 and 15, counted after the name in parentheses, which may
/// hold anything.
fn parse(stat: &str) -> Option<Duration> {
    const USER_TIME: usize = 11; // the first field after the name is field 3
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(USER_TIME).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis(ticks * 1000 / per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_idle_also_while_only_its_disks_work() {
        let stat = "cpu  10 1 5 60 20 0 3 1 7 7\ncpu0 1 1 1 1\n";
        assert_eq!(Machine::parse(stat), Some(Machine { idle: 80, total: 100 }));
        assert_eq!(Machine::parse("cpu  10 1"), None);
    }

    #[test]
    fn the_times_are_found_whatever_the_name_of_the_process() {
        let per_second = rustix::param::clock_ticks_per_second();
        let stat = format!("7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 {per_second} {} 0 0", 2 * per_second);
        assert_eq!(parse(&stat), Some(Duration::from_secs(3)));
        assert_eq!(parse("7 (cut"), None);
        assert!(cpu_time("self").is_some());
        assert!(resident_bytes(std::process::id()) > Some(1 << 16));
    }
}
