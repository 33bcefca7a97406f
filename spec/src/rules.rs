//! Every decision on which safety rests, on one page.
//!
//! The provided methods of [`Rules`] are Paxos with leader leases as this crate means it; [`Paxos`] takes them
//! as they are. The model replaces one at a time to show that each is needed.
//!
//! The invariants that they keep, by the numbers used below:
//!
//! | | invariant |
//! | --- | --- |
//! | I1 | one value at most is proposed in a view for a slot |
//! | I2 | a vote is for a value that was proposed in its view |
//! | I3 | a promise closes every lower view: who promised votes in no lower view |
//! | I4 | a value is chosen when a phase-2 quorum voted for it in one view |
//! | I5 | if `y` is proposed in a view above `v`, no other value was or will be chosen in `v` |
//! | I6 | agreement: two chosen values of one slot are equal |
//! | I7 | what is learnt was chosen |
//! | I8 | slots are applied in order, and an update of a session at most once |
//! | J1 | an established view has a phase-1 quorum of promises |
//! | J2 | a lease that is held was granted by a phase-2 quorum in one round of an established view |
//! | J3 | a grantor remembers each grant until the holder's term is over |
//! | J4 | who granted a lease promises another server's view only after the holder's term is over |
//! | J5 | two servers that hold a lease at the same time are one server |
//! | K0 | a server that lost its disk and has not recovered takes no part |
//! | K1 | once a leader has noted a new incarnation, nothing counts that the old one said and was not used yet |
//! | K2 | reports begin when every other server has noted the new incarnation |
//! | K3 | a server that lost votes takes no part before it knows what was chosen in each slot that they can be for |
//! | R1 | a read sees every update that was acknowledged before it arrived |

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::command::{Command, Value};
use crate::config::Config;
use crate::history::Slot;
use crate::lease::Grant;
use crate::message::Report;
use crate::recovery::Incarnation;
use crate::time::{LocalTime, Span};
use crate::view::{ServerId, ServerSet, View};

/// The two phases of Paxos, whose quorums must intersect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Prepare and Promise.
    One,
    /// Propose and Accept; also lease request and grant.
    Two,
}

/// The two rounds in which a server that lost its disk asks every other one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecoveryRound {
    /// Note and Noted.
    Note,
    /// Tell and Told.
    Tell,
}

/// What one acceptor said when it promised.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Promised<V> {
    /// Its `committedSeq`.
    pub committed: Slot,
    /// Its `info`.
    pub reports: Vec<Report<V>>,
}

/// The promises of one view, by acceptor.
pub type Promises<V> = BTreeMap<ServerId, Promised<V>>;

/// What a new leader does about a slot at or below the highest that its promises reported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Choice<V> {
    /// It is chosen, with this value.
    Learn(Command<V>),
    /// It is chosen, but the value is not here yet: catch up, propose nothing.
    Fetch,
    /// Propose this value.
    Propose(Command<V>),
}

/// What to do with an update whose slot is to be applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Apply it.
    Fresh,
    /// It is the session's latest already: answer with the result that is kept.
    Repeat,
    /// The session has gone on: nobody waits for this one.
    Stale,
    /// There is no such session: refuse.
    Unknown,
}

/// How a leader answers a higher promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    /// It gives its view up (CLOSED, Figure 5.6).
    StepDown,
    /// It prepares a higher view of its own.
    PrepareHigher,
    /// It stays.
    Stay,
}

/// The safety decisions. A method sees only what its decision may depend on.
pub trait Rules {
    /// Do these servers make a quorum of `phase`?
    ///
    /// Members only, each once, the server itself among them. I4, J1 and J2: any phase-1 quorum meets any
    /// phase-2 quorum. Figure 5.5 counts ⌊N/2⌋+1 promises; 5.3, 5.4 and Figure 5.6 say ⌊N/2⌋, which is
    /// right only if the leader is counted apart.
    fn is_quorum(&self, config: &Config, phase: Phase, votes: ServerSet) -> bool {
        let needed = match phase {
            Phase::One => config.phase1_quorum,
            Phase::Two => config.phase2_quorum,
        };
        config.members().filter(|&server| votes.contains(server)).count() >= usize::from(needed)
    }

