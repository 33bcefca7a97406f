//! A server's state and what it knows of the others, at one moment.

use std::fmt;

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
    /// By the operating system, because the socket's buffer was full.
    pub buffer_full: u64,
}

/// Why a datagram was dropped anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It is none that makes sense.
    Datagram(DropReason),
    /// [`Drops::not_its_server`].
    NotItsServer,
    /// [`Drops::buffer_full`].
    BufferFull,
}

impl Drops {
    /// What the unpacker dropped, the driver and it together, who guards the network, and the operating system.
    pub(crate) fn of(
        counters: crate::datagram::Counters,
        total: u64,
        not_authentic: u64,
        buffer_full: u64,
    ) -> Self {
        let by_reason = DropReason::ALL.map(|reason| match reason {
            DropReason::NotAuthentic => not_authentic,
            _ => counters.dropped(reason),
        });
        let not_its_server = total.saturating_sub(counters.dropped_total());
        Self { by_reason, not_its_server, buffer_full }
    }

    /// How many were not authentic, or come again.
    #[must_use]
    pub fn unauthentic(&self) -> u64 {
        self.by_reason[DropReason::NotAuthentic as usize]
    }

    /// How many came through the authentication, if there is one, and made no sense.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.by_reason.iter().sum::<u64>() - self.unauthentic()
    }

    /// All reasons and how many.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        let reasons = DropReason::ALL.into_iter().map(Reason::Datagram).zip(self.by_reason);
        reasons.chain([(Reason::NotItsServer, self.not_its_server), (Reason::BufferFull, self.buffer_full)])
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Datagram(reason) => write!(f, "{reason}"),
            Self::NotItsServer => f.write_str("not from their server as it lives now"),
            Self::BufferFull => f.write_str("while the socket's buffer was full"),
        }
    }
}

/// A word for a reason, for programs.
pub(crate) fn reason_name(reason: Reason) -> String {
    let mut name = String::new();
    let word = match reason {
        Reason::Datagram(reason) => format!("{reason:?}"),
        other => format!("{other:?}"),
    };
    for letter in word.chars() {
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
            drops: Drops { not_its_server: 6, buffer_full: 8, ..Drops::default() },
            syncs: histogram,
            updates: histogram,
        }
    }

    #[test]
    fn a_reason_is_one_word_of_its_own() {
        assert_eq!(reason_name(Reason::Datagram(DropReason::TooShort)), "too_short");
        let mut names: Vec<_> = Drops::default().iter().map(|(reason, _)| reason_name(reason)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropReason::ALL.len() + 2);
    }
}
