//! Local transitions: one input given to one server's real handlers, and its effects carried out as a caller
//! would. A local transition depends on that server alone, so it is computed once and remembered.

mod run;

use spec::{
    Command, Config, Durable, Effect, Effects, LocalTime, Message, Record, Replica, Role, ServerId,
    ServerSet, Slot, Span, Timer, Update, View,
};

use crate::arms::watched::{self, Watched};
use crate::arms::{self, Coverage, Exercised};
use crate::intern::Interner;
use crate::properties::Facts;
use crate::refinement::act::{Act, Taken};
use crate::refinement::{Guard, Machine, Refused};
use crate::scope::Scope;
use crate::state::{Choice, Envelope, FactsRef, Kept, MessageRef, NOW, Node, NodeRef, Value};
use crate::variant::Variant;
use crate::words;
use run::Run;

/// What can happen to one server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Input {
    /// A message arrives.
    Deliver(MessageRef),
    /// Its election timer runs out.
    Elect,
    /// Its renewal timer runs out.
    Renew,
    /// Its timer for repeating what was not answered runs out. A network that may deliver a message any number of times
    /// makes that no difference, so only recovery, where what was in flight is lost, asks for it.
    Retry,
    /// Its timer for forwarding what waits runs out; likewise.
    Forward,
    /// A client submits an update.
    Submit(Value),
    /// A client asks to read.
    Read,
    /// It gives its leadership up.
    Resign,
    /// Its disk has written everything.
    Flush,
    /// It crashes, keeps so many of the records that were not durable yet, and restarts.
    Crash(u8),
    /// Its clock advances.
    Tick(u8),
    /// It takes a snapshot of its state machine and forgets its log up to there.
    Compact,
    /// It loses its disk, and is started to recover with the next incarnation.
    Wipe,
    /// Its disk loses its snapshot, and the votes above it; or else all that it held for slots, but for the snapshot. It
    /// restarts, and knows what it promised.
    Damage(bool),
    /// From now on it doubts that these clocks keep the bound, and no others.
    Doubt(ServerSet),
}

impl Input {
    /// A number of its own for each input.
    fn code(self) -> u64 {
        let (kind, argument) = match self {
            Self::Deliver(message) => (0, message.0.index as u64),
            Self::Elect => (1, 0),
            Self::Renew => (2, 0),
            Self::Submit(value) => (3, value.into()),
            Self::Read => (4, 0),
            Self::Resign => (5, 0),
            Self::Flush => (6, 0),
            Self::Crash(kept) => (7, kept.into()),
            Self::Tick(step) => (8, step.into()),
            Self::Retry => (9, 0),
            Self::Forward => (10, 0),
            Self::Compact => (11, 0),
            Self::Wipe => (12, 0),
            Self::Damage(snapshot) => (13, snapshot.into()),
            Self::Doubt(clocks) => (14, words::members(clocks).map(|server| 1 << server.0).sum()),
        };
        kind << 32 | argument
    }
}

/// Something that an observer notes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A client submitted an update.
    Submitted(Value),
    /// A client asked to read.
    ReadBegan,
    /// A leader resigned.
    Resigned,
    /// A vote became durable.
    Voted(Slot, View, Choice),
    /// A client has its answer; the update is in this slot.
    Acknowledged(Value, Slot),
    /// A read was served, with so many slots applied.
    Served(Slot),
    /// A read was refused.
    Refused,
    /// A message left that the durable records do not cover.
    Uncovered,
    /// Its disk is lost.
    Wiped,
    /// It noted another server's new incarnation, and counts nothing that the old one said.
    Noted(ServerId),
}

/// The outcome of one input at one server.
pub struct Local {
    /// The server afterwards.
    pub node: NodeRef,
    /// What it sent to others, or to itself where own messages travel.
    pub sent: Vec<MessageRef>,
    /// What an observer notes.
    pub events: Vec<Event>,
    /// Whether the handlers went beyond the bounds of the scope.
    pub outside: bool,
    /// The actions of the machine that is proved which the step is.
    pub acts: Vec<Taken>,
    /// Those of them that are judged with the other servers in sight.
    pub asks: Vec<Act>,
    /// Why the step is none of that machine, as far as the server alone can tell.
    pub refused: Option<Refused>,
    /// Whether no observer can notice anything but a read that can be served.
    pub quiet: bool,
    /// The kinds of effects, for probes and for people.
    pub effects: Vec<Effect<Value>>,
    /// The timers that were armed: each with its least delay, and what chance may add.
    pub armed: Vec<(Timer, Span, Span)>,
}

/// Runs inputs for the servers of one scope.
pub struct Stepper {
    scope: Scope,
    variant: Variant,
    own_at_once: bool,
    machine: Machine,
    coverage: Coverage,
    nodes: Interner<Node, &'static Local>,
    messages: Interner<Envelope, ()>,
    facts: Interner<Facts, ()>,
}

