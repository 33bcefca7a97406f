//! One input being carried out: what a caller of the handlers does with their effects, in their order.

use spec::{
    Durable, Effect, Effects, History, Message, Outcome, Record, Replica, Role, ServerId, Slot, Snapshot,
    Span, Timer, When,
};

use super::{Event, Input, Local, Stepper, covered, timer_bit};
use crate::arms::watched::Watched;
use crate::state::{Envelope, Held, Kept, MessageRef, NOW, Node, Value};

/// One input being carried out.
pub(super) struct Run<'a> {
    pub(super) stepper: &'a Stepper,
    pub(super) node: Node,
    pub(super) input: Input,
    pub(super) sent: Vec<MessageRef>,
    pub(super) events: Vec<Event>,
    pub(super) effects: Vec<Effect<Value>>,
    pub(super) armed: Vec<(Timer, Span, Span)>,
}

impl<'a> Run<'a> {
    pub(super) fn new(stepper: &'a Stepper, node: Node, input: Input) -> Self {
        let (sent, events, effects, armed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { stepper, node, input, sent, events, effects, armed }
    }

    /// Carries out effects in their order, and those of own messages that are handled at once.
    pub(super) fn carry_out(&mut self, effects: &mut Effects<Value>) {
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
    pub(super) fn disarm(&mut self, timer: Timer) {
        self.node.armed &= !timer_bit(timer);
    }

    /// Makes a snapshot durable, and tells the handlers.
    pub(super) fn install(&mut self, kept: Kept, effects: &mut Effects<Value>) {
        let snapshot = self.stepper.variant.installed(&self.node.replica, kept.snapshot.clone());
        let kept = Kept { snapshot: snapshot.clone(), ..kept };
        if self.node.snapshots.iter().all(|held| held.snapshot.slot != snapshot.slot) {
            self.node.snapshots.push(kept);
        }
        self.node.replica.install(snapshot, NOW, effects);
    }

    /// Puts a snapshot in the state machine's place.
    pub(super) fn restore(&mut self, slot: Slot) {
        let held = self.node.snapshots.iter().find(|kept| kept.snapshot.slot == slot);
        let kept = held.unwrap_or_else(|| panic!("there is no snapshot up to slot {slot}"));
        self.node.applied.clone_from(&kept.applied);
    }

    fn write(&mut self, record: Record<Value>) {
        match &record {
            // What others report is on this disk as well then, but it makes no vote of it.
            Record::Vote { view, slot, command } if !self.node.durable.recovering => {
                self.events.push(Event::Voted(*slot, *view, command.into()));
            }
            Record::Noted { server, .. } => self.events.push(Event::Noted(*server)),
            _ => {}
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
        self.events.extend(self.vote_of_a_report(&message));
        let from = self.node.replica.config().me;
        if to == from && own_at_once {
            let mut effects = Effects::new();
            self.node.replica.receive(from, message, NOW, &mut effects);
            self.carry_out(&mut effects);
        } else if !self.stepper.scope.cuts(from, to) {
            let snapshot = self.offered(&message);
            let incarnation = self.node.durable.incarnation;
            let envelope = Envelope { from, incarnation, to, message, snapshot };
            self.sent.push(self.stepper.messages.intern(envelope));
        }
    }

    /// The vote in an Accept, where it may be for a value that the server's disk has from others' reports.
    fn vote_of_a_report(&self, message: &Message<Value>) -> Option<Event> {
        let &Message::Accept { view, slot } = message else { return None };
        let entry = self.node.durable.history.entry(slot).filter(|entry| entry.view == view)?;
        let reported = self.node.durable.incarnation > 0;
        reported.then(|| Event::Voted(slot, view, (&entry.command).into()))
    }

    /// The snapshot that a message offers.
    pub(super) fn offered(&self, message: &Message<Value>) -> Option<Kept> {
        let Message::SnapshotOffer { slot } = message else { return None };
        self.node.snapshots.iter().find(|kept| kept.snapshot.slot == *slot).cloned()
    }

    pub(super) fn flush(&mut self) {
        for record in std::mem::take(&mut self.node.unwritten) {
            self.write(record);
        }
        for held in std::mem::take(&mut self.node.held) {
            // Not even the server's own: they come back some time after the disk is done.
            self.release(held.to, held.message, false);
        }
    }

    /// Loses what is volatile; `kept` of the unwritten records had reached the disk all the same.
    pub(super) fn crash(&mut self, kept: usize) -> Durable<Value> {
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

    /// Loses what the disk held for slots, as far as the kind of damage goes; the disk says so.
    pub(super) fn damage(&mut self, snapshot: bool) -> Durable<Value> {
        self.node.damages += 1;
        self.node.unwritten.clear();
        self.node.held.clear();
        self.node.applied.clear();
        let base = self.node.durable.history.base();
        let lacks = Record::Lacks { up_to: self.node.durable.history.last(), snapshot };
        if snapshot {
            self.node.snapshots.clear();
        } else {
            self.node.snapshots.retain(|kept| kept.snapshot.slot == base);
            let fresh = self.stepper.first_disk(self.node.replica.config().me).history;
            let history = &mut self.node.durable.history;
            *history = if base == Slot::NONE { fresh } else { compacted(base) };
        }
        self.node.durable.apply(lacks);
        self.node.durable.clone()
    }

    /// Loses everything; the disk that takes the old one's place says so.
    pub(super) fn wipe(&mut self) -> Durable<Value> {
        self.node.wipes += 1;
        self.events.push(Event::Wiped);
        self.node.unwritten.clear();
        self.node.held.clear();
        self.node.applied.clear();
        self.node.snapshots.clear();
        self.node.durable = Durable::from_iter([Record::Recovering(self.node.wipes.into())]);
        self.node.durable.clone()
    }

    pub(super) fn finish(mut self) -> Local {
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
            acts: Vec::new(),
            asks: Vec::new(),
            refused: None,
            quiet: false,
        }
    }
}

/// A log of which only a snapshot is left.
fn compacted(base: Slot) -> History<Value> {
    let snapshot = Snapshot { slot: base, ..Snapshot::default() };
    Durable::from_iter([Record::Snapshot(snapshot)]).history
}

/// The highest slot that a server proposes in.
fn highest_proposal(replica: &Replica<Value, Watched>) -> Slot {
    match replica.role() {
        Role::Leading(leading) => leading.proposals.keys().next_back().copied().unwrap_or(Slot::NONE),
        Role::Follower | Role::Preparing(_) => Slot::NONE,
    }
}
