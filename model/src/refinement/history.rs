//! The whole state of the machine along a run, by the terms of its file: each action that a step is, its guards evaluated
//! and its `set`s carried out. What a state of the model shows of it must be what the file makes of it.
//!
//! Time is counted in units of which a tick of the model takes as many as the product of the slow and the fast step of a
//! clock; so the true time that any span of any clock can take is a whole number.

use std::collections::{BTreeMap, BTreeSet};

use spec::{Effect, LocalTime, Message, Paxos, Phase, Rules, ServerId, ServerSet, Slot, View};

use super::abstraction::{floor, leading, view_of};
use super::act::{ACTIONS, Act, When};
use super::guards::{Guard, Refused};
use super::interpret::{Structure, Value};
use crate::proof::ast::Machine;
use crate::scope::Scope;
use crate::state::{Choice, NOW, Node, State};
use crate::step::Input;
use crate::system::{Action, System};

/// A run: states, each with the action that leads on.
pub type Run = [(State, Option<Action>)];

/// The machine beside a run.
pub struct History<'a> {
    structure: Structure<'a>,
    scope: Scope,
    views: Vec<View>,
    values: Vec<Choice>,
    /// How long the slowest clock takes for one unit of its own, and the fastest.
    rates: (i64, i64),
    now: i64,
}

fn element(value: impl Into<u64>) -> Value {
    Value::Element(value.into())
}

/// The sets of servers that make a quorum, and have no member to spare.
fn quorums(scope: &Scope, phase: Phase) -> Vec<u64> {
    let config = scope.config(ServerId(0));
    let is_quorum = |mask: u64| Paxos.is_quorum(&config, phase, members(mask));
    let all = 0..1_u64 << scope.servers;
    let spare =
        |mask: u64| (0..scope.servers).any(|id| mask & (1 << id) != 0 && is_quorum(mask & !(1 << id)));
    all.filter(|&mask| is_quorum(mask) && !spare(mask)).collect()
}

fn members(mask: u64) -> ServerSet {
    (0..64).filter(|id| mask & (1 << id) != 0).map(ServerId).collect()
}

fn mask(members: ServerSet) -> u64 {
    (0..64).filter(|&id| members.contains(ServerId(id))).map(|id| 1 << id).sum()
}

/// What is done at each step: by whom, and when.
fn acts(system: &System, state: &State, action: Action) -> Vec<(ServerId, When, Act)> {
    let of = |server: ServerId, input: Input| {
        let acts = system.local(state, server, input).acts.iter().cloned();
        acts.map(|(when, act)| (server, when, act)).collect::<Vec<_>>()
    };
    match action {
        Action::At(server, input) => of(server, input),
        Action::Tick(passing) => {
            let Some(clocks) = system.scope.lease else { return Vec::new() };
            let step = |server| passing.step(server, clocks, system.scope.astray);
            let mut all: Vec<_> =
                system.servers().flat_map(|server| of(server, Input::Tick(step(server)))).collect();
            // Time passes once.
            let mut ticked = false;
            all.retain(|(.., act)| *act != Act::Tick || !std::mem::replace(&mut ticked, true));
            all
        }
    }
}

/// The elements that a run is about.
#[derive(Default)]
struct Elements {
    views: BTreeSet<View>,
    slots: BTreeSet<u64>,
    values: BTreeSet<Choice>,
    rounds: BTreeSet<u64>,
    /// The term that the leader of each view asks for, on its own clock.
    terms: BTreeMap<View, i64>,
}

impl Elements {
    fn of(system: &System, run: &Run) -> Self {
        let mut all = Self::default();
        for (state, action) in run {
            let Some(action) = action else { continue };
            for (.., act) in acts(system, state, *action) {
                all.add(&act);
            }
            if let Action::At(server, input) = action {
                for effect in &system.local(state, *server, *input).effects {
                    if let Effect::Send { message: Message::Renew { view, term, .. }, .. } = effect {
                        all.terms.insert(*view, term.0);
                    }
                }
            }
        }
        all
    }

