//! Leader leases (4.3.2 to 4.3.4): what a grantor remembers, what a holder counts, and the handlers of
//! request, grant and release.
//!
//! The holder's term starts **before** its request leaves and is short (`L`); a grantor's starts **after**
//! the request came in and is long (`G`). Clocks need no common time, only rates within `ε` of each other.

use alloc::collections::VecDeque;

use crate::command::Value;
use crate::effect::{Effects, Timer};
use crate::history::Slot;
use crate::message::Message;
use crate::record::Record;
use crate::replica::{Replica, Role};
use crate::rules::Rules;
use crate::time::{LocalTime, Span};
use crate::view::{ServerId, ServerSet, View};

/// Rounds that are counted at the same time; an older one is given up.
const ROUNDS_MAX: usize = 8;

/// A lease that this acceptor granted: until it ends, it takes part in nobody else's election.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Grant {
    /// The latest view of the holder for which it was granted.
    pub view: View,
    /// The latest round of that view that was granted.
    pub round: u64,
    /// When it ends on this server's clock.
    pub until: LocalTime,
}

impl Grant {
    /// Whether the grant lets its grantor take part in an election of `candidate`.
    pub fn allows(&self, candidate: ServerId, now: LocalTime) -> bool {
        self.view.leader == candidate || now >= self.until
    }
}

/// One transmission of a lease request, and who has granted it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Round {
    /// Counts the view's requests, from 1.
    pub number: u64,
    /// Read before the request left.
    pub sent: LocalTime,
    /// Who granted it.
    pub grants: ServerSet,
}

/// A leader's side of its lease.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Lease {
    /// Requests that a quorum has not granted yet, oldest first.
    pub rounds: VecDeque<Round>,
    /// The number of the latest request; 0 before the first.
    pub requested: u64,
    /// The highest round that a quorum granted: the view was still promised after it was sent.
    pub confirmed: u64,
    /// When the lease ends on the holder's clock, if it ever held one in this view.
    pub until: Option<LocalTime>,
}

impl Lease {
    /// Notes a new request of this number, sent at `now`.
    fn request(&mut self, number: u64, now: LocalTime) {
        self.requested = number;
        if self.rounds.len() == ROUNDS_MAX {
            self.rounds.pop_front();
        }
        self.rounds.push_back(Round { number, sent: now, grants: ServerSet::EMPTY });
    }
}

impl<V: Value, R: Rules> Replica<V, R> {
    /// The leader's renewal timer ran out: request the lease, or confirm the view if leases are off (4.3.3).
    pub(crate) fn on_renew_timeout(&mut self, now: LocalTime, effects: &mut Effects<V>) {
        if !matches!(self.role, Role::Leading(_)) || self.leave_if_stalled(effects) {
            return;
        }
        self.request_lease(now, effects);
        effects.arm(Timer::Renew, self.config.renew_interval, Span::ZERO);
    }

    pub(crate) fn request_lease(&mut self, now: LocalTime, effects: &mut Effects<V>) {
        let Role::Leading(leading) = &mut self.role else { return };
        let (view, round) = (leading.view, self.rules.next_round(leading.lease.requested));
        leading.lease.request(round, now);
        let (term, committed) = (self.config.lease_term, self.durable.history.committed());
        for to in self.config.members() {
            // At once: a request promises nothing, and the view it names was attempted durably before Prepare left.
            effects.send_at_once(to, Message::Renew { view, round, term, committed });
        }
    }

    /// Lease request, acceptor (4.3.2, 4.3.4).
    pub(crate) fn on_renew(
        &mut self,
        (view, round): (View, u64),
        term: Span,
        committed: Slot,
        now: LocalTime,
        effects: &mut Effects<V>,
    ) {
        if view < self.durable.promised {
            self.reject(view, effects);
            return;
        }
        if self.rules.may_promise(self.durable.promised, self.grant, view, now) {
            // If its Prepare was lost: the view is established or about to be, so join it.
            self.promise(view, now, effects);
        }
        if self.rules.may_grant(&self.config, self.durable.promised, view, term) {
            self.extend_grant(view, round, now, effects);
            effects.send(
                view.leader,
                Message::Grant { view, round, committed: self.durable.history.committed() },
            );
            self.arm_election(effects);
        }
        self.learn_marked(view, committed, now, effects);
        self.reconcile(view.leader, committed, effects);
    }

    /// Starts or extends the grant.
    fn extend_grant(&mut self, view: View, round: u64, now: LocalTime, effects: &mut Effects<V>) {
        if self.config.grant_term > self.durable.grant_term {
            self.persist(Record::GrantTerm(self.config.grant_term), effects);
        }
        let until = self.rules.grant_end(self.grant, (view, round), now, self.config.grant_term);
        let granted = self.grant.filter(|grant| grant.view == view).map_or(0, |grant| grant.round);
        self.grant = Some(Grant { view, round: round.max(granted), until });
    }

