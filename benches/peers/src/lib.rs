//! Other consensus libraries as servers that can be measured beside Leasehold: what they and their load share.
//!
//! Each server is one process with a log on disk; three of them on loopback make a cluster. `peer-openraft` and
//! `peer-omnipaxos` speak [`wire`] with clients; etcd is itself. `peer-load` puts the same load on each of them that
//! `cluster::load` puts on Leasehold.

pub mod kv;
pub mod wire;
