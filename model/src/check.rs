//! Exhausting scopes: a breadth-first search for each, several scopes at the same time.
//!
//! The [`engine`] of our own is the default. stateright's is the reference: it hands the work of one
//! search over in a way that does not scale, so it gets one thread for a scope, and one thread and one property a run
//! also make its counterexample a shortest one.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stateright::{Checker, Model};

use crate::arms::Exercised;
use crate::engine::{self, End, Limits};
use crate::properties::{PROPERTIES, REFINEMENT};
use crate::refinement::{Guard, Refused};
use crate::scope::Scope;
use crate::state::State;
use crate::system::{Action, Reductions, System};
use crate::variant::Variant;

/// Which search explores.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Engine {
    /// Our own.
    #[default]
    Own,
    /// stateright's.
    Stateright,
}

/// What to explore, and how far.
#[derive(Clone)]
pub struct Request {
    /// The scopes.
    pub scopes: Vec<Scope>,
    /// Which Paxos.
    pub variant: Variant,
    /// Which reductions.
    pub reductions: Reductions,
    /// Which search.
    pub engine: Engine,
    /// How many scopes at the same time.
    pub threads: usize,
    /// How many threads for each scope; stateright always gets one.
    pub workers: usize,
    /// How much memory all scopes that are explored at the same time may take together, in bytes.
    pub memory_bytes: Option<usize>,
    /// When to end.
    pub deadline: Option<Instant>,
    /// Whether the verdicts on a variant are on all properties, and not only on the one that must fall.
    pub all: bool,
    /// The one property to look for, whatever the variant must break.
    pub only: Option<&'static str>,
    /// A guard of the machine that is left out, to see that it is missed.
    pub without: Option<Guard>,
}

impl Request {
    /// These scopes, without limits: `threads` of them at a time, each by one thread of our own search.
    pub fn new(scopes: Vec<Scope>, variant: Variant, threads: usize) -> Self {
        Self {
            scopes,
            variant,
            reductions: Reductions::ON,
            engine: Engine::Own,
            threads,
            workers: 1,
            memory_bytes: None,
            deadline: None,
            all: false,
            only: None,
            without: None,
        }
    }

    /// How many scopes are really explored at the same time.
    fn side_by_side(&self) -> usize {
        self.threads.clamp(1, self.scopes.len().max(1))
    }
}

