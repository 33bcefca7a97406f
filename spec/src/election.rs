//! The Prepare phase of a leader (Figure 5.5): standing for a view, counting promises, and finding out
//! what must be finished first.

use alloc::vec::Vec;

use crate::command::Value;
use crate::effect::{Effects, Timer};
use crate::history::Slot;
use crate::leader::Leading;
use crate::message::{Message, Report};
use crate::record::Record;
use crate::replica::{Replica, Role};
use crate::rules::{Choice, Departure, Phase, Promised, Promises, Rules};
use crate::time::{LocalTime, Span};
use crate::view::{ServerId, ServerSet, View};

/// PREPARING (Figure 5.1): a view that is attempted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Preparing<V> {
    /// `attemptedView`.
    pub view: View,
    /// The promises so far.
    pub promises: Promises<V>,
    /// Whether the last view of this leader made no progress either.
    pub stalled: bool,
}

impl<V: Value, R: Rules> Replica<V, R> {
    /// No sign of a leader: stand for one (4.3.1).
    pub(crate) fn on_election_timeout(&mut self, now: LocalTime, effects: &mut Effects<V>) {
        if matches!(self.role, Role::Leading(_)) || !self.takes_part() {
            return;
        }
        if let Role::Preparing(preparing) = &self.role
            && preparing.view >= self.seen
        {
            // Nobody is ahead, so its messages were lost or met a lease: the same view will do.
            self.arm_backoff(effects);
            self.send_prepare(effects);
            return;
        }
        let view = self.next_view();
        if !self.rules.may_promise(self.durable.promised, self.grant, view, now) {
            let rest = self.grant.map_or(Span::ZERO, |grant| grant.until - now);
            effects.arm(Timer::Election, rest, self.config.election_spread);
            return;
        }
        self.prepare(view, false, effects);
    }

    /// The view that this server would attempt next.
    pub fn next_view(&self) -> View {
        self.rules.next_view(self.config.me, self.durable.attempted, self.seen)
    }

    /// `starts_prepare`, Figure 5.5.
    pub(crate) fn prepare(&mut self, view: View, stalled: bool, effects: &mut Effects<V>) {
        self.leave_view(effects);
        self.persist(Record::Attempt(view), effects);
        self.seen = self.seen.max(view);
        self.role = Role::Preparing(Preparing { view, promises: Promises::new(), stalled });
        self.arm_backoff(effects);
        effects.arm(Timer::Retry, self.config.retry_interval, Span::ZERO);
        self.send_prepare(effects);
    }

    /// Sends Prepare to everybody who has not promised yet.
    pub(crate) fn send_prepare(&self, effects: &mut Effects<V>) {
        let Role::Preparing(preparing) = &self.role else { return };
        let (view, committed) = (preparing.view, self.durable.history.committed());
        for to in self.config.members().filter(|to| !preparing.promises.contains_key(to)) {
            effects.send(to, Message::Prepare { view, committed });
        }
    }

    /// Waits longer after each election that fails, so that candidates do not chase each other (4.2.1).
    fn arm_backoff(&mut self, effects: &mut Effects<V>) {
        let factor = 2_i64.saturating_pow(u32::from(self.backoff));
        self.backoff = (self.backoff + 1).min(self.config.backoff_doublings_max);
        let Span(timeout) = self.config.election_timeout;
        effects.arm(Timer::Election, Span(timeout).times(factor), self.config.election_spread.times(factor));
    }

    /// Figure 5.5, leader: upon receiving Promise (`handle_promise_msg`, Figure 5.4).
    pub(crate) fn on_promise(
        &mut self,
        from: ServerId,
        view: View,
        committed: Slot,
        reports: Vec<Report<V>>,
        now: LocalTime,
        effects: &mut Effects<V>,
    ) {
        let Role::Preparing(preparing) = &mut self.role else { return };
        if !self.rules.counts_promise(preparing.view, view) || preparing.promises.contains_key(&from) {
            return;
        }
        preparing.promises.insert(from, Promised { committed, reports });
        let promised: ServerSet = preparing.promises.keys().copied().collect();
        if self.rules.is_quorum(&self.config, Phase::One, promised) {
            self.establish(now, effects);
        }
    }