    /// May this acceptor promise `view`, and may this server stand for it?
    ///
    /// I3 and J4, Figure 5.3 Prepare; the lease clause is 4.3.2: while a grant runs, its grantor takes part in
    /// no other server's election.
    fn may_promise(&self, promised: View, grant: Option<Grant>, view: View, now: LocalTime) -> bool {
        view >= promised && grant.is_none_or(|grant| grant.allows(view.leader, now))
    }

    /// Does a promise of `promised` count for a candidate of `preparing`?
    ///
    /// J1, Figure 5.3 Promise: `view ≠ attemptedView` is a conflict. What was promised and reported for an older
    /// attempt leaves out what was voted for since.
    fn counts_promise(&self, preparing: View, promised: View) -> bool {
        preparing == promised
    }

    /// May this acceptor vote in `view`?
    ///
    /// I3, Figure 5.3 Propose. No lease clause: no view is established past a running lease.
    fn may_accept(&self, promised: View, view: View) -> bool {
        view >= promised
    }

    /// What is promised after a vote in `view`, if `promised` was before?
    ///
    /// I3: a vote closes every lower view as a promise does, also at an acceptor that never saw the Prepare.
    /// Figure 5.4 says so; *Paxos Made Simple* does not.
    fn promised_by_vote(&self, promised: View, view: View) -> View {
        promised.max(view)
    }

    /// What is promised once a snapshot is installed, if `promised` was before?
    ///
    /// I3: a snapshot says what was chosen up to its slot. Put in the place of all that the disk holds, it would undo
    /// a promise that was given while it was on its way.
    fn promised_by_snapshot(&self, promised: View) -> View {
        promised
    }

    /// What does a new leader do about `slot`, given a phase-1 quorum of promises?
    ///
    /// I5. Chosen values are learnt, or fetched if their promisers left them out or have forgotten them; else the
    /// value of the **highest** view that any of them voted in; else nothing can have been chosen below its view, and
    /// the slot is filled. Figure 5.4 applies entries in any order, so that a lower view may overwrite a higher one, and
    /// Figure 5.6 leaves holes open.
    fn value_to_propose<V: Value>(&self, slot: Slot, promises: &Promises<V>) -> Choice<V> {
        let reports =
            || promises.values().flat_map(|said| &said.reports).filter(|report| report.slot == slot);
        if let Some(chosen) = reports().find(|report| report.committed) {
            return Choice::Learn(chosen.command.clone());
        }
        if promises.values().any(|said| slot <= said.committed) {
            return Choice::Fetch;
        }
        let highest = reports().max_by_key(|report| report.view);
        Choice::Propose(highest.map_or(Command::NoOp, |report| report.command.clone()))
    }

    /// Which slot do a new leader's own updates begin with, if every slot up to `committed` is committed and the
    /// promises reported votes up to `reported`?
    ///
    /// I1: the slots up to `reported` are finished first, each with one value in this view.
    fn first_free_slot(&self, committed: Slot, reported: Slot) -> Slot {
        committed.max(reported).next()
    }

    /// The next view for `me` to attempt, when it has attempted `attempted` and seen `seen`.
    ///
    /// I1: a number above every number seen, and never one of its own again; `attempted` is durable. 5.3 takes the
    /// system clock, which can step back after a restart: then two values are proposed in one view.
    fn next_view(&self, me: ServerId, attempted: View, seen: View) -> View {
        View::new(attempted.max(seen).number + 1, me)
    }

    /// Does a vote in `vote` count for a leader of `leading`?
    ///
    /// I4, Figure 5.3 Accept: `view ≠ attemptedView` is a conflict.
    fn counts_vote(&self, leading: View, vote: View) -> bool {
        leading == vote
    }

    /// Is the value that this server voted for in `voted` chosen, if the leader of `marked` says that its
    /// slot is?
    ///
    /// I7: that leader proposed one value for the slot in its view, and nothing chosen differs from it. A vote
    /// of another view may be for another value. Figure 5.6 sends the value with each Commit instead.
    fn may_learn(&self, voted: View, marked: View) -> bool {
        voted == marked
    }

    /// Does a learnt value refute the view of a leader that proposed `own` for the slot, or nothing? `learnt` is
    /// none where a snapshot tells that the slot is chosen and not with which value.
    ///
    /// I7: a value other than the leader's own was chosen in a higher view, so its word that a slot is chosen
    /// would mislead those that voted for its own value; and a value that it cannot know may be such a one. The
    /// figures do not consider it.
    fn refutes<V: Value>(&self, own: Option<&Command<V>>, learnt: Option<&Command<V>>) -> bool {
        own.is_some_and(|own| learnt != Some(own))
    }