    /// Lease grant, leader: a phase-2 quorum for one and the same round makes the lease.
    pub(crate) fn on_grant(
        &mut self,
        from: ServerId,
        (view, round): (View, u64),
        committed: Slot,
        now: LocalTime,
        effects: &mut Effects<V>,
    ) {
        let Role::Leading(leading) = &mut self.role else { return };
        let (leads, lease) = (leading.view, &mut leading.lease);
        for asked in &mut lease.rounds {
            if self.rules.counts_grant((leads, asked.number), (view, round)) {
                asked.grants.insert(from);
            }
        }
        let makes_lease = |grants| self.rules.makes_lease(&self.config, grants);
        let confirmed = lease.rounds.iter().rfind(|asked| makes_lease(asked.grants));
        lease.confirmed = lease.confirmed.max(confirmed.map_or(0, |asked| asked.number));
        let relied_on = |asked: &Round| self.rules.grants_to_rely_on(asked.grants, self.doubted);
        let granted = lease.rounds.iter().rposition(|asked| makes_lease(relied_on(asked)));
        if let Some(Round { sent, .. }) = granted.and_then(|at| lease.rounds.drain(..=at).next_back()) {
            let end = self.rules.lease_end(sent, now, self.config.lease_term);
            lease.until = lease.until.max(Some(end));
        }
        if view == leads {
            self.reconcile(from, committed, effects);
            self.serve_reads(now, effects);
        }
    }

    /// Release, acceptor: the holder has left this view for good.
    pub(crate) fn on_release(&mut self, view: View, now: LocalTime) {
        if let Some(grant) = &mut self.grant
            && self.rules.may_end_grant(grant.view, view)
        {
            grant.until = grant.until.min(now);
        }
    }

    /// From now on no lease rests on grants of these servers: their clocks are not known to keep `ε`. Theirs still
    /// confirm the view, so where too few others are left, reads go through a quorum.
    ///
    /// A lease that is held ends, because it may rest on them, and another is asked for. To the other servers this looks
    /// like grants that were lost. Nothing is taken from the server's own grant: it was given by the same clock.
    pub fn doubt(&mut self, servers: ServerSet, now: LocalTime, effects: &mut Effects<V>) {
        let others = servers.without([self.config.me].into_iter().collect());
        if core::mem::replace(&mut self.doubted, others) == others {
            return;
        }
        if let Role::Leading(leading) = &mut self.role {
            if self.rules.doubt_ends_lease() {
                leading.lease.until = None;
            }
            if self.rules.doubt_ends_rounds() {
                leading.lease.rounds.clear();
            }
            self.request_lease(now, effects);
        }
    }

    /// Whether this server leads and may rely on its lease at `now`.
    pub fn holds_lease(&self, now: LocalTime) -> bool {
        match &self.role {
            Role::Leading(leading) => self.rules.holds_lease(leading.lease.until, now),
            Role::Follower | Role::Preparing(_) => false,
        }
    }

