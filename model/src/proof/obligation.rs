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

/// Which invariants are taken for granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hypotheses {
    /// The invariant itself and those that its `by` names: what a solver finds a proof with soon.
    Named,
    /// All: a state in which they do not all hold is no counterexample.
    All,
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

    /// The invariants that are taken for granted.
    pub fn hypotheses(&self, which: Hypotheses) -> Vec<&'a Statement> {
        let all = &self.machine.invariants;
        let goal = self.statement();
        let named = goal.by.iter().map(|&index| &all[index]);
        match (self.goal, which) {
            (Goal::Initially(_) | Goal::Lemma(_), _) => Vec::new(),
            (_, Hypotheses::All) => all.iter().collect(),
            (Goal::Property(_), Hypotheses::Named) => named.collect(),
            (Goal::Keeps(..), Hypotheses::Named) => std::iter::once(goal).chain(named).collect(),
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
