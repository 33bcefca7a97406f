//! What is said about who was turned away: one line for each peer and a while, however often it tries.

use std::collections::{BTreeMap, VecDeque};

use spec::{LocalTime, Span};

use crate::clock::millis;

/// How long nothing more is said about the same peer.
pub(super) const QUIET: Span = millis(60_000);
/// Peers that are remembered; while so many are, nothing is said of others.
const PEERS_MAX: usize = 64;
/// Lines that wait to be read.
const LINES_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Complaints {
    said: BTreeMap<String, LocalTime>,
    lines: VecDeque<String>,
}

impl Complaints {
    /// Says it about `whom`, unless something was said about them of late.
    pub(super) fn say(&mut self, whom: &str, now: LocalTime, line: impl FnOnce() -> String) {
        if self.said.get(whom).is_some_and(|&at| now - at < QUIET) {
            return;
        }
        if self.said.len() >= PEERS_MAX {
            self.said.retain(|_, at| now - *at < QUIET);
        }
        if self.said.len() < PEERS_MAX && self.lines.len() < LINES_MAX {
            self.said.insert(whom.to_owned(), now);
            self.lines.push_back(line());
        }
    }

    pub(super) fn take(&mut self) -> Option<String> {
        self.lines.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_peer_and_a_while_and_never_more_than_fits() {
        let mut complaints = Complaints::default();
        for time in 0..1000 {
            complaints.say("server 1", LocalTime(time), || "no".into());
        }
        assert_eq!((complaints.take(), complaints.take()), (Some("no".into()), None));
        complaints.say("server 1", LocalTime(QUIET.0), || "still not".into());
        assert_eq!(complaints.take().as_deref(), Some("still not"));
        for peer in 0..1000 {
            complaints.say(&peer.to_string(), LocalTime(QUIET.0), || "no".into());
        }
        assert!(complaints.said.len() <= PEERS_MAX && complaints.lines.len() <= LINES_MAX);
    }
}
