//! Why datagrams are dropped, and how many were.

use std::fmt;

/// Why a datagram was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DropReason {
    /// Shorter than a header.
    TooShort,
    /// Longer than UDP carries.
    TooLong,
    /// Not a datagram of this program.
    Magic,
    /// Of another format version: not all programs of the cluster are of the same release.
    Version,
    /// Bent or cut on its way.
    Checksum,
    /// Of another cluster.
    Cluster,
    /// From nobody who can be a sender, or from somebody else than was proved.
    Sender,
    /// Whole, but its frames make no sense.
    Frame,
    /// Whole, but a piece in it makes no sense or is of a message that is too long.
    Piece,
    /// Not sealed by anybody who has the keys: found before any of the above is looked at.
    NotAuthentic,
}

impl DropReason {
    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; 10] = [
        Self::TooShort,
        Self::TooLong,
        Self::Magic,
        Self::Version,
        Self::Checksum,
        Self::Cluster,
        Self::Sender,
        Self::Frame,
        Self::Piece,
        Self::NotAuthentic,
    ];
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "shorter than a header",
            Self::TooLong => "longer than UDP carries",
            Self::Magic => "not of this program",
            Self::Version => "of another format version",
            Self::Checksum => "bent or cut on its way",
            Self::Cluster => "of another cluster",
            Self::Sender => "from an impossible sender",
            Self::Frame => "with frames that make no sense",
            Self::Piece => "with pieces that make no sense",
            Self::NotAuthentic => "that are not authentic",
        })
    }
}

/// How many datagrams came, and what became of them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counters {
    /// Datagrams that were taken.
    pub received: u64,
    /// Messages of which pieces were missing when their place was needed.
    pub abandoned: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// How many datagrams were dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// How many datagrams were dropped.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    pub(super) fn count_drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, DropReason};

    #[test]
    fn every_reason_has_its_own_counter() {
        let mut counters = Counters::default();
        for reason in DropReason::ALL {
            assert_eq!(counters.dropped(reason), 0, "{reason}");
            counters.count_drop(reason);
        }
        assert!(DropReason::ALL.iter().all(|&reason| counters.dropped(reason) == 1));
        assert_eq!(counters.dropped_total(), DropReason::ALL.len() as u64);
    }
}
