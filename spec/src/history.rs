//! The replicated log of one server (`history`, Figure 5.1): for each slot what this server voted for,
//! and whether it is committed. Slots up to a base are compacted: committed, and their values gone.

use alloc::collections::{BTreeMap, VecDeque};
use core::fmt;
use core::ops::Bound::{Excluded, Included, Unbounded};

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::view::View;

/// A position in the replicated log (`updateSeq`, Figure 5.1). The first is 1.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(pub u64);

impl Slot {
    /// Before the first slot: nothing committed, nothing seen.
    pub const NONE: Self = Self(0);

    /// The slot after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What one slot holds at one server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Entry<V> {
    /// The highest view in which this server voted for the value (`viewOfValue`); [`View::NONE`] where it was
    /// learnt and never voted for here.
    pub view: View,
    /// The value.
    pub command: Command<V>,
    /// Whether the value is known to be chosen (`committed`).
    pub committed: bool,
}

impl<V: fmt::Debug> fmt::Debug for Entry<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.committed { "!" } else { "?" };
        write!(f, "{:?}{mark}@{}", self.command, self.view)
    }
}

/// Dense log above a base, with gaps where nothing arrived yet.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct History<V> {
    base: Slot,
    /// What the slots above `floor` hold, in order.
    entries: VecDeque<Option<Entry<V>>>,
    /// The base; where the snapshot up to there is lost, what the base was.
    floor: Slot,
    /// What the slots above `base` and up to `floor` hold: what was learnt again since the snapshot is lost.
    below: BTreeMap<Slot, Entry<V>>,
    committed: Slot,
}

impl<V> Default for History<V> {
    fn default() -> Self {
        Self {
            base: Slot::NONE,
            entries: VecDeque::new(),
            floor: Slot::NONE,
            below: BTreeMap::new(),
            committed: Slot::NONE,
        }
    }
}

impl<V> History<V> {
    /// The highest slot that is compacted, or [`Slot::NONE`]: a snapshot of the state machine stands for every
    /// slot up to here, which is committed and has no entry.
    pub fn base(&self) -> Slot {
        self.base
    }

    /// The highest slot up to which every slot is committed (`committedSeq`).
    pub fn committed(&self) -> Slot {
        self.committed
    }

    /// The highest slot that holds anything or is compacted, or [`Slot::NONE`].
    pub fn last(&self) -> Slot {
        Slot(self.floor.0 + self.entries.len() as u64)
    }

    /// What the slot holds, if anything; none for a slot that is compacted.
    pub fn entry(&self, slot: Slot) -> Option<&Entry<V>> {
        match self.index(slot) {
            Some(index) => self.entries.get(index)?.as_ref(),
            None => self.below.get(&slot),
        }
    }

    /// Whether the slot's value is known to be chosen, here or compacted. [`Slot::NONE`], which holds no value,
    /// counts as committed.
    pub fn is_committed(&self, slot: Slot) -> bool {
        slot <= self.committed || self.committed_command(slot).is_some()
    }

    /// The slot's value if it is known to be chosen; none for a slot that is compacted, see [`Self::is_committed`].
    pub fn committed_command(&self, slot: Slot) -> Option<&Command<V>> {
        self.entry(slot).filter(|entry| entry.committed).map(|entry| &entry.command)
    }

    /// The slots above `slot` that hold something, in order.
    pub fn above(&self, slot: Slot) -> impl Iterator<Item = (Slot, &Entry<V>)> {
        let first = slot.max(self.floor).0.saturating_add(1);
        let skip = self.index(Slot(first)).unwrap_or(usize::MAX);
        let entries = self.entries.iter().skip(skip).zip(first..);
        let below = self.below.range((Excluded(slot), Unbounded)).map(|(&slot, entry)| (slot, entry));
        below.chain(entries.filter_map(|(entry, slot)| Some((Slot(slot), entry.as_ref()?))))
    }

    /// Notes a vote (`handle_propose_msg`, Figure 5.4). A committed slot keeps its value.
    pub(crate) fn vote(&mut self, view: View, slot: Slot, command: Command<V>) {
        if self.committed_command(slot).is_none() {
            self.put(slot, Entry { view, command, committed: false });
        }
    }

    /// Notes a chosen value (`handle_commit_msg`, Figure 5.4).
    pub(crate) fn learn(&mut self, slot: Slot, command: Command<V>) {
        let view = self.entry(slot).map_or(View::NONE, |entry| entry.view);
        self.put(slot, Entry { view, command, committed: true });
        self.advance();
    }

    /// Marks what is held up to and including `slot` as chosen. There are gaps only where a disk lost something.
    pub(crate) fn commit_up_to(&mut self, slot: Slot) {
        if slot <= self.committed {
            return;
        }
        let first = self.index(self.committed.next()).unwrap_or(0);
        let last = self.index(slot).map_or(0, |last| last + 1);
        let below = self.below.range_mut((Excluded(self.committed), Included(slot))).map(|(_, entry)| entry);
        let entries = self.entries.iter_mut().take(last).skip(first).flatten();
        below.chain(entries).for_each(|entry| entry.committed = true);
        self.advance();
    }