    fn add(&mut self, act: &Act) {
        let (view, slot, value, round) = match *act {
            Act::Attempt { view }
            | Act::Leave { view }
            | Act::Promise { view }
            | Act::Establish { view, .. }
            | Act::Forget { view }
            | Act::Restart { view, .. } => (Some(view), None, None, None),
            Act::Propose { slot, view, value }
            | Act::Vote { slot, view, value }
            | Act::Follow { slot, view, value }
            | Act::Choose { slot, view, value, .. } => (Some(view), Some(slot), Some(value), None),
            Act::Learn { slot, value } => (None, Some(slot), value, None),
            Act::Mark { slot, view, value } => (Some(view), Some(slot), value, None),
            Act::Acknowledge { slot, value } => (None, Some(slot), Some(value), None),
            Act::Tick => (None, None, None, None),
            Act::Request { view, round }
            | Act::Grant { view, round, .. }
            | Act::Regrant { view, round, .. }
            | Act::Hold { view, round, .. }
            | Act::Serve { view, round, .. } => {
                (Some(view), None, None, Some(round).filter(|&round| round > 0))
            }
            Act::Confirm { view, round, .. } => (Some(view), None, None, round),
        };
        self.views.extend(view);
        self.slots.extend(slot.map(|slot| slot.0));
        self.values.extend(value);
        self.rounds.extend(round);
    }
}

impl<'a> History<'a> {
    /// The machine before a run begins.
    pub fn new(machine: &'a Machine, system: &System, run: &Run) -> Self {
        let all = Elements::of(system, run);
        let (slow, fast) =
            system.scope.lease.map_or((1, 1), |clocks| (clocks.slow.into(), clocks.fast.into()));
        let views: Vec<View> = all.views.into_iter().collect();
        let leaders: Vec<ServerId> = views.iter().map(|view| view.leader).collect();
        let terms: Vec<i64> =
            views.iter().map(|view| all.terms.get(view).map_or(0, |term| term * fast)).collect();
        let values: Vec<Choice> = all.values.into_iter().collect();
        let domains = machine.sorts.iter().map(|sort| match sort.name.as_str() {
            "server" => (0..u64::from(system.scope.servers)).collect(),
            "view" => (0..views.len() as u64).collect(),
            "slot" => all.slots.iter().copied().collect(),
            "value" => (0..values.len() as u64).collect(),
            "round" => all.rounds.iter().copied().collect(),
            "phase1" => quorums(&system.scope, Phase::One),
            "phase2" => quorums(&system.scope, Phase::Two),
            other => panic!("what is a {other}?"),
        });
        let rigid = move |name: &str, arguments: &[Value]| {
            let numbers: Vec<u64> = arguments
                .iter()
                .map(|argument| match argument {
                    Value::Element(element) => *element,
                    _ => panic!("{name} is a function of elements"),
                })
                .collect();
            let view = || usize::try_from(numbers[0]).expect("it is an index");
            match name {
                "leader" => element(leaders[view()].0),
                "below" | "under" | "earlier" => Value::Truth(numbers[0] < numbers[1]),
                "in1" | "in2" => Value::Truth(numbers[1] & (1 << numbers[0]) != 0),
                "meet" => element(u64::from((numbers[0] & numbers[1]).trailing_zeros())),
                "term" => Value::Number(terms[view()]),
                other => panic!("what is {other}?"),
            }
        };
        let structure = Structure::new(machine, domains.collect(), rigid);
        Self { structure, scope: system.scope.clone(), views, values, rates: (slow, fast), now: 0 }
    }

    fn view(&self, view: View) -> Value {
        let place = self.views.iter().position(|&known| known == view);
        place.map_or_else(|| panic!("view {view} is not of this run"), |place| element(place as u64))
    }

    fn choice(&self, value: Choice) -> Value {
        let place = self.values.iter().position(|&known| known == value);
        place.map_or(element(u64::MAX), |place| element(place as u64))
    }

    /// The true time at which a local one is reached, by a clock of so many units in a tick.
    fn moment(&self, local: LocalTime, other_rate: i64) -> i64 {
        self.now + (local - NOW).0 * other_rate
    }

