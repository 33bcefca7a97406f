//! The handlers of `spec` over UDP, with a write-ahead log.

pub mod datagram;
pub mod log;
pub mod payload;
