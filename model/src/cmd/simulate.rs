//! `model simulate`: random walks through scopes that are too large to exhaust.
//!
//! What a walk interns lives as long as its process, about 1.5 kB a step. So walks are made by processes of their
//! own, some hundred each, and what they leave behind goes with them. A handler that panics ends such a process only.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::check::{Counterexample, counterexample};
use model::exit::{Exit, Failure};
use model::report::{self, grouped};
use model::saved::Saved;
use model::simulate::{Batch, Plan, minimise, walk, wide};
use model::variant::Variant;
use serde_json::{Value, json};

use super::save::Place;
use super::{print, program, reductions, scope_named, variant_named};

const EXAMPLES: &str = "\
Examples:
  model simulate                                   a minute of walks of five servers
  model simulate --minutes 60 --seed 7             an hour, from a seed of one's own
  model simulate --walks 1000 --seed 7             the same in every run
  model simulate --seed 7 --first 31 --walks 1     one walk again
  model simulate --variant grant-forgotten         how long until the walks find it?

Exit codes:
  0 no walk broke anything (which proves nothing of other walks), 10 a property is violated, 13 the
  walks did not find what is wrong with a variant, 14 interrupted";

/// How many walks a process makes.
const WALKS_EACH: u64 = 250;

/// The command line of `model simulate`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What all randomness comes from; drawn and printed if not given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many servers
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..=5))]
    servers: u8,
    /// Walk within the bounds of this scope instead
    #[arg(long, value_name = "NAME", conflicts_with = "servers")]
    scope: Option<String>,
    /// When to end; one minute if --walks is not given either
    #[arg(long, value_name = "M", value_parser = minutes)]
    minutes: Option<Duration>,
    /// End after so many walks
    #[arg(long, value_name = "N")]
    walks: Option<u64>,
    /// The number of the first walk
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// The most steps of a walk
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    steps: u32,
    /// Replace one rule
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// How many processes walk at the same time
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Save the minimised walk to this directory, or this file if it ends in .json
    #[arg(long, value_name = "PATH")]
    save: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Walk without reductions
    #[arg(long)]
    no_reductions: bool,
    /// Make the walks here, and print what became of them for the process that asked
    #[arg(long, hide = true, requires = "walks", requires = "seed")]
    batch: bool,
}

fn minutes(text: &str) -> Result<Duration, String> {
    let parsed = text.parse().ok().filter(|&number: &f64| number > 0.0);
    let span = parsed.map(|minutes| Duration::try_from_secs_f64(minutes * 60.0));
    span.and_then(Result::ok).ok_or_else(|| "a number of minutes above 0, such as 10 or 0.5".into())
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let plan = plan(arguments)?;
    if arguments.batch {
        let batch = Batch::run(&plan, arguments.first..end(arguments));
        print(&serde_json::to_string(&batch).expect("it has string keys"))?;
        return Ok(Exit::Done);
    }
    let place = Place::prepare(arguments.save.as_deref())?;
    eprintln!("seed {}", plan.seed);
    let (done, begun) = (Walks::new(arguments.first), Instant::now());
    let done = &done;
    std::thread::scope(|threads| {
        let shown = threads.spawn(|| show(&plan, done, begun));
        let limit = arguments.minutes.or(arguments.walks.is_none().then_some(Duration::from_secs(60)));
        let deadline = limit.map(|limit| begun + limit);
        let ended = done.run(arguments, &plan, deadline);
        done.over.store(true, Ordering::Relaxed);
        shown.join().expect("showing progress does not panic");
        ended
    })?;
    let (batch, elapsed) = (done.so_far(), begun.elapsed());
    let failure = batch.failed.map(|number| failure(&plan, number, &place));
    let interrupted = INTERRUPTED.load(Ordering::Relaxed);
    let summary = Summary { arguments, plan: &plan, batch, elapsed, interrupted, failure };
    print(&if arguments.json { format!("{}\n", summary.json()) } else { summary.text() })?;
    Ok(summary.exit())
}

fn plan(arguments: &Arguments) -> Result<Plan, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Plan {
        scope: match &arguments.scope {
            Some(name) => scope_named(name)?,
            None => wide(arguments.servers),
        },
        variant: variant_named(arguments.variant.as_deref())?,
        reductions: reductions(arguments.no_reductions),
        // A number that a person can type again.
        seed: arguments.seed.unwrap_or(u64::from(since.subsec_nanos()) ^ since.as_secs() & 0xffff),
        steps_max: usize::try_from(arguments.steps).unwrap_or(usize::MAX),
    })
}

/// The number after that of the last walk.
fn end(arguments: &Arguments) -> u64 {
    arguments.first.saturating_add(arguments.walks.unwrap_or(u64::MAX))
}

