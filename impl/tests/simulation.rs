//! Whole clusters under faults, from seeds. To run one again: `SEED=17 cargo test -p cluster --test simulation`;
//! to run more of them: `SEEDS=20000`.

use std::collections::BTreeSet;
use std::panic::catch_unwind;

use cluster::sim::{Class, Fault, Findings, Plan};

const SEEDS: u64 = 100;
/// How long each run lasts at least.
const SIMULATED_MS: i64 = 60_000;
/// How many kinds of fault strike in each run at least.
const KINDS: usize = 5;
/// How many seeds it takes until every kind of fault is certain to have struck.
const MANY: u64 = 50;

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Runs a seed. An assertion in a handler is a finding too, and needs its seed.
fn run(seed: u64) -> Result<Findings, String> {
    let findings = catch_unwind(|| Plan::of_seed(seed).run())
        .unwrap_or_else(|_| Err(format!("seed {seed}: panicked, see above")))?;
    let kinds = findings.faults.kinds().count();
    if findings.simulated_ms < SIMULATED_MS || kinds < KINDS || findings.acknowledged + findings.reads == 0 {
        return Err(format!("seed {seed}: this run proves little: {findings:?}"));
    }
    Ok(findings)
}

/// Runs seeds on two threads, and adds up what was found.
fn run_all(seeds: std::ops::Range<u64>) -> (Findings, Vec<String>) {
    let part = |first: u64| {
        let (mut sum, mut failures) = (Findings::default(), Vec::new());
        for seed in seeds.clone().skip(usize::try_from(first).unwrap_or(0)).step_by(2) {
            match run(seed) {
                Ok(findings) => sum.add(&findings),
                Err(failure) => failures.push(failure),
            }
        }
        (sum, failures)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| part(1));
        let (mut sum, mut failures) = part(0);
        let (more, others) = other.join().expect("a run that panics is caught");
        sum.add(&more);
        failures.extend(others);
        (sum, failures)
    })
}

#[test]
fn whatever_faults_strike_nothing_acknowledged_is_lost_and_everything_is_answered_afterwards() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    let many = seeds.end - seeds.start >= MANY;
    let (sum, failures) = run_all(seeds);
    assert!(failures.is_empty(), "{} runs failed:\n{}", failures.len(), failures.join("\n"));
    println!("{sum:?}");
    if many {
        // Faults that never strike prove nothing.
        let struck: BTreeSet<Fault> = sum.faults.kinds().collect();
        let missing: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| !struck.contains(fault)).collect();
        assert!(missing.is_empty(), "{missing:?} never struck: {sum:?}");
        for class in [Class::Disk, Class::Network, Class::Clock, Class::Process] {
            assert!(struck.iter().any(|fault| fault.class() == class), "{class:?}");
        }
        assert!(sum.records_lost > 0 && sum.leader_changes > 0 && sum.leases_seen > 0, "{sum:?}");
        assert!(sum.acknowledged > 0 && sum.sessions_lost > 0 && sum.reads > 0, "{sum:?}");
        assert!(sum.snapshots > 0 && sum.snapshots_fetched > 0 && sum.snapshots_damaged > 0, "{sum:?}");
        assert!(sum.snapshots_failed > 0 && sum.snapshots_cut > 0, "{sum:?}");
        assert!(sum.records_trimmed > 0 && sum.records_rotten > 0, "{sum:?}");
        assert!(sum.clock_alarms > 0 && sum.disks_recovered > 0, "{sum:?}");
        assert!(sum.unauthentic > 0, "{sum:?}");
    }
}

#[test]
fn a_run_follows_from_its_seed() {
    let run = |seed| Plan::of_seed(seed).run().unwrap();
    assert_eq!(run(11), run(11), "event by event, as the trace's hash says");
    assert_ne!(run(11).trace, run(12).trace);
}
