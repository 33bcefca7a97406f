//! A client's side of the protocol, without a socket or a clock: which server to ask what and when, and
//! what an answer means.

use std::net::SocketAddr;

use spec::{LocalTime, ServerId, SessionId, Slot, Span, Update, View};

use crate::clock::millis;
use crate::payload::Payload;
use crate::rng::Rng;
use crate::wire::{Answer, Ask, Event, Request, Response};

/// How long a client waits for an answer before it asks the next server.
const RETRY_AFTER: Span = millis(150);
/// The longest of these waits; they double up to here.
const RETRY_AFTER_MAX: Span = millis(1200);
/// How long a client pauses when nobody could help it.
const PAUSE: Span = millis(20);
/// How long a client does not take for the leader whoever did not answer it, also if others do.
const SHUN_FOR: Span = millis(10_000);
/// Redirections that are followed at once; after them the client pauses, so that two servers that take each
/// other for the leader are not asked in circles.
const HOPS_MAX: u8 = 2;

/// What a client wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Apply an update.
    Propose(Payload),
    /// Answer a query.
    Read(Payload),
    /// Answer a query from the state of whichever server is asked.
    ReadStale(Payload),
    /// Tell what was learnt from a slot on.
    Since(Slot),
    /// Make this server the leader; the most up-to-date one but the leader, if none is named.
    Transfer(Option<ServerId>),
}

/// How an operation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The update is applied.
    Applied {
        /// Where in the log.
        slot: Slot,
        /// The state machine's result.
        result: Payload,
    },
    /// The answer to the query.
    Value {
        /// What the state machine said.
        value: Payload,
        /// The last slot that its state reflects.
        as_of: Slot,
    },
    /// What was learnt, slot by slot.
    Since(Vec<Event>),
    /// What was learnt there is no longer in the log. It has what begins at this slot.
    Compacted(Slot),
    /// That server is to lead now.
    Transferred(ServerId),
    /// No server that could take over was heard of by the leader, which leads on.
    NoSuccessor,
    /// The session was evicted. Whether a copy of the update was applied before that is not known.
    SessionLost,
    /// The client's key does not allow it.
    Forbidden,
}

/// One client: at most one operation at a time.
#[derive(Debug)]
pub struct Conversation {
    servers: Vec<SocketAddr>,
    /// The server to rotate from.
    next: usize,
    /// The server that is asked.
    target: SocketAddr,
    /// The server that did not answer last, and until when it is not asked because others say that it leads.
    shunned: Option<(SocketAddr, LocalTime)>,
    rng: Rng,
    session: Option<SessionId>,
    /// Of the next update in the session.
    sequence: u64,
    /// The number of the latest request.
    number: u64,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    operation: Operation,
    /// Chosen for this operation, in case it opens a session.
    nonce: u64,
    send_at: LocalTime,
    retry_after: Span,
    /// Whether the request that was sent last has had no answer.
    unanswered: bool,
    hops: u8,
}

