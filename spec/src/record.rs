//! What survives a crash: the records that handlers ask to be made durable, and the state that they add
//! up to (the variables marked `(disk)` in Figure 5.1, and those that it should have marked).
//!
//! A handler changes durable state by applying a record and in no other way, so replaying the records
//! rebuilds exactly what the handler had.

use core::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::history::{History, Slot};
use crate::rules::{Paxos, Rules};
use crate::time::Span;
use crate::view::View;

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
    /// Votes and chosen values (`history`).
    pub history: History<V>,
}

impl<V> Default for Durable<V> {
    fn default() -> Self {
        Self {
            attempted: View::NONE,
            promised: View::NONE,
            grant_term: Span::ZERO,
            history: History::default(),
        }
    }
}

impl<V> Durable<V> {
    /// Adds one record. Views and terms only ever rise, so a record that comes again changes nothing.
    pub fn apply(&mut self, record: Record<V>) {
        self.apply_by(&Paxos, record);
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
