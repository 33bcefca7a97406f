//! `kv import`: puts pairs from JSON lines, many at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, IsTerminal, stderr};
use std::time::Duration;

use cluster::client::{ClientError, Destination, Ended, Operation, Pool, Ticket};
use cluster::exit::{Exit, Failure};
use cluster::kv::Change;

use super::{failure, text};

/// Puts that are under way at once.
const SESSIONS: usize = 32;
const PROGRESS_EVERY: u64 = 1000;

/// What has happened so far.
struct Import {
    pool: Pool,
    patience: Duration,
    /// What is under way: its line, and its key.
    under_way: BTreeMap<Ticket, (u64, Vec<u8>)>,
    keys: BTreeSet<Vec<u8>>,
    /// All lines up to this one were read.
    read: u64,
    imported: u64,
}

/// Puts every pair behind the first `skip` lines; returns how many. A failure says how far it came.
pub(super) fn import(
    destination: &Destination,
    lines: impl BufRead,
    skip: u64,
    patience: Duration,
) -> Result<u64, Failure> {
    let pool = Pool::new(destination, SESSIONS).map_err(|error| Failure::new(Exit::Runtime, error))?;
    let (under_way, keys) = (BTreeMap::new(), BTreeSet::new());
    let mut import = Import { pool, patience, under_way, keys, read: 0, imported: 0 };
    match import.run(lines, skip) {
        Ok(()) => Ok(import.imported),
        Err(Failure { exit, message }) => {
            let done = import.done().max(skip);
            let hint = format!(
                "Every line up to {done} is imported, {} of them now; some behind it may be. Continue with --skip {done}",
                import.imported
            );
            Err(Failure::new(exit, format!("{message}. {hint}")))
        }
    }
}

impl Import {
    /// All lines up to this one are imported.
    fn done(&self) -> u64 {
        self.under_way.values().map(|&(line, _)| line - 1).min().unwrap_or(self.read)
    }

    fn run(&mut self, lines: impl BufRead, skip: u64) -> Result<(), Failure> {
        let mut ended = self.begin_all(lines, skip);
        // What is under way comes to its end also where a line is bad, so that what is said of it is so.
        while self.pool.pending() > 0 {
            let next = self.end_one();
            ended = ended.and(next);
        }
        ended
    }

    fn begin_all(&mut self, lines: impl BufRead, skip: u64) -> Result<(), Failure> {
        for (number, line) in (1..).zip(lines.lines()) {
            let bad = |reason: String| Failure::new(Exit::Usage, format!("line {number}: {reason}"));
            let line = line.map_err(|error| bad(error.to_string()))?;
            if number > skip && !line.trim().is_empty() {
                let (key, value) = text::parse_pair(&line).map_err(bad)?;
                // Two puts of one key must not overtake each other.
                while self.under_way.len() >= SESSIONS || self.keys.contains(&key) {
                    self.end_one()?;
                }
                let put = Change::Put { key: key.clone(), value }.encode();
                let ticket = self.pool.begin(Operation::Propose(put.into()), self.patience);
                self.keys.insert(key.clone());
                self.under_way.insert(ticket, (number, key));
            }
            self.read = number;
        }
        Ok(())
    }

    fn end_one(&mut self) -> Result<(), Failure> {
        let ended = self.pool.next_ended().map_err(|error| Failure::new(Exit::Runtime, error))?;
        let Some((ticket, ended)) = ended else { return Ok(()) };
        let line = self.under_way.get(&ticket).map_or(0, |&(line, _)| line);
        let applied = match ended {
            Ok(Ended::Applied { .. }) => Ok(()),
            Ok(_) => Err(ClientError::SessionLost),
            Err(error) => Err(error),
        };
        applied.map_err(|error| {
            let Failure { exit, message } = failure(&error);
            Failure::new(exit, format!("line {line}: {message}"))
        })?;
        if let Some((_, key)) = self.under_way.remove(&ticket) {
            self.keys.remove(&key);
        }
        self.imported += 1;
        if self.imported.is_multiple_of(PROGRESS_EVERY) && stderr().is_terminal() {
            eprint!("\r{} imported", self.imported);
        }
        Ok(())
    }
}
