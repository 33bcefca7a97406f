//! `model check`: explores scopes to exhaustion, and says what holds.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use clap::{Args, ValueEnum};
use model::check::{self, Engine, Outcome, Progress, Request};
use model::engine::profile;
use model::exit::{Exit, Failure};
use model::page::{self, Checked};
use model::report;
use model::saved::Saved;
use model::scope::{DEEP_SCOPES, SCOPES, Scope};
use model::system::System;
use model::variant::{self, Variant};

use super::progress::{show, stop_on_interrupt};
use super::save::{Place, prepare_report, write_report};
use super::{Own, print, program, reductions, scope_named, variant_named};

/// The command line of `model check`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Scopes by name; all of the default table if none is named
    scopes: Vec<String>,
    /// Replace one rule; the scope is the variant's own unless named
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// List scopes and variants
    #[arg(long)]
    list: bool,
    /// The deep scopes instead of the default ones, one after the other with every thread on each: gigabytes, and the
    /// better part of an hour
    #[arg(long, conflicts_with = "variant")]
    deep: bool,
    /// How many scopes to explore at the same time
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// How many threads explore each scope
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// End, incomplete, before the search takes more memory than this
    #[arg(long, value_name = "GIB", value_parser = gibibytes)]
    max_memory: Option<usize>,
    /// End, incomplete, after so long
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    time_limit: Option<Duration>,
    /// Which search explores: the project's own, or stateright's as the reference
    #[arg(long, default_value = "own")]
    engine: EngineName,
    /// Tell where the time of a search goes, for each scope, instead of searching
    #[arg(long, conflicts_with_all = ["json", "report", "save", "deep"])]
    profile: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Save counterexamples to this directory, or this file if it ends in .json
    #[arg(long, value_name = "PATH")]
    save: Option<PathBuf>,
    /// Write an HTML report, one file that needs no other, to this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Explore without reductions
    #[arg(long)]
    no_reductions: bool,
    #[command(flatten)]
    own: Own,
}

/// The searches by their names.
#[derive(Clone, Copy, ValueEnum)]
enum EngineName {
    Own,
    Stateright,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Own => Self::Own,
            EngineName::Stateright => Self::Stateright,
        }
    }
}

/// A size in GiB, such as 20 or 0.5, in bytes.
fn gibibytes(text: &str) -> Result<usize, String> {
    const GIB: f64 = (1_u64 << 30) as f64;
    const MOST: f64 = 1_000_000.0;
    match text.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "a fraction of a byte does not matter")]
        Ok(number) if number > 0.0 && number <= MOST => Ok((number * GIB) as usize),
        _ => Err("a number of GiB above 0, such as 20 or 0.5".into()),
    }
}

/// A time limit.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let parsed = text.parse().ok().filter(|&number: &f64| number > 0.0).map(Duration::try_from_secs_f64);
    parsed.and_then(Result::ok).ok_or_else(|| "a number of seconds above 0".into())
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    if arguments.list {
        print(&list())?;
        return Ok(Exit::Done);
    }
    let variant = variant_named(arguments.variant.as_deref())?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let request = Request {
        scopes: scopes(arguments, variant)?,
        variant,
        reductions: reductions(arguments.no_reductions),
        engine: arguments.engine.into(),
        threads: arguments.threads.unwrap_or(if arguments.deep { 1 } else { cores }),
        workers: arguments.workers.map_or(if arguments.deep { cores } else { 1 }, usize::from),
        memory_bytes: arguments.max_memory,
        deadline: arguments.time_limit.map(|limit| Instant::now() + limit),
        ..Request::new(Vec::new(), variant, 1)
    };
    if arguments.profile {
        return profile(&request);
    }
    let place = Place::prepare(arguments.save.as_deref())?;
    prepare_report(arguments.report.as_deref())?;
    let progress = Arc::new(Progress::new(request.scopes.len()));
    stop_on_interrupt(&progress)?;
    let mut outcomes = std::thread::scope(|threads| {
        threads.spawn(|| show(&request.scopes, &progress));
        let outcomes = check::run(&request, &progress);
        progress.stop.store(true, Ordering::Relaxed);
        outcomes
    });
    let saved = save_all(&place, &request, &mut outcomes);
    if let Some(directory) = &arguments.report {
        let moment = SystemTime::now();
        let page = page::check(&Checked { variant, outcomes: &outcomes, saved: &saved, moment });
        write_report(directory, "check.html", &page)?;
    }
    if arguments.json {
        print(&format!("{}\n", report::json(variant, &outcomes)))?;
    } else {
        print(&report::text(variant, &outcomes, &program()))?;
    }
    Ok(report::exit(variant, &outcomes))
}

/// Times the parts of a search for each scope.
fn profile(request: &Request) -> Result<Exit, Failure> {
    let mut text = String::new();
    for scope in &request.scopes {
        let profile = profile::profile(&System::new(scope, request.variant, request.reductions));
        let of = (profile.states, profile.transitions);
        let _ = writeln!(text, "{}: the first {} states, {} transitions", scope.name, of.0, of.1);
        for part in &profile.parts {
            let each = part.elapsed.as_secs_f64() * 1e9 / profile.transitions.max(1) as f64;
            let _ = writeln!(text, "  {each:>8.1} ns a transition  {}", part.name);
        }
    }
    print(&text)?;
    Ok(Exit::Done)
}

/// Saves every counterexample. A failure is told and changes no verdict.
fn save_all(place: &Place, request: &Request, outcomes: &mut [Outcome]) -> Vec<Saved> {
    let mut all = Vec::new();
    for (scope, outcome) in request.scopes.iter().zip(outcomes) {
        for verdict in &mut outcome.verdicts {
            let Some(found) = &mut verdict.counterexample else { continue };
            let saved = Saved::new((scope, request.variant, request.reductions), verdict.name, found);
            found.file = place.save(&saved, all.is_empty());
            all.push(saved);
        }
    }
    all
}

fn scopes(arguments: &Arguments, variant: Variant) -> Result<Vec<Scope>, Failure> {
    let own = arguments.own.scope();
    if own.is_some() && !arguments.scopes.is_empty() {
        let message = "bounds make a scope of their own; name a scope, or give bounds";
        return Err(Failure::new(Exit::Usage, message));
    }
    if let Some(own) = own {
        own.validate().map_err(|message| Failure::new(Exit::Usage, message))?;
        return Ok(vec![own]);
    }
    if !arguments.scopes.is_empty() {
        return arguments.scopes.iter().map(|name| scope_named(name)).collect();
    }
    if arguments.deep {
        return Ok(DEEP_SCOPES.to_vec());
    }
    match variant.description() {
        Some(description) => Ok(vec![scope_named(description.scope)?]),
        None => Ok(SCOPES.to_vec()),
    }
}

fn list() -> String {
    let mut text = String::from("Scopes:\n");
    for scope in SCOPES {
        let _ = writeln!(text, "  {:<10} {}\n             {}", scope.name, scope.purpose, scope.bounds());
    }
    text += "\nVariants:\n";
    for variant in variant::all() {
        let becomes = variant.falls.map_or_else(|| "is harmless".into(), |falls| format!("breaks '{falls}'"));
        let _ = writeln!(
            text,
            "  {:<28} {}\n{:31}{becomes} in scope {}; seen in {}",
            variant.name, variant.deviation, "", variant.scope, variant.source
        );
    }
    text
}