    /// Forgets the votes up to and including `slot`, but not what is known to be chosen; and, if the `snapshot` is lost
    /// too, that anything is compacted.
    pub(crate) fn lose(&mut self, slot: Slot, snapshot: bool) {
        if snapshot {
            (self.base, self.committed) = (Slot::NONE, Slot::NONE);
        }
        self.below.retain(|&held, entry| held > slot || entry.committed);
        let last = self.index(slot).map_or(0, |last| last + 1);
        let votes = self.entries.iter_mut().take(last);
        votes
            .filter(|held| held.as_ref().is_some_and(|entry| !entry.committed))
            .for_each(|held| *held = None);
        self.advance();
    }

    /// Forgets every slot up to this one: all of them are chosen, and a snapshot stands for them.
    pub(crate) fn compact(&mut self, slot: Slot) {
        let forgotten = self.index(slot).map_or(0, |last| self.entries.len().min(last + 1));
        self.entries.drain(..forgotten);
        self.below = self.below.split_off(&slot.next());
        self.base = self.base.max(slot);
        self.floor = self.floor.max(slot);
        self.committed = self.committed.max(slot);
        self.advance();
    }

    fn advance(&mut self) {
        while self.committed_command(self.committed.next()).is_some() {
            self.committed = self.committed.next();
        }
    }

    /// Puts an entry into its slot, unless that is compacted.
    fn put(&mut self, slot: Slot, entry: Entry<V>) {
        debug_assert!(slot > Slot::NONE, "slots start at 1");
        match self.index(slot) {
            Some(index) => {
                if self.entries.len() <= index {
                    self.entries.resize_with(index + 1, || None);
                }
                self.entries[index] = Some(entry);
            }
            None if slot > self.base => _ = self.below.insert(slot, entry),
            None => {}
        }
    }

    /// Where a slot stands among the entries; none for one up to the floor.
    fn index(&self, slot: Slot) -> Option<usize> {
        usize::try_from(slot.0.checked_sub(self.floor.0)?).ok()?.checked_sub(1)
    }
}

