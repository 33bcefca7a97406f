//! Variants of how a server that lost its disk takes part again.

use crate::system::Reductions;
use crate::variant::{Description, Variant};

/// Where disks are lost, nothing can be reduced, and the machine that knows of no such thing is not asked.
const LOST: Description = Description {
    source: "DESIGN.md, and the machine `recover`",
    reductions: Reductions { drop_dead: false, symmetric: false, ..Reductions::ON },
    refused: "(the machine knows of no lost disks)",
    ..Description::BASE
};

pub(super) const VARIANTS: &[Description] = &[
    Description {
        variant: Variant::VotesWhileRecovering,
        name: "votes-while-recovering",
        rows: &[51],
        deviation: "a server that lost its disk votes and promises before it has recovered",
        rule: "takes_part",
        scope: "lost-disk-duel",
        falls: Some("agreement"),
        ..LOST
    },
    Description {
        variant: Variant::VotesWhileDamaged,
        name: "votes-while-damaged",
        rows: &[49],
        deviation: "a server whose disk lost votes votes and promises at once",
        source: "literature",
        rule: "has_repaired",
        scope: "damaged",
        falls: Some("agreement"),
        ..LOST
    },
    Description {
        variant: Variant::OldIncarnationHeard,
        name: "old-incarnation-heard",
        rows: &[60],
        deviation: "what a server said before it lost its disk counts also after it was noted",
        rule: "counts_incarnation",
        scope: "lost-disk",
        falls: Some("learnt is chosen"),
        ..LOST
    },
    Description {
        variant: Variant::OldVotesKept,
        name: "old-votes-kept",
        rows: &[60],
        deviation: "a leader that notes a new incarnation keeps the old one's votes and promises that it has counted",
        rule: "forgets_old_incarnation",
        scope: "lost-disk",
        falls: Some("learnt is chosen"),
        ..LOST
    },
    Description {
        variant: Variant::RecoversFromQuorum,
        name: "recovers-from-quorum",
        rows: &[51],
        deviation: "a server that lost its disk asks a majority only",
        rule: "recovery_round_ends",
        scope: "lost-disk-duel",
        falls: Some("agreement"),
        ..LOST
    },
    Description {
        variant: Variant::ReportedVotesDropped,
        name: "reported-votes-dropped",
        rows: &[51],
        deviation: "of what is reported only chosen values are kept",
        rule: "keeps_reported_vote",
        scope: "lost-disk-duel",
        falls: Some("agreement"),
        ..LOST
    },
    Description {
        variant: Variant::RecoversWithoutWait,
        name: "recovers-without-wait",
        rows: &[51],
        deviation: "a server that lost its disk does not wait for the grants that it may have given",
        rule: "recovery_wait_ends",
        scope: "lost-grant",
        falls: Some("lease exclusivity"),
        ..LOST
    },
];
