//! Variants that replace one function of the rules page. Each match has the variants first and the rule as it is
//! meant last.

use spec::rules::{Admission, Choice, Departure, Promises};
use spec::{
    Command, Config, Grant, Incarnation, LocalTime, Paxos, Phase, RecoveryRound, Rules, ServerId, ServerSet,
    Slot, Span, Value, View,
};

use super::Variant;
use crate::scope::{RESTART_CLOCKS, SHORT_CLOCKS};

impl Rules for Variant {
    fn is_quorum(&self, config: &Config, phase: Phase, votes: ServerSet) -> bool {
        match (self, phase) {
            (Self::QuorumHalf, _) => votes.len() >= config.servers / 2,
            (Self::QuorumsMiss, Phase::One) => votes.len() >= config.servers - config.phase2_quorum,
            (Self::LeaseBeforePhase1, Phase::One) => Paxos.is_quorum(config, Phase::Two, votes),
            _ => Paxos.is_quorum(config, phase, votes),
        }
    }

    fn may_promise(&self, promised: View, grant: Option<Grant>, view: View, now: LocalTime) -> bool {
        match self {
            Self::GrantIgnored => Paxos.may_promise(promised, None, view, now),
            Self::PromisesBelow => Paxos.may_promise(View::NONE, grant, view, now),
            _ => Paxos.may_promise(promised, grant, view, now),
        }
    }

    fn counts_promise(&self, preparing: View, promised: View) -> bool {
        *self == Self::StalePromise || Paxos.counts_promise(preparing, promised)
    }

    fn may_accept(&self, promised: View, view: View) -> bool {
        *self == Self::AcceptsBelowPromise || Paxos.may_accept(promised, view)
    }

    fn promised_by_vote(&self, promised: View, view: View) -> View {
        match self {
            Self::VotePromisesNothing => promised,
            _ => Paxos.promised_by_vote(promised, view),
        }
    }

    fn promised_by_snapshot(&self, promised: View) -> View {
        match self {
            Self::SnapshotForgetsPromise => View::NONE,
            _ => Paxos.promised_by_snapshot(promised),
        }
    }

    fn value_to_propose<V: Value>(&self, slot: Slot, promises: &Promises<V>) -> Choice<V> {
        let reports =
            || promises.values().flat_map(|said| &said.reports).filter(|report| report.slot == slot);
        let propose =
            |command: Option<&Command<V>>| Choice::Propose(command.map_or(Command::NoOp, Command::clone));
        let right = Paxos.value_to_propose(slot, promises);
        match (self, &right) {
            (Self::UnsentTakenForHole, Choice::Fetch) => Choice::Propose(Command::NoOp),
            (Self::HoleFilledWithAnything, Choice::Propose(Command::NoOp)) => {
                Choice::Propose(Command::Open { nonce: slot.0 })
            }
            (Self::HolesStayOpen, Choice::Propose(Command::NoOp)) => Choice::Fetch,
            (Self::UnfinishedSlots, Choice::Propose(command)) if *command != Command::NoOp => Choice::Fetch,
            (Self::LowestView, Choice::Propose(_)) => {
                propose(reports().min_by_key(|report| report.view).map(|report| &report.command))
            }
            // Applied one after the other, here in the order of the servers.
            (Self::LastPromise, Choice::Propose(_)) => {
                propose(reports().last().map(|report| &report.command))
            }
            (Self::MinorityVoteIgnored, Choice::Propose(_)) if reports().count() < promises.len() => {
                Choice::Propose(Command::NoOp)
            }
            _ => right,
        }
    }

    fn first_free_slot(&self, committed: Slot, reported: Slot) -> Slot {
        match self {
            Self::NewUpdateInReportedSlot => committed.next(),
            _ => Paxos.first_free_slot(committed, reported),
        }
    }

    fn next_view(&self, me: ServerId, attempted: View, seen: View) -> View {
        match self {
            // The clock shows what it showed when the server stood for the first time.
            Self::ViewFromClock => View::new(u64::from(me.0) + 1, me),
            Self::ViewBelowSeen => Paxos.next_view(me, attempted, attempted),
            Self::ViewTakenUpAgain if attempted > View::new(me.0.into(), me) => attempted,
            _ => Paxos.next_view(me, attempted, seen),
        }
    }

    fn counts_vote(&self, leading: View, vote: View) -> bool {
        *self == Self::VotesOfAnyView || Paxos.counts_vote(leading, vote)
    }

    fn may_learn(&self, voted: View, marked: View) -> bool {
        *self == Self::MarkOfAnyView || Paxos.may_learn(voted, marked)
    }

    fn refutes<V: Value>(&self, own: Option<&Command<V>>, learnt: Option<&Command<V>>) -> bool {
        match (self, learnt) {
            (Self::RefutedLeaderStays, _) | (Self::SnapshotRefutesNobody, None) => false,
            _ => Paxos.refutes(own, learnt),
        }
    }

    fn may_pass_on(&self, committed: bool) -> bool {
        *self == Self::VotesPassedOn || Paxos.may_pass_on(committed)
    }

    fn may_apply(&self, applied: Slot, slot: Slot) -> bool {
        *self == Self::AppliedAcrossGap || Paxos.may_apply(applied, slot)
    }

    fn may_grant(&self, config: &Config, promised: View, view: View, term: Span) -> bool {
        match self {
            Self::TermUnchecked => view == promised,
            _ => Paxos.may_grant(config, promised, view, term),
        }
    }

