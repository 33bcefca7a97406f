//! The rules, with a note of every answer that they give. The model's replicas ask these.

use std::cell::Cell;

use spec::rules::{Admission, Choice, Departure, Promises};
use spec::{
    Command, Config, Grant, Incarnation, LocalTime, Phase, RecoveryRound, Rules, ServerId, ServerSet, Slot,
    Span, Value, View,
};

use crate::variant::Variant;

/// The outcomes of each rule that make a difference.
pub const OUTCOMES: &[(&str, &str)] = &[
    ("is_quorum", "phase 1: yes"),
    ("is_quorum", "phase 1: no"),
    ("is_quorum", "phase 2: yes"),
    ("is_quorum", "phase 2: no"),
    ("may_promise", "yes"),
    ("may_promise", "no: it has left that view"),
    ("may_promise", "no: a grant runs"),
    ("counts_promise", "yes"),
    ("counts_promise", "no"),
    ("may_accept", "yes"),
    ("may_accept", "no"),
    ("promised_by_vote", "the same view"),
    ("promised_by_vote", "a higher view"),
    ("promised_by_snapshot", "the same view"),
    ("value_to_propose", "learn"),
    ("value_to_propose", "fetch"),
    ("value_to_propose", "propose a vote"),
    ("value_to_propose", "fill a hole"),
    ("first_free_slot", "above what is committed"),
    ("first_free_slot", "above what was reported"),
    ("next_view", "a view"),
    ("counts_vote", "yes"),
    ("counts_vote", "no"),
    ("may_learn", "yes"),
    ("may_learn", "no"),
    ("refutes", "yes"),
    ("refutes", "no"),
    ("may_pass_on", "yes"),
    ("may_pass_on", "no"),
    ("may_apply", "yes"),
    ("may_apply", "no"),
    ("may_grant", "yes"),
    ("may_grant", "no: the view is not promised"),
    ("may_grant", "no: the term is too long"),
    ("grant_end", "later"),
    ("grant_end", "as before"),
    ("grant_after_restart", "none"),
    ("grant_after_restart", "to the promised view's leader"),
    ("may_end_grant", "yes"),
    ("may_end_grant", "no"),
    ("next_round", "a round"),
    ("counts_grant", "yes"),
    ("counts_grant", "no"),
    ("grants_to_rely_on", "all"),
    ("grants_to_rely_on", "not those of clocks in doubt"),
    ("doubt_ends_lease", "yes"),
    ("doubt_ends_rounds", "yes"),
    ("makes_lease", "yes"),
    ("makes_lease", "no"),
    ("lease_end", "a time"),
    ("holds_lease", "yes"),
    ("holds_lease", "no"),
    ("may_serve_read", "yes: under the lease"),
    ("may_serve_read", "yes: confirmed"),
    ("may_serve_read", "no: neither"),
    ("may_serve_read", "no: not everything is applied"),
    ("admit", "fresh"),
    ("admit", "repeat"),
    ("admit", "stale"),
    ("admit", "unknown"),
    ("departure", "step down"),
    ("departure", "prepare a higher view"),
    ("departure", "stay"),
    ("takes_part", "yes"),
    ("takes_part", "no"),
    ("has_repaired", "yes"),
    ("has_repaired", "no"),
    ("counts_incarnation", "yes"),
    ("counts_incarnation", "no"),
    ("forgets_old_incarnation", "yes"),
    ("recovery_round_ends", "first round: yes"),
    ("recovery_round_ends", "first round: no"),
    ("recovery_round_ends", "second round: yes"),
    ("recovery_round_ends", "second round: no"),
    ("keeps_reported_vote", "yes"),
    ("keeps_reported_vote", "no"),
    ("recovery_wait_ends", "a time"),
];

thread_local! {
    /// The outcomes since they were last taken, as bits.
    static NOTED: Cell<u128> = const { Cell::new(0) };
}

/// The outcomes that this thread noted since it was last asked, as bits by their places in [`OUTCOMES`].
pub fn take() -> u128 {
    NOTED.take()
}

/// Notes an outcome of a rule.
///
/// # Panics
/// If it is not listed.
fn note(rule: &str, outcome: &str) {
    let at = OUTCOMES.iter().position(|known| *known == (rule, outcome));
    let at = at.unwrap_or_else(|| panic!("{rule}: {outcome} is not listed"));
    NOTED.set(NOTED.get() | 1 << at);
}

