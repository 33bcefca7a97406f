//! The mutation score: every variant in its scope, with what it must break. What survives is a rule that the check
//! cannot see; a control that falls was taken for harmless and is not.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde_json::{Value, json};

use crate::check::{self, Outcome, Progress, Request, Verdict};
use crate::exit::Exit;
use crate::properties::REFINEMENT;
use crate::refinement::Refused;
use crate::report::grouped;
use crate::scope::{self, Scope};
use crate::variant::Description;

/// What became of one variant.
pub struct Trial {
    /// The variant.
    pub description: &'static Description,
    /// Its search. It ends with the level in which the property that must fall does; the verdicts are those of the
    /// others as well, as far as it came.
    pub outcome: Outcome,
    /// What the machine that is proved has against it: why it refuses the first step that is none of its own.
    pub refused: Option<Refused>,
}

impl Trial {
    /// The property that fell and had to; of a control, the first that did.
    pub fn fell(&self) -> Option<&Verdict> {
        let falls = |verdict: &&Verdict| verdict.counterexample.is_some();
        let expected = |verdict: &&Verdict| self.description.falls.is_none_or(|name| name == verdict.name);
        self.outcome.verdicts.iter().filter(expected).find(falls)
    }

    /// What else fell on the way.
    pub fn also(&self) -> Vec<&'static str> {
        let fell = self.fell().map(|verdict| verdict.name);
        let others = self.outcome.verdicts.iter().filter(|verdict| verdict.counterexample.is_some());
        others.map(|verdict| verdict.name).filter(|&name| Some(name) != fell).collect()
    }

    /// Whether the machine that is proved refuses it for the reason that the description gives, or not at all.
    pub fn as_the_machine_says(&self) -> bool {
        self.refused.map(|refused| refused.to_string()).as_deref() == self.description.refused_by()
    }

    /// Steps of the shortest run that breaks what had to fall.
    pub fn steps(&self) -> Option<usize> {
        self.fell()?.counterexample.as_ref().map(|found| found.steps.len())
    }

    /// What it comes to: done if it fell as it should, or survived as it should.
    pub fn exit(&self) -> Exit {
        let control = self.description.falls.is_none();
        match self.fell() {
            Some(_) if control => Exit::Survived,
            Some(_) if !self.as_the_machine_says() => Exit::Survived,
            Some(_) => Exit::Done,
            None if !self.outcome.complete() => Exit::Incomplete,
            None if control => Exit::Done,
            None => Exit::Survived,
        }
    }
}

/// The scopes of the variants, as their descriptions name them.
///
/// # Panics
/// If a description names a scope that there is not.
pub fn scopes(variants: &[&'static Description]) -> Vec<Scope> {
    let scope = |description: &&Description| {
        let found = scope::named(description.scope);
        found.unwrap_or_else(|| panic!("variant {}: there is no such scope", description.name)).clone()
    };
    variants.iter().map(scope).collect()
}

/// Tries every variant, so many side by side, each by one thread.
pub fn run(variants: &[&'static Description], threads: usize, progress: &Progress) -> Vec<Trial> {
    let scopes = scopes(variants);
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..variants.len()).collect());
    let trials: Vec<Mutex<Option<Trial>>> = variants.iter().map(|_| Mutex::default()).collect();
    std::thread::scope(|side_by_side| {
        for _ in 0..threads.clamp(1, variants.len().max(1)) {
            side_by_side.spawn(|| {
                loop {
                    let next = queue.lock().expect("no panics while held").pop_front();
                    let Some(index) = next else { break };
                    let description = variants[index];
                    let request =
                        Request { all: true, ..Request::new(scopes.clone(), description.variant, 1) };
                    let outcome = check::explore(&request, index, progress);
                    let refused = refused(&outcome).or_else(|| {
                        // It broke what it had to before.
                        let again = Request { only: Some(REFINEMENT), ..request };
                        let refusable = description.refused_by().is_some();
                        refusable.then(|| refused(&check::explore(&again, index, progress))).flatten()
                    });
                    let trial = Trial { description, outcome, refused };
                    *trials[index].lock().expect("no panics while held") = Some(trial);
                    progress.done[index].store(true, Ordering::Relaxed);
                }
            });
        }
    });
    trials.into_iter().filter_map(|trial| trial.into_inner().expect("no panics while held")).collect()
}

