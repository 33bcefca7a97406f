//! The handlers of `spec` over UDP, with a write-ahead log.
