//! Scopes for variants that no default scope shows, or shows only after a long search. As small as they can be: the
//! rules as they are meant hold in each of them, and each is exhausted.

use crate::scope::{ONE_PACE, SHORT_CLOCKS, Scope};

/// One slot, two views, two updates: the least in which two leaders disagree.
const DUEL: Scope = Scope { slots: 1, ..Scope::BASE };

/// Two views, each with one lease request.
const LEASE: Scope = Scope { slots: 0, updates: 0, rounds: 1, lease: Some(SHORT_CLOCKS), ..Scope::BASE };

/// All of them.
pub const VARIANT_SCOPES: &[Scope] = &[
    Scope { name: "duel", purpose: "two leaders and one slot", ..DUEL },
    Scope {
        name: "lost-disk-duel",
        purpose: "two leaders and one slot; any server loses its disk, and the one between them recovers",
        candidates: Some(2),
        begun: true,
        cut: Some([(0, 2); 3]),
        wipes: 1,
        ..DUEL
    },
    Scope { name: "three-leaders", purpose: "three leaders and one slot", views: 3, ..DUEL },
    Scope {
        name: "duel-restart",
        purpose: "two leaders and one slot, and any server restarts",
        crashes: 1,
        crashes_together: Some(1),
        ..DUEL
    },
    Scope {
        name: "recovers",
        purpose: "two leaders and two slots, and every state must be able to recover without further elections",
        recovery: true,
        patient: true,
        ..Scope::BASE
    },
    Scope {
        name: "cut-short",
        purpose: "a Promise has room for one chosen value",
        catch_up_max: Some(1),
        ..Scope::BASE
    },
    Scope {
        name: "quorums-duel",
        purpose: "four servers with quorums of three and two",
        servers: 4,
        quorums: Some((3, 2)),
        ..DUEL
    },
    Scope {
        name: "forgotten",
        purpose: "two leaders and one slot, which its servers forget",
        compactions: 1,
        ..DUEL
    },
    Scope {
        name: "forgotten-between",
        purpose: "a leader is brought up to date while an older one goes on proposing",
        updates: 3,
        compactions: 1,
        ..Scope::BASE
    },
    Scope {
        name: "forgotten-retry",
        purpose: "a client asks again, and a server forgets the slot that its update was decided in first",
        retries: 1,
        compactions: 1,
        ..Scope::BASE
    },
    Scope { name: "lease-moves", purpose: "two leaders, a request each", ..LEASE },
    Scope {
        name: "lease-restart",
        purpose: "two leaders, a request each, and any server restarts",
        crashes: 1,
        crashes_together: Some(1),
        ..LEASE
    },
    Scope {
        name: "lease-renewed",
        purpose: "two leaders, one of which renews",
        rounds: 2,
        rounds_together: Some(3),
        ..LEASE
    },
    Scope { name: "lease-resigned", purpose: "two leaders, one of which resigns", resigns: 1, ..LEASE },
    Scope {
        name: "lease-three",
        purpose: "three leaders at one pace, and any server restarts",
        views: 3,
        rounds_together: Some(2),
        crashes: 1,
        crashes_together: Some(1),
        lease: Some(ONE_PACE),
        ..LEASE
    },
    Scope {
        name: "lease-comeback",
        purpose: "a leader restarts and leads again, beside another, at one pace",
        views: 3,
        views_each: 2,
        candidates: Some(2),
        rounds_together: Some(3),
        crashes: 1,
        crashes_together: Some(1),
        lease: Some(ONE_PACE),
        ..LEASE
    },
    Scope {
        name: "lease-handed-back",
        purpose: "a leader resigns and leads again, beside another, at one pace",
        views: 3,
        views_each: 2,
        candidates: Some(2),
        rounds_together: Some(3),
        resigns: 1,
        lease: Some(ONE_PACE),
        ..LEASE
    },
    Scope {
        name: "lease-quorums",
        purpose: "four servers, three of which elect, and two grant",
        servers: 4,
        quorums: Some((3, 2)),
        ..LEASE
    },
];
