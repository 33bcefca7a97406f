//! The HTML report of `prove`: which action keeps which invariant, how long each took to prove, what was refuted and how,
//! and the machines themselves.

use std::fmt::Write;
use std::time::SystemTime;

use super::facts;
use crate::exit::Exit;
use crate::html::{Cell, escaped, page, table};
use crate::proof::ast::{Machine, Statement};
use crate::proof::obligation::Goal;
use crate::proof::prove::{Outcome, Verdict};
use crate::proof::report::Proved;
use crate::proof::words::words;

/// The report of `prove`.
pub fn proof(machines: &[Machine], proved: &Proved<'_>, moment: SystemTime) -> String {
    let mut sections = Vec::new();
    let refuted = counterexamples(proved);
    if !refuted.is_empty() {
        sections.push(("counterexamples", "Counterexamples", refuted));
    }
    sections.push(("obligations", "What was to be proved", obligations(machines, proved)));
    sections.push(("left", "What a solver left open", left(proved)));
    sections.push(("machines", "The machines", machines.iter().map(machine).collect()));
    sections.push(("sources", "The machines as they are given to the prover", sources(machines)));
    page("Leasehold: proved for every size", &lead(proved, moment), &sections)
}

fn lead(proved: &Proved<'_>, moment: SystemTime) -> String {
    let class = if proved.exit() == Exit::Done { "good" } else { "bad" };
    let solvers: Vec<_> = proved.solvers.iter().map(|solver| solver.name()).collect();
    let more = [
        ("Solvers", solvers.join(" and ")),
        ("Obligations", proved.outcomes.len().to_string()),
        ("Time", format!("{:.1} s", proved.elapsed.as_secs_f64())),
        ("Exit code", (proved.exit() as u8).to_string()),
    ];
    let verdict = escaped(&proved.conclusion());
    format!("<p class='verdict {class}'>{verdict}</p>\n{}", facts(moment, &more))
}

fn counterexamples(proved: &Proved<'_>) -> String {
    let mut text = String::new();
    for outcome in &proved.outcomes {
        if let Verdict::Refuted(found) = outcome.verdict() {
            let _ = writeln!(text, "<h3>{}</h3>", escaped(&outcome.obligation.name()));
            let lines = words(&outcome.obligation, found).join("\n");
            let _ = writeln!(text, "<pre>{}</pre>", escaped(&lines));
        }
    }
    text
}

/// A table for each machine: a row for each invariant, a column for each action.
fn obligations(machines: &[Machine], proved: &Proved<'_>) -> String {
    let intro = "<p>Each cell is a question to a solver: can the action, from a state in which all invariants hold, lead \
         to one in which this one does not? ✓ says that it cannot, whatever the sizes; the number is the time in \
         seconds. <code>model prove --report</code> writes each question as a file beside this one.</p>\n";
    let matrix = |machine: &Machine| {
        let of_it = |outcome: &&Outcome<'_>| outcome.obligation.machine.name == machine.name;
        let outcomes: Vec<_> = proved.outcomes.iter().filter(of_it).collect();
        let (inductive, others): (Vec<_>, Vec<_>) = outcomes
            .into_iter()
            .partition(|it| matches!(it.obligation.goal, Goal::Initially(_) | Goal::Keeps(..)));
        let mut text = format!("<h3>{}: {}</h3>\n", escaped(&machine.name), escaped(&machine.doc));
        text += &induction(machine, &inductive);
        if !others.is_empty() {
            let row = |outcome: &&Outcome<'_>| {
                let goal = outcome.obligation.statement();
                vec![
                    Cell::Code(goal.name.clone()),
                    Cell::text(outcome.obligation.action()),
                    Cell::text(&*goal.doc),
                    cell(outcome),
                ]
            };
            let rows: Vec<_> = others.iter().map(row).collect();
            text += &table("What follows", &["Name", "Kind", "What it says", "Seconds"], &rows);
        }
        text
    };
    intro.to_string() + &machines.iter().map(matrix).collect::<String>()
}

fn induction(machine: &Machine, outcomes: &[&Outcome<'_>]) -> String {
    let mut columns = vec!["Invariant"];
    for outcome in outcomes {
        if !columns.contains(&outcome.obligation.action()) {
            columns.push(outcome.obligation.action());
        }
    }
    let row = |invariant: &Statement| {
        let of = |action: &&str| {
            let found = outcomes.iter().find(|it| {
                it.obligation.action() == *action && it.obligation.statement().name == invariant.name
            });
            found.map_or_else(|| Cell::text("–"), |outcome| cell(outcome))
        };
        let asked = outcomes.iter().any(|it| it.obligation.statement().name == invariant.name);
        let name = std::iter::once(Cell::Code(invariant.name.clone()));
        asked.then(|| name.chain(columns[1..].iter().map(of)).collect())
    };
    let rows: Vec<Vec<Cell>> = machine.invariants.iter().filter_map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    table("Which action keeps which invariant", &columns, &rows).replace("<table>", "<table class='matrix'>")
}

fn cell(outcome: &Outcome<'_>) -> Cell {
    let times = outcome.findings.iter().map(|finding| match finding.verdict {
        Verdict::Unknown(_) => "unknown".into(),
        _ => format!("{:.2}", finding.elapsed.as_secs_f64()),
    });
    let times = times.collect::<Vec<_>>().join(" / ");
    match outcome.verdict() {
        Verdict::Proved => Cell::Mark(true, times),
        Verdict::Refuted(_) => Cell::Mark(false, "refuted".into()),
        Verdict::Unknown(_) => Cell::Mark(false, times),
    }
}

fn left(proved: &Proved<'_>) -> String {
    let rows: Vec<_> = proved
        .left()
        .map(|(outcome, finding, why)| {
            vec![
                Cell::Code(outcome.obligation.name()),
                Cell::text(finding.solver.name()),
                Cell::text(why),
                Cell::text(outcome.verdict().word()),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "<p>Nothing.</p>\n".into();
    }
    table("Left unknown", &["Obligation", "Solver", "Why", "All in all"], &rows)
}

/// What a machine consists of, in tables.
fn machine(machine: &Machine) -> String {
    let mut text = format!("<h3>{}</h3>\n<p>{}</p>\n", escaped(&machine.name), escaped(&machine.doc));
    let mut guards = Vec::new();
    for action in &machine.actions {
        guards.push(vec![Cell::Code(action.name.clone()), Cell::text(""), Cell::text(&*action.doc)]);
        let guard = |guard: &Statement| {
            vec![Cell::Code(action.name.clone()), Cell::Code(guard.name.clone()), Cell::text(&*guard.doc)]
        };
        guards.extend(action.guards.iter().map(guard));
    }
    text += &table("Actions and their guards", &["Action", "Guard", "What it stands for"], &guards);
    let kinds = [
        ("axiom", &machine.axioms),
        ("invariant", &machine.invariants),
        ("property", &machine.properties),
        ("lemma", &machine.lemmas),
    ];
    let row = |kind: &'static str| {
        move |it: &Statement| vec![Cell::Code(it.name.clone()), Cell::text(kind), Cell::text(&*it.doc)]
    };
    let stated: Vec<_> = kinds.iter().flat_map(|(kind, all)| all.iter().map(row(kind))).collect();
    text + &table("What is stated", &["Name", "Kind", "What it says"], &stated)
}

fn sources(machines: &[Machine]) -> String {
    let source = |machine: &Machine| {
        let (file, text) = (escaped(&machine.file), escaped(&machine.text));
        format!("<details><summary>{file}</summary>\n<pre>{text}</pre></details>\n")
    };
    machines.iter().map(source).collect()
}
