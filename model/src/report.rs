//! What `check` prints: a table and counterexamples for people, one JSON object for programs.

use std::path::Path;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde_json::{Value, json};

use crate::arms::Exercised;
use crate::check::{Counterexample, Outcome};
use crate::exit::Exit;
use crate::properties::RECOVERABILITY;
use crate::refinement::exercise::idle_guards;
use crate::refinement::guards::GUARDS;
use crate::scope::{SCOPES, Scope};
use crate::variant::Variant;

/// What the outcomes come to.
pub fn exit(variant: Variant, outcomes: &[Outcome]) -> Exit {
    if outcomes.iter().any(|outcome| !outcome.holds()) {
        let control = variant != Variant::Correct && variant.falls().is_none();
        let fell = outcomes.iter().flat_map(|outcome| &outcome.verdicts).filter(|verdict| !verdict.holds());
        let stuck_only = fell.into_iter().all(|verdict| verdict.name == RECOVERABILITY);
        return match variant {
            Variant::Correct if stuck_only => Exit::NotReached,
            _ if control => Exit::Survived,
            _ => Exit::Violated,
        };
    }
    if outcomes.iter().any(|outcome| !outcome.complete()) {
        return Exit::Incomplete;
    }
    if variant.falls().is_some() {
        return Exit::Survived;
    }
    if outcomes.iter().any(|outcome| !outcome.all_reached()) || missed(variant, outcomes).next().is_some() {
        return Exit::NotReached;
    }
    Exit::Done
}

/// The arms and outcomes that all of these scopes together exercised.
pub fn exercised(outcomes: &[Outcome]) -> Exercised {
    outcomes.iter().fold(Exercised::default(), |all, outcome| all.join(outcome.exercised))
}

/// Whether every default scope is among these.
fn all_explored(outcomes: &[Outcome]) -> bool {
    let explored = |scope: &Scope| outcomes.iter().any(|outcome| outcome.scope.name == scope.name);
    SCOPES.iter().all(explored)
}

/// The arms and outcomes that no default scope exercised, and the guards that refuse nothing; only known if all default
/// scopes were explored.
pub fn missed(variant: Variant, outcomes: &[Outcome]) -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = variant == Variant::Correct && all_explored(outcomes);
    let arms = exercised(outcomes).all();
    let actions = exercised(outcomes).actions().map(|(action, taken)| ("machine", action, taken));
    let exercised = arms.chain(actions).filter(move |(.., exercised)| all && !exercised);
    let guards = if all { idle_guards() } else { &[] };
    exercised.map(|(of, what, _)| (of, what)).chain(guards.iter().map(|guard| guard.name()))
}

/// The JSON object of `check --json`.
pub fn json(variant: Variant, outcomes: &[Outcome]) -> Value {
    json!({
        "schema": 1,
        "command": "check",
        "variant": variant.description().map(|description| description.name),
        "complete": outcomes.iter().all(Outcome::complete),
        "missed": missed(variant, outcomes).map(|(of, what)| format!("{of}: {what}")).collect::<Vec<_>>(),
        "ok": exit(variant, outcomes) == Exit::Done,
        "scopes": outcomes.iter().map(scope_json).collect::<Vec<_>>(),
    })
}

fn scope_json(outcome: &Outcome) -> Value {
    let properties: Vec<_> = outcome
        .verdicts
        .iter()
        .map(|verdict| {
            json!({
                "name": verdict.name,
                "holds": verdict.counterexample.is_none(),
                "counterexample": verdict.counterexample.as_ref().map(|found| &found.steps),
                "why": verdict.counterexample.as_ref().map(|found| &found.why),
                "file": verdict.counterexample.as_ref().and_then(|found| found.file.as_ref()),
            })
        })
        .collect();
    let probes: Vec<_> =
        outcome.probes.iter().map(|(name, reached)| json!({ "name": name, "reached": reached })).collect();
    json!({
        "name": outcome.scope.name,
        "bounds": outcome.scope,
        "states": outcome.states,
        "distinct": outcome.distinct,
        "depth": outcome.depth,
        "seconds": outcome.elapsed.as_secs_f64(),
        "peak_bytes": outcome.peak_bytes,
        "properties": properties,
        "probes": probes,
        "actions": outcome.exercised.actions().map(|(action, taken)| {
            json!({ "action": action, "taken": taken })
        }).collect::<Vec<_>>(),
        "arms": outcome.exercised.all().map(|(of, what, exercised)| {
            json!({ "of": of, "what": what, "exercised": exercised })
        }).collect::<Vec<_>>(),
    })
}

/// The table of `check`, and what follows it. `program` is how this program was called.
pub fn text(variant: Variant, outcomes: &[Outcome], program: &str) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["scope", "states", "distinct", "depth", "seconds", "states/s", "properties", "probes"]);
    for outcome in outcomes {
        let seconds = outcome.elapsed.as_secs_f64();
        let held = outcome.verdicts.iter().filter(|verdict| verdict.counterexample.is_none()).count();
        let reached = outcome.probes.iter().filter(|(_, reached)| *reached).count();
        table.add_row([
            outcome.scope.name.to_string(),
            grouped(outcome.states),
            grouped(outcome.distinct),
            outcome.depth.to_string(),
            format!("{seconds:.1}"),
            grouped(
                outcome.states * 1000
                    / usize::try_from(outcome.elapsed.as_millis()).unwrap_or(usize::MAX).max(1),
            ),
            format!("{held} of {} hold", outcome.verdicts.len()),
            format!("{reached} of {} reached", outcome.probes.len()),
        ]);
    }
    for column in 1..=5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!("{table}\n\n");
    text += &outcomes.iter().map(|outcome| details(outcome, program)).collect::<String>();
    if variant == Variant::Correct {
        text += &coverage(outcomes);
    }
    text += &conclusion(variant, outcomes);
    text
}

