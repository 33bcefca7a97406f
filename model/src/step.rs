//! Local transitions: one input given to one server's real handlers, and its effects carried out as a caller
//! would. A local transition depends on that server alone, so it is computed once and remembered.

use spec::{
    Command, Config, Durable, Effect, Effects, LocalTime, Message, Outcome, Record, Replica, Role, ServerId,
    Slot, Span, Timer, Update, View, When,
};

use crate::arms::watched::{self, Watched};
use crate::arms::{self, Coverage, Exercised};
use crate::intern::Interner;
use crate::properties::Facts;
use crate::refinement::{Machine, Refused};
use crate::scope::Scope;
use crate::state::{Choice, Envelope, FactsRef, Held, Kept, MessageRef, NOW, Node, NodeRef, Value};
use crate::variant::Variant;

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
    /// The guard of the abstract machine that the step breaks, as far as the server alone can tell.
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
    pub fn new(scope: Scope, variant: Variant, own_at_once: bool) -> Self {
        Self {
            machine: Machine::new(&scope),
            coverage: Coverage::default(),
            scope,
            variant,
            own_at_once,
            nodes: Interner::default(),
            messages: Interner::default(),
            facts: Interner::default(),
        }
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
            Input::Crash(_) => run.node.armed = 0,
            _ => {}
        }
        let replica = &mut run.node.replica;
        match input {
            Input::Deliver(envelope) => {
                let (from, message) = self.variant.received(replica, envelope.from, &envelope.message);
                replica.receive(from, message, now, &mut effects);
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
            self.coverage.add(Exercised { deliveries: delivery, outcomes });
        }
        local.refused = self.machine.local(&node, input, &local);
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

/// One input being carried out.
struct Run<'a> {
    stepper: &'a Stepper,
    node: Node,
    input: Input,
    sent: Vec<MessageRef>,
    events: Vec<Event>,
    effects: Vec<Effect<Value>>,
    armed: Vec<(Timer, Span, Span)>,
}

