//! How much CPU and memory processes have used, as `/proc` tells it.

use std::fs;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often memory is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// CPU time of processes up to a moment.
#[derive(Clone, Debug)]
pub(super) struct Usage {
    at: Instant,
    /// Of this process.
    pub(super) load: Option<Duration>,
    /// Of each server that is a process here.
    pub(super) servers: Vec<Option<Duration>>,
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

/// Looks at the memory of processes until that is asked for.
pub(super) struct MemoryWatch {
    /// Nothing is sent; that it is gone ends the watch.
    going_on: Sender<()>,
    thread: JoinHandle<Vec<Memory>>,
}

/// What one process had of memory over a time: of each moment, how many bytes.
#[derive(Clone, Default, Debug)]
pub(super) struct Memory(Vec<u64>);

impl MemoryWatch {
    pub(super) fn begin(processes: &[u32]) -> Self {
        let (going_on, ended) = mpsc::channel::<()>();
        let processes = processes.to_vec();
        let thread = thread::spawn(move || {
            let mut seen = vec![Memory::default(); processes.len()];
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                for (memory, &process) in seen.iter_mut().zip(&processes) {
                    memory.0.extend(resident_bytes(process));
                }
            }
            seen
        });
        Self { going_on, thread }
    }

    /// Of each process, in the order in which they were given.
    pub(super) fn end(self) -> Vec<Memory> {
        drop(self.going_on);
        self.thread.join().unwrap_or_default()
    }
}

impl Memory {
    /// Medians of the first and of the last tenth of the time. What a single moment shows depends on whether a snapshot
    /// is being taken in it.
    pub(super) fn begun_and_ended(&self) -> Option<[u64; 2]> {
        let tenth = self.0.len().div_ceil(10);
        Some([median(self.0.get(..tenth)?)?, median(self.0.get(self.0.len() - tenth..)?)?])
    }

    pub(super) fn max(&self) -> Option<u64> {
        self.0.iter().max().copied()
    }
}

fn median(values: &[u64]) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
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
    }

    #[test]
    fn memory_is_told_by_the_medians_of_its_first_and_last_tenth() {
        let mut bytes = vec![10; 30];
        bytes[1] = 999; // one peak in the first tenth
        bytes[27..].copy_from_slice(&[20, 1, 30]);
        let memory = Memory(bytes);
        assert_eq!((memory.begun_and_ended(), memory.max()), (Some([10, 20]), Some(999)));
        assert_eq!(
            (Memory(vec![7]).begun_and_ended(), Memory(vec![]).begun_and_ended()),
            (Some([7, 7]), None)
        );
    }

    #[test]
    fn the_memory_of_each_process_is_watched_until_the_end() {
        let watch = MemoryWatch::begin(&[std::process::id(), u32::MAX]);
        thread::sleep(3 * INTERVAL);
        let [own, nobodys] = watch.end().try_into().expect("one for each");
        assert!(own.max() > Some(1 << 16));
        assert_eq!(nobodys.max(), None);
    }
}
