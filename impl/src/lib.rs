//! The handlers of [`spec`] over UDP, with a write-ahead log: a replicated key-value store, and a library to
//! replicate a state machine of your own.
//!
//! # What you get
//!
//! Several servers apply the same updates in the same order, each update once. As long as more than half of them
//! run and reach each other, the others, and clients, may crash, stand still or be cut off at any time:
//!
//! - an update that was acknowledged is on the disks of a quorum, and never lost;
//! - an update is applied at most once, however often its client has to send it;
//! - a read reflects every update that was acknowledged before it began. The leader answers reads alone
//!   while it holds a lease, and asks a quorum otherwise;
//! - a client that has no answer in time is told that the outcome is *unknown*, never that it failed.
//!
//! Agreement rests on no clock. Reads under a lease rest on the clocks' rates only, within
//! [`drift_ppm`](config::NodeConfig::drift_ppm).
//!
//! # How to embed it
//!
//! Implement [`StateMachine`](state_machine::StateMachine), start a [`Node`](node::Node) on each server, and
//! propose and read through the node or a [`Client`](client::Client) anywhere:
//!
//! ```
//! use cluster::config::NodeConfig;
//! use cluster::data;
//! use cluster::node::Node;
//! use cluster::spec::Slot;
//! use cluster::state_machine::StateMachine;
//!
//! struct Longest(usize);
//!
//! impl StateMachine for Longest {
//!     fn apply(&mut self, _: Slot, update: &[u8]) -> Vec<u8> {
//!         self.0 = self.0.max(update.len());
//!         self.query(update)
//!     }
//!     fn query(&self, _: &[u8]) -> Vec<u8> {
//!         self.0.to_string().into()
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let mut config = NodeConfig::new(0, directory.path().into(), vec!["127.0.0.1:0".parse()?]);
//! config.lease_ms = 50; // A cluster of one server: this is how long it waits before it leads.
//! data::init(&config)?; // Once: a server that finds no data does not take itself for new.
//! let node = Node::start(&config, Longest(0))?;
//! let (slot, result) = node.propose("consensus").recv()??;
//! assert_eq!(result, b"9");
//! assert!(node.learnt(slot).is_some());
//! node.stop()?;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/counter.rs` is a whole program with three servers and a client.
//!
//! # How it works
//!
//! [`driver`] is the loop: datagrams in, handlers, datagrams out, one write and one sync for all that came in
//! meanwhile. It is generic over [`clock`], [`disk`] and [`network`], so [`sim`] runs whole clusters of it under
//! faults in one thread. [`log`] is the write-ahead log, [`datagram`] the format on the wire.

mod byte_string;
pub mod client;
pub mod clock;
pub mod config;
pub mod data;
pub mod datagram;
pub mod disk;
pub mod driver;
pub mod exit;
#[doc(hidden)]
pub mod fuzzing;
pub mod kv;
pub mod life;
pub mod load;
pub mod log;
pub mod memory_log;
pub mod network;
pub mod node;
pub mod page;
pub mod payload;
pub mod rng;
pub mod secure;
pub mod sim;
pub mod snapshot;
pub mod state_machine;
pub mod status;
pub mod timers;
pub mod watch;
pub mod wire;

pub use spec;
