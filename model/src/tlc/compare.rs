//! Counts distinct projected states, and holds them against those that TLC has written down.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::io::BufRead;

use stateright::Model;

use super::projection::{OBSERVED, Projection};
use super::value::{Value, read_state};
use crate::state::State;
use crate::system::System;

/// A projected state: places in the lists of projected servers, messages and ghosts.
type Key = (Vec<usize>, Vec<usize>, usize);

/// The reachable states of a scope and their projections.
pub struct Projected {
    /// Different states.
    pub distinct: usize,
    projector: Projector,
    keys: HashSet<Key>,
}

/// Where two checkers differ.
#[derive(Default)]
pub struct Difference {
    /// States that TLC has and the model has not.
    pub only_tlc: Vec<String>,
    /// States that the model has and TLC has not.
    pub only_model: Vec<String>,
}

impl Difference {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.only_tlc.is_empty() && self.only_model.is_empty()
    }
}

/// Explores every reachable state, and projects each.
pub fn project(system: &System) -> Projected {
    let mut projector = Projector::new(system);
    let (mut known, mut keys) = (HashSet::new(), HashSet::new());
    let mut queue: VecDeque<State> = system.init_states().into();
    known.extend(&queue);
    while let Some(state) = queue.pop_front() {
        keys.insert(projector.key(system, &state));
        for next in system.next_states(&state) {
            if known.insert(next) {
                queue.push_back(next);
            }
        }
    }
    Projected { distinct: known.len(), projector, keys }
}

impl Projected {
    /// How many different projected states there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The projected states in the form in which TLC writes states down.
    pub fn dump(&self) -> String {
        let states: BTreeSet<_> = self.keys.iter().map(|key| self.projector.text(key)).collect();
        (1..).zip(states).map(|(number, state)| format!("State {number}:\n{state}\n")).collect()
    }

    /// Holds the projected states against the states of a dump of TLC (`-dump`).
    ///
    /// # Errors
    /// If the dump cannot be read, with the number of its line.
    pub fn against(&self, dump: impl BufRead) -> Result<Difference, String> {
        const STATE: &str = "State ";
        let mut difference = Difference::default();
        let mut seen = HashSet::new();
        let (mut text, mut begun) = (String::new(), 1);
        for (number, line) in (1..).zip(dump.lines()) {
            let line = line.map_err(|error| format!("line {number}: {error}"))?;
            if line.starts_with(STATE) {
                self.look_up(&text, begun, &mut seen, &mut difference)?;
                text.clear();
                begun = number;
            } else {
                text += &line;
                text.push('\n');
            }
        }
        self.look_up(&text, begun, &mut seen, &mut difference)?;
        let missing = self.keys.iter().filter(|key| !seen.contains(*key));
        difference.only_model = missing.map(|key| self.projector.text(key)).collect();
        difference.only_model.sort();
        Ok(difference)
    }

    fn look_up(
        &self,
        text: &str,
        line: usize,
        seen: &mut HashSet<Key>,
        difference: &mut Difference,
    ) -> Result<(), String> {
        if text.trim().is_empty() {
            return Ok(());
        }
        let state = read_state(text).map_err(|error| format!("the state at line {line}: {error}"))?;
        match self.projector.known(&state).filter(|key| self.keys.contains(key)) {
            Some(key) => {
                seen.insert(key);
            }
            None => difference.only_tlc.push(lines(state.iter())),
        }
        Ok(())
    }
}

/// Projects states; each server, message and ghost once.
struct Projector {
    projection: Projection,
    servers: usize,
    nodes: List,
    messages: List,
    ghosts: List,
}

impl Projector {
    fn new(system: &System) -> Self {
        Self {
            projection: Projection::new(&system.scope),
            servers: system.servers().count(),
            nodes: List::default(),
            messages: List::default(),
            ghosts: List::default(),
        }
    }

    fn key(&mut self, system: &System, state: &State) -> Key {
        let Self { projection, nodes, messages, ghosts, .. } = self;
        let nodes = state.nodes[..self.servers]
            .iter()
            .map(|node| nodes.place(std::ptr::from_ref(&**node) as usize, || projection.node(node)))
            .collect();
        let mut in_flight: Vec<_> = system
            .in_flight(state)
            .iter()
            .map(|it| messages.place(std::ptr::from_ref(&**it) as usize, || projection.message(it)))
            .collect();
        in_flight.sort_unstable();
        let ghost = ghosts.place(std::ptr::from_ref(&*state.ghost) as usize, || {
            Value::sequence(projection.ghost(&state.ghost))
        });
        (nodes, in_flight, ghost)
    }

    /// The key of a state as TLC has it; none if a part of it occurs in no state of the model.
    fn known(&self, state: &BTreeMap<String, Value>) -> Option<Key> {
        let Value::Function(servers) = state.get("server")? else { return None };
        let nodes = servers.values().map(|server| self.nodes.known(server)).collect::<Option<_>>()?;
        let Value::Set(network) = state.get("network")? else { return None };
        let mut in_flight =
            network.iter().map(|message| self.messages.known(message)).collect::<Option<Vec<_>>>()?;
        in_flight.sort_unstable();
        let observed = OBSERVED.iter().map(|name| state.get(*name).cloned()).collect::<Option<Vec<_>>>()?;
        Some((nodes, in_flight, self.ghosts.known(&Value::sequence(observed))?))
    }

    fn text(&self, (nodes, in_flight, ghost): &Key) -> String {
        let servers = (0..).map(Value::Number).zip(nodes.iter().map(|&at| self.nodes.values[at].clone()));
        let network = in_flight.iter().map(|&at| self.messages.values[at].clone());
        let mut state = BTreeMap::from([
            ("server".to_string(), Value::function(servers)),
            ("network".to_string(), Value::set(network)),
        ]);
        if let Value::Function(observed) = &self.ghosts.values[*ghost] {
            state.extend(OBSERVED.iter().map(ToString::to_string).zip(observed.values().cloned()));
        }
        lines(state.iter())
    }
}

/// A state in the form of TLC, a variable a line.
fn lines<'a>(state: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    state.map(|(name, value)| format!("/\\ {name} = {value}\n")).collect()
}

/// Different projected values, each with its place.
#[derive(Default)]
struct List {
    values: Vec<Value>,
    places: BTreeMap<Value, usize>,
    /// Places of what has been projected already, by its address: what is interned stays where it is.
    by_address: HashMap<usize, usize>,
}

impl List {
    fn place(&mut self, address: usize, project: impl FnOnce() -> Value) -> usize {
        if let Some(&place) = self.by_address.get(&address) {
            return place;
        }
        let value = project();
        let place = *self.places.entry(value.clone()).or_insert_with(|| {
            self.values.push(value);
            self.values.len() - 1
        });
        self.by_address.insert(address, place);
        place
    }

    fn known(&self, value: &Value) -> Option<usize> {
        self.places.get(value).copied()
    }
}
