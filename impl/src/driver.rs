//! One server's loop, without threads: what arrives goes into the handlers, and what they ask for is carried
//! out. Generic over clock, disk and network, so that a whole cluster of drivers also runs in a simulation.
//!
//! One [`Driver::step`] takes everything that has arrived, runs the handlers, sends what need not wait, has all
//! records written at once, sends what waited for those that are durable, and only then applies and answers. One sync is
//! under way at a time, and what comes meanwhile goes with the next: that is the batching. The disk is synced only if
//! something waits for it; a record that nothing waits for goes with the next that is waited for. Snapshots are written
//! beside all that, and a step takes note of those that are durable.
//!
//! A node hosts any number of groups over one socket and one log.

mod clocks;
mod divergence;
mod error;
mod full;
mod group;
mod hand_over;
mod in_hand;
mod inbox;
mod learnt;
mod lives;
mod local;
mod marks;
pub(crate) mod outbox;
mod questions;
mod recovering;
mod settings;
mod snapshots;
mod syncing;
mod transfer;
mod watching;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use spec::{
    Command, Config, Effect, Effects, LocalTime, Message, Paxos, Record, Replica, ServerId, Slot, Span, View,
    When,
};

use crate::clock::{Clock, Steady};
use crate::datagram::{self, Origin};
use crate::disk::Disk;
use crate::life::Life;
use crate::network::Network;
use crate::payload::Payload;
use crate::rng::Rng;
use crate::state_machine::{NotASnapshot, StateMachine};
use crate::status::{Counters, Status};
use crate::wire::Between;
#[cfg(test)]
pub(crate) use clocks::AGREE_FOR;
use clocks::Clocks;
pub use divergence::Diverged;
pub use error::{GroupError, Stopped};
use group::{Asker, Group, Reply};
use hand_over::Heard;
use in_hand::InHand;
use inbox::Inbox;
use lives::Lives;
pub use lives::Superseded;
use local::Local;
pub use local::{Learnt, SessionLost};
use marks::Marks;
use outbox::Outbox;
use questions::Questions;
use settings::Known;
use snapshots::Start;
#[cfg(test)]
pub(crate) use snapshots::start_of;
pub use snapshots::{SnapshotPolicy, checkpoint};
use syncing::Syncing;
use watching::Watch;

/// What a driver is told before it starts.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The cluster's id: datagrams of another are dropped.
    pub cluster: u64,
    /// This server.
    pub server: ServerId,
    /// Which of its disks this is, and which start on it.
    pub life: Life,
    /// How many records its log has had.
    pub log_position: u64,
    /// The servers' addresses, by id.
    pub addresses: Vec<SocketAddr>,
    /// The most bytes of a datagram.
    pub datagram_bytes: usize,
}

