//! What survives a crash: the records that handlers ask to be made durable, and the state that they add
//! up to (the variables marked `(disk)` in Figure 5.1, and those that it should have marked).
//!
//! A handler changes durable state by applying a record and in no other way, so replaying the records
//! rebuilds exactly what the handler had.

use alloc::collections::BTreeMap;
use core::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::history::{History, Slot};
use crate::recovery::Incarnation;
use crate::rules::{Paxos, Rules};
use crate::session::Sessions;
use crate::snapshot::Snapshot;
use crate::time::Span;
use crate::view::{ServerId, View};

/// One change of durable state.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record<V> {
    /// This server attempts a view. Durable before its Prepare leaves.
    Attempt(View),
    /// This acceptor promised a view. Durable before its Promise leaves.
    Promise(View),
    /// This acceptor voted, and thereby promised the view. Durable before its Accept leaves.
    Vote {
        /// The proposal's view.
        view: View,
        /// The proposal's slot.
        slot: Slot,
        /// The proposed value.
        command: Command<V>,
    },
    /// A value was learnt to be chosen, from a message that carries it.
    Learnt {
        /// The slot.
        slot: Slot,
        /// The chosen value.
        command: Command<V>,
    },
    /// Every slot up to this one is chosen with the value that this server holds for it now.
    Committed(Slot),
    /// The longest term for which this server has granted leases. Durable before a grant of that term
    /// leaves.
    GrantTerm(Span),
    /// The caller holds this snapshot of the state machine, durable before this record: it stands for every
    /// slot up to its own.
    Snapshot(Snapshot),
    /// Another server has recovered, or is about to, with this incarnation. Durable before it is told so.
    Noted {
        /// The other server.
        server: ServerId,
        /// What its messages must carry, or more.
        incarnation: Incarnation,
    },
    /// The disk before this one is lost: the first record of a server that may not vote.
    Recovering(Incarnation),
    /// Every other server has told what the lost disk must have held, as far as anybody relied on it; the votes are in
    /// records before this one.
    Recovered {
        /// The highest view that anybody has promised.
        promised: View,
        /// The highest view that anybody has heard of.
        attempted: View,
        /// The longest term of a grant.
        grant_term: Span,
    },
    /// The disk lost records **in this place**: those before it and after it are whole, and nothing is lost of
    /// promises (also those that a lost vote made), attempts, grants and incarnations. Put after records that followed the lost
    /// ones it would be wrong: one of those may mark an older vote than it meant as chosen. The server may not vote before it knows every slot up to `up_to` as
    /// chosen, see [`crate::Repairing`].
    Lacks {
        /// No lost record is about a higher slot.
        up_to: Slot,
        /// Whether the snapshot that stands for the slots up to the base is lost as well.
        snapshot: bool,
    },
}

/// The sum of a server's records.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Durable<V> {
    /// The highest view that this server ever attempted (`attemptedView`).
    pub attempted: View,
    /// The highest view that this acceptor ever promised (`promisedView`).
    pub promised: View,
    /// The longest term for which this server ever granted a lease.
    pub grant_term: Span,
    /// Votes and chosen values (`history`), above a base up to which a snapshot stands for them.
    pub history: History<V>,
    /// The sessions as of the history's base.
    pub sessions: Sessions,
    /// Which of this server's disks this is.
    pub incarnation: Incarnation,
    /// Whether the one before is lost, and what it held not known yet: the server may not vote.
    pub recovering: bool,
    /// The highest slot that its disk may have lost a vote for. Once every slot up to there is committed, nothing is
    /// missing.
    pub lacks: Slot,
    /// The incarnations of other servers, where they are not the first.
    pub noted: BTreeMap<ServerId, Incarnation>,
}

impl<V> Default for Durable<V> {
    fn default() -> Self {
        Self {
            attempted: View::NONE,
            promised: View::NONE,
            grant_term: Span::ZERO,
            history: History::default(),
            sessions: Sessions::default(),
            incarnation: 0,
            recovering: false,
            lacks: Slot::NONE,
            noted: BTreeMap::new(),
        }
    }
}

impl<V> Durable<V> {
    /// Adds one record. Views, terms, incarnations and the base only ever rise, so a record that comes again changes
    /// nothing, except one that says what the disk has lost.
    pub fn apply(&mut self, record: Record<V>) {
        self.apply_by(&Paxos, record);
    }

    /// The least incarnation of a server whose messages count, on the disk of `me`.
    pub fn incarnation_of(&self, me: ServerId, server: ServerId) -> Incarnation {
        if server == me { self.incarnation } else { self.noted.get(&server).copied().unwrap_or(0) }
    }