impl<'a> Run<'a> {
    fn new(stepper: &'a Stepper, node: Node, input: Input) -> Self {
        let (sent, events, effects, armed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { stepper, node, input, sent, events, effects, armed }
    }

    /// Carries out effects in their order, and those of own messages that are handled at once.
    fn carry_out(&mut self, effects: &mut Effects<Value>) {
        let me = self.node.replica.config().me;
        let variant = self.stepper.variant;
        let mut listed = variant.effects(me, self.input, effects.drain());
        variant.forgetful(&self.node.replica, &mut listed);
        for effect in listed {
            self.events.extend(variant.told_early(me, &effect));
            if let Effect::Arm { timer, after, spread } = effect {
                self.arm(timer, after, spread);
                continue;
            }
            self.effects.push(effect.clone());
            if let Effect::Persist(Record::Attempt(_)) = effect {
                self.node.elections += 1;
            }
            match effect {
                Effect::Persist(record) if self.stepper.scope.flush => self.node.unwritten.push(record),
                Effect::Persist(record) => self.write(record),
                Effect::Send { to, message, when } => self.send(to, message, when),
                Effect::Apply { slot, value, .. } => self.node.applied.push((slot, value)),
                Effect::Answer { request, outcome: Outcome::Applied } => {
                    let slot = self
                        .node
                        .applied
                        .iter()
                        .rev()
                        .find(|(_, value)| self.stepper.command(*value).request() == Some(request));
                    self.events.extend(slot.map(|&(slot, value)| Event::Acknowledged(value, slot)));
                }
                Effect::Serve(_) => self.events.push(Event::Served(self.node.replica.applied())),
                Effect::Refuse { .. } => self.events.push(Event::Refused),
                Effect::Restore(slot) => self.restore(slot),
                // What the offer offers came with it.
                Effect::Fetch { .. } | Effect::Answer { .. } | Effect::Evict(_) | Effect::Arm { .. } => {}
            }
        }
    }

    fn arm(&mut self, timer: Timer, after: Span, spread: Span) {
        if self.stepper.scope.recovery {
            self.node.armed |= timer_bit(timer);
        }
        self.armed.push((timer, after, spread));
    }

    /// A timer that has run out is armed no more.
    fn disarm(&mut self, timer: Timer) {
        self.node.armed &= !timer_bit(timer);
    }

    /// Makes a snapshot durable, and tells the handlers.
    fn install(&mut self, kept: Kept, effects: &mut Effects<Value>) {
        let snapshot = self.stepper.variant.installed(&self.node.replica, kept.snapshot.clone());
        let kept = Kept { snapshot: snapshot.clone(), ..kept };
        if self.node.snapshots.iter().all(|held| held.snapshot.slot != snapshot.slot) {
            self.node.snapshots.push(kept);
        }
        self.node.replica.install(snapshot, NOW, effects);
    }

    /// Puts a snapshot in the state machine's place.
    fn restore(&mut self, slot: Slot) {
        let held = self.node.snapshots.iter().find(|kept| kept.snapshot.slot == slot);
        let kept = held.unwrap_or_else(|| panic!("there is no snapshot up to slot {slot}"));
        self.node.applied.clone_from(&kept.applied);
    }

    fn write(&mut self, record: Record<Value>) {
        if let Record::Vote { view, slot, command } = &record {
            self.events.push(Event::Voted(*slot, *view, command.into()));
        }
        self.node.durable.apply_by(&self.stepper.variant, record);
    }

    fn send(&mut self, to: ServerId, message: Message<Value>, when: When) {
        let records = self.node.unwritten.len();
        if when == When::Durable && records > 0 {
            // A second copy would only leave later than the first, into a network that duplicates anyway.
            if !self.node.held.iter().any(|held| held.to == to && held.message == message) {
                self.node.held.push(Held { to, message });
            }
        } else {
            // What waits for nothing may be handled at once even where the disk is separate.
            self.release(to, message, self.stepper.own_at_once);
        }
    }

    /// A message leaves.
    fn release(&mut self, to: ServerId, message: Message<Value>, own_at_once: bool) {
        if !covered(&self.node.durable, &message) {
            self.events.push(Event::Uncovered);
        }
        let from = self.node.replica.config().me;
        if to == from && own_at_once {
            let mut effects = Effects::new();
            self.node.replica.receive(from, message, NOW, &mut effects);
            self.carry_out(&mut effects);
        } else if !self.stepper.scope.cuts(from, to) {
            let snapshot = self.offered(&message);
            self.sent.push(self.stepper.messages.intern(Envelope { from, to, message, snapshot }));
        }
    }

    /// The snapshot that a message offers.
    fn offered(&self, message: &Message<Value>) -> Option<Kept> {
        let Message::SnapshotOffer { slot } = message else { return None };
        self.node.snapshots.iter().find(|kept| kept.snapshot.slot == *slot).cloned()
    }

    fn flush(&mut self) {
        for record in std::mem::take(&mut self.node.unwritten) {
            self.write(record);
        }
        for held in std::mem::take(&mut self.node.held) {
            // Not even the server's own: they come back some time after the disk is done.
            self.release(held.to, held.message, false);
        }
    }

    /// Loses what is volatile; `kept` of the unwritten records had reached the disk all the same.
    fn crash(&mut self, kept: usize) -> Durable<Value> {
        let mut unwritten = std::mem::take(&mut self.node.unwritten);
        unwritten.truncate(kept);
        unwritten.into_iter().for_each(|record| self.write(record));
        self.node.held.clear();
        self.node.applied.clear();
        let (stepper, me) = (self.stepper, self.node.replica.config().me);
        let disk = std::mem::take(&mut self.node.durable);
        self.node.durable = stepper.variant.disk_after_crash(disk, || stepper.first_disk(me));
        let base = self.node.durable.history.base();
        self.node.snapshots.retain(|kept| kept.snapshot.slot == base);
        self.node.durable.clone()
    }

    fn finish(mut self) -> Local {
        // A snapshot is kept until the record of a later one is durable.
        let base = self.node.durable.history.base();
        self.node.snapshots.retain(|kept| kept.snapshot.slot >= base);
        let Node { replica, durable, applied, snapshots, .. } = &self.node;
        self.node.facts = self.stepper.facts(replica, durable, applied, snapshots);
        (self.node.holder, self.node.readable) = (self.node.facts.holder, self.node.facts.readable);
        let scope = &self.stepper.scope;
        let replica = &self.node.replica;
        let beyond_rounds =
            matches!(replica.role(), Role::Leading(leading) if leading.lease.requested > scope.rounds.into());
        let outside = self.node.elections > scope.views_each
            || highest_proposal(replica).0 > scope.highest_slot()
            || beyond_rounds;
        Local {
            outside,
            node: self.stepper.nodes.intern(self.node),
            sent: self.sent,
            events: self.events,
            effects: self.effects,
            armed: self.armed,
            refused: None,
            quiet: false,
        }
    }
}

/// What a read that arrives now would see, if it is served at once: asked of the handlers.
fn lease_read(replica: &Replica<Value, Watched>, now: LocalTime) -> Option<Slot> {
    let mut effects = Effects::new();
    replica.clone().read(0, now, &mut effects);
    let served = effects.as_slice().iter().any(|effect| matches!(effect, Effect::Serve(_)));
    served.then(|| replica.applied())
}

/// The highest slot that a server proposes in.
fn highest_proposal(replica: &Replica<Value, Watched>) -> Slot {
    match replica.role() {
        Role::Leading(leading) => leading.proposals.keys().next_back().copied().unwrap_or(Slot::NONE),
        Role::Follower | Role::Preparing(_) => Slot::NONE,
    }
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
