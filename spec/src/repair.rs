//! A disk that is damaged in part: how a server that knows what it promised and not all that it voted for takes part
//! again. The thesis has no such thing.
//!
//! Its caller says up to which slot votes may be missing ([`Record::Lacks`](crate::Record::Lacks)). The server takes no part
//! before it knows what is chosen in each slot up to there ([`Rules::has_repaired`]): of such a slot its vote is no longer
//! needed. It asks *every* other server in turn, for it may be that only one knows a value, which need not be the leader
//! nor take part itself; and each passes on what it knows as chosen, as values or as a snapshot. A leader fills the slots
//! up to there where nothing is proposed ([`Recovery::Lack`]), or the server would wait for the next updates.
//!
//! So servers whose disks are damaged in different places repair one another, as long as each value has one server that knows
//! it as chosen, or a quorum that can still choose. If neither, they wait, and nothing wrong is ever said.

use crate::command::Value;
use crate::effect::{Effects, Timer};
use crate::history::Slot;
use crate::message::Message;
use crate::recovery::Recovery;
use crate::replica::Replica;
use crate::rules::Rules;
use crate::time::Span;
use crate::view::ServerId;

/// A server that lacks what its disk lost. All of it is volatile: after a crash it asks again.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Repairing {
    /// Whom it asks next.
    pub next: ServerId,
}

impl<V: Value, R: Rules> Replica<V, R> {
    /// Whom it asks for what its disk lost, if that keeps it from taking part.
    pub fn repairing(&self) -> Option<&Repairing> {
        self.repairing.as_ref()
    }

    /// Waits for a leader, or first for what is needed to take part.
    pub(crate) fn await_part(&mut self, effects: &mut Effects<V>) {
        match self.others().next() {
            Some(next) if !self.takes_part() => {
                self.repairing = Some(Repairing { next });
                self.ask_for_lost(effects);
            }
            _ => self.arm_election(effects),
        }
    }

    /// Asks the next server for what is chosen, and another one if that takes too long.
    pub(crate) fn ask_for_lost(&mut self, effects: &mut Effects<V>) {
        let Some(Repairing { next: to }) = self.repairing else { return };
        let lack =
            Recovery::Lack { first: self.durable.history.committed().next(), up_to: self.durable.lacks };
        effects.send_at_once(to, Message::Recovery(lack)); // A question promises nothing.
        let after = self.others().find(|&server| server > to).or_else(|| self.others().next());
        self.repairing = after.map(|next| Repairing { next });
        effects.arm(Timer::Retry, self.config.retry_interval, Span::ZERO);
    }

    /// The server that is asked: what it knows as chosen, whether it takes part itself or not.
    pub(crate) fn on_lack(&mut self, from: ServerId, first: Slot, up_to: Slot, effects: &mut Effects<V>) {
        self.on_catch_up(from, first, effects);
        self.fill_up_to(up_to, effects);
    }

