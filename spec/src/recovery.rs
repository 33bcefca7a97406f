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
mod tests {
    use alloc::vec;

    use super::*;
    use crate::config::ConfigError;
    use crate::effect::Effect;
    use crate::record::Durable;
    use crate::rules::Paxos;
    use crate::testing::{
        ME, MINE, NOW, OTHER, THIRD, commit, fire, give, give_at, leader, open, promise, sent, start,
        start_from, three, with_leases,
    };

    const NEW: Incarnation = 7;
    const VIEW: View = View::new(3, THIRD);

    fn lost() -> Durable<u8> {
        Durable::from_iter([Record::Recovering(NEW)])
    }

    fn recovery(recovery: Recovery<u8>) -> Message<u8> {
        Message::Recovery(recovery)
    }

    fn vote(slot: u64, view: View, nonce: u64) -> Report<u8> {
        Report { slot: Slot(slot), view, command: open(nonce), committed: false }
    }

    fn told(first: u64, reports: Vec<Report<u8>>, next: Option<u64>) -> Message<u8> {
        recovery(Recovery::Told {
            incarnation: NEW,
            first: Slot(first),
            promised: VIEW,
            seen: View::new(4, OTHER),
            grant_term: Span(20),
            reports,
            next: next.map(Slot),
        })
    }

    /// A server whose new incarnation all others have noted.
    fn noted() -> Replica<u8> {
        let mut replica = start_from(with_leases(), lost());
        for from in [OTHER, THIRD] {
            give(&mut replica, from, recovery(Recovery::Noted(NEW)));
        }
        replica
    }

    #[test]
    fn a_server_that_lost_its_disk_promises_votes_grants_and_stands_for_nothing() {
        let mut replica = start_from(with_leases(), lost());
        let before = replica.clone();
        let (view, committed) = (VIEW, Slot::NONE);
        let asks = [
            Message::Prepare { view, committed },
            Message::Propose { view, slot: Slot(1), command: open(1) },
            Message::Renew { view, round: 1, term: Span(8), committed },
        ];
        for message in asks {
            assert_eq!(give(&mut replica, THIRD, message), []);
        }
        assert_eq!(fire(&mut replica, Timer::Election, NOW), []);
        assert_eq!(give(&mut replica, OTHER, promise(MINE)), []);
        assert_eq!(replica, before);
    }

    #[test]
    fn nobody_is_asked_to_tell_before_every_other_server_has_noted() {
        let mut replica = start_from(three(), lost());
        let tells = |effects: &[Effect<u8>]| {
            let sent = sent(effects).into_iter();
            sent.filter(|(_, it)| matches!(it, Message::Recovery(Recovery::Tell { .. })))
                .map(|(to, _)| to)
                .collect::<Vec<_>>()
        };
        let none: Vec<ServerId> = vec![];
        assert_eq!(tells(&give(&mut replica, OTHER, recovery(Recovery::Noted(NEW)))), none);
        assert_eq!(tells(&give(&mut replica, THIRD, recovery(Recovery::Noted(NEW - 1)))), none);
        assert_eq!(tells(&give(&mut replica, THIRD, recovery(Recovery::Noted(NEW)))), [OTHER, THIRD]);
    }

    #[test]
    fn it_keeps_the_highest_vote_of_each_slot_and_what_is_chosen() {
        let mut replica = noted();
        let chosen = Report { committed: true, ..vote(1, View::NONE, 1) };
        give(&mut replica, OTHER, told(1, vec![chosen, vote(2, VIEW, 5)], None));
        give(&mut replica, THIRD, told(1, vec![vote(1, MINE, 9), vote(2, MINE, 6), vote(3, MINE, 7)], None));
        let history = replica.history();
        assert_eq!(history.committed_command(Slot(1)), Some(&open(1)));
        assert_eq!(history.entry(Slot(2)).map(|it| (it.view, &it.command)), Some((VIEW, &open(5))));
        assert_eq!(history.entry(Slot(3)).map(|it| it.view), Some(MINE));
    }

    #[test]
    fn it_takes_part_again_when_all_have_told_and_the_longest_grant_is_over() {
        let mut replica = noted();
        give(&mut replica, OTHER, told(1, vec![], None));
        assert_eq!(replica.recovering().unwrap().until, None);
        give(&mut replica, THIRD, told(1, vec![], None));
        fire(&mut replica, Timer::Retry, LocalTime(19));
        assert!(replica.durable().recovering);
        fire(&mut replica, Timer::Retry, LocalTime(20));
        assert!(!replica.durable().recovering && replica.recovering().is_none());
        assert_eq!(replica.durable().promised, VIEW);
        assert_eq!(replica.next_view(), View::new(5, ME));
        assert_eq!(replica.durable().grant_term, Span(20));
        let low = Message::Prepare { view: View::new(2, OTHER), committed: Slot::NONE };
        let refused = Message::Reject { view: View::new(2, OTHER), promised: VIEW };
        assert_eq!(sent(&give_at(&mut replica, OTHER, low, LocalTime(20))), [(OTHER, refused)]);
    }

