//! Who votes and in which view: server identifiers, sets of servers, and view numbers (Figure 5.1,
//! `myServerId`, `attemptedView`, `promisedView`).

use core::fmt;

use serde::{Deserialize, Serialize};

/// The most servers that one group can have; the width of a [`ServerSet`].
pub const SERVERS_MAX: u8 = 64;

/// A server's identifier: its index in the group, from 0 (`myServerId`, Figure 5.1).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerId(pub u8);

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A set of servers, each counted once: the `boolean[] promises` and `boolean[] acceptVotes` of
/// Figure 5.1.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerSet(u64);

impl ServerSet {
    /// The set with nobody in it.
    pub const EMPTY: Self = Self(0);

    /// Adds a server; adding it again changes nothing.
    pub fn insert(&mut self, server: ServerId) {
        debug_assert!(server.0 < SERVERS_MAX, "server {server} is beyond the limit of {SERVERS_MAX}");
        self.0 |= 1 << server.0;
    }

    /// Takes a server out; taking it out again changes nothing.
    pub fn remove(&mut self, server: ServerId) {
        if server.0 < SERVERS_MAX {
            self.0 &= !(1 << server.0);
        }
    }

    /// Whether the server is in the set.
    pub fn contains(self, server: ServerId) -> bool {
        server.0 < SERVERS_MAX && self.0 & (1 << server.0) != 0
    }

    /// The servers that are in this set and not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// How many servers are in the set.
    pub fn len(self) -> u8 {
        // At most 64, so it fits.
        self.0.count_ones().to_le_bytes()[0]
    }

    /// Whether nobody is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<ServerId> for ServerSet {
    fn from_iter<I: IntoIterator<Item = ServerId>>(servers: I) -> Self {
        let mut set = Self::EMPTY;
        servers.into_iter().for_each(|server| set.insert(server));
        set
    }
}

impl fmt::Debug for ServerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((0..SERVERS_MAX).map(ServerId).filter(|&id| self.contains(id))).finish()
    }
}

/// A view: one leader's term of office (`ViewSeq`, 5.3). Ordered by number first and leader next, so
/// no two servers ever share one. Printed `number.leader`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct View {
    /// The local sequence number of 5.3, here a counter and never a clock (see
    /// [`Rules::next_view`](crate::Rules::next_view)). Real views start at 1.
    pub number: u64,
    /// The only server that may lead this view.
    pub leader: ServerId,
}

impl View {
    /// Below every real view: nothing promised, nothing attempted.
    pub const NONE: Self = Self { number: 0, leader: ServerId(0) };

    /// The view of `number` that `leader` may lead.
    pub const fn new(number: u64, leader: ServerId) -> Self {
        Self { number, leader }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.number, self.leader)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.number, self.leader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_counts_each_server_once_and_knows_none_beyond_the_limit() {
        let servers = [0, 5, 5, SERVERS_MAX - 1].map(ServerId);
        let set: ServerSet = servers.into_iter().collect();
        assert_eq!((set.len(), set.is_empty()), (3, false));
        assert_eq!((ServerSet::EMPTY.len(), ServerSet::EMPTY.is_empty()), (0, true));
        assert!(servers.into_iter().all(|server| set.contains(server)));
        let others = [1, SERVERS_MAX, u8::MAX].map(ServerId);
        assert!(!others.into_iter().any(|server| set.contains(server)));
        let mut same = set;
        others.into_iter().for_each(|server| same.remove(server));
        assert_eq!(same, set);
    }

    #[test]
    fn a_view_is_printed_as_its_number_and_its_leader() {
        let view = View::new(3, ServerId(1));
        assert_eq!((alloc::format!("{view}"), alloc::format!("{view:?}")), ("3.1".into(), "3.1".into()));
    }
}
