//! Proving: each obligation is asked of each solver, several at a time.
//!
//! A question is first asked for any number of elements; `unsat` proves the obligation. If that does not help soon, a
//! counterexample is looked for in finite instances of growing size; one that is found refutes it. Only then is the
//! unbounded question given the time that is left, with all invariants as hypotheses.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::ast::Machine;
use super::counterexample::Counterexample;
use super::obligation::{Hypotheses, Obligation};
use super::query::{fewer, finite, query};
use super::solver::{Answer, Kind, Patience, Solver};

/// How many servers, views, and elements of each other sort the finite instances have, in the order in which they are
/// tried.
pub const INSTANCES: &[[usize; 3]] = &[[2, 2, 2], [3, 3, 2], [3, 4, 2], [3, 3, 3], [4, 4, 3]];

/// The sizes of an instance, sort by sort.
pub fn sizes(machine: &Machine, [servers, views, others]: [usize; 3]) -> Vec<usize> {
    let size = |name: &str| match name {
        "server" => servers,
        "view" => views,
        _ => others,
    };
    machine.sorts.iter().map(|sort| size(&sort.name)).collect()
}

/// What became of an obligation.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It holds, whatever the sizes.
    Proved,
    /// It does not.
    Refuted(Box<Counterexample>),
    /// Nothing is known, and why.
    Unknown(String),
}

impl Verdict {
    /// In a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Refuted(_) => "refuted",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// What one solver made of one obligation.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The solver.
    pub solver: Kind,
    /// What became of it.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
}

/// What all solvers made of one obligation.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The obligation.
    pub obligation: Obligation<'a>,
    /// One of each solver, in the order of [`Settings::solvers`].
    pub findings: Vec<Finding>,
}

impl Outcome<'_> {
    /// What it comes to: refuted if a solver refutes it, else proved if one proves it.
    pub fn verdict(&self) -> &Verdict {
        let refuted = |finding: &&Finding| matches!(finding.verdict, Verdict::Refuted(_));
        let proved = |finding: &&Finding| matches!(finding.verdict, Verdict::Proved);
        let decisive = self.findings.iter().find(refuted).or_else(|| self.findings.iter().find(proved));
        decisive.map_or(&self.findings[0].verdict, |finding| &finding.verdict)
    }
}

/// How to prove.
pub struct Settings {
    /// Each obligation is asked of each of them.
    pub solvers: Vec<Solver>,
    /// How many questions are asked at the same time.
    pub workers: usize,
    /// How long a solver may take for an obligation.
    pub limit: Duration,
}

/// How far it has come; shared with whoever watches.
#[derive(Default)]
pub struct Progress {
    /// Set it to end early.
    pub stop: AtomicBool,
    /// So many questions are answered.
    pub done: AtomicUsize,
    /// What is being asked.
    pub running: Mutex<Vec<String>>,
}

impl Progress {
    fn begin(&self, name: &str) {
        if let Ok(mut running) = self.running.lock() {
            running.push(name.into());
        }
    }

    fn end(&self, name: &str) {
        if let Ok(mut running) = self.running.lock() {
            running.retain(|other| other != name);
        }
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Asks every solver of every obligation. The outcomes come in the order of the obligations.
pub fn prove<'a>(
    obligations: &[Obligation<'a>],
    settings: &Settings,
    progress: &Progress,
) -> Vec<Outcome<'a>> {
    let all: Vec<_> =
        obligations.iter().flat_map(|it| settings.solvers.iter().map(move |solver| (it, solver))).collect();
    let findings = parallel(&all, settings.workers, |&(obligation, solver)| {
        let name = format!("{} ({})", obligation.name(), solver.kind.name());
        progress.begin(&name);
        let begun = Instant::now();
        let patience = Patience { until: begun + settings.limit, stop: &progress.stop };
        let verdict = settle(obligation, solver, patience);
        progress.end(&name);
        Finding { solver: solver.kind, verdict, elapsed: begun.elapsed() }
    });
    let each = findings.chunks(settings.solvers.len().max(1));
    obligations
        .iter()
        .zip(each)
        .map(|(&obligation, it)| Outcome { obligation, findings: it.to_vec() })
        .collect()
}

/// Maps in several threads, and keeps the order.
pub fn parallel<T: Sync, R: Send>(all: &[T], workers: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        while let Some((place, item)) = {
            let place = next.fetch_add(1, Ordering::Relaxed);
            all.get(place).map(|item| (place, item))
        } {
            done.push((place, work(item)));
        }
        done
    };
    let mut done: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.max(1)).map(|_| scope.spawn(run)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a worker does not panic")).collect()
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Proves or refutes one obligation, or says why it could not.
fn settle(obligation: &Obligation<'_>, solver: &Solver, patience: Patience<'_>) -> Verdict {
    const FIRST_TRY: Duration = Duration::from_secs(5);
    let unbounded = query(obligation, Hypotheses::Named).text;
    if let Answer::Unsat = solver.ask(&unbounded, false, patience.at_most(FIRST_TRY)) {
        return Verdict::Proved;
    }
    match refute(obligation, solver, patience) {
        Ok(Some(found)) => return Verdict::Refuted(Box::new(smaller(obligation, solver, found, patience))),
        Ok(None) => {}
        Err(why) => return Verdict::Unknown(why),
    }
    let unbounded = query(obligation, Hypotheses::All).text;
    match solver.ask(&unbounded, false, patience) {
        Answer::Unsat => Verdict::Proved,
        Answer::Sat(_) => Verdict::Unknown("a counterexample exists, but no small one was found".into()),
        Answer::Unknown(why) => Verdict::Unknown(why),
    }
}

/// Looks for a counterexample in finite instances.
pub fn refute(
    obligation: &Obligation<'_>,
    solver: &Solver,
    patience: Patience<'_>,
) -> Result<Option<Counterexample>, String> {
    for &instance in INSTANCES {
        if let Some(why) = patience.over() {
            return Err(why.into());
        }
        let sizes = sizes(obligation.machine, instance);
        let query = finite(obligation, &sizes);
        if let Answer::Sat(said) = solver.ask(&query.text, true, patience) {
            return Counterexample::read(obligation.machine, &sizes, &query, &said).map(Some);
        }
    }
    Ok(None)
}

/// The counterexample of the same sizes with the least that is true before the action, as far as there is time.
fn smaller(
    obligation: &Obligation<'_>,
    solver: &Solver,
    mut found: Counterexample,
    patience: Patience<'_>,
) -> Counterexample {
    const EACH: Duration = Duration::from_secs(2);
    let sizes = found.sizes.clone();
    let mut least = 0;
    while least < found.facts(obligation.machine) {
        let most = (least + found.facts(obligation.machine) - 1) / 2;
        let query = fewer(obligation, &sizes, most);
        match solver.ask(&query.text, true, patience.at_most(EACH)) {
            Answer::Sat(said) => match Counterexample::read(obligation.machine, &sizes, &query, &said) {
                Ok(fewer) if fewer.facts(obligation.machine) <= most => found = fewer,
                _ => break,
            },
            Answer::Unsat => least = most + 1,
            Answer::Unknown(_) => break,
        }
    }
    found
}
