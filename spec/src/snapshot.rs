//! Snapshots of the state machine: forgetting the log behind one's own, and catching up by another server's
//! where the log that would do is forgotten. Reconciliation in the thesis (4.3.5) sends values only, so no
//! server could ever forget one.
//!
//! The content of a snapshot is the caller's business, and so is its way from server to server, in whatever
//! pieces. The handlers say where there is one ([`Message::SnapshotOffer`]) and who needs it ([`Effect::Fetch`]).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::command::Value;
use crate::effect::{Effect, Effects};
use crate::history::Slot;
use crate::message::Message;
use crate::record::Record;
use crate::replica::{Replica, Role};
use crate::rules::{Departure, Rules};
use crate::session::Sessions;
use crate::time::LocalTime;
use crate::view::ServerId;

/// What the protocol must know of a snapshot of the state machine. The caller keeps it with the snapshot's
/// content: the state, and the result that it keeps of each session.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last slot whose effect is in the snapshot, with that of every slot below.
    pub slot: Slot,
    /// The sessions as of that slot. Without them an update that the snapshot holds would be applied again
    /// when its client repeats it.
    pub sessions: Sessions,
}

impl<V: Value, R: Rules> Replica<V, R> {
    /// What belongs to a snapshot of the state machine as it is once every [`Effect::Apply`] listed so far is
    /// carried out.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { slot: self.applied, sessions: self.sessions.clone() }
    }

    /// The caller holds a snapshot durably. The log up to it is forgotten; if this server has applied less,
    /// [`Effect::Restore`] asks the caller to put the snapshot in the state machine's place.
    ///
    /// It is one of this server's own, from [`Replica::snapshot`], now or some slots ago; or another server's,
    /// fetched because [`Effect::Fetch`] asked for it, however long ago. It may come late or again: one that
    /// covers no more than an earlier one changes nothing. The caller keeps the former snapshot until the
    /// record of this one is durable, for a crash before that starts from the former one.
    pub fn install(&mut self, snapshot: Snapshot, now: LocalTime, effects: &mut Effects<V>) {
        let slot = snapshot.slot;
        if slot <= self.durable.history.base() {
            return;
        }
        if slot <= self.applied {
            self.persist(Record::Snapshot(snapshot), effects);
            return;
        }
        let refuted = self.is_refuted_by_snapshot(slot);
        self.applied = slot;
        self.sessions = snapshot.sessions.clone();
        self.persist(Record::Snapshot(snapshot), effects);
        effects.push(Effect::Restore(slot));
        self.answer_from_sessions(effects);
        match &mut self.role {
            Role::Leading(_) if refuted => self.leave_for_snapshot(now, effects),
            Role::Leading(leading) => leading.drop_requests(slot),
            Role::Follower | Role::Preparing(_) => {}
        }
        self.settle(now, effects);
    }

    /// Whether a snapshot up to `last` covers a slot where this leader has proposed a value and does not know
    /// which one was chosen.
    fn is_refuted_by_snapshot(&self, last: Slot) -> bool {
        let Role::Leading(leading) = &self.role else { return false };
        leading.proposals.range(..=last).any(|(&slot, proposal)| {
            let known = proposal.chosen || self.durable.history.is_committed(slot);
            self.rules.refutes(Some(&proposal.command), known.then_some(&proposal.command))
        })
    }

    /// Leaves a view whose word 'chosen up to here' can no longer be trusted. Unlike a leader that learnt
    /// another value it may well be the only leader, so with a lease it goes on in a higher view, at once.
    fn leave_for_snapshot(&mut self, now: LocalTime, effects: &mut Effects<V>) {
        match self.rules.departure(self.holds_lease(now), false) {
            Departure::PrepareHigher => self.prepare(self.next_view(), false, effects),
            Departure::StepDown | Departure::Stay => self.step_down(effects),
        }
    }

    /// Answers the clients whose updates turn out to be in a snapshot.
    fn answer_from_sessions(&mut self, effects: &mut Effects<V>) {
        let answered = |&request: &_| Some((request, self.answered(request)?));
        let answers: Vec<_> = self.waiting.keys().filter_map(answered).collect();
        for (request, outcome) in answers {
            self.waiting.remove(&request);
            effects.answer(request, outcome);
        }
    }

    /// The answer to a question about a slot that is compacted here.
    pub(crate) fn offer_snapshot(&self, to: ServerId, effects: &mut Effects<V>) {
        let slot = self.durable.history.base();
        effects.send_at_once(to, Message::SnapshotOffer { slot }); // The snapshot is durable already.
    }

    /// Another server has a snapshot instead of the values that were asked for.
    pub(crate) fn on_snapshot_offer(&self, from: ServerId, slot: Slot, effects: &mut Effects<V>) {
        if slot > self.durable.history.committed() {
            effects.push(Effect::Fetch { from, slot });
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::command::{Command, SessionId, Update};
    use crate::config::Config;
    use crate::effect::Timer;
    use crate::record::Durable;
    use crate::rules::Paxos;
    use crate::time::Span;
    use crate::view::View;

    const ME: ServerId = ServerId(0);
    const OTHER: ServerId = ServerId(1);
    const VIEW: View = View::new(1, ME);
    const NOW: LocalTime = LocalTime(0);

    /// Server 0 of 3, leading view 1.0 and lacking slot 1, which the other server has committed.
    fn lagging_leader(effects: &mut Effects<u8>) -> Replica<u8> {
        let config = Config::new(ME, 3, Span::ZERO);
        let mut replica = Replica::recover(config, Paxos, Durable::default(), NOW, effects).unwrap();
        replica.timeout(Timer::Election, NOW, effects);
        for (from, committed) in [(ME, Slot::NONE), (OTHER, Slot(1))] {
            let promise = Message::Promise { view: VIEW, committed, reports: vec![] };
            replica.receive(from, promise, NOW, effects);
        }
        replica
    }

    /// A snapshot of a state machine that no client of an open session has changed.
    fn empty(slot: u64) -> Snapshot {
        Snapshot { slot: Slot(slot), sessions: Sessions::default() }
    }

    fn commit(slot: u64, nonce: u64) -> Message<u8> {
        Message::Commit { first: Slot(slot), commands: vec![Command::Open { nonce }] }
    }

    fn proposals(effects: &mut Effects<u8>) -> Vec<Slot> {
        let proposed = |effect| match effect {
            Effect::Send { to: ME, message: Message::Propose { slot, .. }, .. } => Some(slot),
            _ => None,
        };
        effects.drain().filter_map(proposed).collect()
    }

    // The gap at slot 1 keeps it from committing slot 2, which is chosen with its own value; somebody else did.
    #[test]
    fn a_leader_whose_own_value_was_chosen_stays_and_takes_the_request_again() {
        let effects = &mut Effects::new();
        let mut replica = lagging_leader(effects);
        let update = Command::Update(Update { session: SessionId(Slot(1)), sequence: 1, value: 5 });
        replica.submit(update.clone(), effects);
        for from in [ME, OTHER] {
            replica.receive(from, Message::Accept { view: VIEW, slot: Slot(2) }, NOW, effects);
        }
        assert_eq!(proposals(effects), [Slot(2)]);
        // The update's session was evicted: it was not applied, and only deciding it once more can tell the client.
        replica.install(empty(2), NOW, effects);
        replica.receive(OTHER, Message::Forward(update), NOW, effects);
        assert_eq!(proposals(effects), [Slot(3)]);
    }

    #[test]
    fn a_leader_that_does_not_know_whether_its_value_was_chosen_leaves() {
        let effects = &mut Effects::new();
        let mut replica = lagging_leader(effects);
        replica.submit(Command::Open { nonce: 7 }, effects);
        replica.install(empty(1), NOW, effects);
        assert!(matches!(replica.role(), Role::Leading(_)), "slot 2 is not covered");
        replica.install(empty(2), NOW, effects);
        assert!(matches!(replica.role(), Role::Follower));
    }

    #[test]
    fn a_leader_that_learnt_its_own_value_ahead_of_the_gap_stays() {
        let effects = &mut Effects::new();
        let mut replica = lagging_leader(effects);
        replica.submit(Command::Open { nonce: 7 }, effects);
        replica.receive(OTHER, commit(2, 7), NOW, effects);
        replica.install(empty(2), NOW, effects);
        assert!(matches!(replica.role(), Role::Leading(_)));
    }

    #[test]
    fn what_was_learnt_above_a_snapshot_is_applied_once_it_is_there() {
        let effects = &mut Effects::new();
        let mut replica = lagging_leader(effects);
        replica.receive(OTHER, commit(2, 7), NOW, effects);
        assert_eq!(replica.applied(), Slot::NONE);
        replica.install(empty(1), NOW, effects);
        assert_eq!(replica.applied(), Slot(2));
        assert_eq!(replica.sessions().last(SessionId(Slot(2))), Some(0));
    }

    #[test]
    fn the_same_snapshot_again_changes_nothing() {
        let effects = &mut Effects::new();
        let mut replica = lagging_leader(effects);
        replica.install(empty(3), NOW, effects);
        _ = effects.drain();
        replica.install(empty(3), NOW, effects);
        assert!(effects.is_empty());
    }

    #[test]
    fn a_client_that_is_answered_from_a_snapshot_waits_no_longer() {
        let effects = &mut Effects::new();
        let mut replica = lagging_leader(effects);
        let session = SessionId(Slot(1));
        replica.submit(Command::Update(Update { session, sequence: 1, value: 5 }), effects);
        let mut sessions = Sessions::default();
        sessions.open(Slot(1), 1);
        sessions.applied(session, 1, Slot(2));
        replica.install(Snapshot { slot: Slot(2), sessions }, NOW, effects);
        assert_eq!(replica.waiting().count(), 0);
    }

    #[test]
    fn a_question_is_answered_by_values_above_the_snapshot_and_by_an_offer_below() {
        let effects = &mut Effects::new();
        let mut replica = lagging_leader(effects);
        let mut answer = |replica: &mut Replica<u8>, first| {
            _ = effects.drain();
            replica.receive(OTHER, Message::CatchUp { first: Slot(first) }, NOW, effects);
            effects.as_slice().to_vec()
        };
        let sends = |message| [Effect::Send { to: OTHER, message, when: crate::effect::When::AtOnce }];
        replica.receive(OTHER, commit(1, 7), NOW, &mut Effects::new());
        // Nobody asks for slot 0, which holds nothing; a peer that did would not be sent an empty snapshot.
        assert_eq!(answer(&mut replica, 0), sends(commit(1, 7)));
        replica.install(empty(1), NOW, &mut Effects::new());
        replica.receive(OTHER, commit(2, 8), NOW, &mut Effects::new());
        assert_eq!(answer(&mut replica, 1), sends(Message::SnapshotOffer { slot: Slot(1) }));
        assert_eq!(answer(&mut replica, 2), sends(commit(2, 8)));
    }

    #[test]
    fn an_offer_is_of_use_only_above_what_is_committed() {
        let effects = &mut Effects::new();
        let mut replica = lagging_leader(effects);
        replica.install(empty(3), NOW, effects);
        _ = effects.drain();
        replica.receive(OTHER, Message::SnapshotOffer { slot: Slot(3) }, NOW, effects);
        assert!(effects.is_empty());
        replica.receive(OTHER, Message::SnapshotOffer { slot: Slot(4) }, NOW, effects);
        assert_eq!(effects.as_slice(), [Effect::Fetch { from: OTHER, slot: Slot(4) }]);
    }
}
