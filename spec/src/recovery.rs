//! The state *may not vote*: how a server that lost its disk, and with it what it promised, takes part again without
//! breaking agreement or leases. The thesis has no such thing; the machine in `proof/recover.machine` is proved.
//!
//! The server comes back with a new *incarnation*, a number above every earlier one of its own, and asks in two
//! rounds:
//!
//! 1. **Note** ([`Recovery::Note`], [`Recovery::Noted`]). Every other server durably notes the new incarnation, hears no
//!    message of an older one from then on, and forgets what an older one promised or voted and was not used yet.
//! 2. **Tell** ([`Recovery::Tell`], [`Recovery::Told`]). Once *all* have noted, every other server reports the views that
//!    it promised and heard of, and each vote. What the lost disk held and somebody relied on, somebody else has.
//!
//! Then the server waits for the longest grant term, for it may have granted a lease, and takes part again.
//!
//! One round is not enough: while some server still counts what the old incarnation said, another has reported already,
//! and what is chosen or established then is in no report. See `ERRATA.md`.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::command::Value;
use crate::effect::{Effects, Timer};
use crate::history::Slot;
use crate::message::{Message, Report};
use crate::record::Record;
use crate::replica::{Replica, Role};
use crate::rules::{RecoveryRound, Rules};
use crate::time::{LocalTime, Span};
use crate::view::{ServerId, ServerSet, View};

/// Counts the disks that a server has had: 0 for the first, and higher each time that it recovers. Not its restarts.
pub type Incarnation = u64;

/// The messages of a recovery. Those of a lost disk name the incarnation that recovers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Recovery<V> {
    /// First round: asks everybody else to note this incarnation of the sender.
    Note(Incarnation),
    /// The incarnation is noted durably.
    Noted(Incarnation),
    /// Second round: asks for what the receiver promised and voted for, from this slot on.
    Tell {
        /// The sender's incarnation.
        incarnation: Incarnation,
        /// The first slot that it lacks.
        first: Slot,
    },
    /// A report, or a piece of one.
    Told {
        /// The receiver's incarnation.
        incarnation: Incarnation,
        /// The first slot of this piece.
        first: Slot,
        /// The highest view that the sender promised.
        promised: View,
        /// The highest view that it has heard of.
        seen: View,
        /// The longest term for which it granted leases.
        grant_term: Span,
        /// What its disk holds for these slots: votes, and chosen values.
        reports: Vec<Report<V>>,
        /// The first slot of the next piece; none if this is the last.
        next: Option<Slot>,
    },
    /// Not a lost disk but a damaged one: asks for what is chosen, see [`crate::Repairing`].
    Lack {
        /// The first slot that the sender does not know as chosen.
        first: Slot,
        /// It takes no part before it knows every slot up to here.
        up_to: Slot,
    },
}

/// How far a recovery is. All of it is lost in a crash, and asked for again.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Recovering {
    /// Who noted the new incarnation.
    pub noted: ServerSet,
    /// Who reported everything.
    pub told: ServerSet,
    /// When every lease that the server may have granted is over, once all have reported.
    pub until: Option<LocalTime>,
    /// The next slot that each server is to report, where it has begun.
    asked: BTreeMap<ServerId, Slot>,
    promised: View,
    seen: View,
    grant_term: Span,
}

impl<V: Value, R: Rules> Replica<V, R> {
    /// How far its recovery is, if it may not vote.
    pub fn recovering(&self) -> Option<&Recovering> {
        self.recovering.as_ref()
    }

    /// A message of one incarnation of its sender arrived: [`Replica::receive`], unless that incarnation is over. A later
    /// one than was known is noted first: a server that noted it once, and has lost its own disk since, must know of it.
    pub fn receive_from(
        &mut self,
        (from, incarnation): (ServerId, Incarnation),
        message: Message<V>,
        now: LocalTime,
        effects: &mut Effects<V>,
    ) {
        let noted = self.durable.incarnation_of(self.config.me, from);
        if !self.config.is_member(from) || !self.rules.counts_incarnation(noted, incarnation) {
            return;
        }
        if incarnation > noted {
            self.note(from, incarnation, effects);
        }
        self.receive(from, message, now, effects);
    }

    /// Whether it has recovered what it lost, if anything.
    pub(crate) fn takes_part(&self) -> bool {
        let (lacks, committed) = (self.durable.lacks, self.durable.history.committed());
        self.rules.takes_part(self.recovering.is_some()) && self.rules.has_repaired(lacks, committed)
    }

