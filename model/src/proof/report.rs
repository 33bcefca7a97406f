//! What `prove` prints: a table for people, one JSON object for programs.

use std::fmt::Write;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde_json::{Value, json};

use super::ast::Machine;
use super::prove::{Finding, Outcome, Verdict};
use super::solver::Kind;
use super::words::words;
use crate::exit::Exit;

/// What a run of the prover came to.
pub struct Proved<'a> {
    /// What became of each obligation.
    pub outcomes: Vec<Outcome<'a>>,
    /// The solvers that were asked.
    pub solvers: Vec<Kind>,
    /// What the machine was proved without.
    pub dropped: Option<String>,
    /// How long all of it took.
    pub elapsed: Duration,
}

impl Proved<'_> {
    /// How the command ends.
    pub fn exit(&self) -> Exit {
        let any = |is: fn(&Verdict) -> bool| self.outcomes.iter().any(|outcome| is(outcome.verdict()));
        if any(|verdict| matches!(verdict, Verdict::Refuted(_))) {
            Exit::Violated
        } else if any(|verdict| matches!(verdict, Verdict::Unknown(_))) {
            Exit::Incomplete
        } else {
            Exit::Done
        }
    }

    /// How many obligations came to this.
    fn count(&self, word: &str) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.verdict().word() == word).count()
    }

    /// What it comes to, in a sentence or two.
    pub fn conclusion(&self) -> String {
        let (all, proved) = (self.outcomes.len(), self.count("proved"));
        let solvers: Vec<_> = self.solvers.iter().map(|solver| solver.name()).collect();
        let solvers = solvers.join(" and ");
        let seconds = self.elapsed.as_secs_f64();
        let mut text = match self.exit() {
            Exit::Done => {
                format!(
                    "{proved} of {all} obligations proved, for every size, by {solvers} in {seconds:.1} s."
                )
            }
            Exit::Violated => {
                let refuted = self.count("refuted");
                format!("{refuted} of {all} obligations refuted: the invariants are not inductive.")
            }
            _ => {
                let unknown = self.count("unknown");
                format!("{proved} of {all} obligations proved; {unknown} left unknown.")
            }
        };
        if let Some(dropped) = &self.dropped {
            let _ = write!(text, " The machine was without {dropped}.");
        }
        text
    }

    /// What a solver left open, and why; another one may have proved or refuted it.
    pub fn left(&self) -> impl Iterator<Item = (&Outcome<'_>, &Finding, &str)> {
        self.outcomes.iter().flat_map(|outcome| {
            outcome.findings.iter().filter_map(move |finding| match &finding.verdict {
                Verdict::Unknown(why) => Some((outcome, finding, why.as_str())),
                _ => None,
            })
        })
    }

    /// The JSON object.
    pub fn json(&self) -> Value {
        let obligations = self.outcomes.iter().flat_map(|outcome| {
            outcome.findings.iter().map(move |finding| {
                let obligation = outcome.obligation;
                let (told, why) = match &finding.verdict {
                    Verdict::Proved => (None, None),
                    Verdict::Refuted(found) => (Some(words(&obligation, found)), None),
                    Verdict::Unknown(why) => (None, Some(why)),
                };
                json!({
                    "machine": obligation.machine.name,
                    "action": obligation.action(),
                    "invariant": obligation.statement().name,
                    "solver": finding.solver.name(),
                    "verdict": finding.verdict.word(),
                    "seconds": finding.elapsed.as_secs_f64(),
                    "counterexample": told,
                    "why": why,
                })
            })
        });
        json!({
            "schema": 1,
            "command": "prove",
            "ok": self.exit() == Exit::Done,
            "dropped": self.dropped,
            "seconds": self.elapsed.as_secs_f64(),
            "obligations": obligations.collect::<Vec<_>>(),
        })
    }

    /// The table, and what follows it; `verbose`: a row for each obligation, not for each action.
    pub fn text(&self, verbose: bool) -> String {
        let mut text = format!("{}\n\n", if verbose { self.each() } else { self.by_action() });
        for outcome in &self.outcomes {
            if let Verdict::Refuted(found) = outcome.verdict() {
                let _ = writeln!(text, "{} is refuted.", outcome.obligation.name());
                for line in words(&outcome.obligation, found) {
                    let _ = writeln!(text, "  {line}");
                }
                text.push('\n');
            }
        }
        let left: Vec<_> = self.left().collect();
        if !left.is_empty() {
            text += "Left unknown:\n";
            for (outcome, finding, why) in left {
                let (name, solver) = (outcome.obligation.name(), finding.solver.name());
                let _ = writeln!(text, "  {name} by {solver} ({why}): here {}", outcome.verdict().word());
            }
            text.push('\n');
        }
        text + &self.conclusion() + "\n"
    }

    fn each(&self) -> Table {
        let mut table = new_table(&["machine", "action", "invariant", "verdict"], &self.solvers);
        for outcome in &self.outcomes {
            let obligation = outcome.obligation;
            let mut row = vec![
                obligation.machine.name.clone(),
                obligation.action().into(),
                obligation.statement().name.clone(),
                outcome.verdict().word().into(),
            ];
            row.extend(outcome.findings.iter().map(|it| format!("{:.2}", it.elapsed.as_secs_f64())));
            table.add_row(row);
        }
        align(&mut table, 4..4 + self.solvers.len());
        table
    }

    fn by_action(&self) -> Table {
        let mut table = new_table(&["machine", "action", "obligations", "proved"], &self.solvers);
        let same = |one: &Outcome<'_>, other: &Outcome<'_>| {
            (&one.obligation.machine.name, one.obligation.action())
                == (&other.obligation.machine.name, other.obligation.action())
        };
        for group in self.outcomes.chunk_by(same) {
            let proved = group.iter().filter(|outcome| matches!(outcome.verdict(), Verdict::Proved)).count();
            let obligation = group[0].obligation;
            let mut row = vec![
                obligation.machine.name.clone(),
                obligation.action().into(),
                group.len().to_string(),
                if proved == group.len() { "all".into() } else { proved.to_string() },
            ];
            row.extend((0..self.solvers.len()).map(|place| {
                let seconds = group.iter().map(|outcome| outcome.findings[place].elapsed.as_secs_f64());
                format!("{:.2}", seconds.sum::<f64>())
            }));
            table.add_row(row);
        }
        align(&mut table, 2..4 + self.solvers.len());
        table
    }
}

/// All names that `--only` and `--drop` take.
pub fn list(machines: &[Machine]) -> String {
    let mut text = String::new();
    for machine in machines {
        let _ = writeln!(text, "{}: {}", machine.name, machine.doc);
        for action in &machine.actions {
            let guards: Vec<_> = action.guards.iter().map(|guard| guard.name.as_str()).collect();
            let guards = if guards.is_empty() { "always".into() } else { guards.join(", ") };
            let _ = writeln!(text, "  action     {}: {guards}", action.name);
        }
        let stated = [
            ("invariant", &machine.invariants),
            ("property", &machine.properties),
            ("lemma", &machine.lemmas),
        ];
        for (kind, statements) in stated {
            for statement in statements {
                let _ = writeln!(text, "  {kind:<10} {}: {}", statement.name, statement.doc);
            }
        }
    }
    text
}

fn new_table(columns: &[&str], solvers: &[Kind]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let columns = columns.iter().map(ToString::to_string);
    table.set_header(columns.chain(solvers.iter().map(|solver| format!("s, {}", solver.name()))));
    table
}

fn align(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}
