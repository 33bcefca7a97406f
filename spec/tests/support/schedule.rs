//! Random schedules: what happens next to a group of servers, drawn from numbers that proptest shrinks.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use spec::{
    Command, Config, Effect, LocalTime, Outcome, RequestId, Role, ServerId, ServerSet, SessionId, Snapshot,
    Span, Timer, Update,
};

use crate::group::{Envelope, Group, Input};

/// By how much the fastest clock moves while the slowest moves by `SLOW`: as far apart as the bound allows.
const FAST: i64 = 11;
const SLOW: i64 = 10;
const DRIFT_PPM: u32 = 100_000;
/// By how much a clock moves meanwhile that is beyond the bound.
const WILD: [i64; 3] = [0, 30, 80];
/// More messages than this are never under way: the oldest is lost, or nothing new would ever be heard.
const UNDER_WAY_MAX: usize = 24;
/// As many snapshots are under way at most; the oldest is lost.
const TRANSFERS_MAX: usize = 8;

/// One step: what kind of thing happens, to whom, and which of several possibilities.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    kind: u8,
    who: u8,
    which: u16,
}

pub(crate) fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let step =
        (0..100_u8, any::<u8>(), any::<u16>()).prop_map(|(kind, who, which)| Step { kind, who, which });
    proptest::collection::vec(step, length / 2..=length)
}

/// What a step came to.
pub(crate) enum Event {
    /// A handler was called.
    Input { id: ServerId, now: LocalTime, input: Input, effects: Vec<Effect<u8>> },
    /// A server came up, and this is what it asked for.
    Restart { id: ServerId, effects: Vec<Effect<u8>> },
    /// A server went down.
    Crash(ServerId),
    /// Time passed, a disk wrote, or a message was lost or copied.
    Other,
}

/// A group and what is yet to happen to it.
pub(crate) struct Schedule {
    pub(crate) group: Group,
    steps: std::vec::IntoIter<Step>,
    /// Whether records are durable at once. Slow disks find other schedules, but keep leases rare.
    fast_disks: bool,
    /// A server whose messages to and from others are lost for now.
    cut_off: Option<ServerId>,
    /// The session that each server's client opened, and its last sequence number.
    sessions: BTreeMap<ServerId, (SessionId, u64)>,
    requests: u64,
    /// Snapshots that were asked for, each on its way to a server.
    transfers: Vec<(ServerId, Snapshot)>,
    /// A server whose clock is beyond the bound, and how it moves. It and the others doubt each other before it is.
    wild: Option<(ServerId, i64)>,
    /// Servers that are yet to be told whom to doubt.
    doubts: VecDeque<ServerId>,
}

