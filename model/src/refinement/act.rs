//! The actions of the machine, as the executable form has them.

use spec::{LocalTime, ServerSet, Slot, View};

use crate::state::Choice;

/// An action of the machine, by a server, which is the `n` of the machine where an action has one.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the machine's file describes actions and arguments")]
pub enum Act {
    Attempt {
        view: View,
    },
    Leave {
        view: View,
    },
    Promise {
        view: View,
    },
    Establish {
        view: View,
        quorum: ServerSet,
    },
    Propose {
        slot: Slot,
        view: View,
        value: Choice,
    },
    Vote {
        slot: Slot,
        view: View,
        value: Choice,
    },
    Choose {
        slot: Slot,
        view: View,
        value: Choice,
        quorum: ServerSet,
    },
    /// Without a value it is the one that was chosen: a snapshot does not tell.
    Learn {
        slot: Slot,
        value: Option<Choice>,
    },
    Mark {
        slot: Slot,
        view: View,
        value: Option<Choice>,
    },
    Follow {
        slot: Slot,
        view: View,
        value: Choice,
    },
    Acknowledge {
        slot: Slot,
        value: Choice,
    },
    Tick,
    Request {
        view: View,
        round: u64,
    },
    Grant {
        view: View,
        round: u64,
        until: LocalTime,
    },
    Regrant {
        view: View,
        round: u64,
        later: u64,
    },
    /// With the end of the lease that the holder then believes in, if it moves.
    Hold {
        view: View,
        round: u64,
        quorum: ServerSet,
        until: Option<LocalTime>,
    },
    Forget {
        view: View,
    },
    Restart {
        view: View,
        until: LocalTime,
    },
    Serve {
        view: View,
        round: u64,
        slot: Slot,
    },
    /// Without a round if none that was requested after the read arrived was granted.
    Confirm {
        view: View,
        round: Option<u64>,
        slot: Slot,
    },
}

/// The actions by their names, in the order of [`Act`] and of the machine's file.
pub const ACTIONS: [&str; 20] = [
    "attempt",
    "leave",
    "promise",
    "establish",
    "propose",
    "vote",
    "choose",
    "learn",
    "mark",
    "follow",
    "acknowledge",
    "tick",
    "request",
    "grant",
    "regrant",
    "hold",
    "forget",
    "restart",
    "serve",
    "confirm",
];

impl Act {
    /// The place of its action in [`ACTIONS`].
    pub fn action(&self) -> usize {
        match self {
            Self::Attempt { .. } => 0,
            Self::Leave { .. } => 1,
            Self::Promise { .. } => 2,
            Self::Establish { .. } => 3,
            Self::Propose { .. } => 4,
            Self::Vote { .. } => 5,
            Self::Choose { .. } => 6,
            Self::Learn { .. } => 7,
            Self::Mark { .. } => 8,
            Self::Follow { .. } => 9,
            Self::Acknowledge { .. } => 10,
            Self::Tick => 11,
            Self::Request { .. } => 12,
            Self::Grant { .. } => 13,
            Self::Regrant { .. } => 14,
            Self::Hold { .. } => 15,
            Self::Forget { .. } => 16,
            Self::Restart { .. } => 17,
            Self::Serve { .. } => 18,
            Self::Confirm { .. } => 19,
        }
    }
}

/// When an action is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// In this step.
    Now,
    /// When the disk has the record. Its reason is looked at now.
    Announced,
    /// In this step; its reason was looked at when it was announced.
    Written,
    /// Not yet: one more member is counted towards the quorum of the action.
    Counted,
}

/// An action, and when it is taken.
pub type Taken = (When, Act);
