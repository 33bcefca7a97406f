//! Whole clusters under faults, from seeds. To run one again: `SEED=17 cargo test -p cluster --test simulation`;
//! to run more of them: `SEEDS=20000`.

use cluster::sim::{Findings, Plan};

const SEEDS: u64 = 600;

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

#[test]
fn whatever_faults_strike_nothing_acknowledged_is_lost_and_everything_is_answered_afterwards() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    let mut sum = Findings::default();
    let mut failures = Vec::new();
    let many = seeds.end - seeds.start >= SEEDS;
    for seed in seeds {
        // An assertion in a handler is a finding too, and needs its seed.
        match std::panic::catch_unwind(|| Plan::of_seed(seed).run()) {
            Ok(Ok(findings)) => sum.add(&findings),
            Ok(Err(failure)) => failures.push(failure),
            Err(_) => failures.push(format!("seed {seed}: panicked, see above")),
        }
    }
    assert!(failures.is_empty(), "{} runs failed:\n{}", failures.len(), failures.join("\n"));
    println!("{sum:?}");
    if many {
        // Faults that never strike prove nothing.
        assert!(sum.power_failures > 0 && sum.cut_syncs > 0 && sum.records_lost > 0, "{sum:?}");
        assert!(sum.datagrams_lost > 0 && sum.datagrams_repeated > 0 && sum.pauses > 0, "{sum:?}");
        assert!(sum.leader_changes > 0 && sum.leases_seen > 0 && sum.sessions_lost > 0, "{sum:?}");
        assert!(sum.acknowledged > 0 && sum.reads > 0, "{sum:?}");
        assert!(sum.snapshots > 0 && sum.snapshots_fetched > 0 && sum.snapshots_damaged > 0, "{sum:?}");
        assert!(sum.records_trimmed > 0, "{sum:?}");
    }
}

#[test]
fn a_run_follows_from_its_seed() {
    let run = || Plan::of_seed(11).run();
    assert_eq!(run(), run());
}
