//! Every guard, every invariant and every axiom is necessary: without it, an obligation that holds with it has a
//! counterexample in a finite instance. And every action can happen.
//!
//! Such an instance satisfies all that is left, so nothing else makes up for what was left out. A guard is needed by its
//! own action alone. An invariant is needed by the proofs that name it; one that no other proof names stands for itself:
//! it is a claim. An action whose guards contradict one another, or the invariants, would keep whatever there is; so each is
//! shown to be possible in some instance.

use std::fmt::Write;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::{Value, json};

use super::ast::Machine;
use super::obligation::{Goal, Obligation, obligations};
use super::prove::{INSTANCES, parallel, sizes};
use super::query::{step, together};
use super::solver::{Patience, Solver};
use super::without::Part;
use crate::exit::Exit;

/// How long the solver may take for each.
const LIMIT: Duration = Duration::from_secs(60);

/// What a part of a machine is needed for.
#[derive(Clone, Debug)]
pub struct Need {
    /// The part.
    pub part: Part,
    /// How it is called.
    pub name: String,
    /// The obligations that are refuted without it, `action:invariant`, in the first instance in which any is. Of an
    /// axiom, those of the first action.
    pub refuted: Vec<String>,
    /// Whether it is an invariant on which no other proof relies.
    pub claim: bool,
}

impl Need {
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
            // Much goes wrong without an axiom; the first is enough, as some of the rest takes long.
            if matches!(part, Part::Axiom(_)) && !refuted.is_empty() {
                break;
            }
        }
        if !refuted.is_empty() {
            break;
        }
    }
    let claim = matches!(part, Part::Invariant(_)) && relying.is_empty();
    Ok(Need { part, name: part.name(machine), refuted, claim })
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
        (Part::Axiom(_), _) => true,
        _ => false,
    }
}

/// Whether an action is possible in some instance.
fn can_happen(machine: &Machine, action: usize, solver: &Solver, stop: &AtomicBool) -> Result<bool, String> {
    let patience = Patience { until: Instant::now() + LIMIT, stop };
    let about = |it: &Obligation<'_>| matches!(it.goal, Goal::Keeps(other, _) if other == action);
    let Some(any) = obligations(machine).into_iter().find(about) else { return Ok(true) };
    for &instance in INSTANCES {
        if solver.ask_all(&step(&any, &sizes(machine, instance)), patience)? == [true] {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What every part of some machines is needed for.
pub struct Necessity<'a> {
    /// Each machine, with its guards, its invariants and its axioms.
    pub machines: Vec<(&'a Machine, Vec<Need>)>,
    /// The actions that can never happen: the machine and the action.
    pub idle: Vec<(&'a str, &'a str)>,
}

impl<'a> Necessity<'a> {
    /// Leaves out each part in turn, and tries each action.
    ///
    /// # Errors
    /// If the solver gives no answer, and why.
    pub fn of(
        machines: &'a [Machine],
        solver: &Solver,
        workers: usize,
        stop: &AtomicBool,
    ) -> Result<Self, String> {
        let mut all = Self { machines: Vec::new(), idle: Vec::new() };
        for machine in machines {
            all.machines.push((machine, needs(machine, &Part::all(machine), solver, (workers, stop))?));
            let actions: Vec<_> = (0..machine.actions.len()).collect();
            let happen = parallel(&actions, workers, |&action| can_happen(machine, action, solver, stop));
            for (action, happens) in machine.actions.iter().zip(happen) {
                if !happens? {
                    all.idle.push((&machine.name, &action.name));
                }
            }
        }
        Ok(all)
    }

    fn all(&self) -> impl Iterator<Item = (&'a Machine, &Need)> {
        self.machines.iter().flat_map(|(machine, needs)| needs.iter().map(|need| (*machine, need)))
    }

    /// How the command ends.
    pub fn exit(&self) -> Exit {
        let needed = self.all().all(|(_, need)| need.is_needed());
        if needed && self.idle.is_empty() { Exit::Done } else { Exit::Survived }
    }

    /// The table in Markdown of the parts of a kind.
    pub fn markdown(&self, kind: &str, is: fn(Part) -> bool) -> String {
        let mut table = format!("| machine | {kind} | refuted without it |\n| --- | --- | --- |\n");
        for (machine, need) in self.all().filter(|(_, need)| is(need.part)) {
            let _ = writeln!(table, "| {} | `{}` | {} |", machine.name, need.name, need.consequence("`"));
        }
        table
    }

    /// The table for people.
    pub fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["machine", "without", "is refuted"]);
        for (machine, need) in self.all() {
            table.add_row([machine.name.clone(), need.name.clone(), need.consequence("")]);
        }
        let needless = self.all().filter(|(_, need)| !need.is_needed()).map(|(_, need)| need.name.as_str());
        let needless: Vec<_> = needless.collect();
        let idle: Vec<_> = self.idle.iter().map(|(machine, action)| format!("{machine} {action}")).collect();
        let needed = match &needless[..] {
            [] => "Every guard, every invariant and every axiom is needed".into(),
            some => format!("Nothing small goes wrong without {}", some.join(", ")),
        };
        let happens = match &idle[..] {
            [] => "every action can happen".into(),
            some => format!("nothing small lets these happen: {}", some.join(", ")),
        };
        format!("{table}\n\n{needed}, and {happens}.\n")
    }

    /// The JSON object.
    pub fn json(&self) -> Value {
        let need = |(machine, need): (&Machine, &Need)| {
            json!({
                "machine": machine.name,
                "without": need.name,
                "refuted": need.refuted,
                "claim": need.claim,
            })
        };
        json!({
            "schema": 1,
            "command": "prove",
            "ok": self.exit() == Exit::Done,
            "necessary": self.all().map(need).collect::<Vec<_>>(),
            "idle": self.idle.iter().map(|(machine, action)| format!("{machine} {action}")).collect::<Vec<_>>(),
        })
    }
}
