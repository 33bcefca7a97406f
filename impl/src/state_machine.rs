//! What the cluster replicates.

use spec::Slot;

/// A deterministic state machine, one copy at each server.
///
/// Every copy is given the same updates in the same order, each of them once. So `apply` must depend on nothing
/// but the state and its arguments: no clock, no randomness, no iteration order of a hash map. After a
/// restart the server starts from an empty machine and applies its log again.
pub trait StateMachine {
    /// Applies one update and returns its result, which the server keeps as the latest of the client's
    /// session. An update that cannot be understood must still give the same result everywhere.
    ///
    /// `slot` rises from call to call, with gaps where the log holds no update.
    fn apply(&mut self, slot: Slot, update: &[u8]) -> Vec<u8>;

    /// Answers a query from the state as it is now.
    fn query(&self, query: &[u8]) -> Vec<u8>;
}
