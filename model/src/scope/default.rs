//! The scopes that `check` runs: each small enough that all together take a minute or two.

use spec::ServerId;

use super::{Astray, Clocks, ONE_PACE, RESTART_CLOCKS, SHORT_CLOCKS, Scope};

/// Five servers of which some never hear of each other, with as little else as shows what comes of it.
pub(super) const FIVE: Scope = Scope {
    servers: 5,
    slots: 1,
    candidates: Some(2),
    begun: true,
    cut: Some([(0, 2), (0, 4), (1, 3)]),
    rounds: 2,
    rounds_together: Some(3),
    lease: Some(ONE_PACE),
    still: true,
    ..Scope::BASE
};

/// Two leaders, and a third server whose clock goes beyond the bound.
pub(super) const ASTRAY: Scope = Scope {
    slots: 0,
    updates: 0,
    rounds: 2,
    candidates: Some(2),
    begun: true,
    lease: Some(SHORT_CLOCKS),
    astray: Some(Astray { server: ServerId(2), doubts: 2 }),
    probes: &[
        "a lease is acquired",
        "a lease ends because a clock is in doubt",
        "a lease rests on clocks that are not in doubt",
    ],
    ..Scope::BASE
};

/// The scopes that `check` runs when none is named, the slowest first.
pub const SCOPES: &[Scope] = &[
    Scope {
        name: "five",
        purpose: "five servers, of which some cannot reach each other: a view may pass a leader by unseen",
        probes: &["a lease is acquired", "a lagging server is reconciled"],
        ..FIVE
    },
    Scope {
        name: "majorities",
        purpose: "five servers and majorities of three",
        servers: 5,
        slots: 1,
        probes: &["a view is established", "a new leader proposes what an old one began"],
        ..Scope::BASE
    },
    Scope {
        name: "reads",
        purpose: "reads under a lease that moves, among updates",
        slots: 1,
        updates: 1,
        rounds: 1,
        lease: Some(SHORT_CLOCKS),
        probes: &[
            "a lease read sees an update",
            "a lease read must wait for older views",
            "an older view completes a value under a lease",
            "the lease moves to another server",
            "a lagging server is reconciled",
        ],
        ..Scope::BASE
    },
    Scope {
        name: "flush",
        purpose: "records reach the disk late, and a crash keeps any prefix of them",
        slots: 1,
        crashes: 1,
        crashes_together: Some(1),
        flush: true,
        probes: &[
            "a view is established",
            "a crash loses records",
            "a crash keeps some of the records",
            "a message waits for the disk",
            "a new leader proposes what an old one began",
        ],
        ..Scope::BASE
    },
    Scope {
        name: "lease",
        purpose: "the lease moves between servers whose clocks drift, and its holder or a grantor restarts",
        slots: 0,
        updates: 0,
        views: 3,
        crashes: 1,
        crashes_together: Some(1),
        rounds: 2,
        rounds_together: Some(2),
        lease: Some(SHORT_CLOCKS),
        probes: &[
            "a lease is acquired",
            "a lease is renewed",
            "the lease moves to another server",
            "a grant keeps a candidate out",
            "a restarted grantor keeps a candidate out",
            "a restarted leader meets a grant of its old view",
        ],
        ..Scope::BASE
    },
    Scope {
        name: "agreement",
        purpose: "each server leads once, and servers restart: what is chosen stays chosen",
        views: 3,
        crashes: 2,
        crashes_together: Some(3),
        probes: &[
            "a view is established",
            "a new leader proposes what an old one began",
            "a new leader fills a hole",
            "a stale Propose is refused",
            "a stale Prepare is refused",
            "a leader is refused and steps down",
            "a committed slot is answered with its Commit",
            "a mark meets votes of another view",
            "a server learns by a mark",
            "a restarted server votes",
        ],
        ..Scope::BASE
    },
    Scope {
        name: "renewal",
        purpose: "a lease is renewed and then moves, in one run",
        slots: 0,
        updates: 0,
        views: 3,
        rounds: 2,
        rounds_together: Some(3),
        lease: Some(SHORT_CLOCKS),
        probes: &["a lease is renewed", "the lease moves to another server", "a grant keeps a candidate out"],
        ..Scope::BASE
    },
    Scope {
        name: "stable",
        purpose: "a leader with a lease is refused and prepares a higher view of its own; leaders resign",
        slots: 0,
        updates: 0,
        views: 3,
        views_each: 2,
        rounds: 1,
        rounds_together: Some(2),
        resigns: 1,
        lease: Some(SHORT_CLOCKS),
        probes: &[
            "a lease is acquired",
            "a leader with a lease prepares a higher view",
            "a release ends a grant",
        ],
        ..Scope::BASE
    },
    Scope {
        name: "retries",
        purpose: "a client asks again, maybe elsewhere, and its update is decided in two slots",
        views: 3,
        retries: 1,
        probes: &["an update is decided twice and applied once", "a retry is answered with the first result"],
        ..Scope::BASE
    },
    Scope {
        name: "compaction",
        purpose: "servers forget what they have applied, and one that lags is brought up to date by a snapshot",
        crashes: 1,
        crashes_together: Some(1),
        compactions: 1,
        recovery: true,
        probes: &[
            "a server forgets its log",
            "a forgotten slot is asked for",
            "a forgotten slot is proposed",
            "a lagging server is brought up to date by a snapshot",
            "a snapshot comes late to a server that knows more",
            "a leader installs a snapshot over its own proposal",
            "a new leader meets a promise that lacks a forgotten value",
            "a server restarts from a snapshot",
        ],
        ..Scope::BASE
    },
    Scope {
        name: "damaged-two",
        purpose: "both servers' disks are damaged, or lost, and each tells the other what it knows",
        servers: 2,
        slots: 1,
        views: 1,
        updates: 1,
        candidates: Some(1),
        begun: true,
        wipes: 1,
        damages: 2,
        compactions: 1,
        probes: &[
            "a server whose disk was damaged takes part again",
            "a server that lacks votes tells another what is chosen",
        ],
        ..Scope::BASE
    },
    Scope {
        name: "damaged",
        purpose: "a server's disk loses every vote, and it knows only what it promised",
        slots: 1,
        candidates: Some(2),
        begun: true,
        damages: 1,
        recovery: true,
        probes: &["a server whose disk was damaged takes part again"],
        ..Scope::BASE
    },
    Scope {
        name: "lost-disk",
        purpose: "any one server loses its disk, and recovers from the others",
        slots: 1,
        views: 1,
        updates: 1,
        candidates: Some(1),
        begun: true,
        wipes: 1,
        own_late: true,
        probes: &["a server that lost its disk takes part again"],
        ..Scope::BASE
    },
    Scope {
        name: "lost-grant",
        purpose: "any one server loses its disk, and with it the grant of a lease",
        slots: 0,
        updates: 0,
        rounds: 1,
        candidates: Some(2),
        begun: true,
        wipes: 1,
        lease: Some(ONE_PACE),
        probes: &["a server that lost its disk takes part again", "a lease is acquired"],
        ..Scope::BASE
    },
    Scope {
        name: "astray",
        purpose: "a clock goes beyond the bound while leaders doubt it; they come to doubt it, and trust it again",
        ..ASTRAY
    },
    Scope {
        name: "lagging",
        purpose: "a renewal tells a follower that it lags behind what the leader has forgotten",
        slots: 1,
        rounds: 1,
        rounds_together: Some(1),
        compactions: 1,
        recovery: true,
        probes: &[
            "a forgotten slot is asked for",
            "a lagging server is brought up to date by a snapshot",
            "a follower is brought up to date by a snapshot",
        ],
        ..Scope::BASE
    },
    Scope {
        name: "confirmed-reads",
        purpose: "reads without a lease, each confirmed by a round of its own",
        slots: 1,
        updates: 1,
        rounds: 1,
        reads: 1,
        probes: &["a read is served after a round", "a read is refused"],
        ..Scope::BASE
    },
    Scope {
        name: "forwarding",
        purpose: "updates reach servers that do not lead, and are passed on",
        slots: 1,
        updates: 1,
        forward: true,
        probes: &[
            "an update is forwarded",
            "an update is redirected",
            "a forwarded update is answered where it came from",
        ],
        ..Scope::BASE
    },
    Scope {
        name: "recovery",
        purpose: "from every state, without further faults, everything gets done",
        views: 3,
        crashes: 1,
        crashes_together: Some(1),
        recovery: true,
        probes: &["a view is established", "a new leader fills a hole"],
        ..Scope::BASE
    },
    Scope {
        name: "lasting-crash",
        purpose: "the same without any one of the servers, which is gone for good",
        slots: 1,
        views: 3,
        crashes: 1,
        crashes_together: Some(1),
        recovery: true,
        one_gone: true,
        probes: &["a view is established", "a restarted server votes"],
        ..Scope::BASE
    },
    Scope {
        name: "lease-recovery",
        purpose: "the same with leases and a restart: some server soon holds the lease",
        slots: 0,
        updates: 0,
        views: 2,
        rounds: 1,
        crashes: 1,
        crashes_together: Some(1),
        lease: Some(SHORT_CLOCKS),
        recovery: true,
        one_gone: true,
        probes: &["a lease is acquired"],
        ..Scope::BASE
    },
    Scope {
        name: "lease-forwarding",
        purpose: "the same with late disks and requests that are passed on, also by a candidate that nobody elects",
        servers: 2,
        slots: 1,
        views: 2,
        updates: 1,
        rounds: 1,
        lease: Some(SHORT_CLOCKS),
        forward: true,
        flush: true,
        recovery: true,
        probes: &["an update is forwarded", "a lease is acquired"],
        ..Scope::BASE
    },
    Scope {
        name: "unrest",
        purpose: "a leader with a lease is refused twice in a renewal interval, and stays",
        slots: 0,
        updates: 0,
        views: 4,
        views_each: 2,
        candidates: Some(2),
        rounds: 1,
        rounds_together: Some(2),
        lease: Some(Clocks { lease_term: 4, grant_term: 4, slow: 2, fast: 2 }),
        probes: &["a lease is acquired", "a leader with a lease prepares a higher view"],
        ..Scope::BASE
    },
    Scope {
        name: "lease-reconfigured",
        purpose: "two servers restart with terms half as long",
        slots: 0,
        updates: 0,
        rounds: 1,
        rounds_together: Some(2),
        crashes: 1,
        crashes_together: Some(2),
        lease: Some(SHORT_CLOCKS),
        restart_lease: Some(RESTART_CLOCKS),
        probes: &["a lease is acquired", "a restarted grantor keeps a candidate out"],
        ..Scope::BASE
    },
    Scope {
        name: "late-disk",
        purpose: "a leader tells of what its disk then loses",
        slots: 1,
        updates: 1,
        views: 1,
        rounds: 1,
        crashes: 1,
        crashes_together: Some(1),
        flush: true,
        probes: &["a view is established", "a crash loses records"],
        ..Scope::BASE
    },
    Scope {
        name: "one-client",
        purpose: "a client does one thing after the other, and an old request comes once more",
        slots: 3,
        retries: 1,
        one_client: true,
        ..Scope::BASE
    },
    Scope {
        name: "evicted",
        purpose: "there is room for one session only, and a client asks again",
        views: 1,
        retries: 1,
        sessions_max: Some(1),
        ..Scope::BASE
    },
    Scope {
        name: "every-message",
        purpose: "messages that can change nothing are delivered all the same",
        servers: 2,
        slots: 1,
        views: 3,
        views_each: 2,
        updates: 1,
        every_message: true,
        ..Scope::BASE
    },
    Scope {
        name: "quorum",
        purpose: "four servers, where half is no majority",
        servers: 4,
        slots: 1,
        probes: &["a view is established", "a new leader proposes what an old one began"],
        ..Scope::BASE
    },
    Scope {
        name: "quorums",
        purpose: "four servers with quorums of three promises and two votes",
        servers: 4,
        quorums: Some((3, 2)),
        slots: 1,
        probes: &["a view is established", "a new leader proposes what an old one began"],
        ..Scope::BASE
    },
    Scope {
        name: "comeback",
        purpose: "a server stands again, after another view or beside it",
        slots: 1,
        views: 3,
        views_each: 2,
        probes: &["a view is established", "a new leader proposes what an old one began"],
        ..Scope::BASE
    },
    Scope {
        name: "reborn",
        purpose: "a server restarts and stands again, and its disk writes late",
        slots: 1,
        views_each: 2,
        candidates: Some(1),
        crashes: 1,
        crashes_together: Some(1),
        flush: true,
        probes: &["a view is established", "a crash loses records"],
        ..Scope::BASE
    },
    Scope {
        name: "all-must-vote",
        purpose: "every server elects itself, and a value needs the votes of all",
        quorums: Some((1, 3)),
        slots: 1,
        views: 3,
        views_each: 2,
        probes: &["a view is established", "a new leader proposes what an old one began"],
        ..Scope::BASE
    },
    Scope {
        name: "asked-for",
        purpose: "one leader, whose rounds tell the others what they lack",
        views: 1,
        rounds: 1,
        probes: &["a lagging server is reconciled"],
        ..Scope::BASE
    },
];
