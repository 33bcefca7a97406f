//! One Paxos group at a node: its replica, its state machine, and who waits for what.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use spec::{Effect, LocalTime, Outcome, ReadId, Replica, RequestId, SessionId, Slot, View};

use super::divergence::Digest;
use super::in_hand::InHand;
use super::learnt::Applied;
use super::local::Local;
use super::snapshots::Progress;
use super::transfer::{Fetching, Sending};
use crate::payload::Payload;
use crate::snapshot::Content;
use crate::state_machine::{NotASnapshot, StateMachine};
use crate::timers::Timers;
use crate::watch::Histogram;
use crate::wire::{Answer, Response};

/// Who asked, and so where the answer goes.
#[derive(Clone, Debug)]
pub(super) enum Asker {
    /// A client, at the address that its request came from.
    Client {
        /// The address.
        address: SocketAddr,
        /// The client's number for the request.
        number: u64,
    },
    /// The program around the node: a read.
    Program(Sender<Result<Vec<u8>, View>>),
}

/// An answer to a client of a group, to be sent.
pub(super) type Reply = (SocketAddr, u16, Response);

#[derive(Debug)]
pub(super) struct Group<S> {
    id: u16,
    /// The servers, for redirections.
    addresses: Vec<SocketAddr>,
    pub(super) replica: Replica<Payload>,
    pub(super) timers: Timers,
    pub(super) local: Local,
    machine: S,
    pub(super) applied: Applied,
    /// The latest result of each session, and its slot.
    results: BTreeMap<SessionId, (Slot, Payload)>,
    /// Who asked, and when first.
    requests: HashMap<RequestId, (Asker, LocalTime)>,
    reads: BTreeMap<ReadId, (Asker, Payload)>,
    last_read: ReadId,
    /// Effects that wait until the batch is written: the state machine's and the clients' part.
    later: Vec<Effect<Payload>>,
    /// A snapshot that a [`Effect::Restore`] is to put in the state machine's place.
    incoming: Option<Content>,
    /// What is in the state machine already.
    restored: Slot,
    pub(super) progress: Progress,
    pub(super) sending: Sending,
    pub(super) fetching: Option<Fetching>,
    pub(super) digest: Digest,
}

impl<S: StateMachine> Group<S> {
    pub(super) fn new(
        id: u16,
        addresses: Vec<SocketAddr>,
        replica: Replica<Payload>,
        machine: S,
        local: Local,
    ) -> Self {
        Self {
            id,
            addresses,
            replica,
            timers: Timers::default(),
            local,
            machine,
            applied: Applied::default(),
            results: BTreeMap::new(),
            requests: HashMap::new(),
            reads: BTreeMap::new(),
            last_read: 0,
            later: Vec::new(),
            incoming: None,
            restored: Slot::NONE,
            progress: Progress::default(),
            sending: Sending::default(),
            fetching: None,
            digest: Digest::default(),
        }
    }

    /// Starts from the snapshot at the history's base, if there is one.
    pub(super) fn start_from(&mut self, content: Option<Content>) {
        let base = self.replica.history().base();
        (self.progress.logged, self.progress.tried) = (base, base);
        self.incoming = content;
    }

    /// A snapshot is here, for the handlers to ask for if it is of use.
    pub(super) fn offer_state(&mut self, content: Content) {
        if content.slot() > self.replica.applied() {
            self.incoming = Some(content);
        }
    }

    /// The state, the results and the sessions, once everything is applied; none if there is no state, or the state
    /// machine gives none.
    pub(super) fn content(&self) -> Option<Content> {
        let state = self.machine.snapshot()?.into();
        Some(Content {
            protocol: self.replica.snapshot(),
            results: self.results.clone(),
            chain: self.digest.chain,
            state,
        })
    }

    /// Notes who asked for a request; a repeated one is answered where it came from last.
    pub(super) fn await_request(&mut self, request: RequestId, asker: Asker, now: LocalTime) {
        match self.requests.entry(request) {
            Entry::Occupied(mut asked) => asked.get_mut().0 = asker,
            Entry::Vacant(new) => _ = new.insert((asker, now)),
        }
    }

    /// Notes who asked to read what.
    pub(super) fn await_read(&mut self, asker: Asker, query: Payload) -> ReadId {
        self.last_read += 1;
        self.reads.insert(self.last_read, (asker, query));
        self.last_read
    }

    /// Keeps an effect for [`Self::settle`].
    pub(super) fn defer(&mut self, effect: Effect<Payload>) {
        self.later.push(effect);
    }