/// What the machine that is proved has against the step in which refinement fell, if it did.
fn refused(outcome: &Outcome) -> Option<Refused> {
    let mut verdicts = outcome.verdicts.iter();
    verdicts.find(|verdict| verdict.name == REFINEMENT)?.counterexample.as_ref()?.refused
}

/// What the trials come to.
pub fn exit(trials: &[Trial]) -> Exit {
    let any = |exit| trials.iter().any(|trial| trial.exit() == exit);
    [Exit::Survived, Exit::Incomplete].into_iter().find(|&exit| any(exit)).unwrap_or(Exit::Done)
}

/// The JSON object of `variants --json`.
pub fn json(trials: &[Trial]) -> Value {
    let variant = |trial: &Trial| {
        let Trial { description, outcome, refused } = trial;
        json!({
            "name": description.name,
            "source": description.source,
            "rule": description.rule,
            "scope": description.scope,
            "control": description.falls.is_none(),
            "expected": description.falls,
            "fell": trial.fell().map(|verdict| verdict.name),
            "steps": trial.steps(),
            "distinct": outcome.distinct,
            "seconds": outcome.elapsed.as_secs_f64(),
            "also": trial.also(),
            "machine": {
                "refused": refused.map(|refused| refused.to_string()),
                "expected": description.refused,
            },
        })
    };
    json!({
        "schema": 1,
        "command": "variants",
        "ok": exit(trials) == Exit::Done,
        "variants": trials.iter().map(variant).collect::<Vec<_>>(),
    })
}

/// The table of `variants`, and what follows it.
pub fn text(trials: &[Trial]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "variant",
        "rule",
        "scope",
        "falls",
        "steps",
        "distinct",
        "seconds",
        "machine",
        "falls also",
    ]);
    for trial in trials {
        let Trial { description, outcome, refused } = trial;
        table.add_row([
            description.name.to_string(),
            description.rule.to_string(),
            description.scope.to_string(),
            verdict(trial).to_string(),
            trial.steps().map_or_else(String::new, |steps| steps.to_string()),
            grouped(outcome.distinct),
            format!("{:.1}", outcome.elapsed.as_secs_f64()),
            refused.map_or_else(|| description.refused.to_string(), |refused| refused.to_string()),
            trial.also().join(", "),
        ]);
    }
    for column in 4..=6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n\n{}", conclusion(trials))
}

fn verdict(trial: &Trial) -> &'static str {
    match (trial.exit(), trial.fell(), trial.description.falls) {
        (Exit::Done, Some(verdict), _) => verdict.name,
        (Exit::Done, None, _) => "nothing, as it should",
        (Exit::Incomplete, ..) => "INCOMPLETE",
        (_, Some(verdict), _) => verdict.name,
        (_, None, _) => "NOTHING: IT SURVIVED",
    }
}

fn conclusion(trials: &[Trial]) -> String {
    let mut text = String::new();
    for trial in trials {
        let Description { name, deviation, falls, harmless, .. } = trial.description;
        match (trial.exit(), falls, harmless) {
            (Exit::Done, None, Some(why)) => text += &format!("{name} ({deviation}) is harmless: {why}.\n"),
            (Exit::Done, ..) => {}
            (Exit::Incomplete, ..) => {
                let why = trial.outcome.incomplete.unwrap_or_default();
                text += &format!("{name} is not decided: {why}.\n");
            }
            (_, Some(_), _) if trial.fell().is_some() => {
                let expected = trial.description.refused;
                text += &format!(
                    "{name} ({deviation}) is NOT refused by the machine as it should be: {expected}.\n"
                );
            }
            (_, Some(falls), _) => {
                text +=
                    &format!("{name} ({deviation}) SURVIVED: '{falls}' holds in every state of its scope.\n");
            }
            (_, None, _) => text += &format!("{name} ({deviation}) FALLS, and was taken for harmless.\n"),
        }
    }
    let done = |trial: &&Trial| trial.exit() == Exit::Done;
    let (controls, others): (Vec<_>, Vec<_>) =
        trials.iter().partition(|trial| trial.description.falls.is_none());
    text += &format!(
        "{} of {} variants fall as they should, {} of {} controls survive.\n",
        others.iter().copied().filter(done).count(),
        others.len(),
        controls.iter().copied().filter(done).count(),
        controls.len()
    );
    text + "See one step by step: model check --variant NAME\n"
}
