//! What one thread of the search remembers, and how it expands a state with it: the very transitions of
//! [`System::next_state`](stateright::Model::next_state), without asking the handlers, or anybody else, twice.
//!
//! There are a few thousand different servers and a few hundred different messages where there are millions of states.
//! So for each server there is a row with the outcome of each input, with the deliveries that change nothing, and with
//! what the server says about messages being dead. The successors of a state are read off the rows of its servers.

use std::collections::HashMap;

use spec::ServerId;
use stateright::Model;

use crate::engine::Space;
use crate::observe;
use crate::reduction;
use crate::scope::SERVERS_MAX;
use crate::state::{GhostRef, MESSAGES_MAX, MessageRef, MessageSet, NodeRef, State, WORDS, ones};
use crate::step::{Input, Local};
use crate::system::{Action, System};

/// Messages by their indices.
type Bits = [u64; WORDS];

/// What one thread remembers.
#[derive(Default)]
pub struct Worker {
    nodes: Vec<NodeRef>,
    messages: Vec<MessageRef>,
    ghosts: Vec<GhostRef>,
    rows: Vec<Option<Box<Row>>>,
    /// The messages to each server.
    addressed: [Bits; SERVERS_MAX],
    /// The properties that are broken, by what they look at.
    verdicts: HashMap<[u32; SERVERS_MAX + 1], u64>,
}

/// What is known of one server in one state.
struct Row {
    delivered: Vec<Option<&'static Local>>,
    /// Deliveries that change nothing, or lead out of the scope.
    idle: Bits,
    others: Vec<(Input, &'static Local)>,
    says: Says,
    /// So many messages have been asked about.
    asked: usize,
}

/// The messages that a server, or several, say are dead, by reason (see [`reduction`]).
#[derive(Clone, Copy, Default)]
struct Says {
    sender: [Bits; 2],
    receiver: [Bits; 2],
}

impl Says {
    fn join(&mut self, other: &Self, words: usize) {
        for reason in 0..2 {
            for word in 0..words {
                self.sender[reason][word] |= other.sender[reason][word];
                self.receiver[reason][word] |= other.receiver[reason][word];
            }
        }
    }

    /// The messages of a word that both ends call dead, if `self` and `other` have all servers between them.
    fn dead(&self, other: &Self, word: usize) -> u64 {
        let reason = |reason: usize| {
            (self.sender[reason][word] | other.sender[reason][word])
                & (self.receiver[reason][word] | other.receiver[reason][word])
        };
        reason(0) | reason(1)
    }
}

impl Row {
    fn new() -> Self {
        Self { delivered: Vec::new(), idle: [0; WORDS], others: Vec::new(), says: Says::default(), asked: 0 }
    }

    /// Asks the server about messages that are new since it was last asked.
    fn ask(&mut self, system: &System, node: NodeRef, messages: &[MessageRef]) {
        let me = node.replica.config().me;
        for message in &messages[self.asked..] {
            let (word, bit) = (message.0.index / 64, message.0.index % 64);
            if message.from == me {
                let says = reduction::sender_says(&node, message, system.scope.compactions > 0);
                (0..2).for_each(|reason| self.says.sender[reason][word] |= u64::from(says[reason]) << bit);
            }
            if message.to == me {
                let says = reduction::receiver_says(&node, message);
                (0..2).for_each(|reason| self.says.receiver[reason][word] |= u64::from(says[reason]) << bit);
            }
        }
        self.asked = messages.len();
    }
}

impl Worker {
    /// Learns of servers, messages and ghosts that are new.
    fn update(&mut self, system: &System) {
        let known = self.messages.len();
        system.update(&mut self.nodes, &mut self.messages, &mut self.ghosts);
        for message in &self.messages[known..] {
            if message.0.index < MESSAGES_MAX {
                self.addressed[usize::from(message.to.0)][message.0.index / 64] |=
                    1 << (message.0.index % 64);
            }
        }
        self.messages.truncate(MESSAGES_MAX);
        self.rows.resize_with(self.nodes.len(), || None);
    }

    fn words(&self) -> usize {
        self.messages.len().div_ceil(64)
    }

    /// Makes sure that what a step sends is known; whether it was not.
    fn learns(&mut self, system: &System, local: &Local) -> bool {
        let new = local.sent.iter().any(|message| message.0.index >= self.messages.len());
        if new {
            self.update(system);
        }
        new
    }