/// A shortest run that breaks a property.
pub struct Counterexample {
    /// The states, each with the action that leads on.
    pub path: Vec<(State, Option<Action>)>,
    /// The steps in words.
    pub steps: Vec<String>,
    /// Why the last state breaks the property.
    pub why: String,
    /// What the machine that is proved has against the last step; none for other properties than refinement.
    pub refused: Option<Refused>,
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

impl Verdict {
    /// Whether no run that breaks the property was found.
    pub fn holds(&self) -> bool {
        self.counterexample.is_none()
    }
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
    /// The most memory that the search took, in bytes, where that is known.
    pub peak_bytes: Option<usize>,
    /// Why not every reachable state was explored; none if all were, or the property that was looked for fell.
    pub incomplete: Option<&'static str>,
    /// The properties.
    pub verdicts: Vec<Verdict>,
    /// The probes that the scope must reach, and whether it did.
    pub probes: Vec<(&'static str, bool)>,
    /// The arms of the handlers and the outcomes of the rules that were exercised.
    pub exercised: Exercised,
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
    /// Each scope's search.
    pub searches: Vec<engine::Progress>,
    /// Whether a scope is done.
    pub done: Vec<AtomicBool>,
    /// Set to stop early.
    pub stop: AtomicBool,
}

impl Progress {
    /// For so many scopes.
    pub fn new(scopes: usize) -> Self {
        Self {
            searches: (0..scopes).map(|_| engine::Progress::default()).collect(),
            done: (0..scopes).map(|_| AtomicBool::new(false)).collect(),
            stop: AtomicBool::new(false),
        }
    }
}

/// Explores every scope of the request; an interrupted one is reported as incomplete.
pub fn run(request: &Request, progress: &Progress) -> Vec<Outcome> {
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..request.scopes.len()).collect());
    let outcomes: Vec<Mutex<Option<Outcome>>> = request.scopes.iter().map(|_| Mutex::default()).collect();
    std::thread::scope(|threads| {
        for _ in 0..request.side_by_side() {
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

/// One scope: all properties of the correct rules and of controls, or the one that the variant must break.
pub fn explore(request: &Request, index: usize, progress: &Progress) -> Outcome {
    let scope = &request.scopes[index];
    let system = || System::without(scope, request.variant, request.reductions, request.without);
    let search = |system| match request.engine {
        Engine::Own => own(&system, request, index, progress),
        Engine::Stateright => reference(system, index, progress),
    };
    if let Some(property) = request.only {
        return search(system().only(property));
    }
    if let Some(property) = request.variant.falls() {
        return search(if request.all { system().until(property) } else { system().only(property) });
    }
    let mut outcome = search(system());
    if request.engine == Engine::Stateright {
        // A search for all properties at once may report a longer run than need be.
        for verdict in outcome.verdicts.iter_mut().filter(|verdict| verdict.counterexample.is_some()) {
            *verdict = search(system().only(verdict.name)).verdicts.remove(0);
        }
    }
    outcome
}

/// By our own search.
fn own(system: &System, request: &Request, index: usize, progress: &Progress) -> Outcome {
    let started = Instant::now();
    let wanted = system.looked_for();
    let limits = Limits {
        threads: request.workers,
        memory_bytes: request.memory_bytes.map(|bytes| bytes / request.side_by_side()),
        deadline: request.deadline,
        stop: &progress.stop,
        until_broken: system.ends_with(),
    };
    let found = engine::search(system, &limits, &progress.searches[index]);
    let incomplete = match found.end {
        End::Interrupted => Some("it was interrupted"),
        End::Memory => Some("it would take more memory than it may"),
        End::Time => Some("its time was up"),
        End::Exhausted | End::Broken => overflow(system),
    };
    let mut paths = found.broken;
    let verdicts =
        PROPERTIES.iter().enumerate().filter(|(at, _)| wanted & (1 << at) != 0).map(|(at, rule)| {
            let path =
                paths.iter().position(|&(bit, _)| bit as usize == at).map(|path| paths.swap_remove(path).1);
            Verdict {
                name: rule.name,
                counterexample: path.map(|path| counterexample(system, rule.name, path)),
            }
        });
    Outcome {
        verdicts: verdicts.collect(),
        states: found.states,
        distinct: found.distinct,
        depth: found.depth,
        elapsed: started.elapsed(),
        peak_bytes: Some(found.peak_bytes),
        incomplete,
        probes: system.probes(),
        exercised: system.exercised(),
        scope: system.scope.clone(),
    }
}

fn overflow(system: &System) -> Option<&'static str> {
    let reason = "it has more different messages than a state can hold; choose smaller bounds";
    system.overflowed().then_some(reason)
}

/// By stateright's search, in one thread.
fn reference(system: System, index: usize, progress: &Progress) -> Outcome {
    const POLL: Duration = Duration::from_millis(20);
    let names: Vec<_> = system.properties().iter().map(|property| property.name).collect();
    let (scope, started) = (system.scope.clone(), Instant::now());
    let checker = system.checker().threads(1).spawn_bfs();
    let watch = &progress.searches[index];
    let mut interrupted = false;
    while !checker.is_done() && !interrupted {
        std::thread::sleep(POLL);
        watch.states.store(checker.state_count(), Ordering::Relaxed);
        watch.distinct.store(checker.unique_state_count(), Ordering::Relaxed);
        watch.depth.store(checker.max_depth(), Ordering::Relaxed);
        interrupted = progress.stop.load(Ordering::Relaxed);
    }
    let elapsed = started.elapsed();
    let incomplete = if interrupted { Some("it was interrupted") } else { overflow(checker.model()) };
    let mut discoveries = checker.discoveries();
    let verdicts = names.into_iter().map(|name| {
        let path = discoveries.remove(name);
        let found = path.map(|path| counterexample(checker.model(), name, path.into_vec()));
        Verdict { name, counterexample: found }
    });
    Outcome {
        verdicts: verdicts.collect(),
        scope,
        states: checker.state_count(),
        distinct: checker.unique_state_count(),
        depth: checker.max_depth(),
        elapsed,
        peak_bytes: None,
        incomplete,
        probes: checker.model().probes(),
        exercised: checker.model().exercised(),
    }
}

/// A run that breaks a property, in words too.
pub fn counterexample(system: &System, property: &str, path: Vec<(State, Option<Action>)>) -> Counterexample {
    let steps = path
        .windows(2)
        .filter_map(|pair| Some(crate::words::step(system, &pair[0].0, pair[0].1?, &pair[1].0).join("\n  ")))
        .collect();
    let why = crate::why::why(system, property, &path);
    let refused = match path.as_slice() {
        [.., (before, Some(action)), (after, _)] if property == REFINEMENT => {
            system.refused(before, *action, after)
        }
        _ => None,
    };
    Counterexample { path, steps, why, refused, file: None }
}