    /// Applies, answers and serves, in the order in which the handlers listed it. Returns how many updates
    /// were applied and how many reads served; notes how long clients waited for their updates.
    ///
    /// # Errors
    /// If the state machine does not take a snapshot.
    pub(super) fn settle(
        &mut self,
        now: LocalTime,
        replies: &mut Vec<Reply>,
        waited: &mut Histogram,
    ) -> Result<(u64, u64), NotASnapshot> {
        let (mut applied, mut served) = (0, 0);
        let mut later = std::mem::take(&mut self.later);
        for effect in later.drain(..) {
            match effect {
                Effect::Apply { slot, .. } if slot <= self.restored => self.applied.note(slot),
                Effect::Apply { slot, session, value, .. } => {
                    self.progress.bytes += value.0.len() as u64;
                    let _in_hand = InHand::new(|| (slot, &value));
                    let result = self.machine.apply(slot, &value.0);
                    self.digest.applied(slot, &value.0, &result);
                    let (at, kept) = self.results.entry(session).or_default();
                    *at = slot;
                    if *kept.0 != *result {
                        *kept = result.into(); // Most results are like the ones before them, and need no room.
                    }
                    self.applied.note(slot);
                    applied += 1;
                }
                Effect::Evict(session) => {
                    self.results.remove(&session);
                }
                Effect::Answer { request, outcome } => {
                    let asked = self.answer(request, outcome, now, replies);
                    asked
                        .filter(|_| outcome == Outcome::Applied)
                        .into_iter()
                        .for_each(|at| waited.note(now - at));
                }
                Effect::Serve(read) => {
                    self.serve(read, replies);
                    served += 1;
                }
                Effect::Refuse { read, view } => self.refuse(read, view, replies),
                Effect::Restore(_) => {
                    if let Some(content) = self.incoming.take() {
                        self.machine.restore(&content.state.0)?;
                        self.restored = content.slot();
                        self.digest.restore(content.chain, content.slot());
                        self.applied.advance(content.slot(), content.slot()); // What it was told of before is gone.
                        self.results = content.results;
                    }
                }
                Effect::Persist(_) | Effect::Send { .. } | Effect::Arm { .. } | Effect::Fetch { .. } => {
                    unreachable!("the driver carries these out itself")
                }
            }
        }
        self.later = later; // Keeps the allocation.
        self.applied.advance(self.replica.history().base(), self.replica.applied());
        Ok((applied, served))
    }

    /// Answers the client that waits, if any, and returns since when.
    fn answer(
        &mut self,
        request: RequestId,
        outcome: Outcome,
        now: LocalTime,
        replies: &mut Vec<Reply>,
    ) -> Option<LocalTime> {
        let kept = match request {
            RequestId::Update { session, .. } => self.results.get(&session),
            RequestId::Open { .. } => None,
        };
        if self.local.asked(request) {
            self.local.on_outcome(outcome, kept, now);
        }
        let (Asker::Client { address, number }, since) = self.requests.remove(&request)? else { return None };
        let answer = match outcome {
            Outcome::Opened(session) => Answer::Opened(session),
            Outcome::Applied => match kept {
                Some((slot, result)) => Answer::Applied { slot: *slot, result: result.clone() },
                // The state is that of a snapshot from later on, in which the session is evicted.
                None => Answer::NoSession,
            },
            Outcome::NoSession => Answer::NoSession,
            Outcome::Stale => Answer::Stale,
            Outcome::Redirect(view) => self.redirect(view),
            Outcome::Busy => Answer::Busy,
        };
        if matches!(outcome, Outcome::Opened(_) | Outcome::Applied)
            && let Some(leader) = self.leader_elsewhere()
        {
            // Before the answer, with which the client's operation ends.
            replies.push((address, self.id, Response { number, answer: Answer::Leader(leader) }));
        }
        replies.push((address, self.id, Response { number, answer }));
        Some(since)
    }

    /// The address of the leader, if it is another server.
    fn leader_elsewhere(&self) -> Option<SocketAddr> {
        let leader = self.replica.leader_hint()?;
        self.addresses.get(usize::from(leader.0)).copied()
    }

    fn redirect(&self, view: View) -> Answer {
        let known = view > View::NONE;
        let leader = self.addresses.get(usize::from(view.leader.0)).filter(|_| known).copied();
        Answer::Redirect { view, leader }
    }

    /// The state machine's answer, and how far its state goes.
    pub(super) fn value(&self, query: &Payload) -> Answer {
        Answer::Value {
            value: self.machine.query(&query.0).into(),
            as_of: self.applied.up_to().max(self.restored),
        }
    }

    fn serve(&mut self, read: ReadId, replies: &mut Vec<Reply>) {
        let Some((asker, query)) = self.reads.remove(&read) else { return };
        match asker {
            Asker::Client { address, number } => {
                replies.push((address, self.id, Response { number, answer: self.value(&query) }));
            }
            Asker::Program(done) => drop(done.send(Ok(self.machine.query(&query.0)))),
        }
    }

    fn refuse(&mut self, read: ReadId, view: View, replies: &mut Vec<Reply>) {
        let Some((asker, _)) = self.reads.remove(&read) else { return };
        match asker {
            Asker::Client { address, number } => {
                replies.push((address, self.id, Response { number, answer: self.redirect(view) }));
            }
            Asker::Program(done) => drop(done.send(Err(view))),
        }
    }
}
