//! Variants of what is durable, of restarts, and of the state machine.

use crate::system::Reductions;
use crate::variant::{Description, Variant};

pub(super) const VARIANTS: &[Description] = &[
    Description {
        variant: Variant::PromiseBeforeDurable,
        name: "promise-before-durable",
        rows: &[8],
        deviation: "a Promise leaves before its record is durable",
        source: "nodedb #161",
        rule: "boundary: When::Durable",
        scope: "flush",
        falls: Some("agreement"),
        refused: "disk: a message says what is not durable yet",
        ..Description::BASE
    },
    Description {
        variant: Variant::AcceptBeforeDurable,
        name: "accept-before-durable",
        rows: &[9],
        deviation: "an Accept leaves before its record is durable",
        source: "cockroach #15648, epaxos #28",
        rule: "boundary: When::Durable",
        scope: "flush",
        falls: Some("covered by the disk"),
        refused: "disk: a message says what is not durable yet",
        ..Description::BASE
    },
    Description {
        variant: Variant::OwnVoteBeforeWrite,
        name: "thesis-own-vote-before-write",
        rows: &[9],
        deviation: "the leader counts its own vote before it has written it",
        source: "thesis 4.2.2: the leader 'writes to disk immediately after sending its accept message'; 5.4",
        rule: "boundary: When::Durable",
        scope: "flush",
        falls: Some("acknowledged survives"),
        refused: "disk: a message says what is not durable yet",
        ..Description::BASE
    },
    Description {
        variant: Variant::PrepareBeforeDurable,
        name: "prepare-before-durable",
        rows: &[11],
        deviation: "a Prepare leaves before its attempt is durable, and the restarted server attempts the view again",
        source: "phxpaxos #145",
        rule: "boundary: When::Durable",
        scope: "reborn",
        falls: Some("one value per view"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        refused: "disk: a message says what is not durable yet",
        ..Description::BASE
    },
    Description {
        variant: Variant::ViewFromClock,
        name: "thesis-view-from-clock",
        rows: &[12],
        deviation: "the number of a view is read from a clock, which shows the same again after a restart",
        source: "thesis 5.3 and Figure 5.5: System.currentTimeMillis; scylladb #7975",
        rule: "next_view",
        scope: "reborn",
        falls: Some("one value per view"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        refused: "propose.fresh",
        ..Description::BASE
    },
    Description {
        variant: Variant::FailedWrite,
        name: "failed-write-reported-done",
        rows: &[10],
        deviation: "the disk loses votes and reports them written",
        source: "dragonboat #409",
        rule: "environment: votes are not written",
        scope: "duel",
        falls: Some("acknowledged survives"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        refused: "disk: a message says what is not durable yet",
        ..Description::BASE
    },
    Description {
        variant: Variant::VotesExpire,
        name: "votes-expire",
        rows: &[14],
        deviation: "votes that are not known to be committed expire while the server is down",
        source: "scylladb #6149",
        rule: "environment: the disk after a crash",
        scope: "duel-restart",
        falls: Some("agreement"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        refused: "disk: what was durable is lost",
        ..Description::BASE
    },
    Description {
        variant: Variant::WipedDisk,
        name: "wiped-disk",
        rows: &[49],
        deviation: "a server whose disk was wiped votes as if it were new",
        source: "tigerbeetle #2767, openraft #898",
        rule: "environment: the disk after a crash",
        scope: "duel-restart",
        falls: Some("agreement"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        refused: "disk: what was durable is lost",
        ..Description::BASE
    },
    Description {
        variant: Variant::RejectionRollsBack,
        name: "rejection-rolls-back",
        rows: &[20],
        deviation: "a refusal makes its receiver take back its last committed slot",
        source: "CCF #5991",
        rule: "boundary: durable records at a Reject",
        scope: "duel",
        falls: Some("acknowledged survives"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        refused: "disk: what was durable is lost",
        ..Description::BASE
    },
    Description {
        variant: Variant::LogReplayedTwice,
        name: "log-replayed-twice",
        rows: &[31],
        deviation: "the log is replayed onto a state machine that has applied it already",
        source: "shaj13/raft #27",
        rule: "boundary: the state machine after a crash",
        scope: "duel-restart",
        falls: Some("at most once"),
        refused: "(sessions are not in the machine)",
        ..Description::BASE
    },
    Description {
        variant: Variant::RetryExecutedTwice,
        name: "thesis-update-in-two-slots",
        rows: &[29],
        deviation: "an update that was decided in two slots is applied twice",
        source: "thesis, Figure 5.6, which applies each committed slot; scylladb #25602, cockroach #10602, etcd #18424",
        rule: "admit",
        scope: "retries",
        falls: Some("at most once"),
        refused: "(sessions are not in the machine)",
        ..Description::BASE
    },
    Description {
        variant: Variant::EvictedSessionApplied,
        name: "evicted-session-applied",
        rows: &[61],
        deviation: "an update of an evicted session is applied as if it were new",
        source: "etcd #18424, in kind",
        rule: "admit",
        scope: "evicted",
        falls: Some("at most once"),
        refused: "(sessions are not in the machine)",
        ..Description::BASE
    },
];