impl Schedule {
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        let first = steps.first().map_or(0, |step| step.who);
        let servers = 3 + 2 * (first & 1);
        let config = |me| Config {
            drift_ppm: DRIFT_PPM,
            grant_term: Span(8 * FAST),
            window: 3,
            slots_ahead_max: 8,
            catch_up_max: 2,
            sessions_max: 3,
            ..Config::new(me, servers, Span(8 * SLOW))
        };
        Self {
            group: Group::new(config, servers),
            steps: steps.into_iter(),
            fast_disks: first & 2 == 0,
            cut_off: None,
            sessions: BTreeMap::new(),
            requests: 0,
            transfers: Vec::new(),
            wild: None,
            doubts: VecDeque::new(),
        }
    }

    /// Lets the next thing happen; none when the schedule is over.
    pub(crate) fn step(&mut self) -> Option<Event> {
        if let Some(id) = self.doubts.pop_front() {
            return Some(self.doubt(id));
        }
        let Step { kind, who, which } = self.steps.next()?;
        let servers = u8::try_from(self.group.servers.len()).unwrap();
        let id = ServerId(who % servers);
        let up = self.group.server(id).replica.is_some();
        Some(match kind {
            0..2 if !self.transfers.is_empty() => self.transfer(usize::from(which)),
            0..60 => self.deliver(usize::from(which)),
            60..63 => self.lose_or_copy(usize::from(which)),
            63..75 => {
                self.group.write(id, 1 + usize::from(which % 4));
                Event::Other
            }
            75..80 => self.tick(which),
            80..91 if up => self.timeout(id, which),
            91..96 if up => self.ask(id),
            96 if up => self.input(id, Input::Read(u64::from(which))),
            97 if which % 4 == 3 => {
                self.wild = WILD.get(usize::from(which / 4 % 4)).map(|&step| (id, step));
                self.doubts = self.group.servers.iter().map(|server| server.config.me).collect();
                Event::Other
            }
            97 => {
                self.cut_off = (which % 2 == 0).then_some(id);
                Event::Other
            }
            98 if up && which % 8 == 0 => self.input(id, Input::Resign),
            98 if up && which % 8 < 4 => {
                self.group.take_snapshot(id);
                Event::Other
            }
            98 if up => self.compact(id, usize::from(which / 8)),
            99 if up && which % 2 == 0 => {
                self.group.write(id, usize::from(which / 2 % 3));
                self.group.crash(id);
                Event::Crash(id)
            }
            _ if !up && which % 2 == 0 => {
                self.doubts.push_back(id);
                Event::Restart { id, effects: self.group.restart(id) }
            }
            _ => Event::Other,
        })
    }

    /// A server's driver has found out whose clock is beyond the bound, or that none is any more.
    fn doubt(&mut self, id: ServerId) -> Event {
        if self.group.server(id).replica.is_none() {
            return Event::Other;
        }
        let all = || self.group.servers.iter().map(|server| server.config.me);
        let doubted: ServerSet = match self.wild {
            Some((wild, _)) if wild == id => all().collect(),
            Some((wild, _)) => [wild].into_iter().collect(),
            None => ServerSet::EMPTY,
        };
        self.input(id, Input::Doubt(doubted))
    }

    fn input(&mut self, id: ServerId, input: Input) -> Event {
        let now = self.group.server(id).now;
        let effects = self.group.input(id, input.clone());
        if self.fast_disks {
            self.group.write(id, usize::MAX);
        }
        let cut_off = self.cut_off;
        let crosses = |it: &Envelope| it.from != it.to && [Some(it.from), Some(it.to)].contains(&cut_off);
        self.group.network.retain(|it| !crosses(it));
        let too_many = self.group.network.len().saturating_sub(UNDER_WAY_MAX);
        self.group.network.drain(..too_many);
        for effect in &effects {
            if let Effect::Fetch { from, .. } = effect {
                let snapshot = self.group.server(*from).snapshots.last().expect("it offered one").clone();
                self.transfers.push((id, snapshot));
            }
            if let Effect::Answer { request: RequestId::Open { .. }, outcome: Outcome::Opened(session) } =
                effect
            {
                self.sessions.insert(id, (*session, 0));
            }
        }
        let too_many = self.transfers.len().saturating_sub(TRANSFERS_MAX);
        self.transfers.drain(..too_many);
        Event::Input { id, now, input, effects }
    }

    /// A server forgets its log up to a snapshot that it has taken, now or long ago.
    fn compact(&mut self, id: ServerId, which: usize) -> Event {
        let held = &self.group.server(id).snapshots;
        let Some(newest) = held.len().checked_sub(1) else { return Event::Other };
        let snapshot =
            held[newest - if which.is_multiple_of(4) { which / 4 % held.len() } else { 0 }].clone();
        self.input(id, Input::Install(snapshot))
    }

    /// A snapshot that a server asked for is there; at times a copy of it comes once more.
    fn transfer(&mut self, which: usize) -> Event {
        let at = which / 4 % self.transfers.len();
        let (id, snapshot) = match which % 4 {
            0 => self.transfers[at].clone(),
            _ => self.transfers.remove(at),
        };
        if self.group.server(id).replica.is_none() {
            return Event::Other;
        }
        self.group.hold(id, snapshot.clone());
        self.input(id, Input::Install(snapshot))
    }

    /// Delivers one of the oldest messages mostly, so that something gets done, and any at times.
    fn deliver(&mut self, which: usize) -> Event {
        let Some(at) = self.pick(which) else { return Event::Other };
        let envelope = self.group.network.remove(at);
        if self.group.server(envelope.to).replica.is_none() {
            return Event::Other;
        }
        self.input(envelope.to, Input::Receive((envelope.from, envelope.incarnation), envelope.message))
    }

    fn lose_or_copy(&mut self, which: usize) -> Event {
        if let Some(at) = self.pick(which / 2) {
            if which.is_multiple_of(2) {
                self.group.network.remove(at);
            } else {
                let copy = self.group.network[at].clone();
                self.group.network.push(copy);
            }
        }
        Event::Other
    }

    fn pick(&self, which: usize) -> Option<usize> {
        let (within, at) = (self.group.network.len(), which / 8);
        let within = if which % 8 < 6 { within.min(4) } else { within };
        (within > 0).then(|| at % within)
    }

    /// Each clock moves by a slow or a fast step, but for one that is beyond the bound.
    fn tick(&mut self, which: u16) -> Event {
        for server in &mut self.group.servers {
            let fast = which >> server.config.me.0 & 1 == 1;
            let step = if fast { FAST } else { SLOW };
            let wild = self.wild.filter(|&(wild, _)| wild == server.config.me);
            server.now = server.now + Span(wild.map_or(step, |(_, step)| step));
        }
        Event::Other
    }

    /// Any timer may run out at any time: the handlers must be safe however the caller's timers behave. A leader's
    /// renewal is likely and an election is not, or nobody would lead for long.
    fn timeout(&mut self, id: ServerId, which: u16) -> Event {
        let replica = self.group.server(id).replica.as_ref();
        let leads = replica.is_some_and(|replica| matches!(replica.role(), Role::Leading(_)));
        let timer = match which % 8 {
            0..4 if leads => Timer::Renew,
            0..2 => Timer::Election,
            4..6 => Timer::Retry,
            6 => Timer::Forward,
            _ => return Event::Other,
        };
        self.input(id, Input::Timeout(timer))
    }

    /// The client of a server opens a session, goes on in it, or repeats its last request.
    fn ask(&mut self, id: ServerId) -> Event {
        self.requests += 1;
        let requests = self.requests;
        let command = match self.sessions.get_mut(&id) {
            Some((session, sequence)) if !requests.is_multiple_of(16) => {
                *sequence += u64::from(!requests.is_multiple_of(4) || *sequence == 0);
                let value = u8::try_from((requests * 7) % 251).unwrap();
                Command::Update(Update { session: *session, sequence: *sequence, value })
            }
            _ => Command::Open { nonce: requests },
        };
        self.input(id, Input::Submit(command))
    }
}