    /// May a server that is asked for chosen values pass on one that it holds, `committed` or not?
    ///
    /// I7, 4.3.5: a vote says what may be chosen, no more.
    fn may_pass_on(&self, committed: bool) -> bool {
        committed
    }

    /// May `slot`, which is committed, be applied after `applied`?
    ///
    /// I8: in order and without gaps (`appliedSeq`, Figure 5.1), whatever was learnt ahead.
    fn may_apply(&self, applied: Slot, slot: Slot) -> bool {
        slot == applied.next()
    }

    /// May this acceptor grant the lease of `view` for a holder's term of `term`?
    ///
    /// J3 and J4: only in the view that it has promised, and only if its own term outlasts the holder's at the worst
    /// drift, `L·(1+ε) ≤ G` (4.3.4).
    fn may_grant(&self, config: &Config, promised: View, view: View, term: Span) -> bool {
        view == promised && config.grant_fits(term)
    }

    /// When does the grant end that `round` of `view` asks for at `now`, if `current` was given before?
    ///
    /// J3: `G` from a time read **after** the request came in (4.3.4), and never earlier than was granted before. A
    /// round that was granted already adds nothing: a late copy must not keep others out for longer.
    fn grant_end(
        &self,
        current: Option<Grant>,
        (view, round): (View, u64),
        now: LocalTime,
        grant_term: Span,
    ) -> LocalTime {
        match current {
            Some(current) if current.view == view && round <= current.round => current.until,
            Some(current) => current.until.max(now + grant_term),
            None => now + grant_term,
        }
    }

    /// What does an acceptor take for granted after a restart at `now`?
    ///
    /// J3: grants are not written to disk, so the leader of the promised view may hold one of the longest term
    /// ever granted here (zero: none was). 4.3.3 treats the leader's restart only.
    fn grant_after_restart(&self, promised: View, grant_term: Span, now: LocalTime) -> Option<Grant> {
        let granted = promised > View::NONE && grant_term > Span::ZERO;
        granted.then_some(Grant { view: promised, round: 0, until: now + grant_term })
    }

    /// Does a Release of `released` end a grant that was last given in `granted`?
    ///
    /// J3: a late Release of an older view says nothing about a newer one.
    fn may_end_grant(&self, granted: View, released: View) -> bool {
        granted == released
    }

    /// The number of the next lease request of a view, if the latest was `requested`.
    ///
    /// J2: each transmission is a round of its own. If one that is sent again kept its number, a grant of the
    /// first would be counted from the second; 4.3.4 does not say which sending it means.
    fn next_round(&self, requested: u64) -> u64 {
        requested + 1
    }

    /// Does a grant of `granted`, a view and a round, count for the request `asked`?
    ///
    /// J2: a quorum must grant one and the same round of one view, or the earliest of its grants would have begun
    /// before the holder's term.
    fn counts_grant(&self, asked: (View, u64), granted: (View, u64)) -> bool {
        asked == granted
    }

    /// Which of these grants of one round may a lease rest on, if the clocks of `doubted` are not known to keep `ε`?
    ///
    /// J3: a grant by a clock beyond the bound may be over before the lease is. 4.3.4 takes the bound for granted.
    fn grants_to_rely_on(&self, grants: ServerSet, doubted: ServerSet) -> ServerSet {
        grants.without(doubted)
    }

    /// Does a lease end that is held when other clocks are doubted than before?
    ///
    /// J3: it may rest on their grants.
    fn doubt_ends_lease(&self) -> bool {
        true
    }

    /// Do the grants count no more then that were given for rounds before?
    ///
    /// J3: what a clock granted while it was doubted may be over, also when it is no longer doubted.
    fn doubt_ends_rounds(&self) -> bool {
        true
    }

    /// Do these grants of one round make a lease?
    ///
    /// J2 and J4: a phase-2 quorum, so that every phase-1 quorum has a member that is bound (4.3.2).
    fn makes_lease(&self, config: &Config, grants: ServerSet) -> bool {
        self.is_quorum(config, Phase::Two, grants)
    }

    /// When does the lease end that a quorum granted by `acknowledged`, for a request that left at `sent`?
    ///
    /// J2 and J5: `L` from a time read **before** the request left (4.3.4).
    fn lease_end(&self, sent: LocalTime, _acknowledged: LocalTime, lease_term: Span) -> LocalTime {
        sent + lease_term
    }

