//! The search of our own against stateright's, and what a thread remembers against asking the handlers again.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use model::check::{self, Engine, Outcome, Progress, Request};
use model::engine::{self, End, Limits, Space};
use model::scope::{self, SHORT_CLOCKS, Scope};
use model::state::State;
use model::system::{Reductions, System};
use model::variant::Variant;
use stateright::Model;

/// Small scopes of every kind.
fn small_scopes() -> Vec<Scope> {
    let base = Scope { slots: 1, updates: 1, ..Scope::custom() };
    let lease = Scope { rounds: 1, lease: Some(SHORT_CLOCKS), servers: 2, ..base.clone() };
    vec![
        base.clone(),
        Scope { servers: 2, crashes: 1, updates: 2, retries: 1, ..base.clone() },
        Scope { resigns: 1, ..lease.clone() },
        Scope { slots: 0, updates: 0, crashes: 1, ..lease },
        Scope { servers: 2, crashes: 1, flush: true, ..base.clone() },
        Scope { forward: true, reads: 1, rounds: 1, ..base },
    ]
}

/// Every state of a scope is expanded both ways.
#[expect(clippy::mutable_key_type, reason = "what is remembered beside an interned value is no part of it")]
fn compare_successors(scope: &Scope, variant: Variant, reductions: Reductions) {
    let system = System::new(scope, variant, reductions);
    let mut worker = system.worker();
    let mut queue: VecDeque<State> = system.init_states().into();
    let mut reached: HashSet<State> = queue.iter().copied().collect();
    while let Some(state) = queue.pop_front() {
        let plain: HashSet<_> = system.next_steps(&state).into_iter().collect();
        let mut remembered = HashSet::new();
        system.expand(&mut worker, &state, &mut |action, next| assert!(remembered.insert((action, *next))));
        assert_eq!(plain, remembered, "{}: after {state:?}", scope.bounds());
        for (_, next) in plain {
            let mut words = vec![0; system.width(&next)];
            system.pack(&next, &mut words);
            assert_eq!(system.unpack(&mut worker, &words), next, "a state survives being packed");
            if reached.insert(next) {
                queue.push_back(next);
            }
        }
    }
    assert!(reached.len() > 100, "{}: {} states show little", scope.bounds(), reached.len());
}

#[test]
fn what_a_thread_remembers_is_what_the_handlers_do() {
    for scope in small_scopes() {
        compare_successors(&scope, Variant::Correct, Reductions::ON);
    }
    let [_, small, ..] = &small_scopes()[..] else { unreachable!("there are several") };
    compare_successors(&Scope { updates: 1, retries: 0, ..small.clone() }, Variant::Correct, Reductions::OFF);
}

fn explore(scope: &Scope, variant: Variant, engine: Engine, workers: usize) -> Outcome {
    let request = Request { engine, workers, ..Request::new(vec![scope.clone()], variant, 1) };
    check::run(&request, &Progress::new(1)).remove(0)
}

#[test]
fn both_searches_count_the_same_whatever_the_number_of_threads() {
    let counts = |outcome: Outcome| {
        assert!(outcome.complete() && outcome.holds());
        (outcome.states, outcome.distinct, outcome.depth, outcome.probes)
    };
    for scope in small_scopes() {
        let reference = counts(explore(&scope, Variant::Correct, Engine::Stateright, 1));
        for workers in [1, 3] {
            let own = counts(explore(&scope, Variant::Correct, Engine::Own, workers));
            assert_eq!(own, reference, "{} by {workers}", scope.bounds());
        }
    }
}

#[test]
fn both_searches_find_counterexamples_of_the_same_length() {
    for variant in [Variant::QuorumHalf, Variant::LeaseFromAck, Variant::RejectionRollsBack] {
        let description = variant.description().expect("it is no correct one");
        let scope = scope::named(description.scope).expect("it is a scope");
        let length = |engine, workers| {
            let outcome = explore(scope, variant, engine, workers);
            outcome.verdicts[0].counterexample.as_ref().expect("it falls").steps.len()
        };
        let reference = length(Engine::Stateright, 1);
        assert_eq!(length(Engine::Own, 1), reference, "{}", description.name);
        assert_eq!(length(Engine::Own, 2), reference, "{}", description.name);
    }
}

/// Two counters that go up to a limit: any order of steps, one level for each sum.
struct Counters {
    limit: u32,
    /// Set as soon as a state with this sum is expanded.
    stop: Option<(u32, &'static AtomicBool)>,
}

impl Space for Counters {
    type State = (u32, u32);
    type Action = char;
    type Worker = ();

