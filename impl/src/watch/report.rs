//! A server's state and what it knows of the others, at one moment.

use spec::Span;

use super::{Histogram, PeerReport, Tally};
use crate::datagram::DropReason;
use crate::status::Status;

/// Everything that a page, `/status.json` and `/metrics` show, but for the events.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// The cluster's id.
    pub cluster: u64,
    /// How long the server has been running.
    pub uptime: Span,
    /// The term of its leases; zero if leases are off.
    pub lease_term: Span,
    /// How it is.
    pub status: Status,
    /// What it knows of the others.
    pub peers: Vec<PeerReport>,
    /// How often things happened.
    pub tally: Tally,
    /// What it dropped.
    pub drops: Drops,
    /// How long syncs took.
    pub syncs: Histogram,
    /// How long updates of clients took, from their arrival here to their answer.
    pub updates: Histogram,
}

/// Datagrams dropped, by reason.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Drops {
    by_reason: [u64; DropReason::ALL.len()],
    /// Not from their server's address, or of an incarnation that is over.
    pub not_its_server: u64,
}

impl Drops {
    /// What the unpacker dropped, the driver and it together, and who guards the network.
    pub(crate) fn of(counters: crate::datagram::Counters, total: u64, not_authentic: u64) -> Self {
        let by_reason = DropReason::ALL.map(|reason| match reason {
            DropReason::NotAuthentic => not_authentic,
            _ => counters.dropped(reason),
        });
        Self { by_reason, not_its_server: total.saturating_sub(counters.dropped_total()) }
    }

    /// All reasons and how many; none is [`Self::not_its_server`].
    pub fn iter(&self) -> impl Iterator<Item = (Option<DropReason>, u64)> + '_ {
        let reasons = DropReason::ALL.into_iter().map(Some).zip(self.by_reason);
        reasons.chain([(None, self.not_its_server)])
    }
}

/// A word for a reason, for programs.
pub(crate) fn reason_name(reason: Option<DropReason>) -> String {
    let Some(reason) = reason else { return "not_its_server".into() };
    let mut name = String::new();
    for letter in format!("{reason:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::clock::{Pace, Rates, millis};
    use crate::status::{Counters, Standing};
    use spec::{ServerId, Slot, View};

    pub(crate) fn status() -> Status {
        Status {
            server: 0,
            incarnation: 0,
            boots: 3,
            recovery: None,
            role: Standing::Leading,
            view: View { number: 7, leader: ServerId(0) },
            committed: Slot(120),
            applied: Slot(119),
            lease_remaining_ms: Some(400.5),
            clocks_apart: vec![ServerId(2)],
            counters: Counters { applied: 100, syncs: 2, ..Counters::default() },
            disk_full: false,
            groups: 1,
        }
    }

    /// A report with something in every place.
    pub(crate) fn report() -> Report {
        let mut histogram = Histogram::default();
        [1, 2, 40].into_iter().for_each(|took| histogram.note(millis(took)));
        let peer = |server, heard: Option<Span>| PeerReport {
            server: ServerId(server),
            heard,
            loss: heard.map(|_| 0.25),
            round_trip: heard.map(|_| Span(1_500_000)),
            clock: heard.map(|_| Rates { least_ppm: -20, most_ppm: 30 }),
            clock_apart: heard.is_none().then_some(Pace::Faster),
            status: heard.map(|_| Status {
                server,
                committed: Slot(100),
                role: Standing::Follower,
                ..status()
            }),
        };
        Report {
            cluster: 9,
            uptime: millis(61_000),
            lease_term: millis(600),
            status: status(),
            peers: vec![peer(1, Some(millis(20))), peer(2, None)],
            tally: Tally { view_changes: 4, leases_renewed: 5, ..Tally::default() },
            drops: Drops { not_its_server: 6, ..Drops::default() },
            syncs: histogram,
            updates: histogram,
        }
    }

    #[test]
    fn a_reason_is_one_word_of_its_own() {
        assert_eq!(reason_name(Some(DropReason::TooShort)), "too_short");
        let mut names: Vec<_> = Drops::default().iter().map(|(reason, _)| reason_name(reason)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropReason::ALL.len() + 1);
    }
}
