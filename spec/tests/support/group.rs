//! Several servers in memory: their disks, their clocks, and a network that holds every message until
//! somebody asks for it. It carries out effects as the contract of the crate says, and decides nothing.

use std::collections::VecDeque;

use spec::{
    Command, Config, Durable, Effect, Effects, Incarnation, LocalTime, Message, Paxos, ReadId, Record,
    Replica, ServerId, ServerSet, Slot, Snapshot, Timer, When,
};

/// One call of a handler.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Receive((ServerId, Incarnation), Message<u8>),
    Timeout(Timer),
    Submit(Command<u8>),
    Read(ReadId),
    Resign,
    Install(Snapshot),
    Doubt(ServerSet),
}

impl Input {
    pub(crate) fn give(self, replica: &mut Replica<u8>, now: LocalTime) -> Vec<Effect<u8>> {
        let mut effects = Effects::new();
        match self {
            Self::Receive(from, message) => replica.receive_from(from, message, now, &mut effects),
            Self::Timeout(timer) => replica.timeout(timer, now, &mut effects),
            Self::Submit(command) => replica.submit(command, &mut effects),
            Self::Read(read) => replica.read(read, now, &mut effects),
            Self::Resign => replica.resign(&mut effects),
            Self::Install(snapshot) => replica.install(snapshot, now, &mut effects),
            Self::Doubt(servers) => replica.doubt(servers, now, &mut effects),
        }
        effects.drain().collect()
    }
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) from: ServerId,
    /// Which of its disks the sender had.
    pub(crate) incarnation: Incarnation,
    pub(crate) to: ServerId,
    pub(crate) message: Message<u8>,
}

/// What the disk has not written, and what waits for it, in the order in which it was listed.
enum Waiting {
    Record(Record<u8>),
    Send(Envelope),
}

/// One server with its disk and its clock; no replica while it is down.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) now: LocalTime,
    pub(crate) replica: Option<Replica<u8>>,
    pub(crate) disk: Vec<Record<u8>>,
    /// The snapshots that it holds, durable as soon as they are here.
    pub(crate) snapshots: Vec<Snapshot>,
    waiting: VecDeque<Waiting>,
}

impl Server {
    /// Which of its disks this is.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.disk.iter().cloned().collect::<Durable<u8>>().incarnation
    }

    /// The records that the disk has yet to write.
    pub(crate) fn unwritten(&self) -> impl Iterator<Item = &Record<u8>> {
        self.waiting.iter().filter_map(|waiting| match waiting {
            Waiting::Record(record) => Some(record),
            Waiting::Send(_) => None,
        })
    }
}

/// Servers and what is under way between them, oldest first.
pub(crate) struct Group {
    pub(crate) servers: Vec<Server>,
    pub(crate) network: Vec<Envelope>,
}

impl Group {
    /// All servers at their first boot, each at time zero of its own clock.
    pub(crate) fn new(config: impl Fn(ServerId) -> Config, servers: u8) -> Self {
        let servers = (0..servers).map(|id| Server {
            config: config(ServerId(id)),
            now: LocalTime(0),
            replica: None,
            disk: Vec::new(),
            snapshots: Vec::new(),
            waiting: VecDeque::new(),
        });
        let mut group = Self { servers: servers.collect(), network: Vec::new() };
        for id in group.ids() {
            group.restart(id);
        }
        group
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..u8::try_from(self.servers.len()).unwrap()).map(ServerId)
    }

    pub(crate) fn server(&mut self, id: ServerId) -> &mut Server {
        &mut self.servers[usize::from(id.0)]
    }

    /// Calls a handler of a server that is up, and carries its effects out.
    pub(crate) fn input(&mut self, id: ServerId, input: Input) -> Vec<Effect<u8>> {
        let server = self.server(id);
        let replica = server.replica.as_mut().unwrap_or_else(|| panic!("server {id} is down"));
        let effects = input.give(replica, server.now);
        self.carry_out(id, &effects);
        effects
    }

    fn carry_out(&mut self, from: ServerId, effects: &[Effect<u8>]) {
        if let Some(slot) = restored(effects) {
            let held = &self.server(from).snapshots;
            assert!(held.iter().any(|it| it.slot == slot), "server {from} has no snapshot to {slot}");
        }
        for effect in effects {
            let server = &mut self.servers[usize::from(from.0)];
            let incarnation = server.incarnation();
            match effect {
                Effect::Persist(record) => server.waiting.push_back(Waiting::Record(record.clone())),
                Effect::Send { to, message, when } => {
                    let envelope = Envelope { from, incarnation, to: *to, message: message.clone() };
                    match when {
                        When::Durable if !server.waiting.is_empty() => {
                            server.waiting.push_back(Waiting::Send(envelope));
                        }
                        _ => self.network.push(envelope),
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes a snapshot of a server that is up, and makes it durable.
    pub(crate) fn take_snapshot(&mut self, id: ServerId) -> Snapshot {
        let server = self.server(id);
        let replica = server.replica.as_ref().unwrap_or_else(|| panic!("server {id} is down"));
        let snapshot = replica.snapshot();
        self.hold(id, snapshot.clone());
        snapshot
    }

    /// Makes a snapshot durable at a server.
    pub(crate) fn hold(&mut self, id: ServerId, snapshot: Snapshot) {
        let held = &mut self.server(id).snapshots;
        if !held.contains(&snapshot) {
            held.push(snapshot);
        }
    }

    /// The disk finishes the oldest `records`: what waited for no more than them leaves.
    pub(crate) fn write(&mut self, id: ServerId, records: usize) {
        let server = &mut self.servers[usize::from(id.0)];
        let mut left = records;
        while let Some(oldest) = server.waiting.pop_front() {
            match oldest {
                Waiting::Send(envelope) => self.network.push(envelope),
                Waiting::Record(record) if left > 0 => {
                    left -= 1;
                    server.disk.push(record);
                }
                record @ Waiting::Record(_) => {
                    server.waiting.push_front(record);
                    break;
                }
            }
        }
    }

    /// Everything that is not on disk is lost, and so is what waited for it.
    pub(crate) fn crash(&mut self, id: ServerId) {
        let server = self.server(id);
        server.replica = None;
        server.waiting.clear();
    }

    /// Starts a server from its disk.
    pub(crate) fn restart(&mut self, id: ServerId) -> Vec<Effect<u8>> {
        let server = self.server(id);
        let durable: Durable<u8> = server.disk.iter().cloned().collect();
        let mut effects = Effects::new();
        let replica = Replica::recover(server.config.clone(), Paxos, durable, server.now, &mut effects);
        server.replica = Some(replica.unwrap_or_else(|error| panic!("server {id}: {error}")));
        let effects: Vec<_> = effects.drain().collect();
        self.carry_out(id, &effects);
        effects
    }
}

/// The snapshot that takes the state machine's place, if one does.
pub(crate) fn restored(effects: &[Effect<u8>]) -> Option<Slot> {
    effects.iter().find_map(|effect| match effect {
        Effect::Restore(slot) => Some(*slot),
        _ => None,
    })
}
