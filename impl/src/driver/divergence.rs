//! Replicas that diverge are noticed and halted: every update and its result go into a running hash, which snapshots
//! carry on, and servers tell each other theirs every so many slots.
//!
//! A server halts when too many others differ for it to be one of a majority that agrees. So of three, the one
//! that differs from the other two halts; if all differ, nobody knows who is right, and all halt.

use std::collections::BTreeMap;

use spec::{Message, ServerId, Slot};
use thiserror::Error;

use super::Driver;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::network::Network;
use crate::payload::Payload;
use crate::state_machine::StateMachine;
use crate::wire::{Between, StateHash};

/// Slots from one comparison to the next.
const EVERY: u64 = 64;
/// The latest comparisons that are remembered, and told again each time: one of them gets through.
const REMEMBERED: usize = 8;
/// An odd constant that spreads bits (2⁶⁴ over the golden ratio).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// This server's state is not what others have.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "group {group}: after slot {slot} this server's results hash to {own:016x}, and {others}: the replicas have diverged. \
     This server stops, so that nobody reads a wrong answer from it. Do all servers run the same program, is its state \
     machine deterministic, and is `sessions` the same at each? Keep the data directory for whoever looks into it"
)]
pub struct Diverged {
    /// The group.
    pub group: u16,
    /// The slot up to which the states differ.
    pub slot: Slot,
    /// This server's hash.
    pub own: u64,
    /// What the others said.
    pub others: String,
}

/// A group's running hash, and what the others said of theirs.
#[derive(Debug, Default)]
pub(super) struct Digest {
    /// Covers every update so far and its result.
    pub(super) chain: u64,
    /// The last slot that is covered.
    covered: Slot,
    own: BTreeMap<Slot, u64>,
    reports: BTreeMap<Slot, BTreeMap<ServerId, u64>>,
    /// Whether there is something to tell the others.
    is_news: bool,
}

impl Digest {
    /// Goes on from a snapshot's.
    pub(super) fn restore(&mut self, chain: u64, slot: Slot) {
        *self = Self { chain, covered: slot, ..Self::default() };
    }

    /// The next update was applied.
    pub(super) fn applied(&mut self, slot: Slot, update: &[u8], result: &[u8]) {
        let mark = Slot((slot.0 - 1) / EVERY * EVERY);
        if mark > Slot::NONE && mark >= self.covered {
            self.own.insert(mark, self.chain);
            forget_oldest(&mut self.own);
            self.is_news = true;
        }
        self.covered = slot;
        let sums = u64::from(crc32c::crc32c(update)) << 32 | u64::from(crc32c::crc32c(result));
        self.chain = (self.chain.rotate_left(29) ^ sums ^ slot.0.wrapping_mul(SPREAD)).wrapping_mul(SPREAD);
    }

    /// Another server told its hash.
    fn report(&mut self, from: ServerId, report: StateHash) {
        self.reports.entry(report.slot).or_default().insert(from, report.hash);
        forget_oldest(&mut self.reports);
    }

    /// The first slot where so many of the others differ that this server is in no majority that agrees.
    fn diverged(&self, servers: usize) -> Option<(Slot, u64, String)> {
        let minority_max = servers - (servers / 2 + 1);
        self.own.iter().find_map(|(&slot, &own)| {
            let reports = self.reports.get(&slot)?;
            let differing: Vec<_> = reports.iter().filter(|&(_, &hash)| hash != own).collect();
            let told = |(server, hash): &(&ServerId, &u64)| format!("server {server}'s to {hash:016x}");
            let others = differing.iter().map(told).collect::<Vec<_>>().join(", ");
            (differing.len() > minority_max).then_some((slot, own, others))
        })
    }
}

fn forget_oldest<T>(map: &mut BTreeMap<Slot, T>) {
    while map.len() > REMEMBERED {
        map.pop_first();
    }
}

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    pub(super) fn on_state_hash(&mut self, id: u16, from: ServerId, report: StateHash) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.digest.report(from, report);
        }
    }

    /// Tells the others what is new, and looks at what they told.
    pub(super) fn compare_states(&mut self) -> Result<(), Diverged> {
        let servers = self.identity.addresses.len();
        let mut news = Vec::new();
        for (&id, group) in &mut self.groups {
            if std::mem::take(&mut group.digest.is_news) {
                news.extend(group.digest.own.iter().map(|(&slot, &hash)| (id, StateHash { slot, hash })));
            }
            if let Some((slot, own, others)) = group.digest.diverged(servers) {
                return Err(Diverged { group: id, slot, own, others });
            }
        }
        let me = usize::from(self.identity.server.0);
        for (id, hash) in news {
            let message: Between<Message<Payload>> = Between::StateHash(hash);
            for to in (0..servers).filter(|&to| to != me).filter_map(|to| u8::try_from(to).ok()) {
                self.send_between(id, ServerId(to), &message);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server whose results are all `result`, up to the first comparison.
    fn digest(result: &[u8]) -> Digest {
        let mut digest = Digest::default();
        (1..=EVERY + 1).for_each(|slot| digest.applied(Slot(slot), b"update", result));
        digest
    }

    fn told(digest: &Digest) -> StateHash {
        let (&slot, &hash) = digest.own.last_key_value().unwrap();
        StateHash { slot, hash }
    }

    #[test]
    fn who_differs_from_a_majority_halts_and_the_majority_goes_on() {
        let (mut one, mut other, mut wrong) = (digest(b"1"), digest(b"1"), digest(b"2"));
        one.report(ServerId(1), told(&other));
        one.report(ServerId(2), told(&wrong));
        other.report(ServerId(2), told(&wrong));
        assert_eq!((one.diverged(3), other.diverged(3)), (None, None));
        wrong.report(ServerId(0), told(&one));
        assert_eq!(wrong.diverged(3), None, "one alone may be the wrong one itself");
        wrong.report(ServerId(0), told(&one));
        assert_eq!(wrong.diverged(3), None, "also when it says so twice");
        wrong.report(ServerId(1), told(&other));
        assert_eq!(wrong.diverged(3).unwrap().0, Slot(EVERY));
    }

    #[test]
    fn where_nobody_knows_who_is_right_all_halt() {
        let digests = [digest(b"1"), digest(b"2"), digest(b"3")];
        for (me, result) in [b"1", b"2", b"3"].into_iter().enumerate() {
            let mut own = digest(result);
            for (server, other) in (0..).zip(&digests).filter(|&(server, _)| usize::from(server) != me) {
                own.report(ServerId(server), told(other));
            }
            assert!(own.diverged(3).is_some());
        }
        let mut one_of_two = digest(b"1");
        one_of_two.report(ServerId(1), told(&digests[1]));
        assert!(one_of_two.diverged(2).is_some());
    }

    #[test]
    fn a_snapshot_carries_the_hash_on() {
        let whole = digest(b"1");
        let mut first = Digest::default();
        (1..=9).for_each(|slot| first.applied(Slot(slot), b"update", b"1"));
        let mut second = Digest::default();
        second.restore(first.chain, Slot(9));
        (10..=EVERY + 1).for_each(|slot| second.applied(Slot(slot), b"update", b"1"));
        assert_eq!(told(&whole), told(&second));
    }
}
