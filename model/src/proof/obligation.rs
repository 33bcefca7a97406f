//! What has to be shown of a machine: that the invariants hold in the first states, that each action keeps each of
//! them, that the properties follow from them, and the lemmas from the axioms.

use super::ast::{Machine, Statement};

/// What is to be shown. The numbers are indices of the machine's tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// The invariant holds in the first states.
    Initially(usize),
    /// An action keeps an invariant, if all invariants held before.
    Keeps(usize, usize),
    /// The property follows from the invariants.
    Property(usize),
    /// The lemma follows from the axioms.
    Lemma(usize),
}

/// One thing to show of one machine.
#[derive(Clone, Copy, Debug)]
pub struct Obligation<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// What is to be shown of it.
    pub goal: Goal,
}

impl<'a> Obligation<'a> {
    /// The action; for what is no action's doing, the kind of obligation.
    pub fn action(&self) -> &'a str {
        match self.goal {
            Goal::Initially(_) => "initially",
            Goal::Keeps(action, _) => &self.machine.actions[action].name,
            Goal::Property(_) => "property",
            Goal::Lemma(_) => "lemma",
        }
    }

    /// What must be true.
    pub fn statement(&self) -> &'a Statement {
        match self.goal {
            Goal::Initially(index) | Goal::Keeps(_, index) => &self.machine.invariants[index],
            Goal::Property(index) => &self.machine.properties[index],
            Goal::Lemma(index) => &self.machine.lemmas[index],
        }
    }

    /// The invariants that may be taken for granted: all of them, or those of a hint.
    pub fn hypotheses(&self) -> Vec<&'a Statement> {
        let all = &self.machine.invariants;
        match self.goal {
            Goal::Initially(_) | Goal::Lemma(_) => Vec::new(),
            Goal::Property(_) => all.iter().collect(),
            Goal::Keeps(action, invariant) => {
                let hints = &self.machine.hints;
                match hints.iter().find(|hint| (hint.action, hint.invariant) == (action, invariant)) {
                    Some(hint) => hint.uses.iter().map(|&index| &all[index]).collect(),
                    None => all.iter().collect(),
                }
            }
        }
    }

    /// How it is called: `machine action:invariant`.
    pub fn name(&self) -> String {
        format!("{} {}:{}", self.machine.name, self.action(), self.statement().name)
    }
}

/// Everything that has to be shown of a machine.
pub fn obligations(machine: &Machine) -> Vec<Obligation<'_>> {
    let invariants = 0..machine.invariants.len();
    let keeps = |action| invariants.clone().map(move |invariant| Goal::Keeps(action, invariant));
    let goals = (invariants.clone().map(Goal::Initially))
        .chain((0..machine.actions.len()).flat_map(keeps))
        .chain((0..machine.properties.len()).map(Goal::Property))
        .chain((0..machine.lemmas.len()).map(Goal::Lemma));
    goals.map(|goal| Obligation { machine, goal }).collect()
}
