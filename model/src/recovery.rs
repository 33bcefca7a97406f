//! Recoverability: whether a state gets going again once everything that can go wrong has stopped.
//!
//! From a reachable state, what is in flight is dropped, disks have written what they were asked to, nothing crashes or is
//! lost any more, and the bounds of the scope no longer count. Then one fixed fair schedule of the same handlers runs:
//! every clock at the same rate, every message one unit of time on its way and in order, every timer that is armed runs out
//! after its least delay and a share of its spread that differs from server to server. Clients do not ask again. Before a
//! time is up one server must lead with nothing left to finish (and with the lease, where there are leases), all must have
//! applied what is chosen, and no client may wait; and after that a new request must be served as well.
//!
//! Where a scope says so, the same must come true without any one of the servers, which is gone for good and whose clients
//! with it: for each of them there is a schedule of its own.
//!
//! It is one schedule, not all: it shows that no reachable state is wedged, and is no proof of liveness.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Mutex;

use spec::{Role, ServerId, Slot, Span, Timer};

use crate::scope::{SERVERS_MAX, Scope};
use crate::state::{Choice, MessageRef, NodeRef, Value};
use crate::step::{Input, Local, Stepper, timer_bit};
use crate::variant::Variant;

/// How long it may take, in units of the clocks: several elections and renewals, but fewer renewals than a leader
/// without progress waits before it tries something else.
const TIME_MAX: i64 = 200;

/// How long a message is on its way.
const LATENCY: i64 = 1;

/// The timers, each in its place, and what happens when one runs out.
const TIMERS: [(Timer, Input); 4] = [
    (Timer::Election, Input::Elect),
    (Timer::Renew, Input::Renew),
    (Timer::Retry, Input::Retry),
    (Timer::Forward, Input::Forward),
];

/// What is still amiss when the time is up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stuck {
    /// Nobody leads with nothing left to finish (and with the lease, where there are leases).
    NoLeader,
    /// A client waits for its answer.
    Waiting(ServerId),
    /// A server has not applied what another has.
    Behind(ServerId),
    /// A server's disk was damaged, and it takes no part again.
    MayNotVote(ServerId),
    /// A chosen value was lost, or never applied.
    Lost(Slot),
    /// All was well, but a new request was not served.
    NoProgress,
}

impl std::fmt::Display for Stuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoLeader => write!(f, "no server leads with nothing left to finish"),
            Self::Waiting(server) => write!(f, "a client of server {server} still waits for its answer"),
            Self::Behind(server) => write!(f, "server {server} has not applied what others have"),
            Self::MayNotVote(server) => write!(f, "server {server} still lacks what its disk lost"),
            Self::Lost(slot) => write!(f, "what was chosen in slot {slot} is not applied everywhere"),
            Self::NoProgress => write!(f, "a new request is not served"),
        }
    }
}

/// What is still amiss, and which server was gone for good, if one was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Amiss {
    /// What is amiss.
    pub stuck: Stuck,
    /// Who was gone.
    pub gone: Option<ServerId>,
}

impl std::fmt::Display for Amiss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.gone {
            Some(gone) => write!(f, "{}, if server {gone} is gone for good", self.stuck),
            None => self.stuck.fmt(f),
        }
    }
}

/// What is settled at the end of a run.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Settled {
    /// The slots up to here are in a snapshot, which knows the updates in them and nothing else.
    base: Slot,
    /// The values by slot.
    values: BTreeMap<Slot, Choice>,
}

impl Settled {
    /// Whether a value that was chosen is there.
    fn holds(&self, slot: Slot, value: Choice) -> bool {
        let forgotten = slot <= self.base && !matches!(value, Choice::Update(_));
        // An update that was decided again is in the snapshot once.
        let mut snapshot = self.values.range(..=slot.min(self.base));
        forgotten || self.values.get(&slot) == Some(&value) || snapshot.any(|(_, held)| *held == value)
    }
}

/// The histories that a run ended with, or why it did not end.
type Ended = Result<Settled, Stuck>;

/// The servers of a state, by their indices in the exploration, and which of them is gone.
type Key = ([usize; SERVERS_MAX], Option<ServerId>);

/// Tries states of one scope.
pub struct Recovery {
    scope: Scope,
    stepper: Stepper,
    /// What became of the servers of a state.
    known: Mutex<HashMap<Key, &'static Ended>>,
    /// The few different ends.
    ends: Mutex<HashSet<&'static Ended>>,
}

impl Recovery {
    /// For states of a scope.
    pub fn new(scope: &Scope, variant: Variant) -> Self {
        // The disk keeps up from here on, so a record is durable at once.
        let scope = Scope { flush: false, ..scope.clone() };
        Self {
            stepper: Stepper::new(scope.clone(), variant, true, None),
            scope,
            known: Mutex::default(),
            ends: Mutex::default(),
        }
    }