    fn grant_end(
        &self,
        current: Option<Grant>,
        asked: (View, u64),
        now: LocalTime,
        grant_term: Span,
    ) -> LocalTime {
        let right = Paxos.grant_end(current, asked, now, grant_term);
        match self {
            Self::GrantFromEarlier => {
                let earlier = now - Span(SHORT_CLOCKS.fast.into());
                Paxos.grant_end(current, asked, earlier, grant_term)
            }
            Self::GrantShortened => now + grant_term,
            Self::LateCopyExtends => right.max(now + grant_term),
            _ => right,
        }
    }

    fn grant_after_restart(&self, promised: View, grant_term: Span, now: LocalTime) -> Option<Grant> {
        match self {
            Self::GrantForgotten => None,
            Self::GrantTermForgotten => {
                let configured = Span(RESTART_CLOCKS.grant_term.into());
                Paxos.grant_after_restart(promised, grant_term.min(configured), now)
            }
            _ => Paxos.grant_after_restart(promised, grant_term, now),
        }
    }

    fn may_end_grant(&self, granted: View, released: View) -> bool {
        *self == Self::LateRelease || Paxos.may_end_grant(granted, released)
    }

    fn next_round(&self, requested: u64) -> u64 {
        match self {
            Self::RequestKeepsRound => 1,
            _ => Paxos.next_round(requested),
        }
    }

    fn counts_grant(&self, asked: (View, u64), granted: (View, u64)) -> bool {
        match self {
            Self::GrantsOfOtherRounds => asked.0 == granted.0,
            Self::GrantsOfOtherViews => asked.1 == granted.1,
            _ => Paxos.counts_grant(asked, granted),
        }
    }

    fn grants_to_rely_on(&self, grants: ServerSet, doubted: ServerSet) -> ServerSet {
        match self {
            Self::DoubtedGrantsCount => grants,
            _ => Paxos.grants_to_rely_on(grants, doubted),
        }
    }

    fn doubt_ends_lease(&self) -> bool {
        *self != Self::LeaseOutlastsDoubt && Paxos.doubt_ends_lease()
    }

    fn doubt_ends_rounds(&self) -> bool {
        *self != Self::RoundsOutlastDoubt && Paxos.doubt_ends_rounds()
    }

    fn makes_lease(&self, config: &Config, grants: ServerSet) -> bool {
        match self {
            Self::GrantsUncounted => !grants.is_empty(),
            _ => Paxos.makes_lease(config, grants),
        }
    }

    fn lease_end(&self, sent: LocalTime, acknowledged: LocalTime, lease_term: Span) -> LocalTime {
        match self {
            Self::LeaseFromAck => acknowledged + lease_term,
            _ => Paxos.lease_end(sent, acknowledged, lease_term),
        }
    }

    fn holds_lease(&self, until: Option<LocalTime>, now: LocalTime) -> bool {
        match self {
            Self::LeaseHeldAtItsEnd => until.is_some_and(|until| now <= until),
            _ => Paxos.holds_lease(until, now),
        }
    }

    fn may_serve_read(&self, lease: bool, confirmed: bool, applied: Slot, known: Slot) -> bool {
        match self {
            Self::ReadByRole => applied >= known,
            Self::ReadsBeforeOlderViews => lease || confirmed,
            _ => Paxos.may_serve_read(lease, confirmed, applied, known),
        }
    }

    fn admit(&self, last: Option<u64>, sequence: u64) -> Admission {
        match (self, last) {
            (Self::RetryExecutedTwice, Some(_)) | (Self::EvictedSessionApplied, None) => Admission::Fresh,
            _ => Paxos.admit(last, sequence),
        }
    }

    fn departure(&self, lease: bool, quiet: bool) -> Departure {
        match self {
            Self::RefusalQuits => Departure::StepDown,
            _ => Paxos.departure(lease, quiet),
        }
    }

    fn takes_part(&self, recovering: bool) -> bool {
        *self == Self::VotesWhileRecovering || Paxos.takes_part(recovering)
    }

    fn has_repaired(&self, lacks: Slot, committed: Slot) -> bool {
        *self == Self::VotesWhileDamaged || Paxos.has_repaired(lacks, committed)
    }

    fn counts_incarnation(&self, noted: Incarnation, incarnation: Incarnation) -> bool {
        *self == Self::OldIncarnationHeard || Paxos.counts_incarnation(noted, incarnation)
    }

    fn forgets_old_incarnation(&self) -> bool {
        *self != Self::OldVotesKept && Paxos.forgets_old_incarnation()
    }

    fn recovery_round_ends(&self, config: &Config, round: RecoveryRound, answered: ServerSet) -> bool {
        match (self, round) {
            (Self::RecoversFromQuorum, RecoveryRound::Tell) => answered.len() + 1 >= config.phase1_quorum,
            _ => Paxos.recovery_round_ends(config, round, answered),
        }
    }

    fn keeps_reported_vote(&self, held: View, reported: View) -> bool {
        *self != Self::ReportedVotesDropped && Paxos.keeps_reported_vote(held, reported)
    }

    fn recovery_wait_ends(&self, told: LocalTime, grant_term: Span) -> LocalTime {
        match self {
            Self::RecoversWithoutWait => told,
            _ => Paxos.recovery_wait_ends(told, grant_term),
        }
    }
}
