//! `model check`: explores scopes to exhaustion, and says what holds.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;
use model::check::{self, Outcome, Progress, Request};
use model::exit::{Exit, Failure};
use model::report;
use model::saved::Saved;
use model::scope::{SCOPES, Scope};
use model::variant::{VARIANTS, Variant};

use super::progress::{show, stop_on_interrupt};
use super::save::Place;
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
    /// How many scopes to explore at the same time
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Save counterexamples to this directory, or this file if it ends in .json
    #[arg(long, value_name = "PATH")]
    save: Option<PathBuf>,
    /// Explore without reductions
    #[arg(long)]
    no_reductions: bool,
    #[command(flatten)]
    own: Own,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    if arguments.list {
        print(&list())?;
        return Ok(Exit::Done);
    }
    let variant = variant_named(arguments.variant.as_deref())?;
    let request = Request {
        scopes: scopes(arguments, variant)?,
        variant,
        reductions: reductions(arguments.no_reductions),
        threads: arguments
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get)),
    };
    let place = Place::prepare(arguments.save.as_deref())?;
    let progress = Arc::new(Progress::new(request.scopes.len()));
    stop_on_interrupt(&progress)?;
    let mut outcomes = std::thread::scope(|threads| {
        threads.spawn(|| show(&request.scopes, &progress));
        let outcomes = check::run(&request, &progress);
        progress.stop.store(true, Ordering::Relaxed);
        outcomes
    });
    save_all(&place, &request, &mut outcomes);
    if arguments.json {
        print(&format!("{}\n", report::json(variant, &outcomes)))?;
    } else {
        print(&report::text(variant, &outcomes, &program()))?;
    }
    Ok(report::exit(variant, &outcomes))
}

/// Saves every counterexample. A failure is told and changes no verdict.
fn save_all(place: &Place, request: &Request, outcomes: &mut [Outcome]) {
    let mut first = true;
    for (scope, outcome) in request.scopes.iter().zip(outcomes) {
        for verdict in &mut outcome.verdicts {
            let Some(found) = &mut verdict.counterexample else { continue };
            let saved = Saved::new((scope, request.variant, request.reductions), verdict.name, found);
            found.file = place.save(&saved, first);
            first = false;
        }
    }
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
    for variant in VARIANTS {
        let _ = writeln!(
            text,
            "  {:<24} {}\n{:27}breaks '{}' in scope {}; seen in {}",
            variant.name, variant.deviation, "", variant.falls, variant.scope, variant.source
        );
    }
    text
}
