//! Variants at the boundary of the handlers: what a caller, a configuration, a disk or a clock does wrong.

use spec::{
    Command, Config, Durable, Effect, Effects, LocalTime, Message, Record, Replica, Role, ServerId, Slot,
    Span, Timer, View, When,
};

use super::Variant;
use super::snapshots::{as_far_as_reported, truncate};
use crate::arms::watched::Watched;
use crate::scope::{CLOCKS, Clocks, Scope};
use crate::state::{NOW, Node, Value};
use crate::step::{Event, Input};

/// Configuration.
impl Variant {
    /// The bounds of the scope, as the variant would have them.
    pub fn scope(self, scope: &Scope) -> Scope {
        let mut scope = scope.clone();
        if self == Self::TermOverBound {
            // A whole step below the bound: a coarse step hides anything less.
            scope.lease = Some(Clocks { grant_term: CLOCKS.grant_term - CLOCKS.fast, ..CLOCKS });
        }
        scope
    }

    /// The configuration of a server, as the variant would have it.
    pub fn config(self, config: Config) -> Config {
        match self {
            Self::TermOverBound => Config { drift_ppm: 0, ..config },
            Self::NoDriftMargin => Config { drift_ppm: 0, lease_term: config.grant_term, ..config },
            _ => config,
        }
    }
}

/// Messages and effects.
impl Variant {
    /// What is taken for received: from whom, and what it says.
    pub fn received(
        self,
        replica: &Replica<Value, Watched>,
        from: ServerId,
        message: &Message<Value>,
    ) -> (ServerId, Message<Value>) {
        match (self, message) {
            (Self::RefusalIsPromise, &Message::Reject { view, .. }) => {
                (from, Message::Promise { view, committed: Slot::NONE, reports: Vec::new() })
            }
            (Self::ForgottenTakenForHole, Message::Promise { view, reports, .. }) => {
                (from, as_far_as_reported(*view, reports))
            }
            (Self::VoterCountedTwice, Message::Promise { .. }) => (uncounted(replica, from), message.clone()),
            _ => (from, message.clone()),
        }
    }

    /// The effects that are carried out, of those that the handlers listed.
    pub fn effects(
        self,
        me: ServerId,
        input: Input,
        listed: impl Iterator<Item = Effect<Value>>,
    ) -> Vec<Effect<Value>> {
        let mut effects: Vec<_> = listed.collect();
        match self {
            Self::FailedWrite => {
                effects.retain(|effect| !matches!(effect, Effect::Persist(Record::Vote { .. })));
            }
            Self::CommittedSlotIgnored => {
                let asked = matches!(input, Input::Deliver(envelope) if matches!(envelope.message, Message::Propose { .. }));
                effects.retain(|effect| !(asked && sends_commit(effect)));
            }
            Self::NoRetry => {
                effects.retain(|effect| !matches!(effect, Effect::Arm { timer: Timer::Retry, .. }));
            }
            Self::ReleaseWithRenewal => release_before_renewal(&mut effects),
            Self::PromiseBeforeDurable
            | Self::AcceptBeforeDurable
            | Self::OwnVoteBeforeWrite
            | Self::PrepareBeforeDurable => {
                effects.iter_mut().for_each(|effect| self.hurry(me, effect));
            }
            Self::OneViewField
            | Self::CommittedForgotten
            | Self::MinorityUnreported
            | Self::PromiseOffByOne => effects.iter_mut().for_each(|effect| self.misreport(effect)),
            _ => {}
        }
        effects
    }

    /// Sends what must wait for the disk at once.
    fn hurry(self, me: ServerId, effect: &mut Effect<Value>) {
        let Effect::Send { to, message, when } = effect else { return };
        let early = match (self, message) {
            (Self::PromiseBeforeDurable, Message::Promise { .. })
            | (Self::AcceptBeforeDurable, Message::Accept { .. })
            | (Self::PrepareBeforeDurable, Message::Prepare { .. }) => true,
            (Self::OwnVoteBeforeWrite, Message::Accept { .. }) => *to == me,
            _ => false,
        };
        if early {
            *when = When::AtOnce;
        }
    }

    /// Says something else in a Promise than the history holds.
    fn misreport(self, effect: &mut Effect<Value>) {
        let Effect::Send { message: Message::Promise { view, committed, reports }, .. } = effect else {
            return;
        };
        match self {
            Self::OneViewField => reports.iter_mut().for_each(|report| report.view = *view),
            Self::CommittedForgotten => {
                *committed = Slot::NONE;
                reports.retain(|report| !report.committed);
            }
            Self::MinorityUnreported => reports.retain(|report| report.committed),
            Self::PromiseOffByOne => {
                let first = reports.iter().position(|report| !report.committed);
                first.map(|first| reports.remove(first));
            }
            _ => {}
        }
    }