    /// Whether the servers recover, and what was chosen before is what they apply.
    ///
    /// # Errors
    /// What is amiss when the time is up.
    pub fn attempt(&self, servers: &[NodeRef], chosen: &BTreeMap<Slot, Choice>) -> Result<(), Amiss> {
        let any_one = (0..self.scope.servers).map(|id| Some(ServerId(id))).filter(|_| self.scope.one_gone);
        [None].into_iter().chain(any_one).try_for_each(|gone| {
            self.attempt_without(gone, servers, chosen).map_err(|stuck| Amiss { stuck, gone })
        })
    }

    fn attempt_without(
        &self,
        gone: Option<ServerId>,
        servers: &[NodeRef],
        chosen: &BTreeMap<Slot, Choice>,
    ) -> Result<(), Stuck> {
        let mut indices = [0; SERVERS_MAX];
        for (place, server) in indices.iter_mut().zip(servers) {
            *place = server.0.index;
        }
        let key = (indices, gone);
        let known = self.known.lock().expect("no panics while held").get(&key).copied();
        let ended = known.unwrap_or_else(|| {
            let ended = self.kept(Run::new(self, servers, gone).run());
            self.known.lock().expect("no panics while held").insert(key, ended);
            ended
        });
        let settled = ended.as_ref().map_err(|&stuck| stuck)?;
        let lost = chosen.iter().find(|&(&slot, &value)| !settled.holds(slot, value));
        lost.map_or(Ok(()), |(&slot, _)| Err(Stuck::Lost(slot)))
    }

    fn kept(&self, ended: Ended) -> &'static Ended {
        let mut ends = self.ends.lock().expect("no panics while held");
        if let Some(known) = ends.get(&ended) {
            return known;
        }
        let ended: &'static Ended = Box::leak(Box::new(ended));
        ends.insert(ended);
        ended
    }
}

/// One schedule.
struct Run<'a> {
    recovery: &'a Recovery,
    now: i64,
    /// Who does nothing any more.
    gone: Option<usize>,
    servers: Vec<NodeRef>,
    /// When each timer runs out, if it is armed.
    timers: Vec<[Option<i64>; TIMERS.len()]>,
    mail: VecDeque<(i64, MessageRef)>,
}

impl<'a> Run<'a> {
    fn new(recovery: &'a Recovery, servers: &[NodeRef], gone: Option<ServerId>) -> Self {
        let mut run = Self {
            recovery,
            now: 0,
            gone: gone.map(|gone| usize::from(gone.0)),
            servers: servers.iter().map(|server| recovery.stepper.afresh(server)).collect(),
            timers: vec![[None; TIMERS.len()]; servers.len()],
            mail: VecDeque::new(),
        };
        for (server, node) in servers.iter().enumerate() {
            let config = recovery.scope.config(ServerId(0));
            for (timer, _) in TIMERS.into_iter().filter(|&(timer, _)| node.armed & timer_bit(timer) != 0) {
                let (after, spread) = match timer {
                    Timer::Election => (config.election_timeout, config.election_spread),
                    Timer::Renew | Timer::Retry | Timer::Forward => (Span(LATENCY), Span::ZERO),
                };
                run.arm(server, timer, after, spread);
            }
        }
        run
    }

    fn run(mut self) -> Ended {
        let mut settled = self.until_settled(Slot::NONE)?;
        let leader = self.leader().ok_or(Stuck::NoLeader)?;
        let begun = self.now;
        // One more than the scope's: its session was never opened, so it is answered and not applied.
        let request: Value = self.recovery.scope.updates;
        let local = self.recovery.stepper.step(self.servers[leader], Input::Submit(request));
        self.take(leader, local);
        self.now = 0;
        self.timers.iter_mut().flatten().flatten().for_each(|due| *due -= begun);
        self.mail.iter_mut().for_each(|(due, _)| *due -= begun);
        let applied = self.servers[leader].replica.applied();
        self.until_settled(applied).map_err(|_| Stuck::NoProgress)?;
        settled.values.retain(|&slot, _| slot <= applied);
        Ok(settled)
    }

    /// Runs until everything is done and more than `past` is applied; the values that are.
    fn until_settled(&mut self, past: Slot) -> Ended {
        loop {
            let amiss = match self.amiss() {
                None if past == Slot::NONE || self.least().replica.applied() > past => {
                    return Ok(self.values());
                }
                amiss => amiss.unwrap_or(Stuck::NoProgress),
            };
            let timers = self.timers.iter().flatten().flatten().copied();
            let next = self.mail.front().map(|(due, _)| *due).into_iter().chain(timers).min();
            match next {
                Some(next) if next <= TIME_MAX => self.advance(next),
                _ => return Err(amiss),
            }
        }
    }

