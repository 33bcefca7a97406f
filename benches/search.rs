//! How fast the model explores: whole searches of two small scopes, ours and stateright's, each from nothing, and what
//! the parts of ours take.
//!
//! - `SCOPE/own`, `SCOPE/stateright`: the search to its end, one thread, all properties; an element is a transition.
//! - `SCOPE/handlers`: the first visit of each state, where the handlers run and what they come to is interned.
//! - `SCOPE/expand`, `fingerprint`, `table`, `judge`, `pack`, `unpack`: the same transitions once what the handlers
//!   do is remembered, part by part: successors, hashing, the set of fingerprints, properties, the queue's two ends.
//!
//! To be read against each other: the parts overlap in the processor, so their sum is more than a search takes. `model
//! check --profile SCOPE` measures the same parts of any scope, once.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use model::engine::profile::{self, Profile};
use model::engine::{self, End, Limits, Progress};
use model::scope::{SHORT_CLOCKS, Scope};
use model::system::{Reductions, System};
use model::variant::Variant;
use stateright::{Checker, Model};

/// The names of the parts here, and how those of the profile begin.
const PARTS: [(&str, &str); 7] = [
    ("handlers", "first visit"),
    ("unpack", "unpack"),
    ("expand", "expand"),
    ("fingerprint", "fingerprint"),
    ("table", "table"),
    ("judge", "judge"),
    ("pack", "pack"),
];

fn main() {
    benches::run(|criterion| {
        // Two leaders, two slots, two updates.
        scope(criterion, "agreement-small", &Scope::custom());
        // Two leaders with a lease request each, and clocks that drift.
        let lease = Scope { slots: 0, updates: 0, rounds: 1, lease: Some(SHORT_CLOCKS), ..Scope::custom() };
        scope(criterion, "lease-small", &lease);
    });
}

fn scope(criterion: &mut Criterion, name: &str, scope: &Scope) {
    let system = || System::new(scope, Variant::Correct, Reductions::ON);
    let transitions = own(&system());
    let mut group = criterion.benchmark_group(format!("search/{name}"));
    group.sample_size(10);
    group.throughput(Throughput::Elements(transitions));
    group.bench_function("own", |bencher| bencher.iter(|| assert_eq!(own(&system()), transitions)));
    group.bench_function("stateright", |bencher| {
        bencher.iter(|| assert_eq!(reference(system()), transitions));
    });
    let sample = profile::profile(&system());
    group.throughput(Throughput::Elements(sample.transitions as u64));
    for (id, part) in PARTS {
        group.bench_function(id, |bencher| {
            let profiles = |times| (0..times).map(|_| profile::profile(&system()));
            bencher.iter_custom(|times| profiles(times).map(|profile| elapsed(&profile, part)).sum());
        });
    }
    group.finish();
}

/// By our own search; how many transitions, and the initial state.
fn own(system: &System) -> u64 {
    let stop = AtomicBool::new(false);
    let limits = Limits { threads: 1, memory_bytes: None, deadline: None, stop: &stop, until_broken: 0 };
    let found = engine::search(system, &limits, &Progress::default());
    assert_eq!((found.end, found.broken.len()), (End::Exhausted, 0));
    found.states as u64
}

/// By stateright's.
fn reference(system: System) -> u64 {
    system.checker().threads(1).spawn_bfs().join().state_count() as u64
}

/// What the last part took whose name begins so: 'expand' comes twice, and the second time all is remembered.
fn elapsed(profile: &Profile, part: &str) -> Duration {
    let found = profile.parts.iter().rev().find(|known| known.name.starts_with(part));
    found.unwrap_or_else(|| panic!("the profile has no part '{part}'")).elapsed
}
