//! Replaying a saved counterexample: each action is looked for among those that the model offers in that state,
//! and performed by the handlers.

use std::fmt;

use stateright::Model;

use crate::properties;
use crate::saved::{Act, Saved};
use crate::state::State;
use crate::system::{Action, System};
use crate::words;

/// A run: states, each with the action that leads on.
pub type Run = Vec<(State, Option<Action>)>;

/// What became of a saved counterexample.
pub struct Replay {
    /// As far as it could be made.
    pub run: Run,
    /// The first state of the run, counted from 0, in which the property does not hold.
    pub violated: Option<usize>,
    /// The first action that was not possible, if not all were.
    pub refused: Option<Refused>,
}

/// An action that is not possible where the file has it.
#[derive(Debug)]
pub struct Refused {
    /// The step, from 1.
    pub step: usize,
    /// What was saved.
    pub action: String,
    /// What could have happened instead.
    pub offered: Vec<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} is not possible: {}.", self.step, self.action)?;
        write!(f, " Possible there: ")?;
        match &self.offered[..] {
            [] => write!(f, "nothing"),
            offered => write!(f, "{}", offered.join("; ")),
        }
    }
}

/// Performs the steps of `saved` in `system`.
///
/// # Panics
/// If its property does not exist, which [`Saved::read`] has checked.
pub fn replay(system: &System, saved: &Saved) -> Replay {
    let property = properties::named(&saved.property).expect("the property was checked when it was read");
    let mut state = system.init_states().remove(0);
    let (mut run, mut refused) = (Vec::new(), None);
    for (place, step) in saved.steps.iter().enumerate() {
        let Some((action, next)) = perform(system, &state, &step.action) else {
            refused = Some(refusal(system, &state, &step.action, place + 1));
            break;
        };
        run.push((state, Some(action)));
        state = next;
    }
    run.push((state, None));
    let violated = run.iter().position(|(state, _)| !(property.condition)(system, state));
    Replay { run, violated, refused }
}

/// Performs one action, if the model offers it in this state.
pub fn perform(system: &System, state: &State, act: &Act) -> Option<(Action, State)> {
    let mut actions = Vec::new();
    system.actions(state, &mut actions);
    let action = actions.into_iter().find(|&action| act.is(action))?;
    Some((action, system.next_state(state, action)?))
}

fn refusal(system: &System, state: &State, act: &Act, step: usize) -> Refused {
    let mut actions = Vec::new();
    system.actions(state, &mut actions);
    let possible = actions.into_iter().filter(|&action| system.next_state(state, action).is_some());
    Refused { step, action: words::act(act), offered: possible.map(words::action).collect() }
}
