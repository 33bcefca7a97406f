//! Exhausting scopes: one breadth-first search by one thread for each, several scopes at the same time.
//!
//! stateright hands the work of one search over in a way that does not scale, so a scope is explored by one thread,
//! and the scopes side by side. One thread and one property a run also make the counterexample a shortest one.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use stateright::{Checker, Model};

use crate::scope::Scope;
use crate::state::State;
use crate::system::{Action, Reductions, System};
use crate::variant::Variant;

/// What to explore.
pub struct Request {
    /// The scopes.
    pub scopes: Vec<Scope>,
    /// Which Paxos.
    pub variant: Variant,
    /// Which reductions.
    pub reductions: Reductions,
    /// How many scopes at the same time.
    pub threads: usize,
}

/// A shortest run that breaks a property.
pub struct Counterexample {
    /// The states, each with the action that leads on.
    pub path: Vec<(State, Option<Action>)>,
    /// The steps in words.
    pub steps: Vec<String>,
    /// Why the last state breaks the property.
    pub why: String,
    /// Where it was saved, if it was.
    pub file: Option<PathBuf>,
}

/// The verdict on one property.
pub struct Verdict {
    /// The property.
    pub name: &'static str,
    /// A run that breaks it.
    pub counterexample: Option<Counterexample>,
}

/// What became of one scope.
pub struct Outcome {
    /// The scope, as the variant would have it.
    pub scope: Scope,
    /// Transitions, and the initial state.
    pub states: usize,
    /// Different states.
    pub distinct: usize,
    /// The length of the longest shortest path, in states.
    pub depth: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// Why not every reachable state was explored; none if all were, or the property that was looked for fell.
    pub incomplete: Option<&'static str>,
    /// The properties.
    pub verdicts: Vec<Verdict>,
    /// The probes that the scope must reach, and whether it did.
    pub probes: Vec<(&'static str, bool)>,
}

impl Outcome {
    /// Whether every property holds.
    pub fn holds(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.counterexample.is_none())
    }

    /// Whether every reachable state was explored.
    pub fn complete(&self) -> bool {
        self.incomplete.is_none()
    }

    /// Whether every probe was reached.
    pub fn all_reached(&self) -> bool {
        self.probes.iter().all(|&(_, reached)| reached)
    }

    /// The chance that two different states shared a 64-bit fingerprint, so that one went unexplored.
    pub fn collision_chance(&self) -> f64 {
        let distinct = self.distinct as f64;
        distinct * distinct / 2.0 / 2_f64.powi(64)
    }
}

/// How far an exploration has come.
#[derive(Default)]
pub struct Progress {
    /// Transitions so far, by scope.
    pub states: Vec<AtomicUsize>,
    /// Different states so far, by scope.
    pub distinct: Vec<AtomicUsize>,
    /// Whether a scope is done.
    pub done: Vec<AtomicBool>,
    /// Set to stop early.
    pub stop: AtomicBool,
}

impl Progress {
    /// For so many scopes.
    pub fn new(scopes: usize) -> Self {
        fn some<T: Default>(count: usize) -> Vec<T> {
            (0..count).map(|_| T::default()).collect()
        }
        Self {
            states: some(scopes),
            distinct: some(scopes),
            done: some(scopes),
            stop: AtomicBool::new(false),
        }
    }
}

/// Explores every scope of the request; an interrupted one is reported as incomplete.
pub fn run(request: &Request, progress: &Progress) -> Vec<Outcome> {
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..request.scopes.len()).collect());
    let outcomes: Vec<Mutex<Option<Outcome>>> = request.scopes.iter().map(|_| Mutex::default()).collect();
    std::thread::scope(|threads| {
        for _ in 0..request.threads.clamp(1, request.scopes.len().max(1)) {
            threads.spawn(|| {
                loop {
                    let next = queue.lock().expect("no panics while held").pop_front();
                    let Some(index) = next else { break };
                    let outcome = explore(request, index, progress);
                    *outcomes[index].lock().expect("no panics while held") = Some(outcome);
                    progress.done[index].store(true, Ordering::Relaxed);
                }
            });
        }
    });
    outcomes.into_iter().filter_map(|outcome| outcome.into_inner().expect("no panics while held")).collect()
}

/// One scope: all properties of the correct rules, or the one that the variant must break.
fn explore(request: &Request, index: usize, progress: &Progress) -> Outcome {
    let scope = &request.scopes[index];
    let system = || System::new(scope, request.variant, request.reductions);
    let Some(description) = request.variant.description() else {
        let mut outcome = search(system(), index, progress);
        // A search for all properties at once may report a longer run than need be.
        let fell: Vec<_> = outcome
            .verdicts
            .iter()
            .filter(|verdict| verdict.counterexample.is_some())
            .map(|verdict| verdict.name)
            .collect();
        for name in fell {
            let alone = search(system().only(name), index, progress);
            for verdict in alone.verdicts {
                outcome.verdicts.retain(|known| known.name != verdict.name);
                outcome.verdicts.push(verdict);
            }
        }
        return outcome;
    };
    search(system().only(description.falls), index, progress)
}

fn search(system: System, index: usize, progress: &Progress) -> Outcome {
    const POLL: Duration = Duration::from_millis(20);
    let names: Vec<_> = system.properties().iter().map(|property| property.name).collect();
    let (scope, started) = (system.scope.clone(), Instant::now());
    let checker = system.checker().threads(1).spawn_bfs();
    let mut interrupted = false;
    while !checker.is_done() {
        std::thread::sleep(POLL);
        progress.states[index].store(checker.state_count(), Ordering::Relaxed);
        progress.distinct[index].store(checker.unique_state_count(), Ordering::Relaxed);
        if progress.stop.load(Ordering::Relaxed) {
            interrupted = true;
            break;
        }
    }
    let elapsed = started.elapsed();
    let incomplete = if interrupted {
        Some("it was interrupted")
    } else {
        checker
            .model()
            .overflowed()
            .then_some("it has more different messages than a state can hold; choose smaller bounds")
    };
    let mut discoveries = checker.discoveries();
    let verdicts = names
        .into_iter()
        .map(|name| {
            let path = discoveries.remove(name);
            Verdict {
                name,
                counterexample: path.map(|path| counterexample(checker.model(), name, path.into_vec())),
            }
        })
        .collect();
    Outcome {
        scope,
        states: checker.state_count(),
        distinct: checker.unique_state_count(),
        depth: checker.max_depth(),
        elapsed,
        incomplete,
        verdicts,
        probes: checker.model().probes(),
    }
}

fn counterexample(system: &System, property: &str, path: Vec<(State, Option<Action>)>) -> Counterexample {
    let steps = path
        .windows(2)
        .filter_map(|pair| Some(crate::words::step(system, &pair[0].0, pair[0].1?, &pair[1].0).join("\n  ")))
        .collect();
    let why = crate::why::why(system, property, &path);
    Counterexample { path, steps, why, file: None }
}