/// Notes the answer to a yes-or-no question.
fn noted(rule: &str, answer: bool) -> bool {
    note(rule, if answer { "yes" } else { "no" });
    answer
}

/// A variant's rules, watched.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Watched(pub Variant);

impl Rules for Watched {
    fn is_quorum(&self, config: &Config, phase: Phase, votes: ServerSet) -> bool {
        let is = self.0.is_quorum(config, phase, votes);
        let outcome = match (phase, is) {
            (Phase::One, true) => "phase 1: yes",
            (Phase::One, false) => "phase 1: no",
            (Phase::Two, true) => "phase 2: yes",
            (Phase::Two, false) => "phase 2: no",
        };
        note("is_quorum", outcome);
        is
    }

    fn may_promise(&self, promised: View, grant: Option<Grant>, view: View, now: LocalTime) -> bool {
        let may = self.0.may_promise(promised, grant, view, now);
        let outcome = match may {
            true => "yes",
            false if view < promised => "no: it has left that view",
            false => "no: a grant runs",
        };
        note("may_promise", outcome);
        may
    }

    fn counts_promise(&self, preparing: View, promised: View) -> bool {
        noted("counts_promise", self.0.counts_promise(preparing, promised))
    }

    fn may_accept(&self, promised: View, view: View) -> bool {
        noted("may_accept", self.0.may_accept(promised, view))
    }

    fn promised_by_vote(&self, promised: View, view: View) -> View {
        let after = self.0.promised_by_vote(promised, view);
        note("promised_by_vote", if after > promised { "a higher view" } else { "the same view" });
        after
    }

    fn promised_by_snapshot(&self, promised: View) -> View {
        note("promised_by_snapshot", "the same view");
        self.0.promised_by_snapshot(promised)
    }

    fn value_to_propose<V: Value>(&self, slot: Slot, promises: &Promises<V>) -> Choice<V> {
        let choice = self.0.value_to_propose(slot, promises);
        let outcome = match &choice {
            Choice::Learn(_) => "learn",
            Choice::Fetch => "fetch",
            Choice::Propose(Command::NoOp) => "fill a hole",
            Choice::Propose(_) => "propose a vote",
        };
        note("value_to_propose", outcome);
        choice
    }

    fn first_free_slot(&self, committed: Slot, reported: Slot) -> Slot {
        let above = if reported > committed { "above what was reported" } else { "above what is committed" };
        note("first_free_slot", above);
        self.0.first_free_slot(committed, reported)
    }

    fn next_view(&self, me: ServerId, attempted: View, seen: View) -> View {
        note("next_view", "a view");
        self.0.next_view(me, attempted, seen)
    }

    fn counts_vote(&self, leading: View, vote: View) -> bool {
        noted("counts_vote", self.0.counts_vote(leading, vote))
    }

    fn may_learn(&self, voted: View, marked: View) -> bool {
        noted("may_learn", self.0.may_learn(voted, marked))
    }

    fn refutes<V: Value>(&self, own: Option<&Command<V>>, learnt: Option<&Command<V>>) -> bool {
        noted("refutes", self.0.refutes(own, learnt))
    }

    fn may_pass_on(&self, committed: bool) -> bool {
        noted("may_pass_on", self.0.may_pass_on(committed))
    }

    fn may_apply(&self, applied: Slot, slot: Slot) -> bool {
        noted("may_apply", self.0.may_apply(applied, slot))
    }

    fn may_grant(&self, config: &Config, promised: View, view: View, term: Span) -> bool {
        let may = self.0.may_grant(config, promised, view, term);
        let outcome = match may {
            true => "yes",
            false if view != promised => "no: the view is not promised",
            false => "no: the term is too long",
        };
        note("may_grant", outcome);
        may
    }

    fn grant_end(
        &self,
        current: Option<Grant>,
        asked: (View, u64),
        now: LocalTime,
        grant_term: Span,
    ) -> LocalTime {
        let end = self.0.grant_end(current, asked, now, grant_term);
        let before = current.is_some_and(|current| current.until == end);
        note("grant_end", if before { "as before" } else { "later" });
        end
    }

    fn grant_after_restart(&self, promised: View, grant_term: Span, now: LocalTime) -> Option<Grant> {
        let grant = self.0.grant_after_restart(promised, grant_term, now);
        note("grant_after_restart", if grant.is_some() { "to the promised view's leader" } else { "none" });
        grant
    }

