//! The leader's word of what is chosen, on its way out: it is said again with every vote that completes a quorum, and the
//! latest says all that the earlier ones did. So only the latest leaves, as if those before had been lost, and it waits a
//! moment for a datagram that leaves anyway. It does not wait for a server that forwards requests: that one answers them when
//! it knows what is chosen. For the others no client waits, only their own state.

use std::collections::BTreeMap;

use spec::{LocalTime, Message, ServerId, Slot, Span, View};

use crate::clock::millis;
use crate::payload::Payload;

/// How long a mark waits for company.
const WAIT_MAX: Span = millis(2);

/// A server that has forwarded a request is told at once for so long.
const ASKED_FOR: Span = millis(1_000);

/// The latest [`Message::Committed`] of each group and view for each server.
#[derive(Debug, Default)]
pub(super) struct Marks {
    kept: Vec<Mark>,
    /// When each server last forwarded a request.
    forwarded: BTreeMap<ServerId, LocalTime>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mark {
    group: u16,
    to: ServerId,
    view: View,
    up_to: Slot,
    due: LocalTime,
}

impl Marks {
    /// Keeps a mark until it is taken, in the place of an earlier one.
    pub(super) fn note(&mut self, group: u16, to: ServerId, view: View, up_to: Slot, now: LocalTime) {
        let is_waited_for = self.forwarded.get(&to).is_some_and(|&at| now - at < ASKED_FOR);
        let due = if is_waited_for { now } else { now + WAIT_MAX };
        let mark = Mark { group, to, view, up_to, due };
        match self.kept.iter_mut().find(|kept| (kept.group, kept.to, kept.view) == (group, to, view)) {
            Some(kept) => (kept.up_to, kept.due) = (kept.up_to.max(up_to), kept.due.min(due)),
            None => self.kept.push(mark),
        }
    }

    /// A server has forwarded a request, and waits for what becomes of it.
    pub(super) fn note_forward(&mut self, from: ServerId, now: LocalTime) {
        self.forwarded.insert(from, now);
    }

    /// When one has waited for long enough.
    pub(super) fn next(&self) -> Option<LocalTime> {
        self.kept.iter().map(|mark| mark.due).min()
    }

    /// Takes one that has, or for whose server a datagram is about to leave.
    pub(super) fn take(
        &mut self,
        now: LocalTime,
        has_company: impl Fn(ServerId) -> bool,
    ) -> Option<(u16, ServerId, Message<Payload>)> {
        let at = self.kept.iter().position(|mark| mark.due <= now || has_company(mark.to))?;
        let Mark { group, to, view, up_to, .. } = self.kept.swap_remove(at);
        Some((group, to, Message::Committed { view, up_to }))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: View = View::new(1, ServerId(0));
    const NEW: View = View::new(2, ServerId(0));

    fn message(view: View, up_to: u64) -> Message<Payload> {
        Message::Committed { view, up_to: Slot(up_to) }
    }

    #[test]
    fn the_latest_mark_of_a_view_stands_for_the_earlier_ones_and_for_no_other_views() {
        let mut marks = Marks::default();
        let noted =
            [(0, 1, OLD, 3), (0, 2, OLD, 3), (0, 1, OLD, 5), (1, 1, OLD, 4), (0, 1, NEW, 6), (0, 1, OLD, 4)];
        for (group, to, view, up_to) in noted {
            marks.note(group, ServerId(to), view, Slot(up_to), LocalTime(0));
        }
        let mut taken: Vec<_> =
            std::iter::from_fn(|| marks.take(LocalTime(0) + WAIT_MAX, |_| false)).collect();
        taken.sort_by_key(|(group, to, message)| (*group, *to, format!("{message:?}")));
        let expected = [
            (0, ServerId(1), message(OLD, 5)),
            (0, ServerId(1), message(NEW, 6)),
            (0, ServerId(2), message(OLD, 3)),
            (1, ServerId(1), message(OLD, 4)),
        ];
        assert_eq!(taken, expected);
        assert!(marks.is_empty());
    }

    #[test]
    fn a_mark_waits_for_company_and_not_for_long() {
        let mut marks = Marks::default();
        marks.note(0, ServerId(1), OLD, Slot(1), LocalTime(0));
        marks.note(0, ServerId(2), OLD, Slot(1), LocalTime(0));
        assert_eq!(marks.take(LocalTime(1), |to| to == ServerId(2)), Some((0, ServerId(2), message(OLD, 1))));
        assert_eq!(marks.take(LocalTime(1), |to| to == ServerId(2)), None);
        marks.note(0, ServerId(1), OLD, Slot(2), LocalTime(1));
        let due = LocalTime(0) + WAIT_MAX;
        assert_eq!(marks.next(), Some(due), "a later mark does not begin the wait again");
        assert_eq!(marks.take(due, |_| false), Some((0, ServerId(1), message(OLD, 2))));
        assert_eq!(marks.next(), None);
    }

    #[test]
    fn a_server_that_forwards_requests_is_told_at_once_for_a_while() {
        let mut marks = Marks::default();
        marks.note_forward(ServerId(1), LocalTime(0));
        marks.note(0, ServerId(1), OLD, Slot(1), LocalTime(1));
        marks.note(0, ServerId(2), OLD, Slot(1), LocalTime(1));
        assert_eq!(marks.take(LocalTime(1), |_| false), Some((0, ServerId(1), message(OLD, 1))));
        assert_eq!(marks.take(LocalTime(1), |_| false), None);
        let mut marks = Marks { kept: Vec::new(), ..marks };
        let later = LocalTime(0) + ASKED_FOR;
        marks.note(0, ServerId(1), OLD, Slot(2), later);
        assert_eq!(marks.next(), Some(later + WAIT_MAX));
    }
}
