//! What clients are told of the log: the values that were learnt, slot by slot, and which of them changed the
//! state machine.

use std::collections::VecDeque;

use spec::{History, Slot};

use crate::payload::Payload;
use crate::wire::{Answer, Event};

/// About how many bytes of values one answer carries; a single value always fits.
const ANSWER_BYTES: usize = 48 * 1024;
/// How many slots one answer tells of at most.
const ANSWER_SLOTS_MAX: usize = 1024;

/// For each slot above the base of the log, whether its command was applied: one byte a slot, beside a command.
#[derive(Debug, Default)]
pub(super) struct Applied {
    base: Slot,
    /// Of slot base + 1, base + 2, ….
    slots: VecDeque<bool>,
}

impl Applied {
    /// The last slot that was looked at.
    pub(super) fn up_to(&self) -> Slot {
        Slot(self.base.0 + self.slots.len() as u64)
    }

    /// The command of `slot` was applied; those between it and the one noted last were not.
    pub(super) fn note(&mut self, slot: Slot) {
        if slot > self.up_to() {
            self.pass(Slot(slot.0 - 1));
            self.slots.push_back(true);
        }
    }

    /// All slots up to `up_to` have been looked at, and those up to `base` are no longer in the log.
    pub(super) fn advance(&mut self, base: Slot, up_to: Slot) {
        if base >= self.up_to() {
            (self.base, self.slots) = (base, VecDeque::new()); // A snapshot stands for all of them.
        }
        self.pass(up_to);
        while self.base < base && self.slots.pop_front().is_some() {
            self.base.0 += 1;
        }
        self.base = self.base.max(base);
    }

    fn pass(&mut self, up_to: Slot) {
        let more = up_to.0.saturating_sub(self.up_to().0);
        self.slots.extend(std::iter::repeat_n(false, usize::try_from(more).unwrap_or(usize::MAX)));
    }

    /// What was learnt from `first` on, as much as one answer carries.
    pub(super) fn since(&self, first: Slot, history: &History<Payload>) -> Answer {
        let first = first.max(Slot(1));
        if first <= self.base {
            return Answer::Compacted(Slot(self.base.0 + 1));
        }
        let (mut events, mut bytes) = (Vec::new(), 0);
        let begin = usize::try_from(first.0 - self.base.0 - 1).unwrap_or(usize::MAX);
        for (slot, &applied) in (first.0..).map(Slot).zip(self.slots.iter().skip(begin)) {
            let Some(command) = history.committed_command(slot) else { break };
            bytes += command.size_bytes();
            if !events.is_empty() && (bytes > ANSWER_BYTES || events.len() == ANSWER_SLOTS_MAX) {
                break;
            }
            events.push(Event { slot, command: command.clone(), applied });
        }
        Answer::Since(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_between_two_updates_were_not_applied_and_trimmed_ones_are_forgotten() {
        let mut applied = Applied::default();
        applied.note(Slot(3));
        applied.advance(Slot::NONE, Slot(5));
        assert_eq!(applied.slots, [false, false, true, false, false]);
        applied.advance(Slot(2), Slot(5));
        assert_eq!((applied.base, applied.up_to()), (Slot(2), Slot(5)));
        assert_eq!(applied.slots, [true, false, false]);
    }

    #[test]
    fn what_is_no_longer_in_the_log_is_refused_with_where_it_begins() {
        let mut applied = Applied::default();
        applied.advance(Slot(7), Slot(9));
        assert_eq!(applied.since(Slot(7), &History::default()), Answer::Compacted(Slot(8)));
        assert_eq!(applied.since(Slot(10), &History::default()), Answer::Since(Vec::new()));
    }
}
