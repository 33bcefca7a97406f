//! One server: its state, its recovery, and the way from an input to its handler.

use alloc::collections::BTreeMap;

use crate::command::{Command, RequestId, Value};
use crate::config::{Config, ConfigError};
use crate::effect::{Effect, Effects, Timer};
use crate::election::Preparing;
use crate::history::{History, Slot};
use crate::leader::Leading;
use crate::lease::Grant;
use crate::message::Message;
use crate::record::{Durable, Record};
use crate::recovery::Recovering;
use crate::repair::Repairing;
use crate::rules::{Paxos, Rules};
use crate::session::Sessions;
use crate::time::{LocalTime, Span};
use crate::view::{ServerId, ServerSet, View};

/// What a server is doing as a leader (`State`, Figure 5.1; UNSTARTED and CLOSED are both `Follower`).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Role<V> {
    /// It leads nothing.
    Follower,
    /// PREPARING: it attempts a view.
    Preparing(Preparing<V>),
    /// PROPOSING: its view is established.
    Leading(Leading<V>),
}

/// One server's proposer, acceptor and learner (Figure 5.1).
///
/// `V` is the value of an update, `R` the [rules](crate::rules). Each input is a method call with the
/// local time; what there is to do comes back as [`Effects`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Replica<V, R = Paxos> {
    pub(crate) config: Config,
    pub(crate) rules: R,
    /// The sum of the records asked for so far: what a restart would find once all are written.
    pub(crate) durable: Durable<V>,

    /// Acceptor: the lease that it granted last.
    pub(crate) grant: Option<Grant>,
    /// Leader: servers whose grants make no lease, because their clocks may run faster than `ε` allows.
    pub(crate) doubted: ServerSet,
    /// The highest view heard of.
    pub(crate) seen: View,
    pub(crate) role: Role<V>,
    /// Elections that failed since there was last a leader, up to the limit of doublings.
    pub(crate) backoff: u8,
    /// Until when a leader that prepared a higher view of its own puts up with refusals.
    pub(crate) quiet_until: Option<LocalTime>,

    /// How far its recovery is, while it may not vote.
    pub(crate) recovering: Option<Recovering>,
    /// Whom it asks, while it lacks what its disk lost.
    pub(crate) repairing: Option<Repairing>,

    /// `appliedSeq`: the last slot handed to the state machine.
    pub(crate) applied: Slot,
    pub(crate) sessions: Sessions,
    /// Requests of clients of this server that have no answer yet.
    pub(crate) waiting: BTreeMap<RequestId, Command<V>>,
}

impl<V: Value, R: Rules> Replica<V, R> {
    /// Starts a server from what its disk holds: nothing at the first boot, else all of its records.
    ///
    /// Nothing but `durable` survives a crash. The effects restore the snapshot at the history's base, if there is
    /// one, and apply every committed slot above it again, so the caller starts with an empty state machine.
    ///
    /// # Errors
    /// If the configuration is not a safe one.
    pub fn recover(
        config: Config,
        rules: R,
        durable: Durable<V>,
        now: LocalTime,
        effects: &mut Effects<V>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        if durable.recovering && config.phase1_quorum.min(config.phase2_quorum) < 2 {
            return Err(ConfigError::QuorumOfOne);
        }
        let grant = rules.grant_after_restart(durable.promised, durable.grant_term, now);
        let mut replica = Self {
            seen: durable.promised.max(durable.attempted),
            applied: durable.history.base(),
            sessions: durable.sessions.clone(),
            recovering: durable.recovering.then(Recovering::default),
            repairing: None,
            config,
            rules,
            durable,
            grant,
            doubted: ServerSet::EMPTY,
            role: Role::Follower,
            backoff: 0,
            quiet_until: None,
            waiting: BTreeMap::new(),
        };
        if replica.applied > Slot::NONE {
            effects.push(Effect::Restore(replica.applied));
        }
        replica.apply_committed(effects);
        if replica.durable.recovering {
            replica.ask_again(effects);
            return Ok(replica);
        }
        replica.await_part(effects);
        if replica.durable.attempted > View::NONE && replica.config.lease_term > Span::ZERO {
            // 4.3.3: a restarted leader tells the others that its leadership is free to compete for.
            replica.release(replica.durable.attempted, effects);
        }
        Ok(replica)
    }

