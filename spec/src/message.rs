//! The messages between servers: Figure 5.2, and what chapter 4 needs besides (lease request, grant and
//! release, 4.3.2 to 4.3.4; reconciliation, 4.3.5). `senderId` is the envelope's business.

use alloc::vec::Vec;
use core::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::command::{Command, RequestId};
use crate::history::{Entry, Slot};
use crate::recovery::Recovery;
use crate::time::Span;
use crate::view::View;

/// What an acceptor tells a new leader about one slot (an entry of `info`, Figure 5.2).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Report<V> {
    /// The slot.
    pub slot: Slot,
    /// The view of the vote (`viewOfValue`).
    pub view: View,
    /// The value.
    pub command: Command<V>,
    /// Whether the acceptor knows the value to be chosen.
    pub committed: bool,
}

impl<V: Clone> Report<V> {
    /// What a log holds for a slot.
    pub(crate) fn of(slot: Slot, entry: &Entry<V>) -> Self {
        let Entry { view, command, committed } = entry.clone();
        Self { slot, view, command, committed }
    }
}

/// A message from one server to another. Grouped by the phase that it belongs to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Message<V> {
    /// A client's request, forwarded once by the server that it reached (Update).
    Forward(Command<V>),
    /// A forwarded request reached a server that does not lead: this is where the leader may be.
    Redirect {
        /// The request.
        request: RequestId,
        /// The highest view that the sender promised, unless it is one of its own, which it has left.
        view: View,
    },

    /// Phase 1, leader: asks to establish a view.
    Prepare {
        /// The view being prepared.
        view: View,
        /// The leader's `committedSeq`: what it needs no report about.
        committed: Slot,
    },
    /// Phase 1, acceptor: the view is promised.
    Promise {
        /// `promiseView`.
        view: View,
        /// The acceptor's `committedSeq`. Slots up to here are learnt, never proposed.
        committed: Slot,
        /// `info`: every vote above `committed`, and as many chosen values below as fit.
        reports: Vec<Report<V>>,
    },
    /// Refuses a Prepare, Propose or Renew of a view below the promised one (Accept with `isAccepted` false,
    /// Figure 5.2). It promises nothing.
    Reject {
        /// The view that was refused.
        view: View,
        /// The view that the sender has promised.
        promised: View,
    },

    /// Phase 2, leader: asks for a vote.
    Propose {
        /// The view in which the proposal is made.
        view: View,
        /// `updateSeq`.
        slot: Slot,
        /// The proposed value.
        command: Command<V>,
    },
    /// Phase 2, acceptor: a vote (Accept with `isAccepted` true).
    Accept {
        /// The view of the vote.
        view: View,
        /// `updateSeq`.
        slot: Slot,
    },
    /// Chosen values of consecutive slots (Commit), also the reply to [`Message::CatchUp`].
    Commit {
        /// The slot of the first value.
        first: Slot,
        /// The chosen values, in slot order.
        commands: Vec<Command<V>>,
    },
    /// Leader: every slot up to this one is chosen; whoever voted for a slot in this very view holds the
    /// chosen value.
    Committed {
        /// The leader's view.
        view: View,
        /// Its `committedSeq`.
        up_to: Slot,
    },
    /// Reconciliation: asks for chosen values from this slot on (4.3.5).
    CatchUp {
        /// The first slot that the sender lacks.
        first: Slot,
    },

    /// Lease request and renewal, leader; also its heartbeat. Every transmission is a new round.
    Renew {
        /// The leader's view.
        view: View,
        /// Counts the view's requests, from 1.
        round: u64,
        /// The holder's term `L`; zero asks for a confirmation of the view only.
        term: Span,
        /// The leader's `committedSeq` (the decided range of 4.3.5).
        committed: Slot,
    },
    /// Lease grant, acceptor: it takes part in no other server's election for its own term `G`.
    Grant {
        /// The view.
        view: View,
        /// The round that is granted.
        round: u64,
        /// The acceptor's `committedSeq` (the decided range of 4.3.5).
        committed: Slot,
    },
    /// The leader no longer uses the lease of this view (4.3.2: 'unless the leaseholder forsake its
    /// lease').
    Release {
        /// The view whose grants may end.
        view: View,
    },

    /// Reconciliation: the reply to a CatchUp or a Propose of a slot whose value the sender has forgotten.
    SnapshotOffer {
        /// The sender holds a snapshot of the state machine up to this slot.
        slot: Slot,
    },

    /// How a server that lost its disk takes part again.
    Recovery(Recovery<V>),
}