    /// The view is established: finish what older views began, then take new updates (5.3).
    fn establish(&mut self, now: LocalTime, effects: &mut Effects<V>) {
        let Role::Preparing(Preparing { view, promises, stalled }) =
            core::mem::replace(&mut self.role, Role::Follower)
        else {
            return;
        };
        let reported = promises
            .values()
            .flat_map(|said| said.reports.iter().map(|report| report.slot).chain([said.committed]))
            .max()
            .unwrap_or(Slot::NONE);
        let committed = self.durable.history.committed();
        let next = self.rules.first_free_slot(committed, reported);
        let mut leading = Leading::new(view, reported.max(committed), next, committed, stalled);
        let mut slot = committed;
        while slot < reported {
            slot = slot.next();
            if self.durable.history.is_committed(slot) {
                continue; // Learnt ahead of a gap, maybe from a higher view than these promises know of.
            }
            match self.rules.value_to_propose(slot, &promises) {
                Choice::Learn(command) => self.learn(slot, command, effects),
                Choice::Fetch => {}
                Choice::Propose(command) => leading.add_proposal(slot, command),
            }
        }
        self.role = Role::Leading(leading);
        self.backoff = 0;
        self.send_proposals(effects);
        if let Some((&ahead, said)) = promises.iter().max_by_key(|(_, said)| said.committed) {
            self.reconcile(ahead, said.committed, effects);
        }
        self.take_waiting(effects);
        self.settle(now, effects);
        // The first request for the lease, and what it repeats, are the caller's next steps.
        effects.arm(Timer::Renew, Span::ZERO, Span::ZERO);
        effects.arm(Timer::Retry, self.config.retry_interval, Span::ZERO);
    }

    /// Someone refused a message of a view of this server (Accept with `isAccepted` false, Figure 5.6).
    pub(crate) fn on_reject(&mut self, view: View, promised: View, now: LocalTime, effects: &mut Effects<V>) {
        match &self.role {
            // A candidate goes on, the others may yet make a quorum; but its next view will be higher.
            Role::Preparing(preparing) if preparing.view == view => self.seen = self.seen.max(promised),
            Role::Leading(leading) if leading.view == view && promised > view => {
                self.seen = self.seen.max(promised);
                self.depart(now, effects);
            }
            _ => {} // It has left that view.
        }
    }

    /// This server's own acceptor promised a view.
    pub(crate) fn on_higher_promise(&mut self, view: View, now: LocalTime, effects: &mut Effects<V>) {
        self.seen = self.seen.max(view);
        match &self.role {
            Role::Preparing(preparing) if preparing.view < view => self.step_down(effects),
            Role::Leading(leading) if leading.view < view => self.depart(now, effects),
            _ => {}
        }
    }

    /// A leader heard of a higher promise: quit, or answer with a higher view of its own.
    fn depart(&mut self, now: LocalTime, effects: &mut Effects<V>) {
        let quiet = self.quiet_until.is_some_and(|until| now < until);
        match self.rules.departure(self.holds_lease(now), quiet) {
            Departure::Stay => {}
            Departure::StepDown => self.step_down(effects),
            Departure::PrepareHigher => {
                self.quiet_until = Some(now + self.config.renew_interval);
                self.prepare(self.next_view(), false, effects);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ME, MINE, NOW, OTHER, fire, give, leader, start, three};

    const HIGHER: View = View::new(4, OTHER);
    const STALE: View = View::new(9, ME);

    fn reject(view: View, promised: View) -> Message<u8> {
        Message::Reject { view, promised }
    }

    #[test]
    fn a_candidate_that_is_refused_stands_for_a_higher_view_next() {
        let mut replica = start(three());
        fire(&mut replica, Timer::Election, NOW);
        give(&mut replica, OTHER, reject(STALE, HIGHER));
        assert_eq!(replica.seen(), MINE, "it was not for this view");
        give(&mut replica, OTHER, reject(MINE, HIGHER));
        assert_eq!((replica.seen(), replica.next_view()), (HIGHER, View::new(5, ME)));
        assert!(matches!(replica.role(), Role::Preparing(_)), "the others may yet make a quorum");
    }

    #[test]
    fn a_leader_leaves_for_a_higher_promise_that_refuses_its_own_view() {
        let mut replica = leader(three());
        let stays = [reject(STALE, View::new(10, OTHER)), reject(STALE, STALE), reject(MINE, MINE)];
        for reject in stays {
            assert_eq!(give(&mut replica, OTHER, reject.clone()), [], "{reject:?}");
        }
        give(&mut replica, OTHER, reject(MINE, HIGHER));
        assert!(matches!(replica.role(), Role::Follower));
        assert_eq!(replica.next_view(), View::new(5, ME));
    }
}