/// Ctrl-C was pressed.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Walks that are under way.
struct Walks {
    /// The next walk that nobody has been asked for.
    next: Mutex<u64>,
    batch: Mutex<Batch>,
    over: AtomicBool,
}

impl Walks {
    fn new(first: u64) -> Self {
        Self { next: Mutex::new(first), batch: Mutex::default(), over: AtomicBool::new(false) }
    }

    fn so_far(&self) -> Batch {
        self.batch.lock().expect("no panics while held").clone()
    }

    /// Makes walks by several processes until one fails or it is time to end. Numbers are handed out in order and
    /// what was begun is finished, so the first walk that fails is the same in every run.
    fn run(&self, arguments: &Arguments, plan: &Plan, deadline: Option<Instant>) -> Result<(), Failure> {
        ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))
            .map_err(|error| Failure::new(Exit::Runtime, format!("cannot handle Ctrl-C: {error}")))?;
        let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let failed = Mutex::new(None);
        std::thread::scope(|threads| {
            for _ in 0..arguments.threads.unwrap_or_else(processors).clamp(1, 256) {
                threads.spawn(|| {
                    while let Some(numbers) = self.take(arguments, deadline) {
                        match ask(arguments, plan, numbers) {
                            Ok(batch) => self.batch.lock().expect("no panics while held").add(batch),
                            Err(error) => {
                                self.over.store(true, Ordering::Relaxed);
                                failed.lock().expect("no panics while held").get_or_insert(error);
                            }
                        }
                    }
                });
            }
        });
        let failed = failed.into_inner().expect("no panics while held");
        // Ctrl-C ends the other processes too, which is no failure of theirs.
        failed.filter(|_| !INTERRUPTED.load(Ordering::Relaxed)).map_or(Ok(()), Err)
    }

    /// The next walks to make.
    fn take(&self, arguments: &Arguments, deadline: Option<Instant>) -> Option<std::ops::Range<u64>> {
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let stop = self.over.load(Ordering::Relaxed) || INTERRUPTED.load(Ordering::Relaxed);
        if late || stop || self.so_far().failed.is_some() {
            return None;
        }
        let mut next = self.next.lock().expect("no panics while held");
        let numbers = *next..end(arguments).min(next.saturating_add(WALKS_EACH));
        *next = numbers.end;
        (!numbers.is_empty()).then_some(numbers)
    }
}

/// Has walks made by a process of their own.
fn ask(arguments: &Arguments, plan: &Plan, numbers: std::ops::Range<u64>) -> Result<Batch, Failure> {
    let wrong = |what: String| Failure::new(Exit::Runtime, what);
    let this =
        std::env::current_exe().map_err(|error| wrong(format!("cannot find this program: {error}")))?;
    let mut command = Command::new(this);
    command.args(["simulate", "--batch"]).args(again(
        arguments,
        plan,
        numbers.start,
        numbers.end - numbers.start,
    ));
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| wrong(format!("cannot start a process for walks: {error}")))?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        wrong(format!(
            "a process for walks ended with {}. One of its walks found a bug in the handlers or in the model: {}",
            output.status,
            command_line(arguments, plan, numbers.start, numbers.end - numbers.start)
        ))
    })
}

/// The options that make the same walks again.
fn again(arguments: &Arguments, plan: &Plan, first: u64, walks: u64) -> Vec<String> {
    let mut options = vec![format!("--seed={}", plan.seed)];
    match &arguments.scope {
        Some(scope) => options.push(format!("--scope={scope}")),
        None => options.push(format!("--servers={}", arguments.servers)),
    }
    options.extend(arguments.variant.as_ref().map(|variant| format!("--variant={variant}")));
    options.extend(arguments.no_reductions.then(|| "--no-reductions".into()));
    options.extend([
        format!("--steps={}", plan.steps_max),
        format!("--first={first}"),
        format!("--walks={walks}"),
    ]);
    options
}

fn command_line(arguments: &Arguments, plan: &Plan, first: u64, walks: u64) -> String {
    format!("{} simulate {}", program(), again(arguments, plan, first, walks).join(" "))
}

/// A walk that broke a property.
struct Broken {
    walk: u64,
    property: &'static str,
    steps: usize,
    found: Counterexample,
}

