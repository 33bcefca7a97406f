//! The works that every system is measured by, and what comes of one.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

/// The latencies that are told: name, and the part of all operations that took no longer.
pub(super) const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];

/// How many keys are touched.
pub(super) const KEYS: u64 = 1000;

/// How many clients update while the leader is killed.
const CLIENTS_OF_FAIL_OVER: usize = 16;
/// How long the load runs before the leader is killed, and how long afterwards: longer than any of them takes.
const BEFORE_KILL: Duration = Duration::from_secs(1);
const AFTER_KILL: Duration = Duration::from_secs(9);

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Kind {
    /// Updates, each of which is on the disks of a majority before it is acknowledged
    Updates,
    /// Linearizable reads
    Reads,
    /// Updates while the leader is killed (SIGKILL)
    FailOver,
    /// How often files are synced for an update, as `strace` counts it; only if asked for
    Syncs,
}

/// What is done, and by how many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Work {
    pub(super) kind: Kind,
    pub(super) clients: usize,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    /// How long after the warm-up the leader is killed.
    pub(super) kill_after: Option<Duration>,
}

impl Work {
    /// All of them, in the order of the table.
    pub(super) fn all(duration: Duration, warm_up: Duration) -> Vec<Self> {
        let work = |kind, clients| Self { kind, clients, warm_up, duration, kill_after: None };
        vec![
            work(Kind::Updates, 1),
            work(Kind::Updates, 64),
            work(Kind::Updates, 256),
            work(Kind::Updates, 1024),
            work(Kind::Reads, 256),
            Self {
                kind: Kind::FailOver,
                clients: CLIENTS_OF_FAIL_OVER,
                warm_up: BEFORE_KILL,
                duration: BEFORE_KILL + AFTER_KILL,
                kill_after: Some(BEFORE_KILL),
            },
            // What is counted and what is measured begin together.
            Self { warm_up: Duration::ZERO, ..work(Kind::Syncs, 1) },
        ]
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        let what = match self.kind {
            Kind::Updates => "updates",
            Kind::Reads => "reads",
            Kind::FailOver => "fail-over",
            Kind::Syncs => "syncs of updates",
        };
        let plural = if self.clients == 1 { "" } else { "s" };
        format!("{what}, {} client{plural}", self.clients)
    }
}

/// What came of a work on a system.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Outcome {
    pub(super) operations: u64,
    pub(super) per_second: f64,
    /// By [`QUANTILES`].
    pub(super) latency_us: [f64; QUANTILES.len()],
    /// The longest time without an operation that ended; only of a fail-over.
    pub(super) longest_pause_ms: Option<f64>,
    /// Syncs of all servers for each operation; only where they are counted.
    pub(super) syncs_per_update: Option<f64>,
    /// Attempts that failed or had no answer in time, as far as the load sees them.
    pub(super) retries: Option<u64>,
}

impl Outcome {
    /// What `peer-load` prints.
    pub(super) fn parse(object: &Value, fails_over: bool) -> Option<Self> {
        let mut latency_us = [0.0; QUANTILES.len()];
        for (latency, (name, _)) in latency_us.iter_mut().zip(QUANTILES) {
            *latency = object["latency_us"][name].as_f64()?;
        }
        let pause = object["longest_pause_ms"].as_f64()?;
        Some(Self {
            operations: object["ops"].as_u64()?,
            per_second: object["ops_per_s"].as_f64()?,
            latency_us,
            longest_pause_ms: fails_over.then_some(pause),
            syncs_per_update: None,
            retries: Some(object["retries"].as_u64()?),
        })
    }

    /// With how many syncs there were meanwhile.
    #[expect(clippy::cast_precision_loss, reason = "it is shown with a few digits")]
    pub(super) fn with_syncs(self, syncs: Option<u64>) -> Self {
        let syncs_per_update = syncs.map(|syncs| syncs as f64 / self.operations as f64);
        Self { syncs_per_update, ..self }
    }

    pub(super) fn object(&self) -> Value {
        let latency: Value =
            QUANTILES.iter().zip(self.latency_us).map(|((name, _), micros)| (*name, json!(micros))).collect();
        json!({
            "ops": self.operations,
            "ops_per_s": self.per_second,
            "latency_us": latency,
            "longest_pause_ms": self.longest_pause_ms,
            "syncs_per_update": self.syncs_per_update,
            "retries": self.retries,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_load_prints_is_understood_or_refused_as_a_whole() {
        let printed = json!({
            "ops": 3, "ops_per_s": 1.5, "retries": 1, "longest_pause_ms": 12.5, "seconds": 2.0,
            "latency_us": {"p50": 1.0, "p90": 2.0, "p99": 3.0, "p999": 4.0, "max": 5.0},
        });
        let outcome = Outcome::parse(&printed, true).unwrap();
        assert_eq!(outcome.latency_us, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((outcome.longest_pause_ms, outcome.retries), (Some(12.5), Some(1)));
        assert_eq!(Outcome::parse(&printed, false).unwrap().longest_pause_ms, None);
        for part in ["ops", "ops_per_s", "retries", "longest_pause_ms", "latency_us"] {
            let mut cut = printed.clone();
            cut.as_object_mut().unwrap().remove(part);
            assert_eq!(Outcome::parse(&cut, true), None, "{part}");
        }
    }
}
