//! `model variants`: tries every variant, and says which rules the check can do without.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use clap::Args;
use model::check::Progress;
use model::exit::{Exit, Failure};
use model::mutation;
use model::page;
use model::variant;

use super::progress::{show, stop_on_interrupt};
use super::save::{prepare_report, write_report};
use super::{print, variant_described};

const EXAMPLES: &str = "\
Examples:
  model variants                                  all of them, several side by side
  model variants thesis-refusal-quits wiped-disk  two of them
  model variants --report DIR                     with every counterexample, in one HTML file
  model check --variant wiped-disk                one, step by step

Exit codes: 0 each breaks what it must, and the controls nothing; 13 one survived, or a control fell; 14 incomplete";

/// The command line of `model variants`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Variants by name; all of them if none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// How many to try at the same time
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Write an HTML report, one file that needs no other, to this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let variants: Vec<_> = if arguments.names.is_empty() {
        variant::all().collect()
    } else {
        arguments.names.iter().map(|name| variant_described(name)).collect::<Result<_, _>>()?
    };
    let threads = arguments
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    prepare_report(arguments.report.as_deref())?;
    let progress = Arc::new(Progress::new(variants.len()));
    stop_on_interrupt(&progress)?;
    let trials = std::thread::scope(|watched| {
        watched.spawn(|| show(&mutation::scopes(&variants), &progress));
        let trials = mutation::run(&variants, threads, &progress);
        progress.stop.store(true, Ordering::Relaxed);
        trials
    });
    if let Some(directory) = &arguments.report {
        write_report(directory, "variants.html", &page::variants(&trials, SystemTime::now()))?;
    }
    if arguments.json {
        print(&format!("{}\n", mutation::json(&trials)))?;
    } else {
        print(&mutation::text(&trials))?;
    }
    Ok(mutation::exit(&trials))
}