    /// Whether a server that may not vote has any use for the message: its answers, chosen values, and what it can tell
    /// without a memory.
    pub(crate) fn may_hear(&self, message: &Message<V>) -> bool {
        self.takes_part()
            || matches!(
                message,
                Message::Recovery(_)
                    | Message::Commit { .. }
                    | Message::CatchUp { .. }
                    | Message::SnapshotOffer { .. }
            )
    }

    pub(crate) fn on_recovery(
        &mut self,
        from: ServerId,
        recovery: Recovery<V>,
        now: LocalTime,
        effects: &mut Effects<V>,
    ) {
        match recovery {
            Recovery::Note(incarnation) => self.on_note(from, incarnation, effects),
            Recovery::Noted(incarnation) => self.on_noted(from, incarnation, effects),
            Recovery::Tell { incarnation, first } => self.on_tell(from, incarnation, first, effects),
            told @ Recovery::Told { .. } => self.on_told(from, told, now, effects),
            Recovery::Lack { first, up_to } => self.on_lack(from, first, up_to, effects),
        }
    }

    /// First round, the server that is asked.
    fn on_note(&mut self, from: ServerId, incarnation: Incarnation, effects: &mut Effects<V>) {
        let noted = self.durable.incarnation_of(self.config.me, from);
        if from == self.config.me || incarnation < noted {
            return;
        }
        if incarnation > noted {
            self.note(from, incarnation, effects);
        }
        effects.send(from, Message::Recovery(Recovery::Noted(incarnation)));
    }

    /// From here on nothing counts that an older incarnation of the server said.
    fn note(&mut self, server: ServerId, incarnation: Incarnation, effects: &mut Effects<V>) {
        self.persist(Record::Noted { server, incarnation }, effects);
        if self.rules.forgets_old_incarnation() {
            self.forget_said(server);
        }
    }

    /// Takes back what a server promised and voted, as far as it was not used yet.
    fn forget_said(&mut self, server: ServerId) {
        match &mut self.role {
            Role::Follower => {}
            Role::Preparing(preparing) => _ = preparing.promises.remove(&server),
            Role::Leading(leading) => {
                for proposal in leading.proposals.values_mut().filter(|proposal| !proposal.chosen) {
                    proposal.votes.remove(server);
                }
            }
        }
    }

    /// First round, the server that recovers.
    fn on_noted(&mut self, from: ServerId, incarnation: Incarnation, effects: &mut Effects<V>) {
        if self.durable.incarnation != incarnation {
            return;
        }
        let Some(recovering) = self.recovering.as_mut() else { return };
        let over = self.rules.recovery_round_ends(&self.config, RecoveryRound::Note, recovering.noted);
        recovering.noted.insert(from);
        if !over && self.rules.recovery_round_ends(&self.config, RecoveryRound::Note, recovering.noted) {
            self.ask_again(effects);
        }
    }

    /// Second round, the server that is asked: as much as fits in one message.
    fn on_tell(&mut self, from: ServerId, incarnation: Incarnation, first: Slot, effects: &mut Effects<V>) {
        let history = &self.durable.history;
        let noted = self.durable.incarnation_of(self.config.me, from);
        if noted != incarnation || !self.takes_part() {
            return;
        }
        let first = first.max(Slot(1));
        if first <= history.base() {
            self.offer_snapshot(from, effects);
            return;
        }
        let mut room = self.config.window_bytes;
        let fits = |&(_, entry): &(Slot, &crate::history::Entry<V>)| {
            let fits = room > 0;
            room = room.saturating_sub(entry.command.size_bytes());
            fits
        };
        let held = history.above(Slot(first.0 - 1)).take(self.config.catch_up_max).take_while(fits);
        let reports: Vec<_> = held.map(|(slot, entry)| Report::of(slot, entry)).collect();
        let last = reports.last().map_or(first, |report| report.slot);
        let next = history.above(last).next().filter(|_| !reports.is_empty()).map(|(slot, _)| slot);
        let (promised, seen) = (self.durable.promised, self.seen.max(self.durable.promised));
        let grant_term = self.durable.grant_term;
        // A report of what is lost in the next crash would be no lie, but nor would it be of any use.
        effects.send(
            from,
            Message::Recovery(Recovery::Told {
                incarnation,
                first,
                promised,
                seen,
                grant_term,
                reports,
                next,
            }),
        );
    }