    /// Does a leader whose lease ends at `until` hold it at `now`?
    ///
    /// J5. Leaving the view ends it at once, because `until` belongs to the view.
    fn holds_lease(&self, until: Option<LocalTime>, now: LocalTime) -> bool {
        until.is_some_and(|until| now < until)
    }

    /// May a leader that holds the lease (`lease`), or whose view was confirmed by a quorum after the read
    /// arrived (`confirmed`), serve a read with `applied` applied, if it knows of chosen or reported values up
    /// to `known`?
    ///
    /// R1, 4.3.2: the lease is looked at after the read arrived; what an older view may have acknowledged lies
    /// at or below the highest slot that the promises reported.
    fn may_serve_read(&self, lease: bool, confirmed: bool, applied: Slot, known: Slot) -> bool {
        (lease || confirmed) && applied >= known
    }

    /// What happens to an update with `sequence`, if `last` was the latest applied of its session?
    ///
    /// I8. A session is opened through the log, so an unknown one was evicted, and applying its update afresh
    /// could be the second time.
    fn admit(&self, last: Option<u64>, sequence: u64) -> Admission {
        match last {
            None => Admission::Unknown,
            Some(last) if sequence > last => Admission::Fresh,
            Some(last) if sequence == last => Admission::Repeat,
            Some(_) => Admission::Stale,
        }
    }

    /// How does a leader answer the news of a higher promise?
    ///
    /// Stability, the thesis's subject: with a valid lease a minority must not unseat it, so it prepares a
    /// higher view of its own, at most once a renewal interval (`quiet`: it has just done so). Figure 5.6
    /// quits at once.
    fn departure(&self, lease: bool, quiet: bool) -> Departure {
        match (lease, quiet) {
            (false, _) => Departure::StepDown,
            (true, false) => Departure::PrepareHigher,
            (true, true) => Departure::Stay,
        }
    }

    /// May a server that has lost its disk and is recovering (`recovering`) vote, promise, grant, lead, or tell another that
    /// recovers what it knows?
    ///
    /// K0. It does not know what it promised; and a report from it would pass for one of somebody who does.
    fn takes_part(&self, recovering: bool) -> bool {
        !recovering
    }

    /// May a server take part whose disk may have lost votes for slots up to `lacks`, and which knows what is chosen in
    /// every slot up to `committed`?
    ///
    /// K3. A lost vote may be one of a quorum's, and a Promise without it would show a hole; but of a slot that is known
    /// to be chosen, every Promise says so, and the vote is not missed.
    fn has_repaired(&self, lacks: Slot, committed: Slot) -> bool {
        committed >= lacks
    }

    /// Does a message count that an `incarnation` of its sender sent, if `noted` is the latest that is known here?
    ///
    /// K1. What an older one said, its disk no longer holds, and the new one did not say.
    fn counts_incarnation(&self, noted: Incarnation, incarnation: Incarnation) -> bool {
        incarnation >= noted
    }

    /// Does a leader that notes a new incarnation forget the votes and promises of the old one that it has counted, and
    /// not used yet?
    ///
    /// K1: they would complete a quorum after the reports, and so be in none.
    fn forgets_old_incarnation(&self) -> bool {
        true
    }

    /// Is this round of a recovery over when these servers have answered?
    ///
    /// K2, I3 and I4: every other server, and not some quorum of them. Any one may be the leader that still counts the old
    /// incarnation, or the only one that has the vote which the lost disk held as well.
    fn recovery_round_ends(&self, config: &Config, _round: RecoveryRound, answered: ServerSet) -> bool {
        config.members().all(|server| server == config.me || answered.contains(server))
    }

    /// Is a reported vote in `reported` kept, if one in `held` was reported before?
    ///
    /// I4: of the votes for a slot the one of the highest view is what an acceptor holds.
    fn keeps_reported_vote(&self, held: View, reported: View) -> bool {
        reported > held
    }

    /// When may a server take part again to which all have reported at `told`, if no grant was for longer than
    /// `grant_term`?
    ///
    /// J3: it may have granted a lease just before it lost its disk.
    fn recovery_wait_ends(&self, told: LocalTime, grant_term: Span) -> LocalTime {
        told + grant_term
    }
}

/// The rules as they are meant.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Paxos;

impl Rules for Paxos {}
