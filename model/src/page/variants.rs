//! The HTML report of `variants`: each rule replaced in turn, what fell, and how.

use std::fmt::Write;
use std::time::SystemTime;

use super::{counterexample, errata, facts, limits};
use crate::exit::Exit;
use crate::html::{Cell, escaped, page, table};
use crate::mutation::{self, Trial};
use crate::report::grouped;
use crate::saved::Saved;
use crate::system::Reductions;

/// The report of `variants`.
pub fn variants(trials: &[Trial], moment: SystemTime) -> String {
    let sections = [
        ("table", "One rule replaced at a time", results(trials)),
        ("controls", "Controls", controls(trials)),
        ("counterexamples", "Counterexamples", counterexamples(trials)),
        ("limits", "What this covers, and what not", limits()),
        ("errata", "Where the handlers differ from the thesis", errata()),
    ];
    page("Leasehold: every rule replaced in turn", &lead(trials, moment), &sections)
}

fn lead(trials: &[Trial], moment: SystemTime) -> String {
    let exit = mutation::exit(trials);
    let class = if exit == Exit::Done { "good" } else { "bad" };
    let control = |trial: &&Trial| trial.description.falls.is_none();
    let right = |trial: &&Trial| trial.exit() == Exit::Done;
    let killed = trials.iter().filter(|trial| right(trial) && !control(trial)).count();
    let survived = trials.iter().filter(|trial| right(trial) && control(trial)).count();
    let amiss = trials.len() - killed - survived;
    let verdict = if amiss == 0 {
        format!("{killed} variants fall as they must, and {survived} controls break nothing.")
    } else {
        format!("{amiss} of {} variants are not as they should be: see the marks in the table.", trials.len())
    };
    let seconds: f64 = trials.iter().map(|trial| trial.outcome.elapsed.as_secs_f64()).sum();
    let distinct: usize = trials.iter().map(|trial| trial.outcome.distinct).sum();
    format!(
        "<p class='verdict {class}'>{verdict}</p>\n{}",
        facts(
            moment,
            &[
                ("Distinct states", grouped(distinct)),
                ("Search time of all", format!("{seconds:.1} s")),
                ("Exit code", (exit as u8).to_string()),
            ]
        )
    )
}

fn results(trials: &[Trial]) -> String {
    let columns = [
        "Variant",
        "What it does",
        "Where it was seen",
        "Rule",
        "Scope",
        "Falls",
        "Steps",
        "Distinct",
        "Seconds",
        "The machine refuses",
        "Falls also",
    ];
    let row = |trial: &Trial| {
        let (description, outcome) = (trial.description, &trial.outcome);
        let fell = match (trial.fell(), description.falls) {
            (Some(verdict), Some(_)) => verdict.name.into(),
            (Some(verdict), None) => format!("{}, and is a control", verdict.name),
            (None, _) if !outcome.complete() => "not decided".into(),
            (None, Some(falls)) => format!("nothing, and should break '{falls}'"),
            (None, None) => "nothing, as it should".into(),
        };
        vec![
            Cell::Code(description.name.into()),
            Cell::text(description.deviation),
            Cell::text(description.source),
            Cell::text(description.rule),
            Cell::Code(description.scope.into()),
            Cell::Mark(trial.exit() == Exit::Done, fell),
            Cell::Number(trial.steps().map_or_else(|| "–".into(), |steps| steps.to_string())),
            Cell::Number(grouped(outcome.distinct)),
            Cell::Number(format!("{:.1}", outcome.elapsed.as_secs_f64())),
            Cell::text(
                trial.refused.map_or_else(|| description.refused.into(), |refused| refused.to_string()),
            ),
            Cell::text(trial.also().join(", ")),
        ]
    };
    let rows: Vec<_> = trials.iter().map(row).collect();
    table("Each must break the property that it names", &columns, &rows)
}

fn controls(trials: &[Trial]) -> String {
    let rows: Vec<_> = trials
        .iter()
        .filter(|trial| trial.description.falls.is_none())
        .map(|trial| {
            let description = trial.description;
            vec![
                Cell::Code(description.name.into()),
                Cell::text(description.deviation),
                Cell::text(description.harmless.unwrap_or_default()),
                Cell::Mark(
                    trial.exit() == Exit::Done,
                    if trial.fell().is_some() { "falls" } else { "harmless" }.into(),
                ),
            ]
        })
        .collect();
    let intro = "<p>What is harmless on purpose must break nothing in a complete run.</p>\n";
    intro.to_string()
        + &table("Harmless on purpose", &["Variant", "What it does", "Why it is harmless", "Verdict"], &rows)
}

/// A shortest run of each variant that fell, folded.
fn counterexamples(trials: &[Trial]) -> String {
    let mut text = String::new();
    for trial in trials {
        let Some((verdict, found)) =
            trial.fell().and_then(|verdict| Some((verdict, verdict.counterexample.as_ref()?)))
        else {
            continue;
        };
        let name = trial.description.name;
        let Some(scope) = crate::scope::named(trial.description.scope) else { continue };
        let saved = Saved::new((scope, trial.description.variant, Reductions::ON), verdict.name, found);
        let summary = format!("{name}: {} after {} steps", verdict.name, found.steps.len());
        let _ = write!(
            text,
            "<details><summary>{}</summary>\n<p>{}.</p>\n{}</details>\n",
            escaped(&summary),
            escaped(trial.description.deviation),
            counterexample(&saved, &format!("run-{name}"))
        );
    }
    text
}
