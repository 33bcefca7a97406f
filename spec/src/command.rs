//! What a slot holds, and how a client names what it asked for (4.1.1: 'update id should contain two
//! values').

use core::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::history::Slot;
use crate::view::View;

/// The value of an update: opaque to the protocol, which needs to copy it, to compare it in
/// assertions, and to know its weight so that no message grows without bound.
pub trait Value: Clone + Eq + Debug {
    /// About how many bytes the value takes in a message.
    fn size_bytes(&self) -> usize;
}

impl Value for u8 {
    fn size_bytes(&self) -> usize {
        1
    }
}

/// A client's session: the slot whose [`Command::Open`] opened it. A slot is decided once, so a session
/// that was evicted can never come back to life under its old name (the `clientId` of Figure 5.2, made
/// safe against late duplicates).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct SessionId(pub Slot);

/// One client update (message Update, Figure 5.2).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Update<V> {
    /// `clientId`: the session in which the client counts its updates.
    pub session: SessionId,
    /// `clientUpdateSeq`: 1, 2, 3, … within the session, one outstanding at a time.
    pub sequence: u64,
    /// The update itself.
    pub value: V,
}

/// What a slot can hold.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Command<V> {
    /// Fills a hole that a former leader left; applied as nothing.
    NoOp,
    /// Opens a session named after the slot that it is decided in. The nonce tells the client's
    /// request apart from others; asking twice opens two sessions, the second of which goes unused.
    Open {
        /// Chosen by the client at random.
        nonce: u64,
    },
    /// A client's update.
    Update(Update<V>),
}

impl<V> Command<V> {
    /// The request that this command answers; a no-op answers none.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::NoOp => None,
            Self::Open { nonce } => Some(RequestId::Open { nonce: *nonce }),
            Self::Update(update) => {
                Some(RequestId::Update { session: update.session, sequence: update.sequence })
            }
        }
    }
}

impl<V: Value> Command<V> {
    /// About how many bytes the command takes in a message.
    pub fn size_bytes(&self) -> usize {
        const HEADER_BYTES: usize = 24;
        HEADER_BYTES + if let Self::Update(update) = self { update.value.size_bytes() } else { 0 }
    }
}

/// Names a client's request, so that it can be recognised when it is decided, or asked again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum RequestId {
    /// Opening a session.
    Open {
        /// The client's nonce.
        nonce: u64,
    },
    /// An update.
    Update {
        /// The session.
        session: SessionId,
        /// The client's sequence number.
        sequence: u64,
    },
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The session is open.
    Opened(SessionId),
    /// The update is applied, now or by an earlier copy of the same request: the result to give is
    /// the one that the caller kept when it applied the session's latest update.
    Applied,
    /// The session is unknown here or was evicted: this copy of the update was not applied and never will be.
    /// An earlier copy may have been, if its answer was lost before the session was evicted.
    NoSession,
    /// A later update of the same session is applied already, so the client has had its answer and the
    /// result is no longer kept.
    Stale,
    /// Ask the leader of this view instead ([`View::NONE`]: no leader is known). The outcome of an
    /// update that was redirected is open: ask again with the same sequence number.
    Redirect(View),
    /// Too many requests are waiting here; nothing was done.
    Busy,
}

/// As a person would write it: `no-op`, `open(7)`, or the value.
impl<V: Debug> core::fmt::Display for Command<V> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoOp => f.write_str("no-op"),
            Self::Open { nonce } => write!(f, "open({nonce})"),
            Self::Update(update) => write!(f, "{:?}", update.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{open, update};

    // A message that is filled up to a limit must not grow without bound because small commands weigh nothing.
    #[test]
    fn a_command_weighs_a_header_and_its_value() {
        assert_eq!([Command::NoOp, open(7), update(1)].map(|command| command.size_bytes()), [24, 24, 25]);
    }
}
