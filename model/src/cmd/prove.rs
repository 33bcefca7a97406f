//! `model prove`: shows for every size, by a solver, that the invariants of the machines in `spec/proof` are inductive.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use clap::{Args, ValueEnum};
use model::exit::{Exit, Failure};
use model::page;
use model::proof::ast::Machine;
use model::proof::necessity::Necessity;
use model::proof::obligation::{Hypotheses, Obligation};
use model::proof::prove::{Progress, Settings, prove};
use model::proof::query::query;
use model::proof::read::read;
use model::proof::report::Proved;
use model::proof::solver::{self, Kind, Solver};
use model::proof::{self, select};

use super::check::seconds;
use super::names::unknown;
use super::print;
use super::progress::draw;
use super::save::{prepare_report, write_quietly, write_report};

const EXAMPLES: &str = "\
Examples:
  model prove                              every obligation of every machine, by z3
  model prove --solver both                by z3 and by cvc5
  model prove --only agreement             what has to do with one machine, action or invariant
  model prove --drop vote:not-left         a machine without one of its guards: what goes wrong
  model prove --necessary                  what goes wrong without each guard, invariant and axiom
  model prove --report DIR                 every question as a file for a solver, and one HTML page

Exit codes: 0 all proved, for every size; 10 one is refuted; 13 something is not needed, or
cannot happen; 14 one is unknown; 1 there is no solver on the PATH";

/// The command line of `model prove`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Who proves
    #[arg(long, default_value = "z3")]
    solver: SolverName,
    /// Only a machine, an action, an invariant, or ACTION:INVARIANT; can be given more than once
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Prove the machine without a guard, ACTION:GUARD, an invariant or an axiom
    #[arg(long, value_name = "NAME")]
    drop: Option<String>,
    /// The machine of this file, instead of those of the project; can be given more than once
    #[arg(long, value_name = "FILE")]
    machine: Vec<PathBuf>,
    /// List machines, actions with their guards, and what is to be proved
    #[arg(long)]
    list: bool,
    /// Leave out each guard, invariant and axiom in turn, and tell what goes wrong without it (by z3)
    #[arg(long, conflicts_with_all = ["only", "drop", "report", "verbose", "time_limit"])]
    necessary: bool,
    /// A row of the table for each obligation, not for each action
    #[arg(long)]
    verbose: bool,
    /// How long a solver may take for each obligation
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    time_limit: Duration,
    /// How many questions to ask at the same time; as many as there are CPUs, unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Write every question as an .smt2 file, and an HTML report, one file that needs no other, to this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The solvers by their names.
#[derive(Clone, Copy, ValueEnum)]
enum SolverName {
    Z3,
    Cvc5,
    Both,
}

impl SolverName {
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Z3 => &[Kind::Z3],
            Self::Cvc5 => &[Kind::Cvc5],
            Self::Both => &[Kind::Z3, Kind::Cvc5],
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let machines = machines(&arguments.machine)?;
    if arguments.list {
        print(&proof::report::list(&machines))?;
        return Ok(Exit::Done);
    }
    if arguments.necessary {
        return necessary(&machines, arguments);
    }
    let machines = match &arguments.drop {
        None => machines,
        Some(name) => without(&machines, name)?,
    };
    let obligations = selected(&machines, arguments)?;
    if obligations.is_empty() {
        return Err(Failure::new(Exit::Usage, "there is nothing to prove: no machine states anything"));
    }
    let settings = Settings {
        solvers: find(arguments.solver.kinds())?,
        workers: arguments.workers(),
        limit: arguments.time_limit,
    };
    prepare_report(arguments.report.as_deref())?;
    let proved = watched(&obligations, &settings, arguments.drop.clone())?;
    if let Some(directory) = &arguments.report {
        write_queries(directory, &obligations)?;
        write_report(directory, "prove.html", &page::proof(&machines, &proved, SystemTime::now()))?;
    }
    if arguments.json {
        print(&format!("{}\n", proved.json()))?;
    } else {
        print(&proved.text(arguments.verbose))?;
    }
    Ok(proved.exit())
}

