//! Refinement: every step of the handlers is a step of the machine that is proved, or several, or none.
//!
//! The machine is `spec/proof/leasehold.machine`: it knows no messages, no timers and no code, and its invariants are proved
//! for any number of servers, views, slots, rounds and quorums. Here it stands a second time, in a form that is quick
//! enough to be asked at each transition of a search; tests hold the two together (see below).
//!
//! - [`abstraction`] says which actions of the machine ([`act`]) a step of the handlers is.
//! - `judge` and [`global`] evaluate the guards of each: those that one server can tell by what it did, knew and heard,
//!   once for each local transition; and those that take the others, at each transition that has such an action.
//! - [`guards`] names the guards, and what else can be amiss: an action that does not do what it does in the machine, and
//!   what the machine takes for granted, of disks and clocks.
//! - [`exercise`] has each guard refuse something, so that none can be lost unnoticed.
//! - [`interpret`] evaluates the very terms of the file over finite structures, and [`history`] carries the whole state of the
//!   machine along a run. So a test (`model/tests/refinement.rs`) sees that what these guards let pass the file's own guards let
//!   pass, that the state that the file's `set`s make is the one that the servers show, and that what is refused here is
//!   refused there, by the same guard.
//!
//! It is not asked where disks fail (`wipes` and `damages` of a scope), for which the machine is
//! `spec/proof/recover.machine`, and the handlers are not refined to it; nor where a clock goes beyond the bound (`astray`).

pub mod abstraction;
pub mod act;
mod counting;
pub mod exercise;
pub mod global;
pub mod guards;
pub mod history;
pub mod interpret;
mod judge;

use spec::{Config, ServerId};

use crate::scope::{Clocks, Scope};
use crate::state::Node;
use crate::step::{Input, Local};
use abstraction::Step;
use act::{Act, Taken};
pub use global::Whole;
pub use guards::{Guard, Outside, Refused};
use judge::Judge;

/// Whether the machine allows something, and if not, why.
pub type Verdict = Result<(), Refused>;

/// The machine of one scope, in its executable form.
pub struct Machine {
    /// The configuration that the scope means, whatever a variant makes of it.
    config: Config,
    clocks: Option<Clocks>,
    sessions: u64,
    flush: bool,
    /// Whether it judges anything: it knows of no disks that fail and no clocks beyond the bound.
    judges: bool,
    /// A guard that is left out, to see that it is missed.
    off: Option<Guard>,
}

/// What a local transition means.
pub struct Meaning {
    /// The actions.
    pub acts: Vec<Taken>,
    /// Those that must be judged with the others in sight.
    pub asks: Vec<Act>,
    /// Why it is none of the machine, as far as the server alone can tell.
    pub refused: Option<Refused>,
}

impl Machine {
    /// The machine with the quorums and terms of a scope.
    pub fn new(scope: &Scope) -> Self {
        Self {
            config: scope.config(ServerId(0)),
            clocks: scope.lease,
            sessions: scope.sessions(),
            flush: scope.flush,
            judges: scope.is_refined(),
            off: None,
        }
    }

    /// The same without one of its guards.
    #[must_use]
    pub fn without(self, guard: Option<Guard>) -> Self {
        Self { off: guard, ..self }
    }

    fn need(&self, guard: Guard, holds: bool) -> Verdict {
        if holds || self.off == Some(guard) { Ok(()) } else { Err(Refused::Guard(guard)) }
    }

    /// The rates of the slowest and the fastest clock, to compare terms in true time.
    fn rates(&self) -> (i64, i64) {
        self.clocks.map_or((1, 1), |clocks| (clocks.slow.into(), clocks.fast.into()))
    }

    fn step<'a>(&self, was: &'a Node, input: Input, local: &'a Local) -> Step<'a> {
        Step { was, is: &local.node, input, local, flush: self.flush, sessions: self.sessions }
    }

    /// What a step at one server means, and whether the machine allows it, as far as that server alone can tell.
    pub fn local(&self, was: &Node, input: Input, local: &Local) -> Meaning {
        if !self.judges {
            return Meaning { acts: Vec::new(), asks: Vec::new(), refused: None };
        }
        let step = self.step(was, input, local);
        let acts = step.acts();
        let refused = Judge::new(self, &step, &acts).judge().err();
        let asks = acts.iter().map(|(_, act)| act).filter(|act| global::asks(was, act)).cloned().collect();
        Meaning { acts, asks, refused }
    }

    /// Why a step is none of the machine, as far as the other servers have to do with it.
    pub fn global(&self, whole: &Whole<'_>, asks: &[Act]) -> Option<Refused> {
        asks.iter().find_map(|act| self.with_others(whole, act).err())
    }
}