    /// A message arrived. `now` was read after it did.
    ///
    /// Messages that no server of this group could have meant are ignored, and while it may not vote most others. A caller
    /// whose servers can lose their disks calls [`Replica::receive_from`] instead.
    pub fn receive(&mut self, from: ServerId, message: Message<V>, now: LocalTime, effects: &mut Effects<V>) {
        if !self.config.is_member(from) || leads_another(from, &message) || !self.may_hear(&message) {
            return;
        }
        match message {
            Message::Forward(command) => self.on_forward(from, command, effects),
            Message::Redirect { request, view } => self.on_redirect(request, view, effects),
            Message::Prepare { view, committed } => self.on_prepare(view, committed, now, effects),
            Message::Promise { view, committed, reports } => {
                self.on_promise(from, view, committed, reports, now, effects);
            }
            Message::Reject { view, promised } => self.on_reject(view, promised, now, effects),
            Message::Propose { view, slot, command } => self.on_propose(view, slot, command, now, effects),
            Message::Accept { view, slot } => self.on_accept(from, view, slot, now, effects),
            Message::Commit { first, commands } => self.on_commit(from, first, commands, now, effects),
            Message::Committed { view, up_to } => self.learn_marked(view, up_to, now, effects),
            Message::CatchUp { first } => self.on_catch_up(from, first, effects),
            Message::Renew { view, round, term, committed } => {
                self.on_renew((view, round), term, committed, now, effects);
            }
            Message::Grant { view, round, committed } => {
                self.on_grant(from, (view, round), committed, now, effects);
            }
            Message::Release { view } => self.on_release(view, now),
            Message::SnapshotOffer { slot } => self.on_snapshot_offer(from, slot, effects),
            Message::Recovery(recovery) => self.on_recovery(from, recovery, now, effects),
        }
    }

    /// A timer ran out.
    pub fn timeout(&mut self, timer: Timer, now: LocalTime, effects: &mut Effects<V>) {
        match timer {
            Timer::Retry if self.recovering.is_some() => self.go_on_recovering(now, effects),
            Timer::Retry if self.repairing.is_some() => self.ask_for_lost(effects),
            Timer::Election => self.on_election_timeout(now, effects),
            Timer::Renew => self.on_renew_timeout(now, effects),
            Timer::Retry => self.on_retry_timeout(effects),
            Timer::Forward => self.on_forward_timeout(effects),
        }
    }

    /// Replaces each time that is over at `now`, however long ago, by one that has just ended, so that
    /// servers which will behave alike are equal.
    pub fn forget_expired(&mut self, now: LocalTime) {
        let term = self.config.lease_term;
        if let Role::Leading(leading) = &mut self.role {
            let until = leading.lease.until.map(|until| until.max(now - Span(1)));
            leading.lease.until = until.filter(|_| self.rules.holds_lease(until, now));
            // A round sent a term ago can no longer make a lease; it can still confirm the view.
            leading.lease.rounds.iter_mut().for_each(|round| round.sent = round.sent.max(now - term));
        }
        self.quiet_until = self.quiet_until.filter(|&until| now < until);
        if let Some(until) = self.recovering.as_mut().and_then(|recovering| recovering.until.as_mut()) {
            *until = now.max(*until);
        }
        if let Some(grant) = &mut self.grant {
            grant.until = grant.until.max(now);
        }
    }

    /// Changes durable state, and asks for it to be made durable: the same record does both.
    pub(crate) fn persist(&mut self, record: Record<V>, effects: &mut Effects<V>) {
        self.durable.apply_by(&self.rules, record.clone());
        effects.push(Effect::Persist(record));
    }

    /// There is a sign of a leader: wait for the next one.
    pub(crate) fn arm_election(&mut self, effects: &mut Effects<V>) {
        self.backoff = 0;
        self.await_leader(effects);
    }

    /// Somebody may soon lead: wait for a sign of it.
    pub(crate) fn await_leader(&self, effects: &mut Effects<V>) {
        if !matches!(self.role, Role::Leading(_)) {
            effects.arm(Timer::Election, self.config.election_timeout, self.config.election_spread);
        }
    }