    /// The row of a server, up to date.
    fn row(&mut self, system: &System, node: NodeRef) -> &mut Row {
        if node.0.index >= self.rows.len() {
            self.update(system);
        }
        let row = self.rows[node.0.index].get_or_insert_with(|| Box::new(Row::new()));
        if row.asked < self.messages.len() {
            row.ask(system, node, &self.messages);
        }
        row
    }

    /// What the delivery of a message does.
    fn delivered(&mut self, system: &System, node: NodeRef, index: usize) -> &'static Local {
        let message = self.messages[index];
        let row = self.row(system, node);
        if row.delivered.len() <= index {
            row.delivered.resize(index + 1, None);
        }
        row.delivered[index].unwrap_or_else(|| {
            let local = system.step(node, Input::Deliver(message));
            let changes = local.node != node || !local.sent.is_empty() || !local.events.is_empty();
            if local.outside || !changes {
                row.idle[index / 64] |= 1 << (index % 64); // But now it is carried out once, for the probes.
            }
            row.delivered[index] = Some(local);
            local
        })
    }

    /// What another input does.
    fn local(&mut self, system: &System, node: NodeRef, input: Input) -> &'static Local {
        let row = self.row(system, node);
        if let Some((_, local)) = row.others.iter().find(|(known, _)| *known == input) {
            return local;
        }
        let local = system.step(node, input);
        row.others.push((input, local));
        local
    }

    /// What all servers but one say about dead messages.
    fn others_say(&mut self, system: &System, state: &State, server: ServerId) -> Says {
        let mut says = Says::default();
        for other in system.servers().filter(|&other| other != server) {
            let row_says = self.row(system, state.nodes[usize::from(other.0)]).says;
            says.join(&row_says, self.words());
        }
        says
    }
}

/// One state being expanded.
struct Expansion<'a, F> {
    system: &'a System,
    worker: &'a mut Worker,
    state: &'a State,
    found: F,
}

impl<F: FnMut(Action, &State)> Expansion<'_, F> {
    fn run(&mut self) {
        for server in self.system.servers() {
            self.deliveries(server);
        }
        let mut inputs = Vec::new();
        for server in self.system.servers() {
            let node = self.state.nodes[usize::from(server.0)];
            inputs.clear();
            self.system.inputs(self.state, server, node, &mut |input| inputs.push(input));
            let mut others = None;
            for &input in &inputs {
                let local = self.worker.local(self.system, node, input);
                self.at(server, input, local, &mut others);
            }
        }
        self.ticks();
    }

    fn deliveries(&mut self, server: ServerId) {
        let place = usize::from(server.0);
        let node = self.state.nodes[place];
        let idle = self.worker.row(self.system, node).idle;
        let mut others = None;
        for (word, &bits) in self.state.messages.bits().iter().enumerate().take(self.worker.words()) {
            for bit in ones(bits & self.worker.addressed[place][word] & !idle[word]) {
                let index = word * 64 + bit;
                let local = self.worker.delivered(self.system, node, index);
                self.at(server, Input::Deliver(self.worker.messages[index]), local, &mut others);
            }
        }
    }

    /// As `System::at`, with dead messages told by what the servers said before.
    fn at(&mut self, server: ServerId, input: Input, local: &'static Local, others: &mut Option<Says>) {
        let (place, system) = (usize::from(server.0), self.system);
        let Some(mut next) = system.move_one(self.state, server, local) else { return };
        if !local.quiet || (system.scope.lease.is_some() && observe::shows(&next)) {
            next.ghost = system.observe(self.state, &next, server, input, local);
        }
        system.probe(self.state, &next, server, input, local);
        if next.nodes[place] == self.state.nodes[place]
            && next.messages == self.state.messages
            && next.ghost == self.state.ghost
        {
            return;
        }
        if system.drops_dead() {
            if self.worker.learns(system, local) {
                *others = None; // They have not been asked about what is new.
            }
            let others = others.get_or_insert_with(|| self.worker.others_say(system, self.state, server));
            let own = self.worker.row(system, local.node).says;
            for word in 0..self.worker.words() {
                for bit in ones(next.messages.bits()[word] & own.dead(others, word)) {
                    next.messages.remove(self.worker.messages[word * 64 + bit]);
                }
            }
        }
        (self.found)(Action::At(server, input), &next);
    }

    fn ticks(&mut self) {
        let (system, state) = (self.system, self.state);
        if system.scope.lease.is_none() {
            return;
        }
        for passing in system.tickings(state) {
            let next = system.tick(state, passing, |node, input| self.worker.local(system, node, input));
            if let Some(next) = next {
                (self.found)(Action::Tick(passing), &next);
            }
        }
    }
}

