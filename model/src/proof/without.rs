//! A machine without one of its parts, to see what goes wrong without it.

use super::ast::Machine;

/// What can be left out. The numbers are indices of the machine's tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// A guard: the action, and which of its guards.
    Guard(usize, usize),
    /// An invariant, as a hypothesis and as a goal.
    Invariant(usize),
    /// What is assumed of the rigid functions.
    Axiom(usize),
}

impl Part {
    /// All guards of a machine.
    pub fn guards(machine: &Machine) -> Vec<Self> {
        let actions = machine.actions.iter().enumerate();
        actions
            .flat_map(|(action, it)| (0..it.guards.len()).map(move |guard| Self::Guard(action, guard)))
            .collect()
    }

    /// All invariants of a machine.
    pub fn invariants(machine: &Machine) -> Vec<Self> {
        (0..machine.invariants.len()).map(Self::Invariant).collect()
    }

    /// All axioms of a machine.
    pub fn axioms(machine: &Machine) -> Vec<Self> {
        (0..machine.axioms.len()).map(Self::Axiom).collect()
    }

    /// Everything that can be left out.
    pub fn all(machine: &Machine) -> Vec<Self> {
        [Self::guards(machine), Self::invariants(machine), Self::axioms(machine)].concat()
    }

    /// How it is called: `action:guard`, or as the invariant or axiom.
    pub fn name(self, machine: &Machine) -> String {
        match self {
            Self::Guard(action, guard) => {
                let action = &machine.actions[action];
                format!("{}:{}", action.name, action.guards[guard].name)
            }
            Self::Invariant(invariant) => machine.invariants[invariant].name.clone(),
            Self::Axiom(axiom) => machine.axioms[axiom].name.clone(),
        }
    }
}

impl Machine {
    /// The same machine without a part of it.
    pub fn without(&self, part: Part) -> Self {
        let mut machine = self.clone();
        match part {
            Part::Guard(action, guard) => {
                machine.actions[action].guards.remove(guard);
            }
            Part::Axiom(axiom) => {
                machine.axioms.remove(axiom);
            }
            Part::Invariant(gone) => {
                machine.invariants.remove(gone);
                let moved = |index: usize| if index > gone { index - 1 } else { index };
                for statement in machine.invariants.iter_mut().chain(&mut machine.properties) {
                    statement.by.retain(|&index| index != gone);
                    statement.by.iter_mut().for_each(|index| *index = moved(*index));
                }
            }
        }
        machine
    }
}
