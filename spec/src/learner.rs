//! Learning chosen values, applying them in order, and reconciliation (Figure 5.6, Commit; 4.3.5).

use alloc::vec::Vec;

use crate::command::{Command, Outcome, SessionId, Update, Value};
use crate::effect::{Effect, Effects};
use crate::history::Slot;
use crate::message::Message;
use crate::record::Record;
use crate::replica::{Replica, Role};
use crate::rules::{Admission, Rules};
use crate::time::LocalTime;
use crate::view::{ServerId, View};

impl<V: Value, R: Rules> Replica<V, R> {
    /// Figure 5.6, acceptor: upon receiving Commit; also the reply to a CatchUp.
    pub(crate) fn on_commit(
        &mut self,
        from: ServerId,
        first: Slot,
        commands: Vec<Command<V>>,
        now: LocalTime,
        effects: &mut Effects<V>,
    ) {
        let full = commands.len() > 1;
        let before = self.durable.history.committed();
        for (slot, command) in (first.0..).map(Slot).zip(commands) {
            self.learn(slot, command, effects);
        }
        self.settle(now, effects);
        let after = self.durable.history.committed();
        if full && after > before {
            effects.send_at_once(from, Message::CatchUp { first: after.next() }); // A question promises nothing.
        }
    }

    /// Notes one chosen value that came with its slot.
    pub(crate) fn learn(&mut self, slot: Slot, command: Command<V>, effects: &mut Effects<V>) {
        if self.durable.history.is_committed(slot) {
            return;
        }
        if self.is_refuted(slot, &command) {
            self.step_down(effects);
        }
        self.persist(Record::Learnt { slot, command }, effects);
    }

    /// Whether one of the values that it holds and is about to mark as chosen refutes it.
    fn is_refuted_up_to(&self, last: Slot) -> bool {
        let history = &self.durable.history;
        let mut marked = history.above(history.committed()).take_while(|&(slot, _)| slot <= last);
        marked.any(|(slot, entry)| self.is_refuted(slot, &entry.command))
    }

    /// Whether this server leads and has proposed something else for the slot than was chosen.
    fn is_refuted(&self, slot: Slot, learnt: &Command<V>) -> bool {
        let Role::Leading(leading) = &self.role else { return false };
        self.rules.refutes(leading.proposals.get(&slot).map(|proposal| &proposal.command), Some(learnt))
    }

    /// The leader of `view` says that every slot up to `up_to` is chosen.
    pub(crate) fn learn_marked(&mut self, view: View, up_to: Slot, now: LocalTime, effects: &mut Effects<V>) {
        let history = &self.durable.history;
        let before = history.committed();
        let learnt = history
            .above(before)
            .zip(before.0 + 1..)
            .take_while(|&((slot, entry), expected)| {
                slot.0 == expected
                    && slot <= up_to
                    && (entry.committed || self.rules.may_learn(entry.view, view))
            })
            .map(|((slot, _), _)| slot)
            .last();
        if let Some(slot) = learnt {
            if self.is_refuted_up_to(slot) {
                self.step_down(effects);
            }
            self.persist(Record::Committed(slot), effects);
            self.settle(now, effects);
        }
    }

    /// Asks a server that has committed more for what is missing here (4.3.5).
    pub(crate) fn reconcile(&mut self, from: ServerId, committed: Slot, effects: &mut Effects<V>) {
        let own = self.durable.history.committed();
        if committed > own && from != self.config.me {
            effects.send_at_once(from, Message::CatchUp { first: own.next() }); // A question promises nothing.
        }
    }

    /// Reconciliation, the server that is asked: as many chosen values as fit, or a snapshot that stands for them.
    pub(crate) fn on_catch_up(&mut self, from: ServerId, first: Slot, effects: &mut Effects<V>) {
        let history = &self.durable.history;
        let first = first.max(Slot(1));
        if first <= history.base() {
            self.offer_snapshot(from, effects);
            return;
        }
        let mut room = self.config.window_bytes;
        let commands: Vec<_> = (first.0..=history.last().0)
            .take(self.config.catch_up_max)
            .map_while(|slot| history.entry(Slot(slot)).filter(|held| self.rules.may_pass_on(held.committed)))
            .map(|held| &held.command)
            .take_while(|command| {
                let fits = room > 0;
                room = room.saturating_sub(command.size_bytes());
                fits
            })
            .cloned()
            .collect();
        if !commands.is_empty() {
            // At once: what is chosen is chosen, whatever this server has written.
            effects.send_at_once(from, Message::Commit { first, commands });
        }
    }