    /// The servers other than this one.
    pub(crate) fn others(&self) -> impl Iterator<Item = ServerId> + use<V, R> {
        let me = self.config.me;
        self.config.members().filter(move |&server| server != me)
    }
}

/// What a caller may look at.
impl<V, R> Replica<V, R> {
    /// The configuration it was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The rules that it keeps.
    pub fn rules(&self) -> &R {
        &self.rules
    }

    /// What a restart would find, once every record is written.
    pub fn durable(&self) -> &Durable<V> {
        &self.durable
    }

    /// Votes and chosen values.
    pub fn history(&self) -> &History<V> {
        &self.durable.history
    }

    /// What it is doing as a leader.
    pub fn role(&self) -> &Role<V> {
        &self.role
    }

    /// The lease that its acceptor granted last.
    pub fn grant(&self) -> Option<Grant> {
        self.grant
    }

    /// The servers whose grants make no lease here.
    pub fn doubted(&self) -> ServerSet {
        self.doubted
    }

    /// The last slot handed to the state machine (`appliedSeq`).
    pub fn applied(&self) -> Slot {
        self.applied
    }

    /// The open sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The requests of its own clients that have no answer yet.
    pub fn waiting(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.waiting.keys().copied()
    }

    /// The highest view that it has heard of.
    pub fn seen(&self) -> View {
        self.seen
    }

    /// Whether it puts up with refusals, having just prepared a higher view under its lease.
    pub fn quiet(&self) -> bool {
        self.quiet_until.is_some()
    }

    /// Until when it does.
    pub fn quiet_until(&self) -> Option<LocalTime> {
        self.quiet_until
    }

    /// Moves every time that it stores by `by`: as if its clock had always shown so much more. Only
    /// differences of times matter, so nothing else changes.
    pub fn shift_time(&mut self, by: Span) {
        self.each_time(|time| *time = *time + by);
    }

    fn each_time(&mut self, mut change: impl FnMut(&mut LocalTime)) {
        if let Role::Leading(leading) = &mut self.role {
            leading.lease.until.iter_mut().for_each(&mut change);
            leading.lease.rounds.iter_mut().for_each(|round| change(&mut round.sent));
        }
        self.quiet_until.iter_mut().for_each(&mut change);
        self.recovering.iter_mut().flat_map(|recovering| &mut recovering.until).for_each(&mut change);
        self.grant.iter_mut().for_each(|grant| change(&mut grant.until));
    }
}

/// Whether a message speaks for a leader that did not send it.
fn leads_another<V>(from: ServerId, message: &Message<V>) -> bool {
    match message {
        Message::Prepare { view, .. }
        | Message::Propose { view, .. }
        | Message::Committed { view, .. }
        | Message::Renew { view, .. }
        | Message::Release { view } => view.leader != from,
        _ => false,
    }
}