    fn guard_holds(&self, action: usize, guard: usize, arguments: &[Value]) -> bool {
        let action = self.structure.machine.action(ACTIONS[action]).expect("the file has this action");
        self.structure.value(&action.guards[guard].term, &mut arguments.to_vec()).holds()
    }

    /// The actions that a step is, by name.
    pub fn names(&self, system: &System, state: &State, action: Action) -> Vec<&'static str> {
        let taken = acts(system, state, action)
            .into_iter()
            .filter(|(_, when, _)| matches!(when, When::Now | When::Written));
        taken.map(|(.., act)| ACTIONS[act.action()]).collect()
    }

    /// Makes a step; what the file has against it, if it has.
    ///
    /// # Errors
    /// The guard that does not hold.
    pub fn step(&mut self, system: &System, state: &State, action: Action) -> Result<(), Refused> {
        for (server, when, act) in acts(system, state, action) {
            match when {
                When::Announced => {}
                When::Counted => self.counted(&act)?,
                When::Now | When::Written => self.take(server, &act)?,
            }
        }
        Ok(())
    }

    /// One member of a quorum: what the guard says of the quorum of it alone.
    fn counted(&self, act: &Act) -> Result<(), Refused> {
        let arguments = match *act {
            Act::Establish { view, quorum } => vec![self.view(view), element(mask(quorum))],
            Act::Choose { slot, view, value, quorum } => {
                vec![element(slot.0), self.view(view), self.choice(value), element(mask(quorum))]
            }
            Act::Hold { view, round, quorum, .. } => {
                vec![self.view(view), element(round), element(mask(quorum))]
            }
            _ => return Ok(()),
        };
        if self.guard_holds(act.action(), 0, &arguments) {
            Ok(())
        } else {
            Err(refused(ACTIONS[act.action()], "quorum"))
        }
    }

    /// Takes an action, with any quorum and any value for which the guards hold, where the step does not say which.
    fn take(&mut self, server: ServerId, act: &Act) -> Result<(), Refused> {
        let machine = self.structure.machine;
        let action = machine.action(ACTIONS[act.action()]).expect("the file has this action");
        let mut worst = None;
        for arguments in self.arguments(server, act) {
            let fails =
                (0..action.guards.len()).find(|&guard| !self.guard_holds(act.action(), guard, &arguments));
            let Some(guard) = fails else {
                self.structure.state = self.structure.after(action, &arguments);
                self.now = self.now_of_state();
                return self.relies(act);
            };
            worst = worst.max(Some(guard));
        }
        let guard = worst.map_or("quorum", |guard| action.guards[guard].name.as_str());
        Err(refused(&action.name, guard))
    }

    fn now_of_state(&self) -> i64 {
        match self.structure.says("now", &[]) {
            Value::Number(now) => now,
            other => panic!("now is {other:?}"),
        }
    }

    /// A holder will serve reads up to the last moment before the end that it believes in.
    fn relies(&mut self, act: &Act) -> Result<(), Refused> {
        let Act::Hold { view, round, until: Some(until), .. } = *act else { return Ok(()) };
        let tick = self.rates.0 * self.rates.1;
        let last = (self.moment(until, self.rates.1) - 1).div_euclid(tick) * tick;
        if last < self.now {
            return Ok(());
        }
        self.structure.set("now", Value::Number(last));
        let in_time = Guard::at("serve", "in-time");
        let serve = ACTIONS.iter().position(|&name| name == "serve").expect("it is one");
        let place = self
            .structure
            .machine
            .action("serve")
            .and_then(|serve| serve.guards.iter().position(|guard| guard.name == "in-time"));
        let holds = self.guard_holds(
            serve,
            place.expect("it is one"),
            &[self.view(view), element(round), element(0_u64)],
        );
        self.structure.set("now", Value::Number(self.now));
        if holds { Ok(()) } else { Err(Refused::Guard(in_time)) }
    }

    fn quorums_in(&self, sort: &str, all: ServerSet) -> Vec<Value> {
        let place = self.structure.machine.sorts.iter().position(|known| known.name == sort);
        let domain = &self.structure.domains[place.expect("it is a sort")];
        domain.iter().filter(|&&quorum| quorum & !mask(all) == 0).map(|&quorum| element(quorum)).collect()
    }

    fn every(&self) -> ServerSet {
        (0..self.scope.servers).map(ServerId).collect()
    }

    /// The arguments of an action, as the file has them: one list for each quorum, or value, that there may be.
    fn arguments(&self, server: ServerId, act: &Act) -> Vec<Vec<Value>> {
        let n = element(server.0);
        let with = |quorums: Vec<Value>, before: &[Value], behind: &[Value]| {
            quorums.into_iter().map(|quorum| [before, &[quorum], behind].concat()).collect()
        };
        match *act {
            Act::Attempt { view } | Act::Leave { view } => vec![vec![self.view(view)]],
            Act::Promise { view } | Act::Forget { view } => vec![vec![n, self.view(view)]],
            Act::Establish { view, quorum } => {
                with(self.quorums_in("phase1", quorum), &[self.view(view)], &[])
            }
            Act::Propose { slot, view, value } => {
                let before = [element(slot.0), self.view(view), self.choice(value)];
                with(self.quorums_in("phase1", self.every()), &before, &[])
            }
            Act::Vote { slot, view, value } | Act::Follow { slot, view, value } => {
                vec![vec![n, element(slot.0), self.view(view), self.choice(value)]]
            }
            Act::Choose { slot, view, value, quorum } => {
                let before = [element(slot.0), self.view(view), self.choice(value)];
                with(self.quorums_in("phase2", quorum), &before, &[])
            }
            Act::Learn { slot, value } => vec![vec![n, element(slot.0), self.value_or_decided(slot, value)]],
            Act::Mark { slot, view, value } => {
                vec![vec![element(slot.0), self.view(view), self.value_or_decided(slot, value)]]
            }
            Act::Acknowledge { slot, value } => vec![vec![element(slot.0), self.choice(value)]],
            Act::Tick => vec![vec![Value::Number(self.now + self.rates.0 * self.rates.1)]],
            Act::Request { view, round } => vec![vec![self.view(view), element(round)]],
            Act::Grant { view, round, until } => {
                let until = Value::Number(self.moment(until, self.rates.0));
                vec![vec![n, self.view(view), element(round), until]]
            }
            Act::Regrant { view, round, later } => {
                vec![vec![n, self.view(view), element(round), element(later)]]
            }
            Act::Hold { view, round, quorum, .. } => {
                with(self.quorums_in("phase2", quorum), &[self.view(view), element(round)], &[])
            }
            Act::Restart { view, until } => {
                vec![vec![n, self.view(view), Value::Number(self.moment(until, self.rates.0))]]
            }
            Act::Serve { view, round, slot } => vec![vec![self.view(view), element(round), element(slot.0)]],
            Act::Confirm { view, round, slot } => {
                let round = element(round.unwrap_or(u64::MAX));
                with(self.quorums_in("phase2", self.every()), &[self.view(view), round], &[element(slot.0)])
            }
        }
    }

    /// What a snapshot stands for is what was chosen, whatever that was.
    fn value_or_decided(&self, slot: Slot, value: Option<Choice>) -> Value {
        let decided = || {
            let mut chosen = self.structure.all("chosen");
            chosen.find(|arguments| arguments[0] == element(slot.0)).map(|arguments| arguments[2])
        };
        value.map(|value| self.choice(value)).or_else(decided).unwrap_or(element(u64::MAX))
    }

    /// The invariants of the file that do not hold.
    pub fn broken_invariants(&self) -> Vec<&str> {
        let holds = |term| self.structure.value(term, &mut Vec::new()).holds();
        let all = self.structure.machine.invariants.iter().chain(&self.structure.machine.properties);
        all.filter(|invariant| !holds(&invariant.term)).map(|invariant| invariant.name.as_str()).collect()
    }

    /// What a state of the model shows otherwise than the file's state has it.
    pub fn differs(&self, state: &State) -> Option<String> {
        let nodes = (0..self.scope.servers).zip(&state.nodes);
        nodes.map(|(id, node)| (element(id), node)).find_map(|(n, node)| {
            let checks = [
                self.left(n, node),
                self.disk(n, node),
                self.learnt(n, node),
                self.acting(node),
                self.remembered(n, node),
                self.held(node),
            ];
            let names = ["left", "disk", "learnt", "quit", "ends", "held"];
            let wrong = names.into_iter().zip(checks).find(|(_, right)| !right)?;
            Some(wrong.0.to_string())
        })
    }

    fn says(&self, name: &str, arguments: &[Value]) -> bool {
        self.structure.says(name, arguments).holds()
    }

    fn left(&self, n: Value, node: &Node) -> bool {
        let floor = floor(&node.durable);
        self.views.iter().all(|&view| self.says("left", &[n, self.view(view)]) == (view < floor))
    }

    fn disk(&self, n: Value, node: &Node) -> bool {
        let history = &node.durable.history;
        let votes = history.above(Slot(self.scope.sessions())).filter(|(_, entry)| !entry.committed);
        let shown = votes.filter(|(_, entry)| entry.view > View::NONE).all(|(slot, entry)| {
            let vote = [n, element(slot.0), self.view(entry.view), self.choice(Choice::from(&entry.command))];
            self.says("disk", &vote) && self.says("voted", &vote)
        });
        let stays = self.structure.all("disk").filter(|vote| vote[0] == n).all(|vote| {
            let Value::Element(slot) = vote[1] else { return false };
            history.is_committed(Slot(slot))
                || history.entry(Slot(slot)).is_some_and(|entry| self.view(entry.view) == vote[2])
        });
        shown && stays
    }

    fn learnt(&self, n: Value, node: &Node) -> bool {
        let history = node.replica.history();
        let mut learnt = history.above(Slot(self.scope.sessions())).filter(|(_, entry)| entry.committed);
        learnt.all(|(slot, entry)| {
            self.says("learnt", &[n, element(slot.0), self.choice(Choice::from(&entry.command))])
        })
    }

    /// A server acts in the view that it prepares or leads, and in no other that it stood for.
    fn acting(&self, node: &Node) -> bool {
        let me = node.replica.config().me;
        let own = self.views.iter().filter(|view| view.leader == me);
        let acts = |view: View| view_of(node) == Some(view);
        let attempted = |view| self.says("attempted", &[self.view(view)]);
        let led = view_of(node)
            .is_none_or(|view| leading(node, view).is_none() || self.says("established", &[self.view(view)]));
        led && own
            .copied()
            .all(|view| !attempted(view) || acts(view) != self.says("quit", &[self.view(view)]))
    }

    /// A grant lasts at least as long as the machine takes it to last. What waits for the disk it does not know yet.
    fn remembered(&self, n: Value, node: &Node) -> bool {
        let Value::Number(ends) = self.structure.says("ends", &[n]) else { return false };
        let all = self.structure.all("remembers").filter(|remembered| remembered[0] == n);
        let waits = node.held.iter().any(|held| matches!(held.message, Message::Grant { .. }));
        let views: Vec<Value> = all.map(|remembered| remembered[1]).collect();
        ends <= self.now
            || waits
            || node.replica.grant().is_some_and(|grant| {
                views == [self.view(grant.view)] && self.moment(grant.until, self.rates.0) >= ends
            })
    }

    /// A holder relies on a round that was held, and no longer than its term after the request.
    fn held(&self, node: &Node) -> bool {
        let Some((view, until)) =
            view_of(node).and_then(|view| Some((view, leading(node, view)?.lease.until?)))
        else {
            return true;
        };
        let rounds = self.structure.all("held").filter(|held| held[0] == self.view(view));
        let ends = rounds.map(|held| {
            let (at, term) = (self.structure.says("at", held), (self.structure.rigid)("term", &held[..1]));
            match (at, term) {
                (Value::Number(at), Value::Number(term)) => at + term,
                _ => i64::MIN,
            }
        });
        until <= NOW || ends.max().is_some_and(|end| self.moment(until, self.rates.1) <= end)
    }
}

/// The refusal by a guard of the file.
fn refused(action: &str, guard: &str) -> Refused {
    Refused::Guard(Guard::at(action, guard))
}
