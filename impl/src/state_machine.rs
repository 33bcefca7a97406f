//! What the cluster replicates.

use spec::Slot;
use thiserror::Error;

/// A deterministic state machine, one copy at each server.
///
/// Every copy is given the same updates in the same order, each of them once. So `apply` must depend on nothing
/// but the state and its arguments: no clock, no randomness, no iteration order of a hash map. After a
/// restart the server starts from an empty machine, restores its latest snapshot if it has one, and applies its
/// log from there on again.
pub trait StateMachine {
    /// Applies one update and returns its result, which the server keeps as the latest of the client's
    /// session. An update that cannot be understood must still give the same result everywhere.
    ///
    /// `slot` rises from call to call, with gaps where the log holds no update.
    fn apply(&mut self, slot: Slot, update: &[u8]) -> Vec<u8>;

    /// Answers a query from the state as it is now.
    fn query(&self, query: &[u8]) -> Vec<u8>;

    /// The whole state as bytes, for [`Self::restore`]. Equal states should give equal bytes, so that a server
    /// which fetches a snapshot can go on with another server's copy of it.
    ///
    /// A machine that gives none, which is the default, works as well; but its servers' logs are never trimmed, and
    /// each start applies the whole log. All servers must run the same program, so either all give one or none does.
    fn snapshot(&self) -> Option<Vec<u8>> {
        None
    }

    /// Becomes the machine that [`Self::snapshot`] was asked of, at this server or another.
    ///
    /// # Errors
    /// If the bytes are no snapshot of this program. The server stops then, and changes nothing. The bytes passed
    /// a checksum before, so another program, or another version of this one, wrote them.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotASnapshot> {
        Err(NotASnapshot(format!(
            "this program takes no snapshots, and was given one of {} bytes",
            snapshot.len()
        )))
    }
}

/// Bytes that are no snapshot of a state machine, and why.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0}")]
pub struct NotASnapshot(pub String);
