//! A server on a thread of its own, for programs that embed one: start it, propose, read, watch, stop.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};

use spec::{Command, ConfigError, ServerId, Slot, Span, View};
use thiserror::Error;

use crate::clock::{BootClock, millis};
use crate::config::NodeConfig;
use crate::data::{GroupsError, groups};
use crate::driver::{Driver, GroupError, Identity, Learnt, Stopped};
use crate::exit::Exit;
use crate::life::Life;
use crate::log::{self, Log, LogError, Recovery, TornTail};
use crate::memory_log::{MemoryLog, MemoryLogError, NodeLog};
use crate::network::{Udp, Waker};
use crate::page::{Page, PageError};
use crate::payload::Payload;
use crate::rng::Rng;
use crate::secure::config::SecurityError;
use crate::secure::{Claim, Guarded};
use crate::state_machine::StateMachine;
use crate::status::Status;
use crate::watch::{Board, Event};

/// The first group of a node, and the only one unless its configuration asks for more.
pub const GROUP: u16 = 0;

/// How often what is shown is brought up to date, at most; beats see to it that it is about as often at least.
const PUBLISH_INTERVAL: Span = millis(100);

type NodeDriver<S> = Driver<BootClock, NodeLog, Guarded<Udp, BootClock>, S>;

/// Why a node could not start. Nothing was sent.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration is not a safe one.
    #[error("the configuration cannot be used: {0}")]
    Config(#[from] ConfigError),
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log cannot be kept in memory.
    #[error(transparent)]
    MemoryLog(#[from] MemoryLogError),
    /// The data is that of another number of groups.
    #[error(transparent)]
    Groups(#[from] GroupsError),
    /// The log cannot be started from.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The address cannot be had.
    #[error("cannot bind {address}: {source}. Is this server running already?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The status page cannot be served.
    #[error(transparent)]
    Page(#[from] PageError),
    /// The network cannot be guarded, or must not be left open.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// No thread can be had.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl StartError {
    /// The exit code of a command that ends with this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::Group(GroupError::Config(_))
            | Self::Security(_)
            | Self::Page(PageError::Public(_)) => Exit::Usage,
            Self::Log(error) => Exit::of_log(error),
            Self::MemoryLog(MemoryLogError::Exists(_)) => Exit::RecoverNeeded,
            Self::MemoryLog(MemoryLogError::Directory { .. }) => Exit::Disk,
            Self::Groups(error) => error.exit(),
            Self::Group(GroupError::Lost { .. }) => Exit::DamagedData,
            Self::Group(GroupError::State(_)) | Self::Bind { .. } | Self::Page(_) | Self::Thread(_) => {
                Exit::Runtime
            }
        }
    }
}

/// What a node has to say while it runs.
#[derive(Clone, PartialEq, Debug)]
pub enum Notice {
    /// It is up.
    Started {
        /// How often it has been started on its data directory.
        boots: u64,
        /// How many records its log held.
        records: usize,
    },
    /// The end of the log was a write that a crash cut short, and was removed.
    TornTail(TornTail),
    /// Anybody who reaches it can read and change everything.
    Insecure,
    /// Its log is kept in memory only.
    Forgetful,
    /// Somebody was not let in.
    Refused(String),
    /// Something is wrong, and the server goes on.
    Alarm(String),
    /// Its status page is served here.
    Page(SocketAddr),
    /// Something happened.
    Event(Event),
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Started { boots, records } => write!(f, "started (boot {boots}, {records} records)"),
            Self::TornTail(TornTail { path, offset, bytes }) => write!(
                f,
                "log {}, offset {offset}: dropped {bytes} bytes of a write that a crash cut short; nothing \
                 was acknowledged that rests on it",
                path.display()
            ),
            Self::Alarm(alarm) => write!(f, "alarm: {alarm}"),
            Self::Page(address) => write!(f, "status page on http://{address}/"),
            Self::Event(event) => write!(f, "{}", event.what),
            Self::Insecure => f.write_str(
                "WARNING: insecure = true: no datagram is authenticated or encrypted; any user of this machine can \
                 read and change everything",
            ),
            Self::Forgetful => f.write_str(
                "WARNING: memory_log = true: NOTHING IS DURABLE. What is acknowledged is lost when the servers end; this is \
                 for measuring only",
            ),
            Self::Refused(line) => f.write_str(line),
        }
    }
}

enum Order {
    Propose(Payload, Sender<Learnt>),
    Read(Payload, Sender<Result<Vec<u8>, View>>),
    Status(Sender<Status>),
    Learnt(Slot, Sender<Option<Command<Payload>>>),
    Transfer(Option<ServerId>, Sender<bool>),
    Stand,
    Stop,
}