    /// Second round, the server that recovers.
    fn on_told(&mut self, from: ServerId, told: Recovery<V>, now: LocalTime, effects: &mut Effects<V>) {
        let Recovery::Told { incarnation, first, promised, seen, grant_term, reports, next } = told else {
            return;
        };
        let Some(recovering) = self.recovering.as_mut() else { return };
        let expected = recovering.asked.get(&from) == Some(&first);
        if self.durable.incarnation != incarnation || recovering.told.contains(from) || !expected {
            return;
        }
        recovering.promised = recovering.promised.max(promised);
        recovering.seen = recovering.seen.max(seen).max(promised);
        recovering.grant_term = recovering.grant_term.max(grant_term);
        match next {
            Some(next) => _ = recovering.asked.insert(from, next),
            None => recovering.told.insert(from),
        }
        reports.into_iter().for_each(|report| self.keep_report(report, effects));
        self.settle(now, effects);
        self.wait_for_grants(now, effects);
        if next.is_some() {
            self.ask_to_tell(from, effects);
        }
    }

    /// Keeps what another server's disk holds for a slot, as if it were from the lost one.
    fn keep_report(
        &mut self,
        Report { slot, view, command, committed }: Report<V>,
        effects: &mut Effects<V>,
    ) {
        if committed {
            self.learn(slot, command, effects);
            return;
        }
        let held = self.durable.history.entry(slot).map_or(View::NONE, |entry| entry.view);
        if !self.durable.history.is_committed(slot) && self.rules.keeps_reported_vote(held, view) {
            self.persist(Record::Vote { view, slot, command }, effects);
        }
    }

    /// Every other server has reported: waits until no lease that the lost disk granted can run (4.3.4).
    fn wait_for_grants(&mut self, now: LocalTime, effects: &mut Effects<V>) {
        let Some(recovering) = self.recovering.as_mut() else { return };
        let all = self.rules.recovery_round_ends(&self.config, RecoveryRound::Tell, recovering.told);
        if all && recovering.until.is_none() {
            let term = recovering.grant_term.max(self.config.grant_term);
            let until = self.rules.recovery_wait_ends(now, term);
            recovering.until = Some(until);
            effects.arm(Timer::Retry, until - now, Span::ZERO);
        }
    }

    /// Asks for what is still missing, or takes part again once nothing is.
    pub(crate) fn go_on_recovering(&mut self, now: LocalTime, effects: &mut Effects<V>) {
        match self.recovering.as_ref().and_then(|recovering| recovering.until) {
            Some(until) if now >= until => self.finish_recovery(effects),
            Some(until) => effects.arm(Timer::Retry, until - now, Span::ZERO),
            None => self.ask_again(effects),
        }
    }

    /// Both rounds, the server that recovers: asks those that have not answered.
    pub(crate) fn ask_again(&mut self, effects: &mut Effects<V>) {
        let Some(recovering) = &self.recovering else { return };
        let (noted, told) = (recovering.noted, recovering.told);
        for to in self.others().filter(|&to| !noted.contains(to)) {
            // At once: the record of this incarnation is as old as this disk.
            effects.send_at_once(to, Message::Recovery(Recovery::Note(self.durable.incarnation)));
        }
        if self.rules.recovery_round_ends(&self.config, RecoveryRound::Note, noted) {
            self.others().filter(|&to| !told.contains(to)).for_each(|to| self.ask_to_tell(to, effects));
        }
        effects.arm(Timer::Retry, self.config.retry_interval, Span::ZERO);
    }

    fn ask_to_tell(&mut self, to: ServerId, effects: &mut Effects<V>) {
        let lacks = self.durable.history.committed().next();
        let Some(recovering) = self.recovering.as_mut() else { return };
        let asked = recovering.asked.entry(to).or_insert(lacks);
        // What came another way in the meantime need not be told.
        let first = (*asked).max(lacks);
        *asked = first;
        let incarnation = self.durable.incarnation;
        effects.send_at_once(to, Message::Recovery(Recovery::Tell { incarnation, first })); // A question promises nothing.
    }

    fn finish_recovery(&mut self, effects: &mut Effects<V>) {
        let Some(Recovering { promised, seen, grant_term, .. }) = self.recovering.take() else { return };
        self.persist(Record::Recovered { promised, attempted: seen, grant_term }, effects);
        self.seen = self.seen.max(seen);
        self.await_part(effects);
    }
}

#[cfg(test)]
mod tests;
