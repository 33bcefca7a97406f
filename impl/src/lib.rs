//! The handlers of `spec` over UDP, with a write-ahead log.

pub mod client;
pub mod clock;
pub mod config;
pub mod datagram;
pub mod disk;
pub mod driver;
pub mod exit;
pub mod kv;
pub mod log;
pub mod network;
pub mod node;
pub mod payload;
pub mod rng;
pub mod sim;
pub mod state_machine;
pub mod status;
pub mod timers;
pub mod wire;