/// One line: what a person looks for in a state of the model.
impl<V: core::fmt::Debug, R> core::fmt::Debug for Replica<V, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if let Some(Recovering { noted, told, until, .. }) = &self.recovering {
            write!(f, "recovering as {} noted={noted:?} told={told:?}", self.durable.incarnation)?;
            until.map_or(Ok(()), |until| write!(f, " until {until:?}"))?;
            write!(f, "; ")?;
        }
        if self.repairing.is_some() {
            write!(f, "lacks up to {}; ", self.durable.lacks)?;
        }
        match &self.role {
            Role::Follower => write!(f, "follower")?,
            Role::Preparing(preparing) => write!(
                f,
                "preparing {} promises={:?}",
                preparing.view,
                preparing.promises.keys().collect::<alloc::vec::Vec<_>>()
            )?,
            Role::Leading(leading) => {
                write!(f, "leading {}", leading.view)?;
                for (slot, proposal) in &leading.proposals {
                    write!(f, " [{slot}: {} votes={:?}]", proposal.command, proposal.votes)?;
                }
                if let Some(until) = leading.lease.until {
                    write!(f, " lease until {until:?}")?;
                }
                for round in &leading.lease.rounds {
                    write!(f, " round {} sent {:?} grants={:?}", round.number, round.sent, round.grants)?;
                }
            }
        }
        write!(f, "; attempted {} promised {} ", self.durable.attempted, self.durable.promised)?;
        if let Some(grant) = &self.grant {
            write!(f, "granted {}#{} until {:?} ", grant.view, grant.round, grant.until)?;
        }
        write!(f, "history")?;
        if self.durable.history.base() > Slot::NONE {
            write!(f, " snapshot to {}", self.durable.history.base())?;
        }
        for (slot, entry) in self.durable.history.above(Slot::NONE) {
            let mark = if entry.committed { "!" } else { "?" };
            write!(f, " {slot}={}@{}{mark}", entry.command, entry.view)?;
        }
        if !self.waiting.is_empty() {
            write!(f, " waiting={}", self.waiting.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        ME, MINE, NOW, OTHER, THIRD, fire, give, leader, open, promise, start, with_leases,
    };

    #[test]
    fn what_no_server_of_the_group_could_have_meant_is_ignored() {
        const STRANGER: ServerId = ServerId(7);
        let (view, committed, slot) = (View::new(2, OTHER), Slot::NONE, Slot(1));
        let speak_for_a_leader = [
            Message::Prepare { view, committed },
            Message::Propose { view, slot, command: open(7) },
            Message::Renew { view, round: 1, term: Span(8), committed },
            Message::Committed { view, up_to: slot },
            Message::Release { view },
        ];
        let mut replica = start(with_leases());
        let voted = Message::Propose { view, slot, command: open(7) };
        give(&mut replica, OTHER, voted);
        give(&mut replica, OTHER, Message::Renew { view, round: 1, term: Span(8), committed });
        let before = replica.clone();
        for message in speak_for_a_leader {
            assert_eq!(give(&mut replica, THIRD, message.clone()), [], "{message:?}");
            assert_eq!(replica, before, "{message:?}");
        }
        let stranger = Message::Prepare { view: View::new(3, STRANGER), committed };
        assert_eq!(give(&mut replica, STRANGER, stranger), []);
        assert_eq!(give(&mut replica, STRANGER, promise(MINE)), []);
        assert_eq!(replica, before);
    }

    /// A leader that holds a lease until 8 and has sent one more request.
    fn holder() -> Replica<u8> {
        let mut replica = leader(with_leases());
        fire(&mut replica, Timer::Renew, NOW);
        for from in [ME, OTHER] {
            give(&mut replica, from, Message::Grant { view: MINE, round: 1, committed: Slot::NONE });
        }
        fire(&mut replica, Timer::Renew, NOW);
        replica
    }

    fn lease(replica: &Replica<u8>) -> &crate::lease::Lease {
        let Role::Leading(leading) = replica.role() else { panic!("it does not lead") };
        &leading.lease
    }

    #[test]
    fn a_lease_is_forgotten_when_it_is_over_and_not_before() {
        let mut replica = holder();
        replica.forget_expired(LocalTime(7));
        assert_eq!(lease(&replica).until, Some(LocalTime(8)));
        replica.forget_expired(LocalTime(8));
        assert_eq!(lease(&replica).until, None);
    }

    #[test]
    fn a_request_that_is_too_old_for_a_lease_stays_so_when_times_are_forgotten() {
        let mut replica = holder();
        replica.forget_expired(LocalTime(7));
        assert_eq!(lease(&replica).rounds[0].sent, NOW);
        replica.forget_expired(LocalTime(100));
        assert_eq!(lease(&replica).rounds[0].sent, LocalTime(92));
    }

    #[test]
    fn a_leader_that_was_refused_under_its_lease_is_quiet_for_a_renewal_interval() {
        let mut replica = holder();
        assert_eq!((replica.quiet(), replica.quiet_until()), (false, None));
        give(&mut replica, OTHER, Message::Reject { view: MINE, promised: View::new(2, OTHER) });
        assert_eq!(replica.next_view(), View::new(4, ME), "it prepares a higher view of its own");
        let until = NOW + replica.config().renew_interval;
        assert_eq!((replica.quiet(), replica.quiet_until()), (true, Some(until)));
        replica.forget_expired(until - Span(1));
        assert_eq!(replica.quiet_until(), Some(until));
        replica.forget_expired(until);
        assert_eq!((replica.quiet(), replica.quiet_until()), (false, None));
    }
}