/// A server of one or more groups.
#[derive(Debug)]
pub struct Driver<C, D, N, S> {
    identity: Identity,
    clock: Steady<C>,
    clocks: Clocks,
    disk: D,
    network: N,
    rng: Rng,
    groups: BTreeMap<u16, Group<S>>,
    /// Taken out while a step receives, because it lends out what the handlers work on.
    inbox: Option<Inbox>,
    outbox: Outbox,
    /// What is known of each server's settings.
    peers_settings: Vec<Known>,
    /// Whether the peers were told this server's.
    introduced: bool,
    lives: Lives,
    effects: Effects<Payload>,
    to_self: VecDeque<(u16, Message<Payload>)>,
    syncing: Syncing,
    replies: Vec<Reply>,
    heard: Heard,
    marks: Marks,
    questions: Questions,
    counters: Counters,
    snapshot_policy: SnapshotPolicy,
    /// What went wrong without stopping the server.
    alarms: Vec<String>,
    /// When to look for room again, if the disk is full.
    full_until: Option<LocalTime>,
    /// Snapshots that the handlers ask for.
    wanted: Vec<(u16, ServerId, Slot)>,
    watch: Watch,
}

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    /// A driver without groups.
    pub fn new(identity: Identity, clock: C, disk: D, network: N, mut rng: Rng) -> Self {
        let origin = Origin {
            cluster: identity.cluster,
            sender: datagram::Sender::Server(identity.server.0),
            incarnation: identity.life.number(),
        };
        let clock = Steady::new(clock);
        Self {
            inbox: Some(Inbox::new(identity.cluster)),
            outbox: Outbox::new(origin, identity.datagram_bytes.saturating_sub(network.overhead())),
            peers_settings: vec![Known::default(); identity.addresses.len()],
            introduced: false,
            lives: Lives::new(identity.addresses.len(), rng.next_u64(), clock.now()),
            watch: Watch::new(clock.now()),
            clocks: Clocks::new(identity.addresses.len()),
            identity,
            clock,
            disk,
            network,
            rng,
            groups: BTreeMap::new(),
            effects: Effects::new(),
            to_self: VecDeque::new(),
            syncing: Syncing::default(),
            replies: Vec::new(),
            heard: Heard::default(),
            marks: Marks::default(),
            questions: Questions::default(),
            counters: Counters::default(),
            snapshot_policy: SnapshotPolicy::default(),
            alarms: Vec::new(),
            full_until: None,
            wanted: Vec::new(),
        }
    }

    /// Adds a group with its durable records, oldest first, and an empty state machine, to which its latest snapshot is
    /// restored and what is committed since is applied. Where no snapshot that is needed can be read, one is fetched
    /// from the other servers first.
    ///
    /// # Errors
    /// If the group's configuration is not a safe one, or its state cannot be had.
    pub fn add_group(
        &mut self,
        id: u16,
        config: Config,
        records: impl IntoIterator<Item = Record<Payload>>,
        machine: S,
    ) -> Result<(), GroupError> {
        // Before anything else: nothing else may be heard without it.
        self.tell_holding();
        let now = self.clock.now();
        let records: Vec<_> = records.into_iter().collect();
        let Start { mut durable, content, alarms } = snapshots::start(&self.disk, id, &records);
        let slot = durable.lacks;
        if slot > durable.history.committed() && self.identity.addresses.len() < 2 {
            return Err(GroupError::Lost { group: id, slot, alarms: alarms.join("; ") });
        }
        self.alarms.extend(alarms);
        if self.identity.life.incarnation() > durable.incarnation {
            self.begin_recovery(id, &mut durable);
        }
        self.know_incarnations(&durable.noted);
        let local = Local::new(Rng::seeded(self.rng.next_u64()), config.retry_interval);
        let mut replica = Replica::recover(config, Paxos, durable, now, &mut self.effects)?;
        replica.doubt(self.clocks.doubted(), now, &mut self.effects);
        let addresses = self.identity.addresses.clone();
        let mut group = Group::new(id, addresses, replica, machine, local);
        group.start_from(content);
        self.groups.insert(id, group);
        self.carry_out(id, now);
        self.settle()?;
        Ok(())
    }

    /// Waits for something to do, and does all of it.
    ///
    /// # Errors
    /// If the disk or the socket failed: nothing that waited was sent, and the driver must not be used again.
    pub fn step(&mut self) -> Result<(), Stopped> {
        self.introduce();
        let wait = self.next_wait();
        self.network.wait(wait)?;
        self.end_sync()?;
        self.receive_all()?;
        self.check_life()?;
        self.tell_holding();
        self.run_timers();
        self.end_snapshots()?;
        self.deliver_to_self();
        self.flush();
        self.sync()?;
        self.settle()?;
        self.compare_states()?;
        self.take_snapshots();
        self.watch();
        self.flush();
        Ok(())
    }

    /// When, by the clock that it was given, there is something to do even if nothing arrives; none if there never is.
    pub fn next_deadline(&self) -> Option<LocalTime> {
        self.next_due().map(|at| self.clock.beneath(at))
    }

    fn next_due(&self) -> Option<LocalTime> {
        if self.stands_aside() {
            return self.next_try();
        }
        if self.syncing.is_due() || !self.to_self.is_empty() {
            return Some(LocalTime(i64::MIN));
        }
        let groups = self.groups.values().flat_map(|group| [group.timers.next(), group.local.next()]);
        groups
            .chain([self.next_transfer(), self.watch.next(), self.marks.next(), self.lives.next()])
            .flatten()
            .min()
    }

    fn next_wait(&self) -> Option<Span> {
        self.next_due().map(|at| (at - self.clock.now()).max(Span::ZERO))
    }

    fn submit(&mut self, group: u16, command: Command<Payload>) {
        self.input(group, |replica, _, effects| replica.submit(command, effects));
    }

    /// `now` was read after it was asked.
    fn read(&mut self, id: u16, asker: Asker, query: Payload, now: LocalTime) {
        let Some(read) = self.groups.get_mut(&id).map(|group| group.await_read(asker, query)) else {
            return;
        };
        self.input_at(id, now, |replica, now, effects| replica.read(read, now, effects));
    }

    /// Proposes an update of the program around this node, after those proposed before. `done` is told when
    /// it is learnt and applied here, which takes until a quorum can be reached. The program must call
    /// [`Self::step`] afterwards.
    pub fn propose(&mut self, group: u16, value: Payload, done: Sender<Learnt>) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.local.push(value, done);
        }
    }

    /// Asks the state machine for the program around this node. `done` is told the answer, or, where this
    /// server does not lead, the view whose leader may be asked.
    pub fn query(&mut self, group: u16, query: Payload, done: Sender<Result<Vec<u8>, View>>) {
        self.read(group, Asker::Program(done), query, self.clock.now());
    }

    /// How this server is in a group.
    pub fn status(&self, group: u16) -> Option<Status> {
        let group = self.groups.get(&group)?;
        let mut counters = self.counters;
        counters.datagrams_dropped += self.network.dropped();
        let groups = u16::try_from(self.groups.len()).unwrap_or(u16::MAX);
        let status = Status::of(&group.replica, self.clock.now(), self.identity.life, counters, groups);
        let (disk_full, clocks_apart) = (self.stands_aside(), self.clocks_apart());
        Some(Status { disk_full, clocks_apart, recovery: self.recovery(), ..status })
    }

    /// What is to be said about somebody who was not let in.
    pub fn complaint(&mut self) -> Option<String> {
        self.network.complaint()
    }

    /// What this server knows to be chosen for a slot.
    pub fn learnt(&self, group: u16, slot: Slot) -> Option<Command<Payload>> {
        self.groups.get(&group)?.replica.history().committed_command(slot).cloned()
    }

    /// The local time.
    pub fn now(&self) -> LocalTime {
        self.clock.now()
    }

    /// A group's replica, to look at.
    pub fn replica(&self, group: u16) -> Option<&Replica<Payload>> {
        self.groups.get(&group).map(|group| &group.replica)
    }

    fn group_ids(&self) -> Vec<u16> {
        self.groups.keys().copied().collect()
    }

    fn run_timers(&mut self) {
        if self.stands_aside() {
            return;
        }
        let now = self.clock.now();
        self.run_transfers(now);
        for id in self.group_ids() {
            while let Some(timer) = self.groups.get_mut(&id).and_then(|group| group.timers.take_due(now)) {
                let _in_hand = InHand::new(|| (id, timer));
                self.input(id, |replica, now, effects| replica.timeout(timer, now, effects));
            }
            if let Some(command) = self.groups.get_mut(&id).and_then(|group| group.local.take(now)) {
                self.submit(id, command);
            }
        }
    }

    /// Runs one handler, with the time read after its input arrived.
    fn input(
        &mut self,
        id: u16,
        handler: impl FnOnce(&mut Replica<Payload>, LocalTime, &mut Effects<Payload>),
    ) {
        self.input_at(id, self.clock.now(), handler);
    }

    /// The same for one of several inputs that had all arrived when `now` was read.
    fn input_at(
        &mut self,
        id: u16,
        now: LocalTime,
        handler: impl FnOnce(&mut Replica<Payload>, LocalTime, &mut Effects<Payload>),
    ) {
        self.check_clock();
        match self.groups.get_mut(&id) {
            Some(group) => handler(&mut group.replica, now, &mut self.effects),
            None => self.counters.frames_dropped += 1,
        }
        self.carry_out(id, now);
    }

    fn carry_out(&mut self, id: u16, now: LocalTime) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        for effect in self.effects.drain() {
            match effect {
                // It was written together with its file.
                Effect::Persist(Record::Snapshot(snapshot)) if snapshot.slot <= group.progress.logged => {}
                Effect::Persist(record) => {
                    self.disk.append(id, &record);
                    self.syncing.note(1);
                    self.counters.records += 1;
                }
                Effect::Send { to, message, when: When::Durable } if self.syncing.holds() => {
                    self.syncing.hold((id, to, message));
                }
                Effect::Send { to, message, .. } if to == self.identity.server => {
                    self.to_self.push_back((id, message));
                }
                Effect::Send { to, message: Message::Committed { view, up_to }, .. } => {
                    self.marks.note(id, to, view, up_to, now);
                }
                Effect::Send { to, message: Message::CatchUp { first }, .. }
                    if !self.questions.is_due(id, to, first, now) => {}
                Effect::Send { to, message, .. } => {
                    if let Some(&address) = self.identity.addresses.get(usize::from(to.0)) {
                        let body = Between::Protocol(&message);
                        self.outbox.push(address, id, &body, &mut self.network, &mut self.counters);
                    }
                }
                Effect::Arm { timer, after, spread } => {
                    group.timers.arm(timer, now, after, spread, &mut self.rng);
                }
                Effect::Fetch { from, slot } => self.wanted.push((id, from, slot)),
                other => group.defer(other),
            }
        }
        for (id, from, slot) in std::mem::take(&mut self.wanted) {
            self.fetch(id, from, slot);
        }
    }

    fn deliver_to_self(&mut self) {
        let (me, now) = (self.identity.server, self.clock.now());
        while let Some((group, message)) = self.to_self.pop_front() {
            self.input_at(group, now, |replica, now, effects| replica.receive(me, message, now, effects));
        }
    }

    /// Applies what is committed and answers who waits.
    fn settle(&mut self) -> Result<(), NotASnapshot> {
        let now = self.clock.now();
        for group in self.groups.values_mut() {
            let (applied, served) = group.settle(now, &mut self.replies, &mut self.watch.updates)?;
            self.counters.applied += applied;
            self.counters.reads += served;
        }
        for (address, group, response) in self.replies.drain(..) {
            self.outbox.push(address, group, &response, &mut self.network, &mut self.counters);
        }
        Ok(())
    }

    /// Sends the marks that have waited for long enough, or have company.
    fn send_marks(&mut self) {
        let now = self.clock.now();
        let addresses = &self.identity.addresses;
        let address = |to: ServerId| addresses.get(usize::from(to.0)).copied();
        while let Some((group, to, message)) = self
            .marks
            .take(now, |to| address(to).is_none_or(|address| self.outbox.has_something_for(address)))
        {
            if let Some(address) = address(to) {
                let body = Between::Protocol(&message);
                self.outbox.push(address, group, &body, &mut self.network, &mut self.counters);
            }
        }
    }

    fn flush(&mut self) {
        if !self.marks.is_empty() {
            self.send_marks();
        }
        self.outbox.flush(&mut self.network, &mut self.counters);
    }
}