    /// What a client is told too early.
    pub fn told_early(self, me: ServerId, effect: &Effect<Value>) -> Option<Event> {
        match effect {
            Effect::Send {
                to,
                message: Message::Propose { slot, command: Command::Update(update), .. },
                ..
            } if self == Self::AcknowledgedWhenProposed && *to == me => {
                Some(Event::Acknowledged(update.value, *slot))
            }
            _ => None,
        }
    }
}

fn sends_commit(effect: &Effect<Value>) -> bool {
    matches!(effect, Effect::Send { message: Message::Commit { .. }, .. })
}

/// The sender of a Promise, or if it is counted already somebody who is not.
fn uncounted(replica: &Replica<Value, Watched>, from: ServerId) -> ServerId {
    match replica.role() {
        Role::Preparing(preparing) if preparing.promises.contains_key(&from) => {
            let mut others = replica.config().members();
            others.find(|other| !preparing.promises.contains_key(other)).unwrap_or(from)
        }
        _ => from,
    }
}

/// A renewal gives the running grants back first.
fn release_before_renewal(effects: &mut Vec<Effect<Value>>) {
    let renewed: Vec<(ServerId, View)> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { to, message: Message::Renew { view, round, .. }, .. } if *round > 1 => {
                Some((*to, *view))
            }
            _ => None,
        })
        .collect();
    let releases = renewed.into_iter().map(|(to, view)| Effect::Send {
        to,
        message: Message::Release { view },
        when: When::AtOnce,
    });
    effects.splice(..0, releases);
}

/// Disks, clocks and restarts.
impl Variant {
    /// What the disk of a server holds after a crash; `first` is what it held in the beginning.
    pub fn disk_after_crash(
        self,
        disk: Durable<Value>,
        first: impl FnOnce() -> Durable<Value>,
    ) -> Durable<Value> {
        match self {
            Self::WipedDisk => first(),
            Self::VotesExpire => without_votes(&disk, disk.history.committed()),
            _ => disk,
        }
    }

    /// The moment at which an input is handled, on a clock that shows [`NOW`].
    pub fn time(self, scope: &Scope, input: Input) -> LocalTime {
        let Some(clocks) = scope.lease else { return NOW };
        match (self, input) {
            (Self::StandsDespiteGrant, Input::Elect) => NOW + Span(clocks.grant_term.into()),
            (Self::ReadWithEarlierTime, Input::Read) => NOW - Span(clocks.slow.into()),
            _ => NOW,
        }
    }

    /// How far a clock moves that should advance by `step`.
    pub fn clock(self, scope: &Scope, step: u8) -> Span {
        let slow = scope.lease.is_some_and(|clocks| clocks.slow == step);
        match self {
            Self::ClockStops if slow => Span::ZERO,
            Self::ClockSetBack if slow => Span(-i64::from(step)),
            _ => Span(step.into()),
        }
    }

    /// What a server is after an input that was handled otherwise than it should be.
    pub fn afterwards(self, input: Input, before: &Node, node: &mut Node) {
        match (self, input) {
            // It goes on reading under the lease that it has just given up.
            (Self::TransferKeepsLease, Input::Resign) => node.replica = before.replica.clone(),
            // It finds its lease on disk, with a whole term before it.
            (Self::LeaseResumed, Input::Crash(_)) => {
                if let Some(rest) = before.replica.lease_remaining(NOW) {
                    node.replica = before.replica.clone();
                    node.replica.shift_time(Span(node.replica.config().lease_term.0 - rest.0));
                }
            }
            (Self::OlderSnapshotTruncates, Input::Deliver(envelope)) => {
                let late = envelope.snapshot.as_ref();
                late.into_iter().for_each(|late| truncate(late, before, node));
            }
            (Self::LogReplayedTwice, Input::Crash(_)) => node.applied.clone_from(&before.applied),
            (Self::RejectionRollsBack, Input::Deliver(envelope))
                if matches!(envelope.message, Message::Reject { .. }) =>
            {
                roll_back(node);
            }
            _ => {}
        }
    }
}

/// The disk without what is not committed up to `last`.
fn without_votes(disk: &Durable<Value>, last: Slot) -> Durable<Value> {
    let committed = disk.history.above(Slot::NONE).take_while(|&(slot, _)| slot <= last);
    let learnt = committed.map(|(slot, entry)| Record::Learnt { slot, command: entry.command.clone() });
    let rest =
        [Record::Attempt(disk.attempted), Record::Promise(disk.promised), Record::GrantTerm(disk.grant_term)];
    learnt.chain(rest).collect()
}

/// Takes back the last committed slot, and starts again from what is left.
fn roll_back(node: &mut Node) {
    let last = Slot(node.durable.history.committed().0.saturating_sub(1));
    let config = node.replica.config().clone();
    node.durable = without_votes(&node.durable, last);
    node.applied.retain(|&(slot, _)| slot <= last);
    let mut ignored = Effects::new();
    if let Ok(replica) = Replica::recover(
        config,
        Watched(Variant::RejectionRollsBack),
        node.durable.clone(),
        NOW,
        &mut ignored,
    ) {
        node.replica = replica;
    }
}
