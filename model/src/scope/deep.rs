//! The scopes of `check --deep`: wider than the default ones, up to hundreds of millions of states. They take minutes
//! to the better part of an hour and gigabytes, so they are run one after the other, with every thread on the same one.

use spec::ServerId;

use super::default::{ASTRAY, FIVE};
use super::{Astray, CLOCKS, ONE_PACE, SHORT_CLOCKS, Scope};

/// The deep scopes, the quickest first.
pub const DEEP_SCOPES: &[Scope] = &[
    Scope {
        name: "deep-lost-grant",
        purpose: "any one server loses its disk, and with it the grant of a lease, and nobody leads to begin with",
        slots: 0,
        updates: 0,
        rounds: 1,
        candidates: Some(2),
        wipes: 1,
        lease: Some(ONE_PACE),
        probes: &["a server that lost its disk takes part again", "a lease is acquired"],
        ..Scope::BASE
    },
    Scope {
        name: "deep-damaged",
        purpose: "a server's disk loses every vote, or its snapshot; from every state everything gets done",
        slots: 1,
        views: 1,
        updates: 1,
        candidates: Some(1),
        begun: true,
        damages: 1,
        compactions: 1,
        recovery: true,
        probes: &["a server whose disk was damaged takes part again"],
        ..Scope::BASE
    },
    Scope {
        name: "deep-retries",
        purpose: "each server leads once, one restarts, and a client asks again anywhere",
        views: 3,
        retries: 1,
        crashes: 1,
        crashes_together: Some(1),
        probes: &["an update is decided twice and applied once", "a restarted server votes"],
        ..Scope::BASE
    },
    Scope {
        name: "deep-flush",
        purpose: "records reach the disk late, and two crashes keep any prefix of them",
        slots: 1,
        crashes: 2,
        crashes_together: Some(2),
        flush: true,
        probes: &["a crash loses records", "a crash keeps some of the records"],
        ..Scope::BASE
    },
    Scope {
        name: "deep-lease",
        purpose: "the lease moves between servers that restart, twice in all, or resign",
        slots: 0,
        updates: 0,
        views: 3,
        rounds: 2,
        rounds_together: Some(2),
        crashes: 1,
        crashes_together: Some(2),
        resigns: 1,
        lease: Some(SHORT_CLOCKS),
        probes: &["the lease moves to another server", "a release ends a grant"],
        ..Scope::BASE
    },
    Scope {
        name: "deep-renewal",
        purpose: "a lease is renewed and moves, and a server restarts",
        slots: 0,
        updates: 0,
        views: 3,
        rounds: 2,
        rounds_together: Some(3),
        crashes: 1,
        crashes_together: Some(1),
        lease: Some(SHORT_CLOCKS),
        probes: &["a lease is renewed", "the lease moves to another server"],
        ..Scope::BASE
    },
    Scope {
        name: "deep-terms",
        purpose: "terms of four steps: a lease is renewed and moves, and a server restarts",
        slots: 0,
        updates: 0,
        rounds: 2,
        rounds_together: Some(3),
        crashes: 1,
        crashes_together: Some(1),
        lease: Some(CLOCKS),
        probes: &["a lease is renewed", "the lease moves to another server"],
        ..Scope::BASE
    },
    Scope {
        name: "deep-snapshots",
        purpose: "updates, leases and snapshots",
        slots: 1,
        updates: 1,
        rounds: 1,
        compactions: 1,
        lease: Some(SHORT_CLOCKS),
        probes: &["a lease is acquired", "a lagging server is brought up to date by a snapshot"],
        ..Scope::BASE
    },
    Scope {
        name: "deep-recovery",
        purpose: "updates, leases and a restart; from every state everything gets done",
        slots: 1,
        updates: 1,
        rounds: 1,
        crashes: 1,
        crashes_together: Some(1),
        lease: Some(SHORT_CLOCKS),
        recovery: true,
        probes: &["a lease is acquired", "a restarted server votes"],
        ..Scope::BASE
    },
    Scope {
        name: "deep-astray",
        purpose: "a leader's own clock goes beyond the bound, and it or another restarts and knows nothing of that",
        astray: Some(Astray { server: ServerId(0), doubts: 2 }),
        crashes: 1,
        crashes_together: Some(1),
        ..ASTRAY
    },
    Scope {
        name: "deep-combined",
        purpose: "updates and a lease, on disks that are late, at one pace",
        slots: 1,
        updates: 1,
        rounds: 1,
        rounds_together: Some(1),
        lease: Some(ONE_PACE),
        flush: true,
        probes: &["a lease is acquired", "a lease read sees an update", "a message waits for the disk"],
        ..Scope::BASE
    },
    Scope {
        name: "five-forgotten",
        purpose: "five servers: a slot is chosen and forgotten before the old leader hears of it",
        compactions: 1,
        ..FIVE
    },
];
