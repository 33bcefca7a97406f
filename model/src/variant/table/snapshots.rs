//! Variants of snapshots: of what they stand for, and of how a server is brought up to date by one.

use crate::system::Reductions;
use crate::variant::{Description, Variant};

pub(super) const VARIANTS: &[Description] = &[
    Description {
        variant: Variant::ForgottenUnreported,
        name: "forgotten-unreported",
        rows: &[19],
        deviation: "a Promise leaves out what its sender has forgotten, also that it was chosen",
        source: "omnipaxos #58",
        rule: "boundary: the committed slot of a Promise",
        scope: "forgotten",
        falls: Some("agreement"),
        refused: "promise sets report",
        ..Description::BASE
    },
    Description {
        variant: Variant::ForgottenTakenForHole,
        name: "forgotten-taken-for-hole",
        rows: &[59],
        deviation: "a new leader takes for chosen what a Promise reports, and a slot that its sender has forgotten for a hole",
        source: "found by exploring this protocol",
        rule: "boundary: the committed slot of a Promise, as it is read",
        scope: "forgotten",
        falls: Some("agreement"),
        refused: "establish sets horizon",
        ..Description::BASE
    },
    Description {
        variant: Variant::SnapshotForgetsPromise,
        name: "snapshot-forgets-promise",
        rows: &[24],
        deviation: "a snapshot takes the place of all that is on disk, and the promise is gone",
        rule: "promised_by_snapshot",
        scope: "forgotten-between",
        falls: Some("agreement"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        refused: "disk: what was durable is lost",
        ..Description::BASE
    },
    Description {
        variant: Variant::SnapshotRefutesNobody,
        name: "snapshot-refutes-nobody",
        deviation: "a leader whose proposal a snapshot covers goes on leading, as if its own value were the chosen one",
        source: "found by exploring this protocol",
        rule: "refutes",
        scope: "five-forgotten",
        falls: Some("learnt is chosen"),
        refused: "mark.unrefuted",
        ..Description::BASE
    },
    Description {
        variant: Variant::OlderSnapshotTruncates,
        name: "older-snapshot-truncates",
        rows: &[25],
        deviation: "a snapshot that comes late takes the place of a newer state and log",
        source: "etcd #1763",
        rule: "boundary: how a snapshot is put in place",
        scope: "compaction",
        falls: Some("acknowledged survives"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        refused: "disk: what was durable is lost",
        ..Description::BASE
    },
    Description {
        variant: Variant::SnapshotWithoutSessions,
        name: "snapshot-without-sessions",
        rows: &[30],
        deviation: "the session table is no part of the snapshot: the one that was there stays",
        source: "redisraft #568",
        rule: "boundary: what a snapshot holds",
        scope: "forgotten-retry",
        falls: Some("at most once"),
        refused: "(sessions are not in the machine)",
        ..Description::BASE
    },
];