/// A running server. Dropping it stops the server.
#[derive(Debug)]
pub struct Node {
    orders: Sender<Order>,
    waker: Waker,
    address: SocketAddr,
    page: Option<Page>,
    thread: Option<JoinHandle<Result<(), Stopped>>>,
}

impl Node {
    /// Starts a server with an empty state machine, to which its log is applied.
    ///
    /// # Errors
    /// If the configuration, the log or the address cannot be used.
    pub fn start<S>(config: &NodeConfig, machine: S) -> Result<Self, StartError>
    where
        S: StateMachine + Send + 'static,
    {
        Self::start_with(config, machine, |_| {})
    }

    /// Like [`Node::start`], and tells `notify` what happens. It is called on the node's thread, which waits
    /// for it.
    ///
    /// # Errors
    /// As [`Node::start`]; and if the configuration has more than one group, each of which needs a machine.
    pub fn start_with<S>(
        config: &NodeConfig,
        machine: S,
        notify: impl FnMut(&Notice) + Send + 'static,
    ) -> Result<Self, StartError>
    where
        S: StateMachine + Send + 'static,
    {
        if config.groups != 1 {
            return Err(GroupsError::OneMachine(config.groups).into());
        }
        let mut machine = Some(machine);
        Self::start_groups(config, |_| machine.take().expect("one group asks once"), notify)
    }

    /// Like [`Node::start_with`], with a state machine for each of the groups that the configuration asks for. They share
    /// log and socket; what [`Node::propose`] and its like say is about the first.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub fn start_groups<S>(
        config: &NodeConfig,
        mut machine: impl FnMut(u16) -> S,
        mut notify: impl FnMut(&Notice) + Send + 'static,
    ) -> Result<Self, StartError>
    where
        S: StateMachine + Send + 'static,
    {
        let protocol = config.protocol()?;
        let bind = config.bind_address().ok_or(ConfigError::NotAMember)?;
        let identity = log::Identity { cluster: config.cluster, server: config.server };
        let mut credentials = config.credentials(0)?;
        if credentials.is_none() {
            notify(&Notice::Insecure);
        }
        let (mut log, recovery) = if config.memory_log {
            notify(&Notice::Forgetful);
            let log = MemoryLog::begin(&config.data)?;
            (NodeLog::Memory(log), Recovery { boots: 1, ..Recovery::default() })
        } else {
            let (log, recovery) = Log::open(&config.data, identity)?;
            groups::hold_to(&config.data, config.groups, recovery.records.is_empty())?;
            (NodeLog::Files(Box::new(log)), recovery)
        };
        let board = Arc::new(Board::default());
        let page = Page::start(config, Arc::clone(&board))?;
        let udp = Udp::bind(bind).map_err(|source| StartError::Bind { address: bind, source })?;
        let address = udp.address().map_err(|source| StartError::Bind { address: bind, source })?;
        let waker = udp.waker();
        if let NodeLog::Files(log) = &mut log {
            let waker = waker.clone();
            log.write_behind(move || waker.wake()).map_err(StartError::Thread)?;
        }

        recovery.torn.into_iter().for_each(|torn| notify(&Notice::TornTail(torn)));
        recovery.gaps.iter().for_each(|gap| notify(&Notice::Alarm(format!("{gap}. It stays as it is"))));
        let life = Life::new(recovery.incarnation, recovery.boots);
        let identity = Identity {
            cluster: config.cluster,
            server: ServerId(config.server),
            life,
            log_position: recovery.position,
            addresses: config.servers.clone(),
            datagram_bytes: config.datagram_bytes(),
        };
        notify(&Notice::Started { boots: recovery.boots, records: recovery.records.len() });
        if let Some(credentials) = &mut credentials {
            credentials.me = Claim::Server { id: config.server, boots: life.number() };
        }
        let network = Guarded::new(udp, BootClock, credentials);
        let driver = Driver::new(identity, BootClock, log, network, Rng::from_system());
        let mut driver = driver.with_snapshots(config.snapshots());
        let mut records: BTreeMap<u16, Vec<_>> = BTreeMap::new();
        for (group, record) in recovery.records {
            records.entry(group).or_default().push(record);
        }
        for group in 0..config.groups {
            let records = records.remove(&group).unwrap_or_default();
            driver.add_group(group, protocol.clone(), records, machine(group))?;
        }
        driver.tell_peers();
        if let Some(page) = &page {
            notify(&Notice::Page(page.address()));
        }
        let (orders, inbox) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(format!("server {}", config.server))
            .spawn(move || {
                let ended = run(driver, &inbox, &board, notify);
                board.close();
                ended
            })
            .map_err(StartError::Thread)?;
        Ok(Self { orders, waker, address, page, thread: Some(thread) })
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its status page, if it has one.
    #[must_use]
    pub fn page(&self) -> Option<SocketAddr> {
        self.page.as_ref().map(Page::address)
    }

    /// Proposes an update, after those proposed here before. The receiver is told its slot and result when it
    /// is learnt and applied here, as soon as a quorum can be reached; it is disconnected if the node
    /// stops first, and the outcome is unknown then.
    pub fn propose(&self, update: impl Into<Vec<u8>>) -> Receiver<Learnt> {
        self.ask(|done| Order::Propose(update.into().into(), done))
    }

    /// Asks the state machine. The receiver is told the answer, which reflects every update that was acknowledged
    /// before the call, or the view whose leader may be asked instead.
    pub fn read(&self, query: impl Into<Vec<u8>>) -> Receiver<Result<Vec<u8>, View>> {
        self.ask(|done| Order::Read(query.into().into(), done))
    }

    /// How it is; none if it has stopped.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.ask(Order::Status).recv().ok()
    }

    /// What it knows to be chosen for a slot.
    #[must_use]
    pub fn learnt(&self, slot: Slot) -> Option<Command<Payload>> {
        self.ask(|done| Order::Learnt(slot, done)).recv().ok().flatten()
    }

    /// Gives up leading in favour of `to`, or of the most up-to-date server if none is named. Whether it did: not if it
    /// does not lead, or has heard of nobody who could take over.
    #[must_use]
    pub fn transfer(&self, to: Option<ServerId>) -> bool {
        self.ask(|done| Order::Transfer(to, done)).recv().unwrap_or(false)
    }

    /// Stands for election at once, whoever leads: a rival without a lease is deposed by it, a lease is waited for.
    pub fn stand(&self) {
        let _ = self.orders.send(Order::Stand); // A node that has stopped leads nothing any more.
        self.waker.wake();
    }

    fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> Receiver<T> {
        let (done, receiver) = mpsc::channel();
        // A node that has stopped drops `done`, which the caller sees.
        let _ = self.orders.send(order(done));
        self.waker.wake();
        receiver
    }

    /// Whether it has stopped by itself; [`Node::stop`] says why.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops it: it gives up leading, so that another server can take over at once, and ends.
    ///
    /// # Errors
    /// Why it had stopped before.
    ///
    /// # Panics
    /// If the node's thread has panicked.
    pub fn stop(mut self) -> Result<(), Stopped> {
        let thread = self.end();
        thread.map_or(Ok(()), |thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }

    fn end(&mut self) -> Option<JoinHandle<Result<(), Stopped>>> {
        let _ = self.orders.send(Order::Stop); // If it has stopped already, so much the better.
        self.waker.wake();
        self.thread.take()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(thread) = self.end() {
            // Whoever wants to know how it ended calls `stop`.
            let _ = thread.join();
        }
    }
}

