//! The acceptor of Figures 5.3 to 5.6: promises and votes.

use alloc::vec::Vec;

use crate::command::{Command, Value};
use crate::effect::Effects;
use crate::history::Slot;
use crate::message::{Message, Report};
use crate::record::Record;
use crate::replica::{Replica, Role};
use crate::rules::Rules;
use crate::time::LocalTime;
use crate::view::View;

impl<V: Value, R: Rules> Replica<V, R> {
    /// Figure 5.5, acceptor: upon receiving Prepare.
    pub(crate) fn on_prepare(
        &mut self,
        view: View,
        committed: Slot,
        now: LocalTime,
        effects: &mut Effects<V>,
    ) {
        if !self.rules.may_promise(self.durable.promised, self.grant, view, now) {
            if view < self.durable.promised {
                self.reject(view, effects);
            }
            return; // A candidate that is up against a lease tries again; there is nothing to tell it.
        }
        self.promise(view, now, effects);
        let reports = self.reports(committed);
        let committed = self.durable.history.committed();
        effects.send(view.leader, Message::Promise { view, committed, reports });
        if matches!(self.role, Role::Follower) {
            self.await_leader(effects); // A candidate's timer runs already; its own Prepare is no sign of a leader.
        }
    }

    /// Closes every lower view.
    pub(crate) fn promise(&mut self, view: View, now: LocalTime, effects: &mut Effects<V>) {
        if view > self.durable.promised {
            self.persist(Record::Promise(view), effects);
            self.on_higher_promise(view, now, effects);
        }
    }

    /// `info` of a Promise: chosen values above what the leader has, as far as they fit, then every vote.
    fn reports(&self, leader_committed: Slot) -> Vec<Report<V>> {
        let history = &self.durable.history;
        let mut room = self.config.window_bytes;
        let chosen = history
            .above(leader_committed)
            .take_while(|&(slot, _)| slot <= history.committed())
            .take(self.config.catch_up_max)
            .take_while(|(_, entry)| {
                let fits = room >= entry.command.size_bytes();
                room = room.saturating_sub(entry.command.size_bytes());
                fits
            });
        let votes = history.above(history.committed().max(leader_committed));
        chosen.chain(votes).map(|(slot, entry)| Report::of(slot, entry)).collect()
    }

    /// Figure 5.6, acceptor: upon receiving Propose.
    pub(crate) fn on_propose(
        &mut self,
        view: View,
        slot: Slot,
        command: Command<V>,
        now: LocalTime,
        effects: &mut Effects<V>,
    ) {
        if !self.rules.may_accept(self.durable.promised, view) {
            self.reject(view, effects);
            return;
        }
        if let Some(chosen) = self.durable.history.committed_command(slot) {
            let commit = Message::Commit { first: slot, commands: Vec::from([chosen.clone()]) };
            effects.send_at_once(view.leader, commit); // Chosen already, whatever this server has written.
            return;
        }
        if self.durable.history.is_committed(slot) {
            self.offer_snapshot(view.leader, effects); // A leader that lags would wait for this vote for ever.
            return;
        }
        if slot.0 > self.durable.history.committed().0 + self.config.slots_ahead_max {
            return; // Too far ahead to remember; this server catches up first.
        }
        let voted = self.durable.history.entry(slot).is_some_and(|entry| entry.view == view);
        if !voted {
            let rises = view > self.durable.promised;
            self.persist(Record::Vote { view, slot, command }, effects);
            if rises {
                self.on_higher_promise(view, now, effects);
            }
        }
        effects.send(view.leader, Message::Accept { view, slot });
        self.arm_election(effects);
    }

    /// Tells the leader of a closed view which view closed it.
    pub(crate) fn reject(&self, view: View, effects: &mut Effects<V>) {
        let reject = Message::Reject { view, promised: self.durable.promised };
        effects.send_at_once(view.leader, reject); // A refusal promises nothing.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::testing::{OTHER, THIRD, commit, give, open, sent, start, three, with_leases};
    use crate::time::Span;

    /// What a candidate that has committed nothing hears of from a server that knows three values of 24 bytes.
    fn reported(window_bytes: usize) -> usize {
        let mut replica = start(Config { window_bytes, ..three() });
        give(&mut replica, OTHER, commit(1, (1..=3).map(open)));
        let view = View::new(1, OTHER);
        let effects = give(&mut replica, OTHER, Message::Prepare { view, committed: Slot::NONE });
        match &sent(&effects)[..] {
            [(OTHER, Message::Promise { reports, .. })] => reports.len(),
            other => panic!("no promise: {other:?}"),
        }
    }

    #[test]
    fn a_promise_carries_as_many_chosen_values_as_fit() {
        assert_eq!([23, 24, 47, 48, 1_000].map(reported), [0, 1, 1, 2, 3]);
    }

    #[test]
    fn an_acceptor_votes_up_to_its_limit_above_what_is_committed() {
        let mut replica = start(Config { window: 1, slots_ahead_max: 2, ..three() });
        give(&mut replica, OTHER, commit(1, [open(1)]));
        let view = View::new(1, OTHER);
        let mut votes = |slot| {
            let propose = Message::Propose { view, slot: Slot(slot), command: open(slot) };
            !give(&mut replica, OTHER, propose).is_empty()
        };
        assert_eq!([2, 3, 4, 5].map(&mut votes), [true, true, false, false]);
    }

    // It would learn nothing: its view is not below the promised one, and time alone is in its way.
    #[test]
    fn a_candidate_that_is_up_against_a_lease_is_told_nothing() {
        let mut replica = start(with_leases());
        let (leased, voted) = (View::new(1, OTHER), View::new(2, THIRD));
        let (term, committed) = (Span(8), Slot::NONE);
        give(&mut replica, OTHER, Message::Renew { view: leased, round: 1, term, committed });
        let propose = Message::Propose { view: voted, slot: Slot(1), command: open(1) };
        give(&mut replica, THIRD, propose);
        assert_eq!(replica.durable().promised, voted, "a vote needs no lease");
        assert_eq!(give(&mut replica, THIRD, Message::Prepare { view: voted, committed }), []);
        let lower = View::new(1, THIRD);
        let effects = give(&mut replica, THIRD, Message::Prepare { view: lower, committed });
        assert_eq!(sent(&effects), [(THIRD, Message::Reject { view: lower, promised: voted })]);
    }
}
