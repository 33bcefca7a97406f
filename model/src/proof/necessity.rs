//! Every guard and every invariant is necessary: without it, an obligation that holds with it has a counterexample in a
//! finite instance.
//!
//! Such an instance satisfies all that is left, so nothing else makes up for what was left out. A guard is needed by its
//! own action alone. An invariant is needed by the proofs that name it; one that no other proof names stands for itself:
//! it is a claim.

use std::fmt::Write;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::{Value, json};

use super::ast::Machine;
use super::obligation::{Goal, Obligation, obligations};
use super::prove::{INSTANCES, parallel, sizes};
use super::query::together;
use super::solver::{Patience, Solver};
use super::without::Part;
use crate::exit::Exit;

/// What a part of a machine is needed for.
#[derive(Clone, Debug)]
pub struct Need {
    /// The part: `action:guard`, or an invariant.
    pub part: String,
    /// The obligations that are refuted without it, `action:invariant`, in the first instance in which any is.
    pub refuted: Vec<String>,
    /// Whether it is an invariant on which no other proof relies.
    pub claim: bool,
}

impl Need {
    fn is_guard(&self) -> bool {
        self.part.contains(':')
    }

    /// What goes wrong without it.
    fn consequence(&self, quote: &str) -> String {
        if self.claim {
            return "no other proof relies on it: it is a claim".into();
        }
        let quoted: Vec<_> = self.refuted.iter().map(|name| format!("{quote}{name}{quote}")).collect();
        if quoted.is_empty() { "NOTHING".into() } else { quoted.join(", ") }
    }

    /// Whether something goes wrong without it, or it is what was to be shown.
    pub fn is_needed(&self) -> bool {
        self.claim || !self.refuted.is_empty()
    }
}

/// What each of these parts of a machine is needed for.
///
/// # Errors
/// If the solver gives no answer, and why.
pub fn needs(
    machine: &Machine,
    parts: &[Part],
    solver: &Solver,
    (workers, stop): (usize, &AtomicBool),
) -> Result<Vec<Need>, String> {
    parallel(parts, workers, |&part| need(machine, part, solver, stop)).into_iter().collect()
}

fn need(machine: &Machine, part: Part, solver: &Solver, stop: &AtomicBool) -> Result<Need, String> {
    const LIMIT: Duration = Duration::from_secs(60);
    let patience = Patience { until: Instant::now() + LIMIT, stop };
    let lacking = machine.without(part);
    let relying: Vec<_> = obligations(&lacking).into_iter().filter(|it| relies(machine, part, it)).collect();
    let mut refuted = Vec::new();
    for &instance in INSTANCES {
        let sizes = sizes(machine, instance);
        for group in relying.chunk_by(|one, other| one.action() == other.action()) {
            let name = |it: &Obligation<'_>| format!("{}:{}", it.action(), it.statement().name);
            let answers = solver.ask_all(&together(group, &sizes), patience)?;
            if answers.len() != group.len() {
                return Err(format!(
                    "{} answers {} of {} questions",
                    solver.kind.name(),
                    answers.len(),
                    group.len()
                ));
            }
            refuted.extend(group.iter().zip(answers).filter(|(_, refuted)| *refuted).map(|(it, _)| name(it)));
        }
        if !refuted.is_empty() {
            break;
        }
    }
    let claim = matches!(part, Part::Invariant(_)) && relying.is_empty();
    Ok(Need { part: part.name(machine), refuted, claim })
}

/// Whether the proof of an obligation can need the part. What the action does not touch needs nothing. What is stated is
/// looked up by its name, as the places differ.
fn relies(machine: &Machine, part: Part, obligation: &Obligation<'_>) -> bool {
    let goal = obligation.statement();
    if let Goal::Keeps(action, _) = obligation.goal {
        let sets = &machine.actions[action].sets;
        if !machine.mentions(&goal.term).iter().any(|&symbol| sets.iter().any(|set| set.symbol == symbol)) {
            return false;
        }
    }
    match (part, obligation.goal) {
        (Part::Guard(action, _), Goal::Keeps(other, _)) => action == other,
        (Part::Invariant(invariant), Goal::Keeps(..) | Goal::Property(_)) => {
            let mut stated = machine.invariants.iter().chain(&machine.properties);
            stated.any(|it| it.name == goal.name && it.by.contains(&invariant))
        }
        _ => false,
    }
}

/// What every guard and invariant of some machines is needed for.
pub struct Necessity<'a> {
    /// Each machine, with the guards and the invariants.
    pub machines: Vec<(&'a Machine, Vec<Need>)>,
}

impl<'a> Necessity<'a> {
    /// Leaves out each guard and each invariant in turn.
    ///
    /// # Errors
    /// If the solver gives no answer, and why.
    pub fn of(
        machines: &'a [Machine],
        solver: &Solver,
        workers: usize,
        stop: &AtomicBool,
    ) -> Result<Self, String> {
        let each = |machine| {
            let parts = [Part::guards(machine), Part::invariants(machine)].concat();
            Ok((machine, needs(machine, &parts, solver, (workers, stop))?))
        };
        Ok(Self { machines: machines.iter().map(each).collect::<Result<_, String>>()? })
    }

    fn all(&self) -> impl Iterator<Item = (&'a Machine, &Need)> {
        self.machines.iter().flat_map(|(machine, needs)| needs.iter().map(|need| (*machine, need)))
    }

    /// How the command ends.
    pub fn exit(&self) -> Exit {
        if self.all().all(|(_, need)| need.is_needed()) { Exit::Done } else { Exit::Survived }
    }

    /// The table in Markdown, of guards or of invariants.
    pub fn markdown(&self, guards: bool) -> String {
        let kind = if guards { "guard" } else { "invariant" };
        let mut table = format!("| machine | {kind} | refuted without it |\n| --- | --- | --- |\n");
        for (machine, need) in self.all().filter(|(_, need)| need.is_guard() == guards) {
            let _ = writeln!(table, "| {} | `{}` | {} |", machine.name, need.part, need.consequence("`"));
        }
        table
    }

    /// The table for people.
    pub fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["machine", "without", "is refuted"]);
        for (machine, need) in self.all() {
            table.add_row([machine.name.clone(), need.part.clone(), need.consequence("")]);
        }
        let needless: Vec<_> =
            self.all().filter(|(_, need)| !need.is_needed()).map(|(_, it)| &*it.part).collect();
        let conclusion = if needless.is_empty() {
            "Every guard and every invariant is needed.".into()
        } else {
            format!("Nothing small goes wrong without {}.", needless.join(", "))
        };
        format!("{table}\n\n{conclusion}\n")
    }

    /// The JSON object.
    pub fn json(&self) -> Value {
        let need = |(machine, need): (&Machine, &Need)| {
            json!({
                "machine": machine.name,
                "without": need.part,
                "refuted": need.refuted,
                "claim": need.claim,
            })
        };
        json!({
            "schema": 1,
            "command": "prove",
            "ok": self.exit() == Exit::Done,
            "necessary": self.all().map(need).collect::<Vec<_>>(),
        })
    }
}
