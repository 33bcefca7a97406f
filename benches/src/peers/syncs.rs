//! Whether servers sync what they acknowledge: `strace` counts the system calls that make files durable.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use cluster::exit::{Exit, Failure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

/// What makes files durable, and writes that do if the file was opened so: Leasehold writes its log with `O_DSYNC`, and to
/// no other file while it serves updates.
const CALLS: &str = "fsync,fdatasync,sync_file_range,msync,syncfs";
const DURABLE_WRITES: &str = "pwrite64";
/// How long `strace` may take to attach to all threads.
const ATTACHED_AFTER: Duration = Duration::from_millis(300);

/// A `strace` that counts. Dropping it ends it.
pub(super) struct Counter {
    strace: Child,
    summary: NamedTempFile,
}

impl Counter {
    /// Counts from now on what these processes and all their threads sync, and their writes at an offset if those sync, too.
    pub(super) fn attach(processes: &[u32], within: &Path, writes_sync: bool) -> Result<Self, Failure> {
        let summary = NamedTempFile::new_in(within).map_err(|error| failed(&error))?;
        let mut command = Command::new("strace");
        let traced = if writes_sync { format!("{CALLS},{DURABLE_WRITES}") } else { CALLS.into() };
        command.args(["--follow-forks", "--summary-only", "--quiet=attach", "--trace", &traced, "--output"]);
        command.arg(summary.path());
        for process in processes {
            command.arg(format!("--attach={process}"));
        }
        let strace = command.stdin(Stdio::null()).spawn().map_err(|error| failed(&error))?;
        thread::sleep(ATTACHED_AFTER);
        Ok(Self { strace, summary })
    }

    /// How many syncs there were.
    pub(super) fn stop(mut self) -> Result<u64, Failure> {
        let id = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| failed(&"it has no number"))?;
        kill_process(id, Signal::INT).map_err(|error| failed(&error))?;
        self.strace.wait().map_err(|error| failed(&error))?;
        fs::read_to_string(self.summary.path()).map(|text| calls(&text)).map_err(|error| failed(&error))
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Runtime, format!("`strace`, which counts syncs, cannot be used here: {error}"))
}

/// The sum of the calls in a summary: the fourth column of each row of a call that is counted.
fn calls(summary: &str) -> u64 {
    let count = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let counted = CALLS.split(',').chain([DURABLE_WRITES]).any(|call| columns.last() == Some(&call));
        counted.then(|| columns.get(3)?.parse::<u64>().ok()).flatten()
    };
    summary.lines().filter_map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_a_summary_are_added_up_and_its_total_is_not() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 91.30    0.123456         120      1028           fdatasync
  8.70    0.001000         100        10         2 fsync
------ ----------- ----------- --------- --------- ----------------
100.00    0.124456         119      1038         2 total
";
        assert_eq!(calls(summary), 1038);
        assert_eq!(calls(""), 0);
    }
}