    #[test]
    fn a_report_comes_in_pieces_each_once_and_in_order() {
        let mut replica = noted();
        let asks = sent(&give(&mut replica, OTHER, told(1, vec![vote(1, MINE, 1)], Some(4))));
        let next = Recovery::Tell { incarnation: NEW, first: Slot(4) };
        assert_eq!(asks, [(OTHER, recovery(next))]);
        assert_eq!(
            give(&mut replica, OTHER, told(1, vec![vote(1, VIEW, 2)], None)),
            [],
            "that piece was here"
        );
        give(&mut replica, OTHER, told(4, vec![vote(4, MINE, 4)], None));
        assert!(replica.recovering().unwrap().told.contains(OTHER));
    }

    #[test]
    fn who_notes_hears_the_old_incarnation_no_more_and_forgets_its_promise_and_votes() {
        let mut replica = start(three());
        fire(&mut replica, Timer::Election, NOW);
        give(&mut replica, OTHER, promise(MINE));
        let noted = give(&mut replica, OTHER, recovery(Recovery::Note(NEW)));
        assert_eq!(noted[0], Effect::Persist(Record::Noted { server: OTHER, incarnation: NEW }));
        assert_eq!(sent(&noted), [(OTHER, recovery(Recovery::Noted(NEW)))]);
        give(&mut replica, ME, promise(MINE));
        assert!(matches!(replica.role(), Role::Preparing(_)), "one promise is left");
        let mut effects = Effects::new();
        replica.receive_from((OTHER, NEW - 1), promise(MINE), NOW, &mut effects);
        assert!(matches!(replica.role(), Role::Preparing(_)));
        replica.receive_from((OTHER, NEW), promise(MINE), NOW, &mut effects);
        assert!(matches!(replica.role(), Role::Leading(_)));
    }

    #[test]
    fn a_leader_that_notes_forgets_the_votes_that_have_chosen_nothing() {
        let mut replica = leader(three());
        replica.submit(open(1), &mut Effects::new());
        give(&mut replica, OTHER, Message::Accept { view: MINE, slot: Slot(1) });
        give(&mut replica, OTHER, recovery(Recovery::Note(NEW)));
        give(&mut replica, ME, Message::Accept { view: MINE, slot: Slot(1) });
        assert_eq!(replica.history().committed(), Slot::NONE, "one vote is left");
        give(&mut replica, THIRD, Message::Accept { view: MINE, slot: Slot(1) });
        assert_eq!(replica.history().committed(), Slot(1));
    }

    // Slot 2 is chosen and waits for slot 1. What a quorum chose stays chosen.
    #[test]
    fn a_leader_that_notes_keeps_what_the_votes_have_chosen() {
        let mut replica = leader(three());
        (1..=2).for_each(|nonce| replica.submit(open(nonce), &mut Effects::new()));
        for from in [ME, OTHER] {
            give(&mut replica, from, Message::Accept { view: MINE, slot: Slot(2) });
        }
        give(&mut replica, OTHER, recovery(Recovery::Note(NEW)));
        for from in [ME, THIRD] {
            give(&mut replica, from, Message::Accept { view: MINE, slot: Slot(1) });
        }
        assert_eq!(replica.history().committed(), Slot(2));
    }

    // As one must that has lost its disk since it noted it: what it then hears first may be an answer.
    #[test]
    fn any_message_of_a_later_incarnation_notes_it() {
        let mut replica = start_from(three(), lost());
        let mut hear = |from, message| {
            let mut effects = Effects::new();
            replica.receive_from(from, message, NOW, &mut effects);
            effects.drain().collect::<Vec<_>>()
        };
        let noted = Effect::Persist(Record::Noted { server: OTHER, incarnation: 2 });
        assert_eq!(hear((OTHER, 2), recovery(Recovery::Noted(NEW))), [noted]);
        let tell = Recovery::Tell { incarnation: 1, first: Slot(1) };
        assert_eq!(hear((OTHER, 1), recovery(tell)), []);
        assert_eq!(hear((ServerId(7), 9), recovery(Recovery::Note(9))), []);
        assert_eq!(replica.durable().noted.len(), 1);
    }

    #[test]
    fn an_older_incarnation_is_not_noted_and_a_known_one_is_only_confirmed() {
        let mut replica = start(three());
        give(&mut replica, OTHER, recovery(Recovery::Note(NEW)));
        assert_eq!(give(&mut replica, OTHER, recovery(Recovery::Note(NEW - 1))), []);
        let again = give(&mut replica, OTHER, recovery(Recovery::Note(NEW)));
        assert_eq!((again.len(), sent(&again)), (1, vec![(OTHER, recovery(Recovery::Noted(NEW)))]));
    }

    #[test]
    fn who_recovers_itself_tells_nothing_and_passes_on_what_is_chosen() {
        let mut replica = start_from(three(), lost());
        give(&mut replica, OTHER, recovery(Recovery::Note(1)));
        let tell = Recovery::Tell { incarnation: 1, first: Slot(1) };
        assert_eq!(give(&mut replica, OTHER, recovery(tell)), []);
        give(&mut replica, THIRD, commit(1, [open(1)]));
        let answer = give(&mut replica, OTHER, Message::CatchUp { first: Slot(1) });
        assert_eq!(sent(&answer), [(OTHER, commit(1, [open(1)]))]);
    }

    #[test]
    fn what_only_one_server_knew_cannot_be_recovered() {
        let config = crate::Config { phase1_quorum: 3, phase2_quorum: 1, ..three() };
        let refused = Replica::<u8>::recover(config, Paxos, lost(), NOW, &mut Effects::new());
        assert_eq!(refused.err(), Some(ConfigError::QuorumOfOne));
    }
}