fn run<S: StateMachine>(
    mut driver: NodeDriver<S>,
    orders: &Receiver<Order>,
    board: &Board,
    mut notify: impl FnMut(&Notice),
) -> Result<(), Stopped> {
    let (mut told, mut publish_at) = (0, driver.now());
    loop {
        loop {
            match orders.try_recv() {
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => {
                    driver.resign();
                    return Ok(());
                }
                Ok(order) => carry_out(&mut driver, order),
                Err(TryRecvError::Empty) => break,
            }
        }
        driver.step()?;
        driver.take_alarms().into_iter().for_each(|alarm| notify(&Notice::Alarm(alarm)));
        while let Some(line) = driver.complaint() {
            notify(&Notice::Refused(line));
        }
        for event in driver.events().after(told) {
            notify(&Notice::Event(*event));
            told = event.number;
        }
        let now = driver.now();
        if now >= publish_at
            && let Some(report) = driver.report()
            && board.publish(report, driver.events())
        {
            publish_at = now + PUBLISH_INTERVAL;
        }
    }
}

fn carry_out<S: StateMachine>(driver: &mut NodeDriver<S>, order: Order) {
    // Whoever asked may have stopped waiting; that is theirs to decide.
    match order {
        Order::Propose(value, done) => driver.propose(GROUP, value, done),
        Order::Read(query, done) => driver.query(GROUP, query, done),
        Order::Status(done) => {
            if let Some(status) = driver.status(GROUP) {
                let _ = done.send(status);
            }
        }
        Order::Learnt(slot, done) => {
            let _ = done.send(driver.learnt(GROUP, slot));
        }
        Order::Transfer(to, done) => {
            let to = to.or_else(|| driver.successor(GROUP));
            let _ = done.send(to.is_some_and(|to| driver.transfer(GROUP, to)));
        }
        Order::Stand => driver.stand(GROUP),
        Order::Stop => {}
    }
}