    fn may_end_grant(&self, granted: View, released: View) -> bool {
        noted("may_end_grant", self.0.may_end_grant(granted, released))
    }

    fn next_round(&self, requested: u64) -> u64 {
        note("next_round", "a round");
        self.0.next_round(requested)
    }

    fn counts_grant(&self, asked: (View, u64), granted: (View, u64)) -> bool {
        noted("counts_grant", self.0.counts_grant(asked, granted))
    }

    fn grants_to_rely_on(&self, grants: ServerSet, doubted: ServerSet) -> ServerSet {
        let relied_on = self.0.grants_to_rely_on(grants, doubted);
        note("grants_to_rely_on", if relied_on == grants { "all" } else { "not those of clocks in doubt" });
        relied_on
    }

    fn doubt_ends_lease(&self) -> bool {
        note("doubt_ends_lease", "yes");
        self.0.doubt_ends_lease()
    }

    fn doubt_ends_rounds(&self) -> bool {
        note("doubt_ends_rounds", "yes");
        self.0.doubt_ends_rounds()
    }

    fn makes_lease(&self, config: &Config, grants: ServerSet) -> bool {
        noted("makes_lease", self.0.makes_lease(config, grants))
    }

    fn lease_end(&self, sent: LocalTime, acknowledged: LocalTime, lease_term: Span) -> LocalTime {
        note("lease_end", "a time");
        self.0.lease_end(sent, acknowledged, lease_term)
    }

    fn holds_lease(&self, until: Option<LocalTime>, now: LocalTime) -> bool {
        noted("holds_lease", self.0.holds_lease(until, now))
    }

    fn may_serve_read(&self, lease: bool, confirmed: bool, applied: Slot, known: Slot) -> bool {
        let may = self.0.may_serve_read(lease, confirmed, applied, known);
        let outcome = match may {
            true if lease => "yes: under the lease",
            true => "yes: confirmed",
            false if !lease && !confirmed => "no: neither",
            false => "no: not everything is applied",
        };
        note("may_serve_read", outcome);
        may
    }

    fn admit(&self, last: Option<u64>, sequence: u64) -> Admission {
        let admission = self.0.admit(last, sequence);
        let outcome = match admission {
            Admission::Fresh => "fresh",
            Admission::Repeat => "repeat",
            Admission::Stale => "stale",
            Admission::Unknown => "unknown",
        };
        note("admit", outcome);
        admission
    }

    fn departure(&self, lease: bool, quiet: bool) -> Departure {
        let departure = self.0.departure(lease, quiet);
        let outcome = match departure {
            Departure::StepDown => "step down",
            Departure::PrepareHigher => "prepare a higher view",
            Departure::Stay => "stay",
        };
        note("departure", outcome);
        departure
    }

    fn takes_part(&self, recovering: bool) -> bool {
        noted("takes_part", self.0.takes_part(recovering))
    }

    fn has_repaired(&self, lacks: Slot, committed: Slot) -> bool {
        noted("has_repaired", self.0.has_repaired(lacks, committed))
    }

    fn counts_incarnation(&self, known: Incarnation, incarnation: Incarnation) -> bool {
        noted("counts_incarnation", self.0.counts_incarnation(known, incarnation))
    }

    fn forgets_old_incarnation(&self) -> bool {
        note("forgets_old_incarnation", "yes");
        self.0.forgets_old_incarnation()
    }

    fn recovery_round_ends(&self, config: &Config, round: RecoveryRound, answered: ServerSet) -> bool {
        let ends = self.0.recovery_round_ends(config, round, answered);
        let outcome = match (round, ends) {
            (RecoveryRound::Note, true) => "first round: yes",
            (RecoveryRound::Note, false) => "first round: no",
            (RecoveryRound::Tell, true) => "second round: yes",
            (RecoveryRound::Tell, false) => "second round: no",
        };
        note("recovery_round_ends", outcome);
        ends
    }

    fn keeps_reported_vote(&self, held: View, reported: View) -> bool {
        noted("keeps_reported_vote", self.0.keeps_reported_vote(held, reported))
    }

    fn recovery_wait_ends(&self, told: LocalTime, grant_term: Span) -> LocalTime {
        note("recovery_wait_ends", "a time");
        self.0.recovery_wait_ends(told, grant_term)
    }
}
