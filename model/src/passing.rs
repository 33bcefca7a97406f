//! How time passes: a tick moves each clock on by a slow or a fast step, as it likes; one that goes astray stands still or
//! leaps instead, as long as every leader doubts it.

use serde::{Deserialize, Serialize};
use spec::{Role, ServerId};

use crate::scope::{Astray, Clocks, SERVERS_MAX};
use crate::state::{NOW, NodeRef, State};
use crate::step::{Input, Local};
use crate::system::System;

/// How all clocks advance in one tick.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Passing {
    /// The servers whose clocks are fast, as bits; the others are slow.
    pub fast: u8,
    /// What the clock does that goes astray, if it does.
    pub stray: Option<Stray>,
}

/// A step that no bound allows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stray {
    /// The clock stands still.
    Still,
    /// It goes on by a whole grant term.
    Leap,
}

impl Passing {
    /// How far the clock of a server goes.
    pub fn step(self, server: ServerId, clocks: Clocks, astray: Option<Astray>) -> u8 {
        let strays = astray.is_some_and(|astray| astray.server == server);
        match self.stray.filter(|_| strays) {
            Some(Stray::Still) => 0,
            Some(Stray::Leap) => clocks.grant_term,
            None if self.fast & (1 << server.0) == 0 => clocks.slow,
            None => clocks.fast,
        }
    }
}

impl System {
    /// The ways in which time can pass.
    pub(crate) fn tickings(&self, state: &State) -> impl Iterator<Item = Passing> + use<> {
        // A clock that nothing waits for makes no difference, so it may as well be slow.
        let timed = self.servers().filter(|server| timed(&state.nodes[usize::from(server.0)]));
        let clocks: u8 = timed.map(|server| 1 << server.0).sum();
        let one_pace = self.scope.lease.is_some_and(|pace| pace.slow == pace.fast);
        let may_be_fast = if one_pace { 0 } else { clocks };
        let strays = self.scope.astray.filter(|&astray| self.may_stray(state, astray));
        let strays = strays.map_or(0, |astray| clocks & (1 << astray.server.0));
        let passes = clocks != 0 && !self.scope.still;
        let ways = (0..1 << self.scope.servers).filter(move |fast| passes && fast & !may_be_fast == 0);
        ways.flat_map(move |fast| {
            let within = std::iter::once(None);
            let beyond = [Stray::Still, Stray::Leap].into_iter().map(Some);
            let beyond = beyond.filter(move |_| strays != 0 && fast & strays == 0);
            within.chain(beyond).map(move |stray| Passing { fast, stray })
        })
    }

    /// Whether every leader doubts that clock, or all others if it is its own: then no lease may rest on the bound.
    fn may_stray(&self, state: &State, astray: Astray) -> bool {
        self.servers().all(|server| {
            let replica = &state.nodes[usize::from(server.0)].replica;
            !matches!(replica.role(), Role::Leading(_))
                || replica.doubted() == astray.doubted_by(server, self.scope.servers)
        })
    }

    /// The state after time has passed; `local` tells what an input does to a server.
    pub(crate) fn tick(
        &self,
        state: &State,
        passing: Passing,
        mut local: impl FnMut(NodeRef, Input) -> &'static Local,
    ) -> Option<State> {
        let clocks = self.scope.lease?;
        let mut next = *state;
        let mut passed = [None; SERVERS_MAX];
        for server in self.servers() {
            let place = usize::from(server.0);
            let tick =
                local(state.nodes[place], Input::Tick(passing.step(server, clocks, self.scope.astray)));
            next.nodes[place] = tick.node;
            passed[place] = Some(tick);
        }
        next.ghost = self.observer.astray(state.ghost, passed.into_iter().flatten());
        (next.nodes != state.nodes).then_some(next)
    }
}

/// Whether the passing of time can make a difference to a server.
fn timed(node: &NodeRef) -> bool {
    let has_round = matches!(node.replica.role(), Role::Leading(leading) if !leading.lease.rounds.is_empty());
    let replica = &node.replica;
    let waits = replica.recovering().and_then(|recovering| recovering.until).is_some_and(|until| until > NOW);
    waits
        || node.holder
        || has_round
        || replica.quiet()
        || replica.grant().is_some_and(|grant| grant.until > NOW)
}