    /// What was lost may have arrived.
    pub(crate) fn end_repair(&mut self, effects: &mut Effects<V>) {
        if self.repairing.is_some() && self.takes_part() {
            self.repairing = None;
            self.arm_election(effects);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::effect::Effect;
    use crate::record::{Durable, Record};
    use crate::replica::Role;
    use crate::session::Sessions;
    use crate::snapshot::Snapshot;
    use crate::testing::{
        ME, MINE, NOW, OTHER, THIRD, at_once, commit, fire, give, leader, open, promise, sent, start_from,
        three, with_leases,
    };
    use crate::time::LocalTime;
    use crate::view::View;

    const VIEW: View = View::new(3, THIRD);

    fn vote(slot: u64) -> Record<u8> {
        Record::Vote { view: VIEW, slot: Slot(slot), command: open(slot) }
    }

    fn lack(first: u64, up_to: u64) -> Message<u8> {
        Message::Recovery(Recovery::Lack { first: Slot(first), up_to: Slot(up_to) })
    }

    /// A server that knows slot 1 and has lost what it voted for in slots 2 and 3.
    fn damaged() -> Replica<u8> {
        let lacks = Record::Lacks { up_to: Slot(3), snapshot: false };
        let records = [vote(1), Record::Committed(Slot(1)), vote(2), lacks, vote(4)];
        start_from(with_leases(), Durable::from_iter(records))
    }

    #[test]
    fn a_server_that_lacks_votes_promises_votes_grants_tells_and_stands_for_nothing() {
        let mut replica = damaged();
        let before = replica.clone();
        let (view, committed) = (View::new(4, OTHER), Slot(1));
        let tell = Recovery::Tell { incarnation: 0, first: Slot(1) };
        let asks = [
            Message::Prepare { view, committed },
            Message::Propose { view, slot: Slot(5), command: open(1) },
            Message::Renew { view, round: 1, term: Span(8), committed },
            Message::Recovery(tell),
        ];
        for message in asks {
            assert_eq!(give(&mut replica, OTHER, message), []);
        }
        assert_eq!(fire(&mut replica, Timer::Election, NOW), []);
        assert_eq!(give(&mut replica, OTHER, promise(MINE)), []);
        assert_eq!(replica, before);
    }

    #[test]
    fn it_asks_every_other_server_in_turn() {
        let mut replica = damaged();
        let asked: Vec<_> = (0..3).flat_map(|_| sent(&fire(&mut replica, Timer::Retry, NOW))).collect();
        assert_eq!(
            asked,
            [(THIRD, lack(2, 3)), (OTHER, lack(2, 3)), (THIRD, lack(2, 3))],
            "the first at its start"
        );
    }

    #[test]
    fn it_takes_part_once_it_knows_every_slot_that_it_may_have_lost_a_vote_for() {
        let mut replica = damaged();
        give(&mut replica, OTHER, commit(3, [open(8)]));
        assert!(replica.repairing().is_some(), "slot 2 is missing");
        let effects = give(&mut replica, THIRD, commit(2, [open(7)]));
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Arm { timer: Timer::Election, .. })));
        assert_eq!((replica.repairing(), replica.applied()), (None, Slot(3)));
        let prepare = Message::Prepare { view: View::new(4, OTHER), committed: Slot(3) };
        let promise = sent(&crate::testing::give_at(&mut replica, OTHER, prepare, LocalTime(100)));
        let [(OTHER, Message::Promise { committed: Slot(3), reports, .. })] = &promise[..] else {
            panic!("{promise:?}")
        };
        assert_eq!(reports.iter().map(|report| report.slot.0).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn it_passes_on_what_it_knows_as_chosen_and_the_snapshot_that_it_still_has() {
        let mut replica = damaged();
        let answer = give(&mut replica, OTHER, lack(1, 9));
        assert_eq!(answer, [at_once(OTHER, commit(1, [open(1)]))]);
        let snapshot = Snapshot { slot: Slot(1), sessions: Sessions::default() };
        replica.install(snapshot, NOW, &mut Effects::new());
        let answer = give(&mut replica, OTHER, lack(1, 9));
        assert_eq!(answer, [at_once(OTHER, Message::SnapshotOffer { slot: Slot(1) })]);
    }

    #[test]
    fn a_leader_fills_the_slots_that_another_waits_for_and_no_others() {
        let mut replica = leader(three());
        replica.submit(open(1), &mut Effects::new());
        let proposed = |replica: &Replica<u8>| {
            let Role::Leading(leading) = replica.role() else { panic!("it does not lead") };
            leading.proposals.values().map(|proposal| proposal.command.clone()).collect::<Vec<_>>()
        };
        give(&mut replica, OTHER, lack(1, 3));
        give(&mut replica, OTHER, lack(1, 3));
        let no_op = crate::Command::NoOp;
        assert_eq!(proposed(&replica), [open(1), no_op.clone(), no_op]);
        replica.submit(open(2), &mut Effects::new());
        assert_eq!(proposed(&replica).len(), 4);
        let mut narrow = leader(crate::Config { window: 2, ..three() });
        give(&mut narrow, OTHER, lack(1, u64::MAX));
        assert_eq!(proposed(&narrow).len(), 2, "the window is full");
    }

    #[test]
    fn a_lost_snapshot_is_replaced_by_another_servers_and_the_values_above_it() {
        let own = Record::Snapshot(Snapshot { slot: Slot(3), sessions: Sessions::default() });
        let lacks = Record::Lacks { up_to: Slot(3), snapshot: true };
        let mut replica = start_from(three(), Durable::from_iter([own, vote(4), lacks]));
        assert_eq!(replica.applied(), Slot::NONE);
        let offer = give(&mut replica, OTHER, Message::SnapshotOffer { slot: Slot(2) });
        assert_eq!(offer, [Effect::Fetch { from: OTHER, slot: Slot(2) }]);
        let theirs = Snapshot { slot: Slot(2), sessions: Sessions::default() };
        replica.install(theirs, NOW, &mut Effects::new());
        assert!(replica.repairing().is_some());
        assert_eq!(sent(&fire(&mut replica, Timer::Retry, NOW)), [(THIRD, lack(3, 3))]);
        give(&mut replica, OTHER, commit(3, [open(3)]));
        assert_eq!((replica.repairing(), replica.applied()), (None, Slot(3)));
        assert_eq!(replica.config().me, ME);
    }
}
