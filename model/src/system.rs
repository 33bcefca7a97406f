//! The model: `stateright::Model` written directly over the handlers. One action is one handler call at one
//! server; messages stay in a set, which is loss, duplication and reordering at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use spec::{Config, Role, ServerId, ServerSet, Slot};
use stateright::{Model, Path, Property};

use crate::arms::Exercised;
use crate::observe::{self, Observer};
use crate::passing::Passing;
use crate::probes::{self, Witness};
use crate::properties::{self, PROPERTIES, RECOVERABILITY, REFINEMENT, Rule, Seen};
use crate::recovery::{Amiss, Recovery};
use crate::reduction;
use crate::refinement::{Guard, Machine, Refused, Whole};
use crate::scope::{SERVERS_MAX, Scope};
use crate::state::{Ghost, GhostRef, MESSAGES_MAX, MessageRef, MessageSet, NOW, NodeRef, State};
use crate::step::{Input, Local, Stepper};
use crate::variant::Variant;

/// One step of the whole system.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Something happens to one server.
    At(ServerId, Input),
    /// Time passes.
    Tick(Passing),
}

/// Which reductions are on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reductions {
    /// A server's own messages are handled in the step that releases them.
    pub own_at_once: bool,
    /// Dead messages are dropped.
    pub drop_dead: bool,
    /// Of runs that differ in the names of servers only, one is explored.
    pub symmetric: bool,
}

impl Reductions {
    /// All of them.
    pub const ON: Self = Self { own_at_once: true, drop_dead: true, symmetric: true };
    /// None.
    pub const OFF: Self = Self { own_at_once: false, drop_dead: false, symmetric: false };
}

/// A scope of Paxos, or of a variant of it, ready to be explored.
pub struct System {
    /// The bounds.
    pub scope: Scope,
    /// Which Paxos.
    pub variant: Variant,
    drop_dead: bool,
    symmetric: bool,
    /// The one property to look for, if not all.
    only: Option<&'static str>,
    /// The one property that ends the search when it falls, if not the last that is looked for.
    until: Option<&'static str>,
    /// The configuration that the scope means, whatever the variant makes of it.
    config: Config,
    /// What tries whether a state recovers, if the scope asks for it.
    pub recovery: Option<Recovery>,
    stepper: Stepper,
    pub(crate) observer: Observer,
    /// Bits of the probes that the scope must reach.
    wanted: u64,
    /// Bits of the probes that were reached.
    reached: AtomicU64,
    overflow: AtomicBool,
}

impl System {
    /// All properties of `variant` in `scope`.
    pub fn new(scope: &Scope, variant: Variant, reductions: Reductions) -> Self {
        Self::without(scope, variant, reductions, None)
    }

    /// The same, with a guard of the machine left out, to see that it is missed.
    pub fn without(scope: &Scope, variant: Variant, reductions: Reductions, guard: Option<Guard>) -> Self {
        let (scope, reductions) = (variant.scope(scope), variant.reductions(reductions));
        // Servers are interchangeable where each stands once, and no disk or clock is worse than the others.
        let interchangeable = scope.views_each == 1 && scope.is_refined();
        let disks_fail = scope.disks_fail();
        Self {
            stepper: Stepper::new(scope.clone(), variant, reductions.own_at_once && !scope.own_late, guard),
            observer: Observer::new(scope.clone(), variant),
            wanted: probes::mask(scope.probes),
            config: scope.config(ServerId(0)),
            recovery: scope.recovery.then(|| Recovery::new(&scope, variant)),
            drop_dead: reductions.drop_dead && !scope.every_message && !disks_fail,
            scope,
            variant,
            symmetric: reductions.symmetric && interchangeable,
            only: None,
            until: None,
            reached: AtomicU64::new(0),
            overflow: AtomicBool::new(false),
        }
    }

    /// The same, looking for one property only: then the first counterexample of a breadth-first search by one
    /// thread is a shortest one.
    #[must_use]
    pub fn only(mut self, property: &'static str) -> Self {
        self.only = Some(property);
        self
    }

    /// The same, looking for all properties until this one falls.
    #[must_use]
    pub fn until(mut self, property: &'static str) -> Self {
        self.until = Some(property);
        self
    }