    /// What is left of the lease at `now`; none if it is not held.
    pub fn lease_remaining(&self, now: LocalTime) -> Option<Span> {
        match &self.role {
            Role::Leading(leading) if self.holds_lease(now) => leading.lease.until.map(|until| until - now),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effect;
    use crate::record::Durable;
    use crate::testing::{
        ME, MINE, NOW, OTHER, THIRD, fire, give, give_at, leader, sent, start, start_from, with_leases,
    };
    use alloc::vec::Vec;

    /// Whether a leader that has sent one round more than are counted gets the lease by grants of this one.
    fn lease_by_grants_of(round: u64) -> bool {
        let mut replica = leader(with_leases());
        (0..=ROUNDS_MAX).for_each(|_| _ = fire(&mut replica, Timer::Renew, NOW));
        for from in [ME, OTHER] {
            give(&mut replica, from, Message::Grant { view: MINE, round, committed: Slot::NONE });
        }
        replica.holds_lease(NOW)
    }

    #[test]
    fn a_request_for_the_lease_stands_in_for_a_prepare_that_was_lost() {
        let mut replica = start(with_leases());
        let (view, term, committed) = (View::new(1, OTHER), Span(8), Slot::NONE);
        let effects = give(&mut replica, OTHER, Message::Renew { view, round: 1, term, committed });
        assert_eq!(effects[0], Effect::Persist(Record::Promise(view)));
        assert_eq!(sent(&effects), [(OTHER, Message::Grant { view, round: 1, committed })]);
    }

    #[test]
    fn a_late_grant_counts_for_any_of_the_latest_rounds() {
        let last = ROUNDS_MAX as u64 + 1;
        assert!((2..=last).all(lease_by_grants_of));
        assert!(!lease_by_grants_of(1), "it was given up");
    }

    #[test]
    fn a_grant_that_arrives_late_counts_from_when_its_request_left() {
        let until = |late: i64| {
            let mut replica = leader(with_leases());
            fire(&mut replica, Timer::Renew, NOW);
            let grant = Message::Grant { view: MINE, round: 1, committed: Slot::NONE };
            give(&mut replica, ME, grant.clone());
            give_at(&mut replica, OTHER, grant, NOW + Span(late));
            replica.lease_remaining(NOW + Span(late))
        };
        assert_eq!((until(0), until(3), until(7)), (Some(Span(8)), Some(Span(5)), Some(Span(1))));
        assert_eq!((until(8), until(800)), (None, None), "it is over before it begins");
    }

    fn grant_to(replica: &mut Replica<u8>, from: ServerId, round: u64) {
        give(replica, from, Message::Grant { view: MINE, round, committed: Slot::NONE });
    }

    fn doubt(replica: &mut Replica<u8>, servers: &[ServerId]) -> Vec<Effect<u8>> {
        let mut effects = Effects::new();
        replica.doubt(servers.iter().copied().collect(), NOW, &mut effects);
        effects.drain().collect()
    }

    #[test]
    fn a_lease_ends_when_a_grantor_is_doubted_and_rests_on_the_others_from_then_on() {
        let mut replica = leader(with_leases());
        fire(&mut replica, Timer::Renew, NOW);
        [ME, OTHER].into_iter().for_each(|from| grant_to(&mut replica, from, 1));
        assert!(replica.holds_lease(NOW));
        let effects = doubt(&mut replica, &[OTHER]);
        assert!(!replica.holds_lease(NOW));
        assert_eq!(sent(&effects).len(), 3, "it asks for another lease at once");
        assert!(doubt(&mut replica, &[OTHER]).is_empty(), "once");
        [ME, OTHER].into_iter().for_each(|from| grant_to(&mut replica, from, 2));
        assert!(!replica.holds_lease(NOW), "one that is not doubted is too few");
        grant_to(&mut replica, THIRD, 2);
        assert!(replica.holds_lease(NOW), "the round was not given up when it was confirmed");
    }

    #[test]
    fn grants_of_servers_in_doubt_confirm_the_view_and_make_no_lease_when_the_doubt_is_over() {
        let mut replica = leader(with_leases());
        doubt(&mut replica, &[ME, OTHER, THIRD]);
        assert_eq!(replica.doubted(), [OTHER, THIRD].into_iter().collect(), "its own clock is its own");
        replica.read(7, NOW, &mut Effects::new());
        let grant = |round| Message::Grant { view: MINE, round, committed: Slot::NONE };
        // The first of them may have left before the read arrived.
        for (from, round) in [(ME, 1), (OTHER, 1), (ME, 2)] {
            give(&mut replica, from, grant(round));
        }
        let served = give(&mut replica, OTHER, grant(2));
        assert!(served.contains(&Effect::Serve(7)), "{served:?}");
        assert!(!replica.holds_lease(NOW));
        doubt(&mut replica, &[]);
        grant_to(&mut replica, THIRD, 2);
        assert!(!replica.holds_lease(NOW), "granted while in doubt");
    }

    #[test]
    fn only_a_newer_round_extends_a_grant() {
        let mut replica = start(with_leases());
        let (view, term, committed) = (View::new(1, OTHER), Span(8), Slot::NONE);
        let mut until = |round, now| {
            let renew = Message::Renew { view, round, term, committed };
            give_at(&mut replica, OTHER, renew, LocalTime(now));
            replica.grant().map(|grant| (grant.round, grant.until))
        };
        assert_eq!(until(2, 0), Some((2, LocalTime(12))));
        assert_eq!(until(2, 5), Some((2, LocalTime(12))), "a copy");
        assert_eq!(until(1, 6), Some((2, LocalTime(12))), "an older one, late");
        assert_eq!(until(3, 7), Some((3, LocalTime(19))));
    }

    #[test]
    fn a_grantor_that_restarts_takes_the_longest_grant_for_given_to_whom_it_promised() {
        let restarted = |promised, grant_term| {
            let durable = Durable { promised, grant_term, ..Durable::default() };
            start_from(with_leases(), durable).grant().map(|grant| (grant.view, grant.until))
        };
        let view = View::new(1, OTHER);
        assert_eq!(restarted(view, Span(12)), Some((view, NOW + Span(12))));
        assert_eq!(restarted(view, Span::ZERO), None, "it never granted");
        assert_eq!(restarted(View::NONE, Span(12)), None, "it never promised");
    }
}