    fn worker(&self) {}
    fn initial(&self) -> Vec<(u32, u32)> {
        vec![(0, 0)]
    }
    fn expand(&self, (): &mut (), &(a, b): &(u32, u32), found: &mut impl FnMut(char, &(u32, u32))) {
        if let Some((sum, stop)) = self.stop
            && a + b == sum
        {
            stop.store(true, Ordering::Relaxed);
        }
        if a < self.limit {
            found('a', &(a + 1, b));
        }
        if b < self.limit {
            found('b', &(a, b + 1));
        }
    }
    fn fingerprint(&self, &(a, b): &(u32, u32)) -> u64 {
        (u64::from(a) << 32 | u64::from(b)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
    }
    fn judge(&self, (): &mut (), &(a, b): &(u32, u32)) -> u64 {
        u64::from(a == 7 && b == 3) | u64::from(a + b == 900) << 1
    }
    fn width(&self, _: &(u32, u32)) -> usize {
        1
    }
    fn pack(&self, &(a, b): &(u32, u32), words: &mut [u64]) {
        words[0] = u64::from(a) << 32 | u64::from(b);
    }
    fn unpack(&self, (): &mut (), words: &[u64]) -> (u32, u32) {
        let half = |word: u64| u32::try_from(word & u64::from(u32::MAX)).expect("it is masked");
        (half(words[0] >> 32), half(words[0]))
    }
}

fn count(limit: u32, change: impl FnOnce(&mut Limits<'_>)) -> engine::Found<Counters> {
    let stop = AtomicBool::new(false);
    let mut limits = Limits { threads: 2, memory_bytes: None, deadline: None, stop: &stop, until_broken: 0 };
    change(&mut limits);
    engine::search(&Counters { limit, stop: None }, &limits, &engine::Progress::default())
}

/// A search that is interrupted as soon as it expands a state with this sum.
fn interrupted_at(sum: u32, limit: u32, until_broken: u64) -> engine::Found<Counters> {
    let stop: &'static AtomicBool = Box::leak(Box::default());
    let limits = Limits { threads: 1, memory_bytes: None, deadline: None, stop, until_broken };
    engine::search(&Counters { limit, stop: Some((sum, stop)) }, &limits, &engine::Progress::default())
}

#[test]
fn a_search_that_outgrows_its_table_visits_everything_once() {
    let found = count(999, |_| {});
    assert_eq!((found.end, found.distinct, found.depth), (End::Exhausted, 1_000_000, 1999));
    assert_eq!(found.states, 1 + 2 * 999 * 1000);
    let lengths: Vec<_> = found.broken.iter().map(|(bit, path)| (*bit, path.len())).collect();
    assert_eq!(lengths, [(0, 11), (1, 901)], "shortest paths, in states");
    for (_, path) in &found.broken {
        for step in path.windows(2) {
            let ((a, b), action) = (step[0].0, step[0].1.expect("it leads on"));
            assert_eq!(step[1].0, if action == 'a' { (a + 1, b) } else { (a, b + 1) });
        }
    }
}

#[test]
fn a_search_ends_after_the_level_in_which_the_last_wanted_property_fell() {
    let found = count(999, |limits| limits.until_broken = 1);
    assert_eq!((found.end, found.depth, found.broken.len()), (End::Broken, 11, 1));
}

#[test]
fn a_search_that_meets_a_limit_says_so() {
    static STOPPED: AtomicBool = AtomicBool::new(true);
    let ends = [
        count(999, |limits| limits.memory_bytes = Some(20 << 20)).end,
        count(999, |limits| limits.deadline = Some(std::time::Instant::now())).end,
        count(999, |limits| limits.stop = &STOPPED).end,
    ];
    assert_eq!(ends, [End::Memory, End::Time, End::Interrupted]);
}

#[test]
fn what_fell_in_a_level_is_told_although_the_search_ends_in_the_middle_of_it() {
    let found = interrupted_at(899, 999, 0);
    assert!(found.distinct < 901 * 902 / 2, "not every state of the next level was reached");
    let lengths: Vec<_> = found.broken.iter().map(|(bit, path)| (*bit, path.len())).collect();
    assert_eq!((found.end, lengths), (End::Interrupted, vec![(0, 11), (1, 901)]));
    // What was looked for is decided: nothing is left to be searched.
    let found = interrupted_at(899, 999, 2);
    assert_eq!((found.end, found.broken.len()), (End::Broken, 2));
}

#[test]
fn a_search_that_is_stopped_when_nothing_is_left_to_be_searched_is_complete() {
    let found = interrupted_at(2 * 9, 9, 0);
    assert_eq!((found.end, found.distinct), (End::Exhausted, 100));
}
