//! Variants of reads and answers.

use crate::variant::{Description, Variant};

pub(super) const VARIANTS: &[Description] = &[
    Description {
        variant: Variant::ReadByRole,
        name: "read-by-role",
        rows: &[44],
        deviation: "a server that takes itself for the leader serves reads",
        source: "tikv #964, jraft #25",
        rule: "may_serve_read",
        scope: "confirmed-reads",
        falls: Some("reads"),
        refused: "confirm.quorum",
        ..Description::BASE
    },
    Description {
        variant: Variant::ReadWithEarlierTime,
        name: "read-with-earlier-time",
        rows: &[45],
        deviation: "the lease is checked with a time read before the read came in",
        source: "riak_ensemble #41, etcd #20418",
        rule: "boundary: the time of a read",
        scope: "reads",
        falls: Some("reads"),
        refused: "serve.in-time",
        ..Description::BASE
    },
    Description {
        variant: Variant::ReadsBeforeOlderViews,
        name: "thesis-read-after-catch-up",
        rows: &[46],
        deviation: "a leader serves reads before it has committed what it learnt while preparing",
        source: "thesis 4.3.2: a new leader 'catches up with the leader replica'; consul #2644, tikv #9239",
        rule: "may_serve_read",
        scope: "reads",
        falls: Some("reads"),
        refused: "serve.horizon",
        ..Description::BASE
    },
    Description {
        variant: Variant::MinorityUnreported,
        name: "minority-unreported",
        rows: &[15],
        deviation: "a Promise leaves out what is voted for and not known to be committed, so that a read does not wait for it",
        source: "scylladb #6299, CASSANDRA-12126",
        rule: "boundary: the reports of a Promise",
        scope: "reads",
        falls: Some("reads"),
        refused: "promise sets report",
        ..Description::BASE
    },
    Description {
        variant: Variant::AcknowledgedWhenProposed,
        name: "acknowledged-when-proposed",
        rows: &[47],
        deviation: "an update is acknowledged before it is applied where reads are served",
        rule: "boundary: the answer to a client",
        scope: "reads",
        falls: Some("reads"),
        refused: "acknowledge.decided",
        ..Description::BASE
    },
];