impl Space for System {
    type State = State;
    type Action = Action;
    type Worker = Worker;

    fn worker(&self) -> Worker {
        let mut worker = Worker::default();
        worker.update(self);
        worker
    }

    fn initial(&self) -> Vec<State> {
        self.init_states()
    }

    fn expand(&self, worker: &mut Worker, state: &State, found: &mut impl FnMut(Action, &State)) {
        Expansion { system: self, worker, state, found }.run();
    }

    fn fingerprint(&self, state: &State) -> u64 {
        // The parts are good hashes already; odd factors keep their places apart, and the end mixes all bits
        // (the finaliser of MurmurHash3).
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let parts = [state.messages.hash(), state.ghost.0.hash];
        let nodes = state.nodes.iter().take(self.scope.servers.into()).map(|node| node.0.hash);
        let sum = parts
            .into_iter()
            .chain(nodes)
            .fold(0_u64, |sum, part| sum.wrapping_mul(FACTOR).wrapping_add(part));
        let mixed = (sum ^ (sum >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        (mixed ^ (mixed >> 33)).max(1)
    }

    fn judge(&self, worker: &mut Worker, state: &State) -> u64 {
        let mut key = [0; SERVERS_MAX + 1];
        for (place, node) in key.iter_mut().zip(&state.nodes) {
            *place = index(node.facts.0.index);
        }
        key[SERVERS_MAX] = index(state.ghost.0.index);
        let by_facts = worker.verdicts.entry(key).or_insert_with(|| self.broken_by_facts(state));
        *by_facts | self.broken_by_more(state)
    }

    fn width(&self, state: &State) -> usize {
        let used = state.messages.bits().iter().rposition(|&word| word != 0).map_or(0, |last| last + 1);
        self.index_words() + used
    }

    fn pack(&self, state: &State, words: &mut [u64]) {
        let servers = usize::from(self.scope.servers);
        let nodes = state.nodes[..servers].iter().map(|node| node.0.index);
        for (at, index) in nodes.chain([state.ghost.0.index]).enumerate() {
            words[at / 2] |= u64::from(self::index(index)) << (at % 2 * 32);
        }
        let messages = &mut words[self.index_words()..];
        messages.copy_from_slice(&state.messages.bits()[..messages.len()]);
    }

    fn unpack(&self, worker: &mut Worker, words: &[u64]) -> State {
        let servers = usize::from(self.scope.servers);
        let index = |at: usize| half(words[at / 2], at % 2);
        let mut bits = [0; WORDS];
        let messages = &words[self.index_words()..];
        bits[..messages.len()].copy_from_slice(messages);
        let highest = bits.iter().rposition(|&word| word != 0);
        let messages = highest.map_or(0, |word| word * 64 + bits[word].ilog2() as usize + 1);
        let nodes = (0..servers).map(index).max().map_or(0, |highest| highest + 1);
        if messages > worker.messages.len()
            || nodes > worker.nodes.len()
            || index(servers) >= worker.ghosts.len()
        {
            worker.update(self); // Another thread was the first to meet it.
        }
        // The first server that there ever was fills the places beyond the scope's number, as in the initial state.
        let mut nodes = [worker.nodes[0]; SERVERS_MAX];
        for (place, node) in nodes[..servers].iter_mut().enumerate() {
            *node = worker.nodes[index(place)];
        }
        State {
            nodes,
            messages: MessageSet::of(bits, &worker.messages),
            ghost: worker.ghosts[index(servers)],
        }
    }
}

impl System {
    /// Words of a packed state that name servers and ghost.
    fn index_words(&self) -> usize {
        (usize::from(self.scope.servers) + 1).div_ceil(2)
    }
}

/// One half of a word.
fn half(word: u64, at: usize) -> usize {
    usize::try_from(word >> (at * 32) & u64::from(u32::MAX)).expect("it was an index")
}

fn index(index: usize) -> u32 {
    u32::try_from(index).expect("there are fewer than 2^32 of anything")
}
