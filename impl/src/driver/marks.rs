//! The leader's word of what is chosen, on its way out: it is said again with every vote that completes a quorum, and the
//! latest says all that the earlier ones did. So only the latest of a step leaves, as if those before had been lost.

use spec::{Message, ServerId, Slot, View};

use crate::payload::Payload;

/// The latest [`Message::Committed`] of each group and view for each server.
#[derive(Debug, Default)]
pub(super) struct Marks(Vec<Mark>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mark {
    group: u16,
    to: ServerId,
    view: View,
    up_to: Slot,
}

impl Marks {
    /// Keeps a mark until [`Marks::drain`], in the place of an earlier one.
    pub(super) fn note(&mut self, group: u16, to: ServerId, view: View, up_to: Slot) {
        let mark = Mark { group, to, view, up_to };
        match self.0.iter_mut().find(|kept| (kept.group, kept.to, kept.view) == (group, to, view)) {
            Some(kept) => kept.up_to = kept.up_to.max(up_to),
            None => self.0.push(mark),
        }
    }

    /// What is to be sent, to whom.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (u16, ServerId, Message<Payload>)> + '_ {
        let message = |Mark { group, to, view, up_to }| (group, to, Message::Committed { view, up_to });
        self.0.drain(..).map(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_mark_of_a_view_stands_for_the_earlier_ones_and_for_no_other_views() {
        let (old, new) = (View::new(1, ServerId(0)), View::new(2, ServerId(0)));
        let mut marks = Marks::default();
        for (group, to, view, up_to) in
            [(0, 1, old, 3), (0, 2, old, 3), (0, 1, old, 5), (1, 1, old, 4), (0, 1, new, 6)]
        {
            marks.note(group, ServerId(to), view, Slot(up_to));
        }
        marks.note(0, ServerId(1), old, Slot(4));
        let message = |view, up_to| Message::Committed { view, up_to: Slot(up_to) };
        let expected = [
            (0, ServerId(1), message(old, 5)),
            (0, ServerId(2), message(old, 3)),
            (1, ServerId(1), message(old, 4)),
            (0, ServerId(1), message(new, 6)),
        ];
        assert_eq!(marks.drain().collect::<Vec<_>>(), expected);
        assert_eq!(marks.drain().count(), 0);
    }
}
