//! `model replay`: a saved counterexample, step by step, and whether it still fails.

use std::fmt::Write;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use model::difference::{self, Change};
use model::exit::{Exit, Failure};
use model::replay::{Replay, replay};
use model::saved::{Act, Saved};
use model::system::System;
use model::variant::Variant;
use model::{diagram, report, why, words};
use serde_json::{Value, json};

use super::{print, variant_named};

const EXAMPLES: &str = "\
Examples:
  model check --variant grant-forgotten --save found.json
  model replay found.json                  every step, and what it changes
  model replay found.json --step           one step at a time
  model replay found.json --correct        by the rules as they are meant
  model replay found.json --svg >found.svg

Exit codes:
  0 the property holds now, 1 a step is not possible any more, or the file cannot be read, 10 it still
  fails, 20 the file is damaged";

/// The command line of `model replay`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A counterexample that `check` or `simulate` saved
    file: PathBuf,
    /// Wait for Enter after each step, on a terminal
    #[arg(long, conflicts_with_all = ["json", "svg"])]
    step: bool,
    /// Replay by the rules of another variant than the saved one
    #[arg(long, value_name = "NAME", conflicts_with = "correct")]
    variant: Option<String>,
    /// Replay by the rules as they are meant
    #[arg(long)]
    correct: bool,
    /// Print one JSON object
    #[arg(long, conflicts_with = "svg")]
    json: bool,
    /// Print a sequence diagram
    #[arg(long)]
    svg: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let saved = Saved::read(&arguments.file)?;
    let system = system(arguments, &saved)?;
    let replayed = replay(&system, &saved);
    if arguments.svg {
        print(&diagram::svg(&system, &replayed.run))?;
    } else if arguments.json {
        print(&format!("{}\n", as_json(&system, &saved, &replayed)))?;
    } else {
        tell(arguments.step, &system, &saved, &replayed)?;
    }
    Ok(exit(&replayed))
}

/// The system that was saved, or that with other rules.
fn system(arguments: &Arguments, saved: &Saved) -> Result<System, Failure> {
    let variant = match &arguments.variant {
        _ if arguments.correct => Some(Variant::Correct),
        Some(name) => Some(variant_named(Some(name))?),
        None => None,
    };
    saved.system(variant).map_err(|what| Failure::new(Exit::Usage, format!("that cannot be: {what}")))
}

fn exit(replayed: &Replay) -> Exit {
    match (replayed.violated, &replayed.refused) {
        (Some(_), _) => Exit::Violated,
        (None, Some(_)) => Exit::Runtime,
        (None, None) => Exit::Done,
    }
}

fn tell(wait: bool, system: &System, saved: &Saved, replayed: &Replay) -> Result<(), Failure> {
    print(&format!("{}\n", heading(system, saved)))?;
    let mut waiting = wait && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    for (place, pair) in replayed.run.windows(2).enumerate() {
        print(&step(system, place + 1, &pair[0], &pair[1].0))?;
        waiting = waiting && enter();
    }
    print(&format!("\n{}\n", conclusion(system, saved, replayed)))
}

/// Waits for Enter; whether to wait again.
fn enter() -> bool {
    let mut line = String::new();
    eprint!("  Enter goes on, q and Enter to the end … ");
    std::io::stdin().lock().read_line(&mut line).is_ok_and(|read| read > 0) && line.trim().is_empty()
}

fn heading(system: &System, saved: &Saved) -> String {
    let rules = match system.variant.description() {
        Some(description) => format!("variant {}: {}", description.name, description.deviation),
        None => "the correct rules".into(),
    };
    format!(
        "'{}' in scope {} ({})\nby {rules}, {} steps",
        saved.property,
        saved.scope.name,
        system.scope.bounds(),
        saved.steps.len()
    )
}

type State = (model::state::State, Option<model::system::Action>);

fn step(system: &System, number: usize, (before, action): &State, after: &model::state::State) -> String {
    let Some(action) = *action else { return String::new() };
    let mut text = String::new();
    let lines = words::step(system, before, action, after);
    for (place, line) in lines.iter().enumerate() {
        let lead = if place == 0 { format!("\n{number:>3}. ") } else { "       ".into() };
        let _ = writeln!(text, "{lead}{line}");
    }
    for change in difference::between(system, before, after) {
        let _ = writeln!(text, "     | {}", in_a_line(&change));
    }
    text
}

fn in_a_line(change: &Change) -> String {
    if change.of == difference::NETWORK {
        let mark = if change.is.is_some() { '+' } else { '-' };
        return format!("{mark} in flight: {}", change.what);
    }
    let name = format!("{}, {}", change.of, change.what);
    match (&change.was, &change.is) {
        (Some(was), Some(is)) => format!("{name}: {was} → {is}"),
        (None, Some(is)) => format!("+ {name}: {is}"),
        (Some(was), None) => format!("- {name}: {was}"),
        (None, None) => name,
    }
}

fn conclusion(system: &System, saved: &Saved, replayed: &Replay) -> String {
    let property = &saved.property;
    if let Some(place) = replayed.violated {
        let reason = why::why(system, property, &replayed.run[..=place]);
        let reason = report::sentence(&reason);
        return format!("It still fails: '{property}' does not hold after step {place}.\n{reason}");
    }
    if let Some(refused) = &replayed.refused {
        return format!("The run cannot be made by these rules: {refused}\n'{property}' holds up to there.");
    }
    format!("'{property}' holds now in every state of this run.")
}

fn as_json(system: &System, saved: &Saved, replayed: &Replay) -> Value {
    let steps: Vec<_> = replayed
        .run
        .windows(2)
        .filter_map(|pair| {
            let action = pair[0].1?;
            Some(json!({
                "action": Act::from(action),
                "words": words::step(system, &pair[0].0, action, &pair[1].0),
                "changes": difference::between(system, &pair[0].0, &pair[1].0),
            }))
        })
        .collect();
    json!({
        "schema": 1,
        "command": "replay",
        "ok": exit(replayed) == Exit::Done,
        "scope": saved.scope.name,
        "variant": system.variant.description().map(|description| description.name),
        "property": saved.property,
        "fails_after_step": replayed.violated,
        "why": replayed.violated.map(|place| why::why(system, &saved.property, &replayed.run[..=place])),
        "refused": replayed.refused.as_ref().map(ToString::to_string),
        "steps": steps,
    })
}