/// Makes a walk again here, minimises and saves it.
///
/// # Panics
/// If the walk breaks nothing now: it is the same by its number.
fn failure(plan: &Plan, number: u64, place: &Place) -> Broken {
    let made = walk(plan, number);
    let property = made.fell.expect("the same walk broke a property in another process");
    eprintln!("walk {number} breaks '{property}' after {} steps; minimising …", made.steps);
    let (system, minimal) = minimise(plan, &made.scope, property, &made.run);
    let mut found = counterexample(&system, property, minimal);
    let saved = Saved::new((&made.scope, plan.variant, plan.reductions), property, &found);
    found.file = place.save(&saved, true);
    Broken { walk: number, property, steps: made.steps, found }
}

/// What there is to say in the end.
struct Summary<'a> {
    arguments: &'a Arguments,
    plan: &'a Plan,
    batch: Batch,
    elapsed: Duration,
    interrupted: bool,
    failure: Option<Broken>,
}

impl Summary<'_> {
    fn exit(&self) -> Exit {
        match (&self.failure, self.interrupted) {
            (Some(_), _) => Exit::Violated,
            (None, true) => Exit::Incomplete,
            (None, false) if self.plan.variant != Variant::Correct => Exit::Survived,
            (None, false) => Exit::Done,
        }
    }

    fn text(&self) -> String {
        let Self { plan, batch, .. } = self;
        let mut text = format!("{}\n{}\n", plan.scope.bounds(), line(plan, batch, self.elapsed));
        let missed: Vec<_> =
            probes(plan, batch).filter(|(_, reached)| !reached).map(|(name, _)| name).collect();
        if !missed.is_empty() {
            let _ = writeln!(text, "not reached: {}", missed.join("; "));
        }
        match &self.failure {
            Some(broken) => {
                let _ = writeln!(
                    text,
                    "\nWalk {} breaks '{}' after {} steps, of which {} are enough.",
                    broken.walk,
                    broken.property,
                    broken.steps,
                    broken.found.steps.len()
                );
                text += &report::counterexample(broken.property, &broken.found, &program());
                let _ = writeln!(
                    text,
                    "The whole walk:   {}",
                    command_line(self.arguments, plan, broken.walk, 1)
                );
            }
            None if self.interrupted => text += "Interrupted. No walk so far broke a property.\n",
            None => text += "No walk broke a property. That proves nothing of other walks.\n",
        }
        text
    }

    fn json(&self) -> Value {
        let Self { plan, batch, .. } = self;
        let failure = self.failure.as_ref().map(|broken| {
            json!({
                "walk": broken.walk,
                "property": broken.property,
                "steps": broken.steps,
                "counterexample": broken.found.steps,
                "why": broken.found.why,
                "file": broken.found.file,
            })
        });
        let probes: Vec<_> =
            probes(plan, batch).map(|(name, reached)| json!({ "name": name, "reached": reached })).collect();
        json!({
            "schema": 1,
            "command": "simulate",
            "ok": self.exit() == Exit::Done,
            "complete": !self.interrupted,
            "variant": plan.variant.description().map(|description| description.name),
            "seed": plan.seed,
            "first": self.arguments.first,
            "bounds": plan.scope,
            "walks": batch.walks,
            "steps": batch.steps,
            "longest": batch.longest,
            "overflowed": batch.overflowed,
            "seconds": self.elapsed.as_secs_f64(),
            "probes": probes,
            "failure": failure,
        })
    }
}

/// Each probe that the scope asks for, and whether a walk came by it.
fn probes<'a>(plan: &'a Plan, batch: &'a Batch) -> impl Iterator<Item = (&'static str, bool)> + 'a {
    plan.scope.probes.iter().map(|&probe| (probe, batch.reached.contains(probe)))
}

fn line(plan: &Plan, batch: &Batch, elapsed: Duration) -> String {
    let number = |count: u64| grouped(usize::try_from(count).unwrap_or(usize::MAX));
    let rate = batch.steps as f64 / elapsed.as_secs_f64().max(0.001);
    let full = match batch.overflowed {
        0 => String::new(),
        some => format!(", {} cut short by the limit of messages", number(some)),
    };
    format!(
        "{} walks, {} steps, {:.0}k steps/s, {:.1} s, {} of {} probes reached{full}",
        number(batch.walks),
        number(batch.steps),
        rate / 1e3,
        elapsed.as_secs_f64(),
        batch.reached.len(),
        plan.scope.probes.len()
    )
}

/// Shows how far the walks have come, on a terminal.
fn show(plan: &Plan, walks: &Walks, begun: Instant) {
    const REDRAW: Duration = Duration::from_millis(200);
    if !std::io::stderr().is_terminal() {
        return;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is well-formed"));
    while !walks.over.load(Ordering::Relaxed) {
        bar.set_message(line(plan, &walks.so_far(), begun.elapsed()));
        bar.tick();
        std::thread::sleep(REDRAW);
    }
    bar.finish_and_clear();
}