    /// The same, as other rules would have it.
    pub fn apply_by(&mut self, rules: &impl Rules, record: Record<V>) {
        match record {
            Record::Attempt(view) => self.attempted = self.attempted.max(view),
            Record::Promise(view) => self.promised = self.promised.max(view),
            Record::Vote { view, slot, command } => {
                self.promised = rules.promised_by_vote(self.promised, view);
                self.history.vote(view, slot, command);
            }
            Record::Learnt { slot, command } => self.history.learn(slot, command),
            Record::Committed(slot) => self.history.commit_up_to(slot),
            Record::GrantTerm(term) => self.grant_term = self.grant_term.max(term),
            Record::Snapshot(snapshot) => {
                if snapshot.slot > self.history.base() {
                    self.promised = rules.promised_by_snapshot(self.promised);
                    self.history.compact(snapshot.slot);
                    self.sessions = snapshot.sessions;
                }
            }
            Record::Noted { server, incarnation } => {
                let noted = self.noted.entry(server).or_default();
                *noted = incarnation.max(*noted);
            }
            Record::Recovering(incarnation) => {
                self.recovering |= incarnation > self.incarnation;
                self.incarnation = self.incarnation.max(incarnation);
            }
            Record::Recovered { promised, attempted, grant_term } => {
                self.promised = self.promised.max(promised);
                self.attempted = self.attempted.max(attempted);
                self.grant_term = self.grant_term.max(grant_term);
                self.recovering = false;
            }
            Record::Lacks { up_to, snapshot } => {
                self.lacks = self.lacks.max(up_to);
                if snapshot {
                    self.lacks = self.lacks.max(self.history.base());
                    self.sessions = Sessions::default();
                }
                self.history.lose(up_to, snapshot);
            }
        }
    }
}

impl<V> FromIterator<Record<V>> for Durable<V> {
    fn from_iter<I: IntoIterator<Item = Record<V>>>(records: I) -> Self {
        let mut durable = Self::default();
        records.into_iter().for_each(|record| durable.apply(record));
        durable
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::ServerId;

    const VIEW: View = View::new(3, ServerId(1));

    fn vote(slot: u64) -> Record<u8> {
        Record::Vote { view: VIEW, slot: Slot(slot), command: Command::Open { nonce: slot } }
    }

    fn snapshot(slot: u64) -> Record<u8> {
        let mut sessions = Sessions::default();
        sessions.open(Slot(slot), 1);
        Record::Snapshot(Snapshot { slot: Slot(slot), sessions })
    }

    #[test]
    fn a_snapshot_keeps_promises_terms_and_the_votes_above_it() {
        let records = [Record::Attempt(VIEW), Record::GrantTerm(Span(12)), vote(1), vote(4)];
        let before: Durable<u8> = records.into_iter().collect();
        let mut after = before.clone();
        after.apply(snapshot(2));
        assert_eq!((after.attempted, after.promised, after.grant_term), (VIEW, VIEW, Span(12)));
        assert_eq!(after.history.entry(Slot(4)), before.history.entry(Slot(4)));
        assert_eq!((after.history.base(), after.history.committed()), (Slot(2), Slot(2)));
        assert_eq!(after.sessions.last(crate::SessionId(Slot(2))), Some(0));
    }

    #[test]
    fn what_is_lost_is_forgotten_and_promises_and_what_comes_after_are_not() {
        let (mark, lacks) = (Record::Committed(Slot(3)), Record::Lacks { up_to: Slot(3), snapshot: false });
        let learnt = Record::Learnt { slot: Slot(2), command: Command::Open { nonce: 2 } };
        let records = [vote(1), vote(3), vote(4), lacks.clone(), vote(3), mark.clone()];
        let durable: Durable<u8> = records.into_iter().collect();
        assert_eq!(
            (durable.promised, durable.lacks, durable.history.committed()),
            (VIEW, Slot(3), Slot::NONE)
        );
        let chosen = |durable: &Durable<u8>| {
            let slots = durable.history.above(Slot::NONE);
            slots.filter(|(_, entry)| entry.committed).map(|(slot, _)| slot.0).collect::<alloc::vec::Vec<_>>()
        };
        assert_eq!(chosen(&durable), [3], "slot 1 may have been voted for again");
        let records = [vote(1), learnt, vote(3), mark, lacks];
        assert_eq!(chosen(&records.into_iter().collect()), [1, 2, 3]);
    }

    #[test]
    fn a_lost_snapshot_takes_its_sessions_with_it_and_is_lacked_up_to_its_slot() {
        let lacks = Record::Lacks { up_to: Slot(2), snapshot: true };
        let mut durable: Durable<u8> = [snapshot(5), vote(6), lacks].into_iter().collect();
        assert_eq!((durable.history.base(), durable.lacks), (Slot::NONE, Slot(5)));
        assert_eq!(durable.sessions, Sessions::default());
        assert!(durable.history.entry(Slot(6)).is_some());
        durable.apply(snapshot(5));
        assert_eq!((durable.history.base(), durable.history.committed()), (Slot(5), Slot(5)));
        assert_ne!(durable.sessions, Sessions::default());
    }

    #[test]
    fn an_older_snapshot_changes_nothing() {
        let mut durable: Durable<u8> = [snapshot(5), vote(6)].into_iter().collect();
        let before = durable.clone();
        durable.apply(snapshot(4));
        durable.apply(snapshot(5));
        assert_eq!(durable, before);
    }
}