impl Conversation {
    /// A client of these servers; it begins with any of them.
    ///
    /// # Panics
    /// If there is no server.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>, mut rng: Rng) -> Self {
        assert!(!servers.is_empty(), "a client needs a server to ask");
        let next = usize::try_from(rng.below(servers.len() as u64)).unwrap_or(0);
        let target = servers[next];
        // A number that no earlier process at this address has used, so that a late answer to it is not taken
        // for ours.
        let number = rng.next_u64() >> 1;
        Self { servers, next, target, shunned: None, rng, session: None, sequence: 1, number, current: None }
    }

    /// Numbers the requests from here on, instead of from anywhere.
    #[must_use]
    pub(crate) fn numbered_from(self, number: u64) -> Self {
        Self { number, ..self }
    }

    /// Begins an operation. One that was not ended is given up; if it was an update, the session with it,
    /// because the update may yet be applied.
    pub fn begin(&mut self, operation: Operation, now: LocalTime) {
        self.give_up();
        self.number += 1;
        self.current = Some(Current {
            operation,
            nonce: self.rng.next_u64(),
            send_at: now,
            retry_after: RETRY_AFTER,
            unanswered: false,
            hops: 0,
        });
    }

    /// The server that is asked, or was asked last.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        self.target
    }

    /// Asks this server next; others only if it does not answer.
    pub fn prefer(&mut self, server: SocketAddr) {
        self.target = server;
    }

    /// Asks the next server next.
    pub fn rotate(&mut self) {
        self.next = (self.next + 1) % self.servers.len();
        self.target = self.servers[self.next];
    }

    /// Gives up what goes on, as [`Self::begin`] does.
    pub fn give_up(&mut self) {
        if self.current.take().is_some_and(|old| matches!(old.operation, Operation::Propose(_))) {
            self.session = None;
        }
    }

    /// When something is to be sent, if an operation goes on.
    #[must_use]
    pub fn next_send(&self) -> Option<LocalTime> {
        self.current.as_ref().map(|current| current.send_at)
    }

    /// What to send at `now`, and to which server.
    pub fn poll(&mut self, now: LocalTime) -> Option<(SocketAddr, Request)> {
        let current = self.current.as_mut().filter(|current| current.send_at <= now)?;
        if current.unanswered {
            current.retry_after = (current.retry_after.times(2)).min(RETRY_AFTER_MAX);
            current.hops = 0;
            self.shunned = Some((self.target, now + SHUN_FOR));
            self.next = (self.next + 1) % self.servers.len();
            self.target = self.servers[self.next];
        }
        current.unanswered = true;
        current.send_at = now + current.retry_after;
        let ask = match (&current.operation, self.session) {
            (Operation::Read(query), _) => Ask::Read(query.clone()),
            (Operation::ReadStale(query), _) => Ask::ReadStale(query.clone()),
            (Operation::Since(first), _) => Ask::Since(*first),
            (Operation::Transfer(to), _) => Ask::Transfer(*to),
            (Operation::Propose(_), None) => Ask::Open { nonce: current.nonce },
            (Operation::Propose(value), Some(session)) => {
                Ask::Update(Update { session, sequence: self.sequence, value: value.clone() })
            }
        };
        Some((self.target, Request { number: self.number, ask }))
    }

    /// A server answered. Returns how the operation ended, if it did.
    pub fn on_response(&mut self, response: Response, now: LocalTime) -> Option<Ended> {
        let current = self.current.as_mut().filter(|_| response.number == self.number)?;
        let ended = match (response.answer, &current.operation) {
            (Answer::Opened(session), Operation::Propose(_)) => {
                self.session = Some(session);
                self.sequence = 1;
                self.number += 1; // What still comes for the opening means nothing any more.
                (current.send_at, current.unanswered) = (now, false);
                return None;
            }
            (Answer::Applied { slot, result }, Operation::Propose(_)) => {
                self.sequence += 1;
                Ended::Applied { slot, result }
            }
            (Answer::NoSession | Answer::Stale, Operation::Propose(_)) => {
                self.session = None;
                Ended::SessionLost
            }
            (Answer::Forbidden, _) => Ended::Forbidden,
            (Answer::Value { value, as_of }, Operation::Read(_) | Operation::ReadStale(_)) => {
                Ended::Value { value, as_of }
            }
            (Answer::Since(events), Operation::Since(_)) => Ended::Since(events),
            (Answer::Compacted(first), Operation::Since(_)) => Ended::Compacted(first),
            (Answer::Leading(to) | Answer::Transferred(to), Operation::Transfer(_)) => Ended::Transferred(to),
            (Answer::NoSuccessor, Operation::Transfer(_)) => Ended::NoSuccessor,
            (Answer::Redirect { view, leader }, _) => {
                self.on_redirect(view, leader, now);
                return None;
            }
            (Answer::Leader(leader), _) => {
                if self.shunned.is_none_or(|(shunned, until)| shunned != leader || now >= until) {
                    self.target = leader;
                }
                return None;
            }
            (Answer::Busy, _) => {
                (current.send_at, current.unanswered) = (now + PAUSE, false);
                return None;
            }
            _ => return None,
        };
        self.current = None;
        Some(ended)
    }

    fn on_redirect(&mut self, view: View, leader: Option<SocketAddr>, now: LocalTime) {
        let Some(current) = &mut self.current else { return };
        current.unanswered = false;
        match leader.filter(|&leader| view > View::NONE && leader != self.target && current.hops < HOPS_MAX) {
            Some(leader) => {
                current.hops += 1;
                current.send_at = now;
                self.target = leader;
            }
            None => {
                current.hops = 0;
                current.send_at = now + PAUSE;
                self.next = (self.next + 1) % self.servers.len();
                self.target = self.servers[self.next];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Vec<SocketAddr> {
        (1..=3).map(|port| ([127, 0, 0, 1], port).into()).collect()
    }

    fn respond(client: &mut Conversation, answer: Answer, now: LocalTime) -> Option<Ended> {
        client.on_response(Response { number: client.number, answer }, now)
    }

    #[test]
    fn an_update_opens_a_session_once_and_counts_its_sequence() {
        let mut client = Conversation::new(servers(), Rng::seeded(1));
        let now = LocalTime(0);
        client.begin(Operation::Propose("a".into()), now);
        assert!(matches!(client.poll(now), Some((_, Request { ask: Ask::Open { .. }, .. }))));
        let session = SessionId(Slot(7));
        assert_eq!(respond(&mut client, Answer::Opened(session), now), None);
        for sequence in 1..3 {
            let (_, request) = client.poll(now).unwrap();
            assert!(matches!(request.ask, Ask::Update(update) if update.sequence == sequence));
            let applied = Answer::Applied { slot: Slot(8), result: "r".into() };
            assert!(matches!(respond(&mut client, applied, now), Some(Ended::Applied { .. })));
            client.begin(Operation::Propose("b".into()), now);
        }
    }

    #[test]
    fn a_client_goes_to_the_leader_that_it_is_told_of_unless_that_one_was_silent_lately() {
        let mut client = Conversation::new(servers(), Rng::seeded(1));
        let update = |client: &mut Conversation, now| {
            client.begin(Operation::Propose("a".into()), now);
            let (target, _) = client.poll(now).unwrap();
            target
        };
        let first = update(&mut client, LocalTime(0));
        let leader = servers().into_iter().find(|&server| server != first).unwrap();
        let session = Answer::Opened(SessionId(Slot(7)));
        let applied = || Answer::Applied { slot: Slot(8), result: "r".into() };
        respond(&mut client, Answer::Leader(leader), LocalTime(0));
        respond(&mut client, session, LocalTime(0));
        assert_eq!(client.poll(LocalTime(0)).unwrap().0, leader);
        respond(&mut client, applied(), LocalTime(0));

        assert_eq!(update(&mut client, LocalTime(1)), leader);
        let late = client.next_send().unwrap();
        let (other, _) = client.poll(late).unwrap();
        assert_ne!(other, leader, "it was silent");
        respond(&mut client, Answer::Leader(leader), late);
        respond(&mut client, applied(), late);
        assert_eq!(update(&mut client, late), other);
        let later = late + SHUN_FOR;
        respond(&mut client, Answer::Leader(leader), later);
        respond(&mut client, applied(), later);
        assert_eq!(update(&mut client, later), leader);
    }

    #[test]
    fn silence_moves_the_client_to_the_next_server_with_the_same_request() {
        let mut client = Conversation::new(servers(), Rng::seeded(1));
        client.begin(Operation::Read("q".into()), LocalTime(0));
        let (first, request) = client.poll(LocalTime(0)).unwrap();
        assert_eq!(client.poll(LocalTime(0)), None);
        let (second, repeated) = client.poll(client.next_send().unwrap()).unwrap();
        assert_ne!(first, second);
        assert_eq!(request, repeated);
    }

    #[test]
    fn servers_that_redirect_in_circles_are_asked_again_only_after_a_pause() {
        let mut client = Conversation::new(servers(), Rng::seeded(1));
        let now = LocalTime(0);
        client.begin(Operation::Read("q".into()), now);
        let mut asked = 0;
        while let Some((target, _)) = client.poll(now) {
            asked += 1;
            let other = servers().into_iter().find(|&server| server != target);
            let view = View::new(1, spec::ServerId(0));
            respond(&mut client, Answer::Redirect { view, leader: other }, now);
        }
        assert_eq!(asked, u32::from(HOPS_MAX) + 1);
        assert!(client.next_send() > Some(now));
    }

    #[test]
    fn giving_an_update_up_gives_its_session_up() {
        let mut client = Conversation::new(servers(), Rng::seeded(1));
        let now = LocalTime(0);
        client.begin(Operation::Propose("a".into()), now);
        respond(&mut client, Answer::Opened(SessionId(Slot(7))), now);
        client.begin(Operation::Propose("b".into()), now);
        assert!(matches!(client.poll(now), Some((_, Request { ask: Ask::Open { .. }, .. }))));
    }
}
