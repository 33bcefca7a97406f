//! Variants of the lease: grants, terms, clocks, and who leaves a view.

use crate::system::Reductions;
use crate::variant::{Description, Variant};

/// What a leader knows of clocks beyond the bound.
const ASTRAY: Description = Description {
    source: "thesis 4.3.4, which takes the bound for granted",
    scope: "astray",
    falls: Some("lease exclusivity"),
    refused: "(the machine knows of no clocks beyond the bound)",
    reductions: Reductions { symmetric: false, ..Reductions::ON },
    ..Description::BASE
};

pub(super) const VARIANTS: &[Description] = &[
    Description {
        variant: Variant::GrantForgotten,
        name: "thesis-grant-forgotten",
        alias: Some("grant-forgotten"),
        rows: &[32],
        deviation: "a grantor forgets its grant in a restart",
        source: "thesis 4.3.3, which treats the restart of the leader only; tikv #15035",
        rule: "grant_after_restart",
        scope: "lease-restart",
        falls: Some("lease exclusivity"),
        refused: "restart.long",
        ..Description::BASE
    },
    Description {
        variant: Variant::GrantTermForgotten,
        name: "grant-term-forgotten",
        rows: &[58],
        deviation: "a grantor that restarts with a shorter term takes its old grant for as short",
        source: "found by exploring this protocol",
        rule: "grant_after_restart",
        scope: "lease-reconfigured",
        falls: Some("lease exclusivity"),
        refused: "restart.long",
        ..Description::BASE
    },
    Description {
        variant: Variant::GrantShortened,
        name: "grant-shortened",
        rows: &[43],
        deviation: "a grant in a shorter term replaces a longer one",
        source: "cockroach #23104, #123442",
        rule: "grant_end",
        scope: "lease-reconfigured",
        falls: Some("refinement"),
        refused: "grant.kept",
        ..Description::BASE
    },
    Description {
        variant: Variant::TermUnchecked,
        name: "term-unchecked",
        rows: &[58],
        deviation: "a grantor does not look at the term that the request names",
        source: "found by exploring this protocol",
        rule: "may_grant",
        scope: "lease-reconfigured",
        falls: Some("lease exclusivity"),
        refused: "grant.long",
        ..Description::BASE
    },
    Description {
        variant: Variant::LateCopyExtends,
        name: "late-copy-extends",
        rows: &[62],
        deviation: "a late copy of a request extends the grant",
        source: "found by exploring this protocol",
        rule: "grant_end",
        scope: "lease-restart",
        harmless: Some("the grant only keeps others out for longer than the holder counts on"),
        refused: "(safe)",
        ..Description::BASE
    },
    Description {
        variant: Variant::GrantFromEarlier,
        name: "grant-from-earlier",
        rows: &[37],
        deviation: "the grantor measures from a time read before the request came in",
        rule: "grant_end",
        scope: "lease-moves",
        falls: Some("lease exclusivity"),
        refused: "grant.long",
        ..Description::BASE
    },
    Description {
        variant: Variant::GrantIgnored,
        name: "thesis-promise-despite-lease",
        rows: &[41],
        deviation: "a grantor promises to another server while its grant runs",
        source: "thesis, Figure 5.3, whose conflict check of Prepare knows no lease, against 4.3.2",
        rule: "may_promise",
        scope: "lease-moves",
        falls: Some("lease exclusivity"),
        refused: "promise.no-lease",
        ..Description::BASE
    },
    Description {
        variant: Variant::StandsDespiteGrant,
        name: "stands-despite-grant",
        rows: &[42],
        deviation: "a grantor stands for leader while its grant to another server runs",
        source: "thesis 4.3.2 left out",
        rule: "boundary: the time of an election",
        scope: "lease-moves",
        harmless: Some(
            "its own acceptor refuses its Prepare like anybody's, and so does every other that has granted",
        ),
        refused: "(safe)",
        ..Description::BASE
    },
    Description {
        variant: Variant::LateRelease,
        name: "thesis-forsake-without-view",
        rows: &[35],
        deviation: "a Release that comes late ends a grant of a newer view",
        source: "thesis 4.3.2: 'unless the leaseholder forsake its lease', without a message or a view for it",
        rule: "may_end_grant",
        scope: "lease-three",
        falls: Some("lease exclusivity"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        refused: "forget.remembered",
        ..Description::BASE
    },
    Description {
        variant: Variant::ReleaseWithRenewal,
        name: "release-with-renewal",
        rows: &[57],
        deviation: "a renewal first gives back the grants that the lease still rests on",
        source: "found by exploring this protocol",
        rule: "boundary: Renew",
        scope: "lease-renewed",
        falls: Some("lease exclusivity"),
        refused: "forget.quit",
        ..Description::BASE
    },
    Description {
        variant: Variant::TransferKeepsLease,
        name: "transfer-keeps-lease",
        rows: &[48],
        deviation: "a leader that resigns goes on using its lease",
        source: "tikv #1593",
        rule: "boundary: resign",
        scope: "lease-resigned",
        falls: Some("lease exclusivity"),
        refused: "forget.quit",
        ..Description::BASE
    },
    Description {
        variant: Variant::LeaseResumed,
        name: "lease-resumed",
        rows: &[33],
        deviation: "a restarted leader resumes its lease, with a whole term before it",
        source: "cockroach #23105; thesis 4.3.3",
        rule: "boundary: restart",
        scope: "lease-restart",
        falls: Some("lease exclusivity"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        refused: "serve.leads",
        ..Description::BASE
    },
    Description {
        variant: Variant::ViewTakenUpAgain,
        name: "view-taken-up-again",
        rows: &[34],
        deviation: "a restarted leader takes its old view up again, and with it a late grant of its old lease",
        source: "thesis 4.3.3, where it must tell grant and extension apart",
        rule: "next_view",
        scope: "lease-comeback",
        falls: Some("lease exclusivity"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        refused: "forget.quit",
        ..Description::BASE
    },
    Description {
        variant: Variant::GrantsOfOtherViews,
        name: "grants-of-other-views",
        rows: &[34, 39],
        deviation: "a grant of an earlier view of the same server counts for the later one",
        rule: "counts_grant",
        scope: "lease-handed-back",
        falls: Some("lease exclusivity"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        refused: "hold.quorum",
        ..Description::BASE
    },
    Description {
        variant: Variant::GrantsOfOtherRounds,
        name: "grants-of-other-rounds",
        rows: &[39],
        deviation: "grants of different rounds are added up",
        rule: "counts_grant",
        scope: "lease-renewed",
        falls: Some("lease exclusivity"),
        refused: "hold.quorum",
        ..Description::BASE
    },
    Description {
        variant: Variant::GrantsUncounted,
        name: "grants-uncounted",
        rows: &[40],
        deviation: "a leader takes the first grant for a lease",
        source: "MultiPaxos-LeaderLeases",
        rule: "makes_lease",
        scope: "lease-moves",
        falls: Some("lease exclusivity"),
        refused: "hold.quorum",
        ..Description::BASE
    },
    Description {
        variant: Variant::LeaseBeforePhase1,
        name: "lease-before-phase-1",
        rows: &[56],
        deviation: "a lease counts before phase 1 of its view is complete",
        source: "found by exploring this protocol",
        rule: "is_quorum",
        scope: "lease-quorums",
        falls: Some("lease exclusivity"),
        refused: "establish.quorum",
        ..Description::BASE
    },
    Description {
        variant: Variant::LeaseFromAck,
        name: "lease-from-ack",
        rows: &[36],
        deviation: "the holder counts its term from the acknowledgement, not from before the request left",
        source: "etcd-raft #166, RATIS-1864",
        rule: "lease_end",
        scope: "lease-moves",
        falls: Some("lease exclusivity"),
        refused: "serve.in-time",
        ..Description::BASE
    },
    Description {
        variant: Variant::RequestKeepsRound,
        name: "thesis-request-sent-again",
        rows: &[55],
        deviation: "a request that is sent again keeps its round and takes a new send time",
        source: "thesis 4.3.4: the term 'starts before it sends out the request', and does not say which sending",
        rule: "next_round",
        scope: "lease-renewed",
        falls: Some("lease exclusivity"),
        refused: "request.latest",
        ..Description::BASE
    },
    Description {
        variant: Variant::LeaseHeldAtItsEnd,
        name: "lease-held-at-its-end",
        rows: &[38],
        deviation: "the holder believes in its lease in the moment in which it ends",
        rule: "holds_lease",
        scope: "lease-moves",
        falls: Some("lease exclusivity"),
        refused: "serve.in-time",
        ..Description::BASE
    },
    Description {
        variant: Variant::TermOverBound,
        name: "thesis-shorter-term",
        alias: Some("term-over-bound"),
        rows: &[38],
        deviation: "the holder's term is shorter than the grantor's, but not by what clocks may drift",
        source: "thesis 4.3.2: the leader's term 'is shorter than that granted by the acceptors'; Paxos Made Live; riak_ensemble #49",
        rule: "configuration: grant_term",
        scope: "lease-moves",
        falls: Some("lease exclusivity"),
        refused: "grant.long",
        ..Description::BASE
    },
    Description {
        variant: Variant::NoDriftMargin,
        name: "no-drift-margin",
        rows: &[38],
        deviation: "the holder's term is as long as the grantor's",
        source: "Paxos Made Live; riak_ensemble #49",
        rule: "configuration: lease_term",
        scope: "lease-moves",
        falls: Some("lease exclusivity"),
        refused: "grant.long",
        ..Description::BASE
    },
    Description {
        variant: Variant::ClockSetBack,
        name: "clock-set-back",
        rows: &[43],
        deviation: "a clock is set back while a lease runs",
        source: "cockroach #23104",
        rule: "environment: clocks",
        scope: "lease-moves",
        falls: Some("lease exclusivity"),
        refused: "clock: it did not go on by what passed",
        ..Description::BASE
    },
    Description {
        variant: Variant::ClockStops,
        name: "clock-stops",
        rows: &[53],
        deviation: "a clock stops while its machine sleeps",
        source: "etcd #12291",
        rule: "environment: clocks",
        scope: "lease-moves",
        falls: Some("lease exclusivity"),
        refused: "clock: it did not go on by what passed",
        ..Description::BASE
    },
    Description {
        variant: Variant::RefusalQuits,
        name: "thesis-refusal-quits",
        rows: &[50],
        deviation: "a single refusal ends the view of a leader with a valid lease",
        source: "thesis, Figure 5.6: 'if isAccepted is false, state ← CLOSED, quit this view'; etcd-raft, 'disruptive server'",
        rule: "departure",
        scope: "stable",
        falls: Some("stable leader"),
        refused: "(safe: it is about stability)",
        ..Description::BASE
    },
    Description {
        variant: Variant::DoubtedGrantsCount,
        name: "doubted-grants-count",
        deviation: "a lease rests on grants of a clock that is known to be beyond the bound",
        rule: "grants_to_rely_on",
        ..ASTRAY
    },
    Description {
        variant: Variant::LeaseOutlastsDoubt,
        name: "lease-outlasts-doubt",
        deviation: "a leader that comes to doubt a clock keeps the lease that it holds",
        rule: "doubt_ends_lease",
        ..ASTRAY
    },
    Description {
        variant: Variant::RoundsOutlastDoubt,
        name: "rounds-outlast-doubt",
        deviation: "what a clock granted while it was in doubt counts when it no longer is",
        rule: "doubt_ends_rounds",
        ..ASTRAY
    },
];
