//! Whole clusters under faults, from seeds. To run one again: `SEED=17 cargo test -p cluster --test simulation`.

use cluster::sim::{Findings, Plan};

const SEEDS: u64 = 300;

#[test]
fn whatever_faults_strike_nothing_acknowledged_is_lost_and_everything_is_answered_afterwards() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    };
    let mut sum = Findings::default();
    let mut failures = Vec::new();
    let many = seeds.end - seeds.start > 1;
    for seed in seeds {
        match Plan::of_seed(seed).run() {
            Ok(findings) => sum.add(&findings),
            Err(failure) => failures.push(failure),
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
    }
}

#[test]
fn a_run_follows_from_its_seed() {
    let run = || Plan::of_seed(11).run();
    assert_eq!(run(), run());
}