    /// Goes to a time, and does what is due then.
    fn advance(&mut self, time: i64) {
        while self.now < time {
            const STEP_MAX: i64 = 60;
            let step = (time - self.now).min(STEP_MAX);
            self.now += step;
            if self.recovery.scope.lease.is_some() {
                let tick = Input::Tick(u8::try_from(step).expect("a step is short"));
                for server in &mut self.servers {
                    *server = self.recovery.stepper.step(*server, tick).node;
                }
            }
        }
        while let Some((due, message)) = self.mail.pop_front() {
            if due > self.now {
                self.mail.push_front((due, message));
                break;
            }
            let to = usize::from(message.to.0);
            if self.gone == Some(to) {
                continue;
            }
            let local = self.recovery.stepper.step(self.servers[to], Input::Deliver(message));
            self.take(to, local);
        }
        for server in 0..self.servers.len() {
            for (place, (_, input)) in TIMERS.into_iter().enumerate() {
                if self.timers[server][place].is_some_and(|due| due <= self.now) {
                    self.timers[server][place] = None;
                    let local = self.recovery.stepper.step(self.servers[server], input);
                    self.take(server, local);
                }
            }
        }
    }

    fn take(&mut self, server: usize, local: &'static Local) {
        self.servers[server] = local.node;
        self.mail.extend(local.sent.iter().map(|&message| (self.now + LATENCY, message)));
        for &(timer, after, spread) in &local.armed {
            self.arm(server, timer, after, spread);
        }
    }

    fn arm(&mut self, server: usize, timer: Timer, after: Span, spread: Span) {
        if self.gone == Some(server) {
            return;
        }
        let place = TIMERS.iter().position(|&(known, _)| known == timer).expect("all are listed");
        let (server_share, servers) =
            (i64::try_from(server).expect("few"), i64::try_from(self.servers.len()).expect("few"));
        // What runs out now runs out in the next step: the schedule must go on.
        let after = (after.0 + spread.0 * server_share / servers).max(LATENCY);
        self.timers[server][place] = Some(self.now + after);
    }

    /// The servers that are not gone, each with its place.
    fn present(&self) -> impl Iterator<Item = (usize, &NodeRef)> {
        self.servers.iter().enumerate().filter(|&(at, _)| self.gone != Some(at))
    }

    /// The server that has applied least.
    fn least(&self) -> &NodeRef {
        let least = self.present().map(|(_, server)| server).min_by_key(|server| server.replica.applied());
        least.expect("there is a server")
    }

    /// The server that leads the highest view that anybody leads.
    fn leader(&self) -> Option<usize> {
        let view = |server: &NodeRef| match server.replica.role() {
            Role::Leading(leading) => Some(leading.view),
            Role::Follower | Role::Preparing(_) => None,
        };
        let leaders = self.present().filter_map(|(at, server)| Some((view(server)?, at)));
        leaders.max().map(|(_, at)| at)
    }

    /// Whether a leader is obeyed and has nothing left to finish, and the lease where there are leases.
    fn finished(&self, leader: &NodeRef) -> bool {
        let Role::Leading(leading) = leader.replica.role() else { return false };
        let obeyed = self.present().all(|(_, server)| server.durable.promised <= leading.view);
        obeyed
            && leading.proposals.is_empty()
            && leading.pending.is_empty()
            && leader.replica.history().committed() >= leading.reported
            && (self.recovery.scope.lease.is_none() || leader.holder)
    }

    /// What is not settled yet.
    fn amiss(&self) -> Option<Stuck> {
        let id = |at: usize| ServerId(u8::try_from(at).expect("there are few servers"));
        if let Some((at, _)) = self.present().find(|(_, server)| server.replica.waiting().next().is_some()) {
            return Some(Stuck::Waiting(id(at)));
        }
        if let Some((at, _)) = self.present().find(|(_, server)| server.replica.repairing().is_some()) {
            return Some(Stuck::MayNotVote(id(at)));
        }
        let leader = self.leader().map(|at| self.servers[at]).filter(|leader| self.finished(leader));
        let Some(leader) = leader else { return Some(Stuck::NoLeader) };
        let committed = leader.replica.history().committed();
        let mut present = self.present();
        let behind = present.find(|(_, server)| {
            server.replica.history().committed() != committed || server.replica.applied() != committed
        });
        behind.map(|(at, _)| Stuck::Behind(id(at)))
    }

    /// What is committed at the server that has applied least.
    fn values(&self) -> Settled {
        let least = self.least();
        let values = least.facts.committed.iter().copied().collect();
        Settled { base: least.replica.history().base(), values }
    }
}