impl<V: fmt::Debug> fmt::Debug for History<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.above(Slot::NONE)).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::view::ServerId;

    const OLD: View = View::new(1, ServerId(0));
    const NEW: View = View::new(2, ServerId(1));

    fn open(nonce: u64) -> Command<u8> {
        Command::Open { nonce }
    }

    #[test]
    fn a_committed_slot_keeps_its_value_when_a_vote_comes_late() {
        let mut history = History::default();
        history.learn(Slot(1), open(1));
        history.vote(NEW, Slot(1), open(2));
        assert_eq!(history.committed_command(Slot(1)), Some(&open(1)));
    }

    #[test]
    fn a_vote_of_a_higher_view_replaces_the_value() {
        let mut history = History::default();
        history.vote(OLD, Slot(1), open(1));
        history.vote(NEW, Slot(1), open(2));
        let expected = Entry { view: NEW, command: open(2), committed: false };
        assert_eq!(history.entry(Slot(1)), Some(&expected));
    }

    #[test]
    fn what_is_learnt_above_a_gap_counts_as_committed_when_the_gap_closes() {
        let mut history = History::default();
        history.learn(Slot(3), open(3));
        history.learn(Slot(1), open(1));
        assert_eq!(history.committed(), Slot(1));
        history.learn(Slot(2), open(2));
        assert_eq!(history.committed(), Slot(3));
    }

    // Slot 2 was held when the mark was made, and lost since. Another server may need slot 3.
    #[test]
    fn a_mark_counts_also_above_what_is_lost() {
        let mut history = History::default();
        history.vote(OLD, Slot(1), open(1));
        history.vote(OLD, Slot(3), open(3));
        history.vote(OLD, Slot(4), open(4));
        history.commit_up_to(Slot(3));
        assert_eq!((history.committed(), history.last()), (Slot(1), Slot(4)));
        assert_eq!(history.committed_command(Slot(3)), Some(&open(3)));
        history.learn(Slot(2), open(2));
        assert_eq!(history.committed(), Slot(3));
    }

    #[test]
    fn votes_are_lost_up_to_a_slot_and_what_is_chosen_is_not() {
        let mut history = History::default();
        history.learn(Slot(1), open(1));
        history.learn(Slot(3), open(3));
        [2, 4, 5].into_iter().for_each(|slot| history.vote(OLD, Slot(slot), open(slot)));
        history.lose(Slot(4), false);
        let held: Vec<_> = history.above(Slot::NONE).map(|(slot, _)| slot.0).collect();
        assert_eq!((held, history.committed()), (Vec::from([1, 3, 5]), Slot(1)));
    }

    #[test]
    fn what_a_lost_snapshot_stood_for_is_learnt_again_by_value_or_by_an_older_one() {
        let mut history = History::default();
        history.compact(Slot(1_000_000_000_000));
        history.learn(Slot(1_000_000_000_001), open(9));
        history.lose(Slot(1_000_000_000_000), true);
        assert_eq!((history.base(), history.committed()), (Slot::NONE, Slot::NONE));
        assert_eq!(history.last(), Slot(1_000_000_000_001));
        (1..=2).for_each(|slot| history.learn(Slot(slot), open(slot)));
        history.vote(OLD, Slot(3), open(3));
        history.vote(OLD, Slot(2), open(7));
        assert_eq!((history.committed(), history.committed_command(Slot(2))), (Slot(2), Some(&open(2))));
        history.compact(Slot(1));
        assert_eq!((history.base(), history.committed(), history.entry(Slot(1))), (Slot(1), Slot(2), None));
        let held: Vec<_> = history.above(Slot(2)).map(|(slot, _)| slot.0).collect();
        assert_eq!(held, [3, 1_000_000_000_001]);
        history.commit_up_to(Slot(3));
        assert_eq!(history.committed(), Slot(3));
        history.compact(Slot(1_000_000_000_000));
        assert_eq!((history.committed(), history.entry(Slot(3))), (Slot(1_000_000_000_001), None));
    }

    #[test]
    fn votes_below_a_lost_snapshot_are_lost_again_up_to_a_slot() {
        let mut history = History::default();
        history.compact(Slot(3));
        history.lose(Slot(3), true);
        history.learn(Slot(1), open(1));
        history.vote(OLD, Slot(2), open(2));
        history.vote(OLD, Slot(3), open(3));
        history.lose(Slot(2), false);
        assert_eq!(history.above(Slot::NONE).map(|(slot, _)| slot.0).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn a_mark_below_what_is_committed_changes_nothing() {
        let mut history = History::default();
        history.learn(Slot(1), open(1));
        history.vote(OLD, Slot(2), open(2));
        let before = history.clone();
        history.commit_up_to(Slot(1));
        history.commit_up_to(Slot::NONE);
        assert_eq!(history, before);
    }

    #[test]
    fn a_compacted_slot_is_committed_and_has_no_value_and_takes_none() {
        let mut history = History::default();
        (1..=3).for_each(|slot| history.learn(Slot(slot), open(slot)));
        history.compact(Slot(2));
        let compacted = history.clone();
        history.vote(NEW, Slot(2), open(7));
        history.learn(Slot(1), open(8));
        history.commit_up_to(Slot(1));
        history.compact(Slot(1));
        assert_eq!(history, compacted);
        assert_eq!((history.base(), history.committed(), history.last()), (Slot(2), Slot(3), Slot(3)));
        assert!((1..=3).all(|slot| history.is_committed(Slot(slot))));
        let values: Vec<_> = (1..=3).map(|slot| history.committed_command(Slot(slot)).is_some()).collect();
        assert_eq!(values, [false, false, true]);
        assert_eq!(history.above(Slot::NONE).map(|(slot, _)| slot.0).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn compaction_keeps_votes_and_chosen_values_above_it_and_closes_gaps_below() {
        let mut history = History::default();
        history.vote(OLD, Slot(3), open(3));
        history.learn(Slot(5), open(5));
        history.learn(Slot(7), open(7));
        history.compact(Slot(4));
        assert_eq!((history.base(), history.committed(), history.last()), (Slot(4), Slot(5), Slot(7)));
        history.vote(NEW, Slot(6), open(6));
        history.commit_up_to(Slot(6));
        assert_eq!(history.committed(), Slot(7));
        history.compact(Slot(9));
        assert_eq!((history.committed(), history.last()), (Slot(9), Slot(9)));
        history.vote(NEW, Slot(10), open(10));
        assert_eq!(history.last(), Slot(10));
    }

    #[test]
    fn above_skips_gaps_and_starts_after_the_given_slot() {
        let mut history = History::default();
        [1, 2, 4].into_iter().for_each(|slot| history.vote(OLD, Slot(slot), open(slot)));
        let slots: Vec<_> = history.above(Slot(1)).map(|(slot, _)| slot.0).collect();
        assert_eq!(slots, [2, 4]);
        assert_eq!(history.above(Slot(u64::MAX)).count(), 0);
    }

    #[test]
    fn a_log_is_printed_as_what_each_slot_holds_and_in_which_view_it_was_voted_for() {
        let mut history = History::default();
        history.vote(OLD, Slot(1), open(7));
        history.learn(Slot(1), open(7));
        history.vote(NEW, Slot(3), open(8));
        let printed = alloc::format!("{history:?}");
        assert_eq!(printed, "{1: Open { nonce: 7 }!@1.0, 3: Open { nonce: 8 }?@2.1}");
    }
}