impl Stepper {
    /// A stepper for a scope and a variant. With `own_at_once` a server's messages to itself are handled in the
    /// step that releases them.
    pub fn new(scope: Scope, variant: Variant, own_at_once: bool, without: Option<Guard>) -> Self {
        Self {
            machine: Machine::new(&scope).without(without),
            coverage: Coverage::default(),
            scope,
            variant,
            own_at_once,
            nodes: Interner::default(),
            messages: Interner::default(),
            facts: Interner::default(),
        }
    }

    /// The machine that steps are judged by.
    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What all steps so far exercised.
    pub fn exercised(&self) -> Exercised {
        self.coverage.so_far()
    }

    /// A server at the beginning: every client's session is open.
    pub fn first(&self, me: ServerId) -> NodeRef {
        let durable = self.first_disk(me);
        let (replica, effects) = self.recover(self.scope.config(me), durable.clone());
        let armed = effects.as_slice().iter().filter_map(|effect| match effect {
            Effect::Arm { timer, .. } if self.scope.recovery => Some(timer_bit(*timer)),
            _ => None,
        });
        self.nodes.intern(Node {
            facts: self.facts(&replica, &durable, &[], &[]),
            armed: armed.fold(0, |bits, bit| bits | bit),
            replica,
            durable,
            unwritten: Vec::new(),
            held: Vec::new(),
            applied: Vec::new(),
            snapshots: Vec::new(),
            compactions: 0,
            elections: 0,
            requests: 0,
            crashes: 0,
            wipes: 0,
            damages: 0,
            doubts: 0,
            holder: false,
            readable: None,
        })
    }

    fn facts(
        &self,
        replica: &Replica<Value, Watched>,
        durable: &Durable<Value>,
        applied: &[(Slot, Value)],
        snapshots: &[Kept],
    ) -> FactsRef {
        let leads = self.scope.lease.is_some() && matches!(replica.role(), Role::Leading(_));
        let now = self.variant.time(&self.scope, Input::Read);
        self.facts.intern(Facts {
            committed: Facts::values(replica.history(), snapshots, true),
            disk: Facts::values(&durable.history, snapshots, false),
            applied: applied.to_vec(),
            applied_to: replica.applied(),
            holder: replica.holds_lease(NOW),
            readable: leads.then(|| lease_read(replica, now)).flatten(),
            recovering: durable.recovering || durable.lacks > durable.history.committed(),
        })
    }

    /// Brings copies of the lists of nodes and messages, by index, up to date.
    pub fn update(&self, nodes: &mut Vec<NodeRef>, messages: &mut Vec<MessageRef>) {
        self.nodes.update(nodes);
        self.messages.update(messages);
    }

    /// What the disk of a server holds at the beginning.
    fn first_disk(&self, me: ServerId) -> Durable<Value> {
        let sessions = (1..=self.scope.sessions())
            .map(|slot| Record::Learnt { slot: Slot(slot), command: Command::Open { nonce: slot } });
        // Long ago each server attempted a view that nobody heard of. Only the order of views matters to the handlers,
        // and so those of one attempt each are 1.0, 2.1, 3.2, … in every run.
        let attempted = Record::Attempt(View::new(me.0.into(), me));
        sessions.chain((me.0 > 0).then_some(attempted)).collect()
    }

    /// The messages of these indices.
    pub fn messages(&self, indices: impl Iterator<Item = usize>) -> Vec<MessageRef> {
        self.messages.select(indices)
    }

