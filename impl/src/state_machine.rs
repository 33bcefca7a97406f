//! What the cluster replicates.

use spec::Slot;
use thiserror::Error;

/// A deterministic state machine, one copy at each server.
///
/// Every copy is given the same updates in the same order, each of them once. So `apply` must depend on nothing
/// but the state and its arguments: no clock, no randomness, no iteration order of a hash map. After a
/// restart the server starts from an empty machine, restores its latest snapshot if it has one, and applies its
/// log from there on again.
///
/// A whole program, replicated: seats that can be taken once, with snapshots. An update that makes no sense has a result too,
/// the same everywhere.
///
/// ```
/// use std::collections::BTreeMap; // in an order that is the same everywhere
///
/// use cluster::config::NodeConfig;
/// use cluster::node::Node;
/// use cluster::spec::Slot;
/// use cluster::state_machine::{NotASnapshot, StateMachine};
///
/// #[derive(Default)]
/// struct Seats(BTreeMap<String, String>);
///
/// impl StateMachine for Seats {
///     /// `SEAT NAME`: the name goes to the seat if it is free. The result is who has it.
///     fn apply(&mut self, _: Slot, update: &[u8]) -> Vec<u8> {
///         let text = String::from_utf8_lossy(update);
///         let pair = text.split_once(' ').filter(|_| !text.contains('\0')); // it ends a pair in a snapshot
///         let Some((seat, name)) = pair else { return b"say SEAT NAME".into() };
///         self.0.entry(seat.into()).or_insert(name.into()).clone().into()
///     }
///     fn query(&self, seat: &[u8]) -> Vec<u8> {
///         let name = self.0.get(&*String::from_utf8_lossy(seat));
///         name.map_or("free", |name| name).into()
///     }
///     fn snapshot(&self) -> Option<Vec<u8>> {
///         Some(self.0.iter().map(|(seat, name)| format!("{seat} {name}\0")).collect::<String>().into())
///     }
///     fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotASnapshot> {
///         let text = std::str::from_utf8(snapshot).map_err(|error| NotASnapshot(error.to_string()))?;
///         let pairs = text.split_terminator('\0').map(|pair| pair.split_once(' '));
///         let pairs: Option<Vec<_>> = pairs.collect();
///         let pairs = pairs.ok_or_else(|| NotASnapshot("a seat without a name".into()))?;
///         self.0 = pairs.into_iter().map(|(seat, name)| (seat.into(), name.into())).collect();
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let directory = tempfile::tempdir()?;
/// let mut config = NodeConfig::new(0, directory.path().into(), vec!["127.0.0.1:0".parse()?]);
/// config.lease_ms = 50; // A cluster of one server: this is how long it waits before it leads.
/// cluster::data::init(&config)?; // Once, before a server's first start.
/// let node = Node::start(&config, Seats::default())?;
/// assert_eq!(node.propose("12a ann").recv()??.1, b"ann");
/// assert_eq!(node.propose("12a bob").recv()??.1, b"ann", "it was taken");
/// assert_eq!(node.read("12a").recv()?.unwrap(), b"ann");
/// node.stop()?;
///
/// let mut seats = Seats::default();
/// seats.restore(&Seats([("1".into(), "eve".into())].into()).snapshot().unwrap())?;
/// assert_eq!(seats.query(b"1"), b"eve");
/// # Ok(())
/// # }
/// ```
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
