//! Variants of the two phases: what is promised, proposed, voted for, counted and learnt.

use crate::system::Reductions;
use crate::variant::{Description, Variant};

pub(super) const VARIANTS: &[Description] = &[
    Description {
        variant: Variant::QuorumHalf,
        name: "thesis-quorum-half",
        alias: Some("quorum-half"),
        rows: &[6],
        deviation: "⌊N/2⌋ servers make a quorum, the leader among them",
        source: "thesis 5.1, 5.3, 5.4 and Figures 5.4 and 5.6, against Figure 5.5",
        rule: "is_quorum",
        scope: "quorum",
        falls: Some("agreement"),
        ..Description::BASE
    },
    Description {
        variant: Variant::QuorumsMiss,
        name: "quorums-of-n",
        rows: &[6],
        deviation: "the quorums of the two phases add up to N, and not to more",
        source: "literature (flexible quorums)",
        rule: "is_quorum",
        scope: "quorums-duel",
        falls: Some("agreement"),
        ..Description::BASE
    },
    Description {
        variant: Variant::VoterCountedTwice,
        name: "voter-counted-twice",
        rows: &[7],
        deviation: "a Promise that comes twice counts as two servers'",
        source: "n2paxos",
        rule: "boundary: the sender of a Promise",
        scope: "quorums-duel",
        falls: Some("agreement"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        ..Description::BASE
    },
    Description {
        variant: Variant::LastPromise,
        name: "thesis-apply-in-any-order",
        rows: &[4],
        deviation: "a new leader takes the value that the last promise reports, whatever its view",
        source: "thesis, Figure 5.4, handle_promise_msg: 'for each entry e in info: apply e to local data structures'",
        rule: "value_to_propose",
        scope: "three-leaders",
        falls: Some("agreement"),
        reductions: Reductions { symmetric: false, ..Reductions::ON },
        ..Description::BASE
    },
    Description {
        variant: Variant::LowestView,
        name: "lowest-view",
        rows: &[4],
        deviation: "a new leader takes the value of the lowest view that it hears of",
        rule: "value_to_propose",
        falls: Some("agreement"),
        ..Description::BASE
    },
    Description {
        variant: Variant::MinorityVoteIgnored,
        name: "minority-vote-ignored",
        rows: &[15],
        deviation: "a new leader fills a slot with a no-op unless every promise reports a vote for it",
        source: "scylladb #6299, CASSANDRA-12126",
        rule: "value_to_propose",
        scope: "reads",
        falls: Some("old views under a lease"),
        ..Description::BASE
    },
    Description {
        variant: Variant::UnsentTakenForHole,
        name: "unsent-taken-for-hole",
        deviation: "a slot that a promiser has committed without sending its value is taken for a hole",
        source: "found by exploring this protocol",
        rule: "value_to_propose",
        scope: "cut-short",
        falls: Some("agreement"),
        ..Description::BASE
    },
    Description {
        variant: Variant::HoleFilledWithAnything,
        name: "hole-filled-with-anything",
        deviation: "a hole is filled with what nobody submitted, and not with a no-op",
        rule: "value_to_propose",
        falls: Some("validity"),
        ..Description::BASE
    },
    Description {
        variant: Variant::HolesStayOpen,
        name: "thesis-holes-stay-open",
        rows: &[21],
        deviation: "a new leader leaves a slot open that nobody reported a vote for, below one that somebody did",
        source: "thesis, Figure 5.6: starts_propose has a value for a slot only if a promise reported one or a client asked for one",
        rule: "value_to_propose",
        scope: "recovers",
        falls: Some("recoverability"),
        ..Description::BASE
    },
    Description {
        variant: Variant::UnfinishedSlots,
        name: "thesis-unfinished-slots",
        rows: &[22],
        deviation: "a new leader does not propose again what an old one began",
        source: "thesis, Figure 5.6: starts_propose runs 'while pendingUpdates is not empty'",
        rule: "value_to_propose",
        scope: "recovers",
        falls: Some("recoverability"),
        ..Description::BASE
    },
    Description {
        variant: Variant::NewUpdateInReportedSlot,
        name: "new-update-in-reported-slot",
        rows: &[23],
        deviation: "a new leader's own updates begin in a slot that a promise reported as voted for",
        rule: "first_free_slot",
        scope: "three-leaders",
        falls: Some("one value per view"),
        ..Description::BASE
    },
    Description {
        variant: Variant::ViewBelowSeen,
        name: "view-below-seen",
        deviation: "a candidate counts its own attempts, and does not look at the views that it has seen",
        source: "found by editing the rules",
        rule: "next_view",
        scope: "lasting-crash",
        falls: Some("recoverability"),
        ..Description::BASE
    },
    Description {
        variant: Variant::VotePromisesNothing,
        name: "vote-promises-nothing",
        rows: &[1],
        deviation: "a vote in a higher view than the promised one does not raise the promise",
        source: "Brooker 2021, on Paxos Made Simple",
        rule: "promised_by_vote",
        scope: "three-leaders",
        falls: Some("agreement"),
        reductions: Reductions { own_at_once: false, ..Reductions::ON },
        ..Description::BASE
    },
    Description {
        variant: Variant::AcceptsBelowPromise,
        name: "accepts-below-promise",
        rows: &[2],
        deviation: "an acceptor votes in a view below the promised one",
        rule: "may_accept",
        scope: "three-leaders",
        falls: Some("agreement"),
        ..Description::BASE
    },
    Description {
        variant: Variant::PromisesBelow,
        name: "promises-below",
        rows: &[2],
        deviation: "an acceptor promises a view below the promised one",
        rule: "may_promise",
        scope: "three-leaders",
        falls: Some("refinement"),
        ..Description::BASE
    },
    Description {
        variant: Variant::StalePromise,
        name: "stale-promise",
        rows: &[17],
        deviation: "a Promise of an earlier attempt of the same server counts for a later one",
        rule: "counts_promise",
        scope: "comeback",
        falls: Some("agreement"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        ..Description::BASE
    },
    Description {
        variant: Variant::RefusalIsPromise,
        name: "refusal-is-promise",
        rows: &[3],
        deviation: "a refusal that names a higher view is counted as a promise",
        source: "openraft #1220",
        rule: "boundary: a Reject is taken for a Promise",
        scope: "three-leaders",
        falls: Some("agreement"),
        ..Description::BASE
    },
    Description {
        variant: Variant::OneViewField,
        name: "one-view-field",
        rows: &[5],
        deviation: "a Promise reports the view that is promised as the view of the vote",
        source: "epaxos #20",
        rule: "boundary: the reports of a Promise",
        scope: "three-leaders",
        falls: Some("agreement"),
        reductions: Reductions { symmetric: false, ..Reductions::ON },
        ..Description::BASE
    },
    Description {
        variant: Variant::PromiseOffByOne,
        name: "promise-off-by-one",
        rows: &[18],
        deviation: "a Promise reports votes from one slot too far on",
        source: "omnipaxos #19, #101",
        rule: "boundary: the reports of a Promise",
        scope: "duel",
        falls: Some("agreement"),
        ..Description::BASE
    },
    Description {
        variant: Variant::CommittedForgotten,
        name: "committed-forgotten",
        rows: &[13],
        deviation: "an acceptor forgets a slot once it is committed, and promises as if nothing were there",
        source: "scylladb #6154",
        rule: "boundary: the reports of a Promise",
        scope: "quorums-duel",
        falls: Some("agreement"),
        ..Description::BASE
    },
    Description {
        variant: Variant::VotesOfAnyView,
        name: "thesis-votes-without-view",
        rows: &[16, 17],
        deviation: "a vote of an older view counts for the value of the newer one",
        source: "thesis, Figure 5.1: boolean[] acceptVotes, which nothing resets when a slot is proposed again; Figure 5.6",
        rule: "counts_vote",
        scope: "all-must-vote",
        falls: Some("learnt is chosen"),
        reductions: Reductions { drop_dead: false, ..Reductions::ON },
        ..Description::BASE
    },
    Description {
        variant: Variant::MarkOfAnyView,
        name: "thesis-bare-decided-range",
        rows: &[28],
        deviation: "'committed up to slot s' is applied to values of any view",
        source: "thesis 4.3.5: the set of decided numbers goes with the lease messages",
        rule: "may_learn",
        falls: Some("learnt is chosen"),
        ..Description::BASE
    },
    Description {
        variant: Variant::VotesPassedOn,
        name: "votes-passed-on",
        rows: &[27],
        deviation: "a server that is asked for chosen values sends what it has only voted for",
        rule: "may_pass_on",
        scope: "asked-for",
        falls: Some("learnt is chosen"),
        ..Description::BASE
    },
    Description {
        variant: Variant::RefutedLeaderStays,
        name: "refuted-leader-stays",
        deviation: "a leader that learns another value than it proposed goes on leading, and its next mark commits its own value elsewhere",
        source: "found by exploring this protocol",
        rule: "refutes",
        scope: "five",
        falls: Some("learnt is chosen"),
        ..Description::BASE
    },
    Description {
        variant: Variant::AppliedAcrossGap,
        name: "applied-across-gap",
        rows: &[26],
        deviation: "committed slots are applied although a slot below is missing",
        source: "bigeasy/paxos #213",
        rule: "may_apply",
        falls: Some("prefixes"),
        ..Description::BASE
    },
    Description {
        variant: Variant::NoRetry,
        name: "no-retry",
        rows: &[54],
        deviation: "a Propose whose votes were lost is never repeated",
        rule: "boundary: Timer::Retry",
        scope: "recovers",
        falls: Some("recoverability"),
        ..Description::BASE
    },
    Description {
        variant: Variant::CommittedSlotIgnored,
        name: "thesis-committed-slot-ignored",
        rows: &[52],
        deviation: "a Propose for a slot that is committed already is not answered",
        source: "thesis, Figure 5.4, handle_propose_msg: 'if history[updateSeq].committed is true, ignore this message'",
        rule: "boundary: the Commit that answers a Propose",
        scope: "recovers",
        harmless: Some(
            "nothing is contradicted; the leader learns the slot by reconciliation when it renews",
        ),
        ..Description::BASE
    },
];