    /// Hands committed slots to the state machine, in order and without gaps.
    pub(crate) fn apply_committed(&mut self, effects: &mut Effects<V>) {
        while let Some((slot, command)) = self.next_to_apply() {
            self.applied = slot;
            self.apply(slot, command, effects);
        }
    }

    fn next_to_apply(&self) -> Option<(Slot, Command<V>)> {
        let (slot, held) = self.durable.history.above(self.applied).next()?;
        let ready = held.committed && self.rules.may_apply(self.applied, slot);
        ready.then(|| (slot, held.command.clone()))
    }

    fn apply(&mut self, slot: Slot, command: Command<V>, effects: &mut Effects<V>) {
        let request = command.request();
        let outcome = match command {
            Command::NoOp => return,
            Command::Open { .. } => {
                let evicted = self.sessions.open(slot, self.config.sessions_max);
                evicted.into_iter().for_each(|session| effects.push(Effect::Evict(session)));
                Outcome::Opened(SessionId(slot))
            }
            Command::Update(update) => self.apply_update(slot, update, effects),
        };
        if let (Role::Leading(leading), Some(request)) = (&mut self.role, &request) {
            leading.in_hand.remove(request);
        }
        if let Some(request) = request.filter(|request| self.waiting.remove(request).is_some()) {
            effects.answer(request, outcome);
        }
    }

    fn apply_update(&mut self, slot: Slot, update: Update<V>, effects: &mut Effects<V>) -> Outcome {
        let Update { session, sequence, value } = update;
        match self.rules.admit(self.sessions.last(session), sequence) {
            Admission::Fresh => {
                self.sessions.applied(session, sequence, slot);
                effects.push(Effect::Apply { slot, session, sequence, value });
                Outcome::Applied
            }
            Admission::Repeat => Outcome::Applied,
            Admission::Stale => Outcome::Stale,
            Admission::Unknown => Outcome::NoSession,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::testing::{OTHER, THIRD, at_once, commit, give, open, sent, start, three};

    #[test]
    fn a_server_asks_on_after_a_list_of_values_and_not_after_a_single_one() {
        let mut replica = start(three());
        let effects = give(&mut replica, OTHER, commit(1, [open(1)]));
        assert_eq!(sent(&effects), []);
        let effects = give(&mut replica, OTHER, commit(2, [open(2), open(3)]));
        assert_eq!(effects.last(), Some(&at_once(OTHER, Message::CatchUp { first: Slot(4) })));
        let effects = give(&mut replica, OTHER, commit(2, [open(2), open(3)]));
        assert_eq!(sent(&effects), [], "it learnt nothing");
    }

    /// How many of four values of 24 bytes are sent to one that lacks all.
    fn passed_on(window_bytes: usize) -> usize {
        let mut replica = start(Config { window_bytes, ..three() });
        give(&mut replica, OTHER, commit(1, (1..=4).map(open)));
        match &sent(&give(&mut replica, OTHER, Message::CatchUp { first: Slot(1) }))[..] {
            [(OTHER, Message::Commit { first: Slot(1), commands })] => commands.len(),
            other => panic!("no answer: {other:?}"),
        }
    }

    #[test]
    fn a_question_is_answered_with_values_until_the_message_is_full() {
        assert_eq!([1, 24, 25, 48, 49, 1_000].map(passed_on), [1, 1, 2, 2, 3, 4]);
    }

    /// A server that voted in a view of another for what may be chosen in slot 1.
    fn voter(view: View) -> Replica<u8> {
        let mut replica = start(three());
        give(&mut replica, OTHER, Message::Propose { view, slot: Slot(1), command: open(7) });
        replica
    }

    #[test]
    fn a_mark_says_nothing_about_a_vote_of_another_view() {
        let mut replica = voter(View::new(1, OTHER));
        let mark = |view| Message::Committed { view, up_to: Slot(1) };
        assert_eq!(give(&mut replica, THIRD, mark(View::new(2, THIRD))), []);
        give(&mut replica, OTHER, mark(View::new(1, OTHER)));
        assert_eq!(replica.history().committed_command(Slot(1)), Some(&open(7)));
    }

    #[test]
    fn a_vote_is_not_passed_on_as_a_chosen_value() {
        let mut replica = voter(View::new(1, OTHER));
        assert_eq!(give(&mut replica, THIRD, Message::CatchUp { first: Slot(1) }), []);
    }
}