/// The machines of these files; those of the project if there are none.
fn machines(files: &[PathBuf]) -> Result<Vec<Machine>, Failure> {
    if files.is_empty() {
        return proof::machines().map_err(|wrong| Failure::new(Exit::Runtime, wrong));
    }
    let machine = |file: &PathBuf| {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::new(Exit::Runtime, format!("cannot read {name}: {error}")))?;
        read(&name, &text).map_err(|wrong| Failure::new(Exit::Usage, wrong))
    };
    files.iter().map(machine).collect()
}

impl Arguments {
    fn workers(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.workers.map_or_else(cores, usize::from)
    }
}

/// Leaves out each guard, invariant and axiom in turn.
fn necessary(machines: &[Machine], arguments: &Arguments) -> Result<Exit, Failure> {
    let solver = find(&[Kind::Z3])?.remove(0);
    let progress = interruptible()?;
    let necessity = Necessity::of(machines, &solver, arguments.workers(), &progress.stop)
        .map_err(|why| Failure::new(Exit::Incomplete, why))?;
    if arguments.json {
        print(&format!("{}\n", necessity.json()))?;
    } else {
        print(&necessity.text())?;
    }
    Ok(necessity.exit())
}

fn without(machines: &[Machine], name: &str) -> Result<Vec<Machine>, Failure> {
    let lacking = select::without(machines, name);
    if lacking.is_empty() {
        return Err(not_known("guard, invariant or axiom", name, &select::parts(machines)));
    }
    Ok(lacking)
}

fn selected<'a>(machines: &'a [Machine], arguments: &Arguments) -> Result<Vec<Obligation<'a>>, Failure> {
    // Without a guard nothing else than its action can go wrong.
    let action = arguments.drop.as_ref().and_then(|name| Some(name.split_once(':')?.0.to_string()));
    let names = if arguments.only.is_empty() { action.into_iter().collect() } else { arguments.only.clone() };
    select::selected(machines, &names)
        .map_err(|name| not_known("machine, action or invariant", &name, &select::names(machines)))
}

fn not_known(what: &str, name: &str, names: &[String]) -> Failure {
    unknown(what, name, names.iter().map(String::as_str), "model prove --list")
}

fn find(kinds: &[Kind]) -> Result<Vec<Solver>, Failure> {
    let found = |&kind| Solver::find(kind).ok_or_else(|| Failure::new(Exit::Runtime, solver::missing(kind)));
    kinds.iter().map(found).collect()
}

/// What Ctrl-C stops.
fn interruptible() -> Result<Arc<Progress>, Failure> {
    let progress = Arc::new(Progress::default());
    let interrupt = Arc::clone(&progress);
    ctrlc::set_handler(move || interrupt.stop.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::new(Exit::Runtime, format!("cannot handle Ctrl-C: {error}")))?;
    Ok(progress)
}

/// Proves, and shows how far it has come. Ctrl-C ends it with what is known until then.
fn watched<'a>(
    obligations: &[Obligation<'a>],
    settings: &Settings,
    dropped: Option<String>,
) -> Result<Proved<'a>, Failure> {
    let progress = interruptible()?;
    let begun = Instant::now();
    let total = obligations.len() * settings.solvers.len();
    let outcomes = std::thread::scope(|threads| {
        threads.spawn(|| show(total, &progress));
        let outcomes = prove(obligations, settings, &progress);
        progress.stop.store(true, Ordering::Relaxed);
        outcomes
    });
    let solvers = settings.solvers.iter().map(|solver| solver.kind).collect();
    Ok(Proved { outcomes, solvers, dropped, elapsed: begun.elapsed() })
}

/// Shows how far it has come, until it stops.
fn show(total: usize, progress: &Progress) {
    draw(&progress.stop, || {
        let done = progress.done.load(Ordering::Relaxed);
        let running = progress.running.lock().map_or_else(|_| String::new(), |running| running.join("; "));
        format!("{done} of {total} questions answered; {running}")
    });
}

/// Each question in a file of its own, for `z3 FILE`.
fn write_queries(directory: &Path, obligations: &[Obligation<'_>]) -> Result<(), Failure> {
    for obligation in obligations {
        let (machine, action, goal) =
            (&obligation.machine.name, obligation.action(), &obligation.statement().name);
        let name = format!("{machine}-{action}-{goal}.smt2");
        write_quietly(directory, &name, &query(obligation, Hypotheses::Named).text)?;
    }
    Ok(())
}