    /// The servers of the scope.
    pub fn servers(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.scope.servers).map(ServerId)
    }

    /// The messages in flight, in an order that depends on what they say only.
    pub fn in_flight(&self, state: &State) -> Vec<MessageRef> {
        let mut messages = self.stepper.messages(state.messages.indices());
        messages.sort_unstable_by_key(|message| (message.to, message.from, message.0.hash));
        messages
    }

    /// The local transition of an action at one server.
    pub fn local(&self, state: &State, server: ServerId, input: Input) -> &'static Local {
        self.stepper.step(state.nodes[usize::from(server.0)], input)
    }

    /// The same as [`System::local`], for a server by itself.
    pub(crate) fn step(&self, node: NodeRef, input: Input) -> &'static Local {
        self.stepper.step(node, input)
    }

    /// Brings copies of the lists of servers, messages and ghosts, by index, up to date.
    pub(crate) fn update(
        &self,
        nodes: &mut Vec<NodeRef>,
        messages: &mut Vec<MessageRef>,
        ghosts: &mut Vec<GhostRef>,
    ) {
        self.stepper.update(nodes, messages);
        self.observer.update(ghosts);
    }

    /// Whether a property, by its place in [`PROPERTIES`], holds in a state.
    pub fn holds(&self, property: usize, state: &State) -> bool {
        let facts = state.nodes.map(|node| node.facts);
        let servers = &facts[..usize::from(self.scope.servers)];
        let recovery = self.recovery.as_ref().map(|recovery| (&state.nodes[..servers.len()], recovery));
        (PROPERTIES[property].holds)(&Seen { config: &self.config, servers, ghost: &state.ghost, recovery })
    }

    /// The machine that judges the steps.
    pub(crate) fn machine(&self) -> &Machine {
        self.stepper.machine()
    }

    /// Why a step is none of the machine that is proved, if it is not.
    pub fn refused(&self, before: &State, action: Action, after: &State) -> Option<Refused> {
        match action {
            Action::At(server, input) => {
                let local = self.local(before, server, input);
                let was = &before.nodes[usize::from(server.0)];
                let in_flight = || self.stepper.messages(before.messages.indices());
                let whole = Whole { before, after, ghost: &after.ghost, was, in_flight: &in_flight };
                observe::refused(self.stepper.machine(), &whole, local)
            }
            Action::Tick(passing) => {
                let clocks = self.scope.lease?;
                self.servers().find_map(|server| {
                    let step = passing.step(server, clocks, self.scope.astray);
                    self.local(before, server, Input::Tick(step)).refused
                })
            }
        }
    }

    /// What is still amiss when a state has had time to recover, if the scope asks.
    pub fn amiss(&self, state: &State) -> Option<Amiss> {
        let servers = &state.nodes[..usize::from(self.scope.servers)];
        self.recovery.as_ref()?.attempt(servers, &state.ghost.chosen).err()
    }

    /// The properties that are looked for, as bits by their places in [`PROPERTIES`].
    pub fn looked_for(&self) -> u64 {
        (0..PROPERTIES.len()).filter(|&at| self.judges(PROPERTIES[at].name)).map(|at| 1 << at).sum()
    }

    /// Whether a property is looked for; recoverability only where the scope asks, and refinement only where disks and
    /// clocks are the machine's, for elsewhere they would hold of themselves.
    fn judges(&self, property: &str) -> bool {
        let asked = match property {
            RECOVERABILITY => self.recovery.is_some(),
            REFINEMENT => self.scope.is_refined(),
            _ => true,
        };
        asked && self.only.is_none_or(|only| only == property)
    }

    /// The properties of which the last that falls ends the search, as bits by their places in [`PROPERTIES`].
    pub fn ends_with(&self) -> u64 {
        let ends = |at: &usize| self.until.is_some_and(|property| property == PROPERTIES[*at].name);
        (0..PROPERTIES.len()).find(ends).map_or_else(|| self.looked_for(), |at| 1 << at)
    }

    /// The properties that a state breaks and that follow from facts and ghost, as bits by their places in
    /// [`PROPERTIES`]; those that are not looked for hold.
    pub(crate) fn broken_by_facts(&self, state: &State) -> u64 {
        self.broken(state, |rule| rule.name != RECOVERABILITY)
    }

    /// The other properties that a state breaks.
    pub(crate) fn broken_by_more(&self, state: &State) -> u64 {
        if self.recovery.is_none() {
            return 0;
        }
        self.broken(state, |rule| rule.name == RECOVERABILITY)
    }

    fn broken(&self, state: &State, which: impl Fn(&Rule) -> bool) -> u64 {
        let wanted = self.looked_for();
        let falls = |&at: &usize| wanted & (1 << at) != 0 && which(&PROPERTIES[at]) && !self.holds(at, state);
        (0..PROPERTIES.len()).filter(falls).map(|at| 1 << at).sum()
    }

    /// The arms of the handlers and the outcomes of the rules that were exercised.
    pub fn exercised(&self) -> Exercised {
        self.stepper.exercised()
    }

    /// The probes that the scope must reach, and whether it has.
    pub fn probes(&self) -> Vec<(&'static str, bool)> {
        let reached = self.reached.load(Ordering::Relaxed);
        let wanted = probes::PROBES.iter().enumerate().filter(|(index, _)| self.wanted & (1 << index) != 0);
        wanted.map(|(index, probe)| (probe.name, reached & (1 << index) != 0)).collect()
    }

    /// Whether the scope had more different messages than a state can hold, so that the exploration is not
    /// complete.
    pub fn overflowed(&self) -> bool {
        self.overflow.load(Ordering::Relaxed)
    }

    /// What can happen at one server besides deliveries and time.
    pub(crate) fn inputs(&self, state: &State, server: ServerId, node: NodeRef, add: &mut impl FnMut(Input)) {
        let (scope, ghost) = (&self.scope, &state.ghost);
        let leading = matches!(node.replica.role(), Role::Leading(_));
        let waits = node.replica.recovering().is_some() || node.replica.repairing().is_some();
        if !leading && !waits && self.may_stand(state, server) {
            add(Input::Elect);
        }
        let requests: u8 = self.servers().map(|server| state.nodes[usize::from(server.0)].requests).sum();
        if leading && scope.rounds > 0 && scope.rounds_together.is_none_or(|limit| requests < limit) {
            add(Input::Renew);
        }
        if leading && ghost.resigns < scope.resigns {
            add(Input::Resign);
        }
        if leading && ghost.reads < scope.reads && ghost.reading.is_none() {
            add(Input::Read);
        }
        if leading || (scope.forward && node.replica.durable().promised.leader != server) {
            let submitted = |value: &u8| ghost.submitted & (1 << value) != 0;
            let answered = |value: u8| ghost.acknowledged.values().any(|&known| known == value);
            let next = |value: &u8| !scope.one_client || (0..*value).all(answered);
            let mut fresh = (0..scope.updates).filter(|value| !submitted(value) && next(value));
            // Updates are interchangeable too: let them be submitted in the order of their names.
            let some = if self.symmetric { 1 } else { usize::MAX };
            fresh.by_ref().take(some).for_each(|value| add(Input::Submit(value)));
            if ghost.retries < scope.retries {
                (0..scope.updates).filter(submitted).for_each(|value| add(Input::Submit(value)));
            }
        }
        if !node.unwritten.is_empty() {
            add(Input::Flush);
        }
        // Of a state machine that no client has changed, nobody takes a snapshot.
        let (applied, base) = (node.replica.applied(), node.replica.history().base());
        if node.compactions < scope.compactions && applied.0 > scope.sessions() && applied > base {
            add(Input::Compact);
        }
        let wipes: u8 = self.servers().map(|server| state.nodes[usize::from(server.0)].wipes).sum();
        if wipes < scope.wipes {
            add(Input::Wipe);
        }
        let damages: u8 = self.servers().map(|server| state.nodes[usize::from(server.0)].damages).sum();
        if damages < scope.damages {
            let (kept, last) = (base.max(Slot(scope.sessions())), node.replica.history().last());
            [(false, last > kept), (true, base > Slot::NONE)]
                .into_iter()
                .filter(|&(_, possible)| possible)
                .for_each(|(snapshot, _)| add(Input::Damage(snapshot)));
        }
        if let Some(astray) = scope.astray {
            let doubts: u8 = self.servers().map(|server| state.nodes[usize::from(server.0)].doubts).sum();
            let (doubted, others) = (node.replica.doubted(), astray.doubted_by(server, scope.servers));
            if doubts < astray.doubts {
                add(Input::Doubt(if doubted == others { ServerSet::EMPTY } else { others }));
            }
        }
        if node.replica.repairing().is_some() {
            add(Input::Retry);
        }
        let recovering = node.replica.recovering();
        if recovering.and_then(|recovering| recovering.until).is_some_and(|until| until <= NOW) {
            add(Input::Retry);
        }
        let crashes: u8 = self.servers().map(|server| state.nodes[usize::from(server.0)].crashes).sum();
        if node.crashes < scope.crashes && scope.crashes_together.is_none_or(|limit| crashes < limit) {
            let unwritten = u8::try_from(node.unwritten.len()).unwrap_or(u8::MAX);
            (0..=unwritten).for_each(|kept| add(Input::Crash(kept)));
        }
    }

    /// Whether a server may attempt its next view within the bounds.
    fn may_stand(&self, state: &State, server: ServerId) -> bool {
        if self.scope.candidates.is_some_and(|candidates| server.0 >= candidates) {
            return false;
        }
        let view = state.nodes[usize::from(server.0)].replica.next_view();
        let mut elections = 0;
        for other in self.servers() {
            let other_node = &state.nodes[usize::from(other.0)];
            elections += other_node.elections;
            // Servers are interchangeable. Where each stands at most once, let those with higher ids attempt the higher
            // views: every other run is one of these with the servers renamed.
            let attempted = other_node.replica.durable().attempted;
            let ordered =
                other == server || other_node.elections == 0 || (other < server) == (attempted < view);
            if self.symmetric && !ordered {
                return false;
            }
        }
        elections < self.scope.views
    }

    /// Elects the first server.
    fn begin(&self, state: State) -> State {
        let leader = ServerId(0);
        let leads = |state: &State| matches!(state.nodes[0].replica.role(), Role::Leading(_));
        let mut state = self.at(&state, leader, Input::Elect).unwrap_or(state);
        while !leads(&state) {
            let mut next = self.in_flight(&state).into_iter().filter_map(|message| {
                self.at(&state, message.to, Input::Deliver(message)).filter(|next| next.nodes != state.nodes)
            });
            state = next.next().unwrap_or_else(|| panic!("scope {}: nobody is elected", self.scope.name));
        }
        state
    }

    /// A state after a step at one server, before anybody looks; none if it is outside the scope.
    pub(crate) fn move_one(&self, state: &State, server: ServerId, local: &Local) -> Option<State> {
        if local.outside {
            return None;
        }
        let mut next = *state;
        next.nodes[usize::from(server.0)] = local.node;
        for &message in &local.sent {
            if message.0.index >= MESSAGES_MAX {
                self.overflow.store(true, Ordering::Relaxed);
                return None;
            }
            next.messages.insert(message);
        }
        Some(next)
    }

    /// What an observer knows after a step; `after` still has the old ghost.
    pub(crate) fn observe(
        &self,
        before: &State,
        after: &State,
        server: ServerId,
        input: Input,
        local: &'static Local,
    ) -> GhostRef {
        let in_flight = || self.stepper.messages(before.messages.indices());
        self.observer.observe(before, after, server, input, local, (self.stepper.machine(), &in_flight))
    }

    /// Whether dead messages are dropped.
    pub(crate) fn drops_dead(&self) -> bool {
        self.drop_dead
    }

    fn at(&self, state: &State, server: ServerId, input: Input) -> Option<State> {
        let local = self.local(state, server, input);
        let mut next = self.move_one(state, server, local)?;
        next.ghost = self.observe(state, &next, server, input, local);
        self.probe(state, &next, server, input, local);
        if next.nodes == state.nodes && next.messages == state.messages && next.ghost == state.ghost {
            return None;
        }
        if self.drop_dead {
            self.drop_dead(&mut next, server);
        }
        Some(next)
    }

    /// Drops what the change of one server made dead.
    fn drop_dead(&self, state: &mut State, server: ServerId) {
        let before: MessageSet = state.messages;
        for message in self.stepper.messages(before.indices()) {
            if (message.to == server || message.from == server)
                && reduction::dead(state, message, self.scope.compactions > 0)
            {
                state.messages.remove(message);
            }
        }
    }

    pub(crate) fn probe(&self, before: &State, after: &State, server: ServerId, input: Input, local: &Local) {
        let reached = self.reached.load(Ordering::Relaxed);
        if reached == self.wanted {
            return;
        }
        let witness = Witness { before, after, server, input, local };
        for (index, probe) in probes::PROBES.iter().enumerate() {
            if self.wanted & !reached & (1 << index) != 0 && (probe.witnessed)(&witness) {
                self.reached.fetch_or(1 << index, Ordering::Relaxed);
            }
        }
    }
}