    /// What `input` does to `node`, by the real handlers.
    pub fn step(&self, node: NodeRef, input: Input) -> &'static Local {
        node.remember(input.code(), || Box::leak(Box::new(self.compute(node, input))))
    }

    /// A server as this stepper would have it: all of its records are durable, what waited for them is lost, and
    /// nothing that the bounds of a scope count has happened yet.
    pub fn afresh(&self, node: &Node) -> NodeRef {
        self.nodes.intern(Node {
            durable: node.replica.durable().clone(),
            unwritten: Vec::new(),
            held: Vec::new(),
            elections: 0,
            requests: 0,
            crashes: 0,
            wipes: 0,
            damages: 0,
            doubts: 0,
            compactions: 0,
            facts: self.facts(&node.replica, node.replica.durable(), &node.applied, &node.snapshots),
            ..node.clone()
        })
    }

    /// The command that submits an update.
    fn command(&self, value: Value) -> Command<Value> {
        let (session, sequence) = self.scope.request(value);
        Command::Update(Update { session, sequence, value })
    }

    fn compute(&self, node: NodeRef, input: Input) -> Local {
        let mut run = Run::new(self, Node::clone(&node), input);
        let mut effects = Effects::new();
        let now = self.variant.time(&self.scope, input);
        match input {
            Input::Elect => run.disarm(Timer::Election),
            Input::Renew => run.disarm(Timer::Renew),
            Input::Retry => run.disarm(Timer::Retry),
            Input::Forward => run.disarm(Timer::Forward),
            Input::Crash(_) | Input::Wipe | Input::Damage(_) => run.node.armed = 0,
            _ => {}
        }
        let replica = &mut run.node.replica;
        match input {
            Input::Deliver(envelope) => {
                let (from, message) = self.variant.received(replica, envelope.from, &envelope.message);
                replica.receive_from((from, envelope.incarnation), message, now, &mut effects);
                if let Some(kept) = &envelope.snapshot {
                    run.install(kept.clone(), &mut effects);
                }
            }
            Input::Elect => replica.timeout(Timer::Election, now, &mut effects),
            Input::Retry => replica.timeout(Timer::Retry, now, &mut effects),
            Input::Forward => replica.timeout(Timer::Forward, now, &mut effects),
            Input::Renew => {
                replica.timeout(Timer::Renew, now, &mut effects);
                run.node.requests += u8::from(self.scope.rounds_together.is_some());
            }
            Input::Submit(value) => {
                replica.submit(self.command(value), &mut effects);
                run.events.push(Event::Submitted(value));
            }
            Input::Read => {
                replica.read(0, now, &mut effects);
                run.events.push(Event::ReadBegan);
            }
            Input::Resign => {
                replica.resign(&mut effects);
                run.events.push(Event::Resigned);
            }
            Input::Compact => {
                let kept = Kept { snapshot: replica.snapshot(), applied: run.node.applied.clone() };
                run.node.compactions += 1;
                run.install(kept, &mut effects);
            }
            Input::Flush => run.flush(),
            Input::Crash(kept) => {
                let (unwritten, held) = (run.node.unwritten.len(), run.node.held.len());
                let durable = run.crash(kept.into());
                let me = run.node.replica.config().me;
                let (recovered, listed) = self.recover(self.scope.restart_config(me), durable);
                // A crash that loses nothing is none: it need not be counted.
                let lost = recovered != run.node.replica || usize::from(kept) < unwritten || held > 0;
                run.node.crashes += u8::from(lost);
                run.node.replica = recovered;
                effects = listed;
            }
            Input::Wipe | Input::Damage(_) => {
                let me = run.node.replica.config().me;
                let durable = match input {
                    Input::Damage(snapshot) => run.damage(snapshot),
                    _ => run.wipe(),
                };
                let (recovered, listed) = self.recover(self.scope.restart_config(me), durable);
                run.node.replica = recovered;
                effects = listed;
            }
            Input::Doubt(clocks) => {
                replica.doubt(clocks, now, &mut effects);
                run.node.doubts += 1;
            }
            Input::Tick(step) => {
                replica.shift_time(Span(-self.variant.clock(&self.scope, step).0));
                replica.forget_expired(self.variant.time(&self.scope, Input::Read));
            }
        }
        self.variant.afterwards(input, &node, &mut run.node);
        run.carry_out(&mut effects);
        let outcomes = watched::take();
        let mut local = run.finish();
        if !local.outside {
            let delivery = match input {
                Input::Deliver(envelope) => {
                    1 << arms::delivery(&node, &envelope.message, &local.node, &local)
                }
                _ => 0,
            };
            self.coverage.add(Exercised { deliveries: delivery, outcomes, actions: 0 });
        }
        let meaning = self.machine.local(&node, input, &local);
        if !local.outside {
            let actions = meaning.acts.iter().fold(0, |bits, (_, act)| bits | 1 << act.action());
            self.coverage.add(Exercised { actions, ..Exercised::default() });
        }
        (local.acts, local.asks, local.refused) = (meaning.acts, meaning.asks, meaning.refused);
        local.quiet = crate::observe::quiet(&node, input, &local);
        local
    }

    fn recover(&self, config: Config, durable: Durable<Value>) -> (Replica<Value, Watched>, Effects<Value>) {
        let mut effects = Effects::new();
        let replica =
            Replica::recover(self.variant.config(config), Watched(self.variant), durable, NOW, &mut effects)
                .unwrap_or_else(|error| panic!("scope {}: {error}", self.scope.name));
        (replica, effects)
    }
}

/// A timer as a bit of [`Node::armed`].
pub fn timer_bit(timer: Timer) -> u8 {
    match timer {
        Timer::Election => 1,
        Timer::Renew => 2,
        Timer::Retry => 4,
        Timer::Forward => 8,
    }
}

/// What a read that arrives now would see, if it is served at once: asked of the handlers.
fn lease_read(replica: &Replica<Value, Watched>, now: LocalTime) -> Option<Slot> {
    let mut effects = Effects::new();
    replica.clone().read(0, now, &mut effects);
    let served = effects.as_slice().iter().any(|effect| matches!(effect, Effect::Serve(_)));
    served.then(|| replica.applied())
}

/// Whether what a message says of its sender is durable there.
pub(crate) fn covered(durable: &Durable<Value>, message: &Message<Value>) -> bool {
    match message {
        Message::Prepare { view, .. } => durable.attempted >= *view,
        Message::Promise { view, .. } | Message::Grant { view, .. } => durable.promised >= *view,
        Message::Accept { view, slot } => {
            durable.promised >= *view
                && (durable.history.is_committed(*slot)
                    || durable.history.entry(*slot).is_some_and(|entry| entry.view >= *view))
        }
        _ => true,
    }
}