/// How many of the arms and outcomes were exercised; if all default scopes were explored, also those that were not.
fn coverage(outcomes: &[Outcome]) -> String {
    let exercised = exercised(outcomes);
    let count = exercised.all().filter(|(.., exercised)| *exercised).count();
    let mut text = format!(
        "Arms of the handlers and outcomes of the rules: {count} of {} exercised.\n",
        exercised.all().count()
    );
    let taken = exercised.actions().filter(|(_, taken)| *taken).count();
    text += &format!(
        "Actions of the machine that is proved: {taken} of {} taken.\n",
        exercised.actions().count()
    );
    if all_explored(outcomes) {
        let refusing = GUARDS.len() - idle_guards().len();
        text += &format!("Guards of that machine: {refusing} of {} refuse a forged step.\n", GUARDS.len());
    }
    for (of, what) in missed(Variant::Correct, outcomes) {
        text += &format!("  NEVER EXERCISED  {of}: {what}\n");
    }
    text + "\n"
}

fn details(outcome: &Outcome, program: &str) -> String {
    let mut text = format!("{}: {}\n", outcome.scope.name, outcome.scope.bounds());
    if let Some(bytes) = outcome.peak_bytes {
        const MIB: usize = 1 << 20;
        let each = bytes / outcome.distinct.max(1);
        text += &format!("  at most {} MiB of memory, {each} bytes a state\n", grouped(bytes.div_ceil(MIB)));
    }
    if let Some(reason) = outcome.incomplete {
        text += &format!("  INCOMPLETE: {reason}\n");
    }
    let (held, missing) =
        if outcome.complete() { ("holds", "NEVER REACHED") } else { ("holds so far", "not reached so far") };
    let mark = |good| if good { held } else { "FALLS" };
    for verdict in &outcome.verdicts {
        text += &format!("  {}  {}\n", mark(verdict.counterexample.is_none()), verdict.name);
    }
    for (name, reached) in &outcome.probes {
        text += &format!("  {}  {name}\n", if *reached { "reached" } else { missing });
    }
    for verdict in &outcome.verdicts {
        if let Some(found) = &verdict.counterexample {
            text += &counterexample(verdict.name, found, program);
        }
    }
    text + "\n"
}

/// A counterexample, step by step, and how to see it again.
pub fn counterexample(property: &str, found: &Counterexample, program: &str) -> String {
    let mut text = format!("\n'{property}' falls, by {} steps:\n\n", found.steps.len());
    for (number, step) in found.steps.iter().enumerate() {
        text += &format!("{:>3}. {}\n", number + 1, step.replace('\n', "\n   "));
    }
    text += &format!("\n{}\n", sentence(&found.why));
    if let Some(file) = &found.file {
        text += &again(program, file);
    }
    text
}

/// The commands that show a saved counterexample again.
pub fn again(program: &str, file: &Path) -> String {
    let file = quoted(&file.to_string_lossy());
    format!(
        "\nStep by step:     {program} replay {file} --step\nIn the Explorer:  {program} explore --path {file}\n"
    )
}

/// As a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+:,@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// What the outcomes come to, in a sentence or two.
pub fn conclusion(variant: Variant, outcomes: &[Outcome]) -> String {
    let distinct: usize = outcomes.iter().map(|outcome| outcome.distinct).sum();
    let chance: f64 = outcomes.iter().map(Outcome::collision_chance).sum();
    let explored = format!(
        "{} distinct states; chance that two of them shared a fingerprint: {chance:.0e}.",
        grouped(distinct)
    );
    match (exit(variant, outcomes), variant.description()) {
        (Exit::Violated, Some(description)) => format!(
            "The variant {} ({}) breaks {}.\n",
            description.name,
            description.deviation,
            description.falls.map_or_else(
                || "a property, and was taken for harmless".into(),
                |falls| format!("'{falls}', as it should")
            ),
        ),
        (Exit::Violated, None) => format!("A property does not hold. {explored}\n"),
        (Exit::Incomplete, _) => {
            format!("Not complete: nothing is said about states that were not explored. {explored}\n")
        }
        (Exit::Survived, _) => {
            format!("The variant survived: the check cannot see what it does wrong. {explored}\n")
        }
        (Exit::NotReached, _) => {
            let reason = "A probe was never reached or an arm never exercised (a property may hold for want of an occasion), or a state cannot recover.";
            format!("{reason} {explored}\n")
        }
        _ => format!(
            "Every property holds in every reachable state, and every probe was reached. {explored}\n"
        ),
    }
}

/// Words as a sentence of their own.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).chain(['.']).collect())
}

/// A number with its thousands apart.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