impl Model for System {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let first = self.stepper.first(ServerId(0));
        let mut nodes = [first; SERVERS_MAX];
        for server in self.servers() {
            nodes[usize::from(server.0)] = self.stepper.first(server);
        }
        let state =
            State { nodes, messages: MessageSet::default(), ghost: self.observer.first(Ghost::default()) };
        vec![if self.scope.begun { self.begin(state) } else { state }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(
            self.in_flight(state).into_iter().map(|message| Action::At(message.to, Input::Deliver(message))),
        );
        for server in self.servers() {
            let node = state.nodes[usize::from(server.0)];
            self.inputs(state, server, node, &mut |input| actions.push(Action::At(server, input)));
        }
        if self.scope.lease.is_some() {
            actions.extend(self.tickings(state).map(Action::Tick));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        match action {
            Action::At(server, input) => self.at(state, server, input),
            Action::Tick(passing) => self.tick(state, passing, |node, input| self.stepper.step(node, input)),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::properties().into_iter().filter(|property| self.judges(property.name)).collect()
    }

    fn format_action(&self, action: &Action) -> String {
        crate::words::action(*action)
    }

    fn format_step(&self, state: &State, action: Action) -> Option<String> {
        let next = self.next_state(state, action)?;
        Some(crate::words::step(self, state, action, &next).join("\n"))
    }

    fn as_svg(&self, path: Path<State, Action>) -> Option<String> {
        Some(crate::diagram::svg(self, &path.into_vec()))
    }
}
