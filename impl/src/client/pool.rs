//! Several operations under way at once through one socket. Each has a session of its own, so their order among
//! each other is not defined; an operation that is begun after another has ended comes after it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use spec::LocalTime;

use super::{ClientError, Conversation, Destination, Ended, Link, Operation, check_length, span, too_late};
use crate::rng::Rng;
use crate::wire::Request;

/// Names an operation of a [`Pool`]; they count up.
pub type Ticket = u64;

/// A client with several operations under way.
#[derive(Debug)]
pub struct Pool {
    link: Link,
    sessions: Vec<Session>,
    waiting: VecDeque<(Ticket, Operation, LocalTime, Duration)>,
    ended: VecDeque<(Ticket, Result<Ended, ClientError>)>,
    next: Ticket,
}

#[derive(Debug)]
struct Session {
    conversation: Conversation,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    ticket: Ticket,
    deadline: LocalTime,
    patience: Duration,
    changes: bool,
}

impl Pool {
    /// A client with at most so many operations under way; further ones wait for their turn.
    ///
    /// # Errors
    /// If no socket can be had, or no server is named.
    pub fn new(destination: &Destination, sessions: usize) -> io::Result<Self> {
        let session = |_| Session {
            conversation: Conversation::new(destination.servers.clone(), Rng::from_system()),
            current: None,
        };
        Ok(Self {
            link: Link::new(destination)?,
            sessions: (0..sessions.max(1)).map(session).collect(),
            waiting: VecDeque::new(),
            ended: VecDeque::new(),
            next: 0,
        })
    }

    /// Begins an operation, or queues it. It has ended after `patience`, from now on, one way or the other.
    pub fn begin(&mut self, operation: Operation, patience: Duration) -> Ticket {
        self.next += 1;
        if let Operation::Propose(value) | Operation::Read(value) | Operation::ReadStale(value) = &operation
            && let Err(error) = check_length(value.0.len())
        {
            self.ended.push_back((self.next, Err(error)));
            return self.next;
        }
        self.waiting.push_back((self.next, operation, self.link.now() + span(patience), patience));
        self.next
    }

    /// How many operations have been begun whose end was not told yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        let under_way = self.sessions.iter().filter(|session| session.current.is_some()).count();
        self.waiting.len() + under_way + self.ended.len()
    }

    /// Waits until an operation ends; none if none is pending. They end in any order.
    ///
    /// # Errors
    /// If the socket fails; what an operation met with stands beside its ticket.
    pub fn next_ended(&mut self) -> io::Result<Option<(Ticket, Result<Ended, ClientError>)>> {
        while self.ended.is_empty() && self.pending() > 0 {
            self.hand_out();
            self.send();
            let wake = self.sessions.iter().filter_map(Session::wake).min();
            if let Some(wake) = wake {
                self.link.wait(wake)?;
            }
            self.receive()?;
            self.expire();
        }
        Ok(self.ended.pop_front())
    }

    /// Gives waiting operations to idle sessions.
    fn hand_out(&mut self) {
        let now = self.link.now();
        for session in self.sessions.iter_mut().filter(|session| session.current.is_none()) {
            let Some((ticket, operation, deadline, patience)) = self.waiting.pop_front() else { return };
            let changes = matches!(operation, Operation::Propose(_));
            session.conversation.begin(operation, now);
            session.current = Some(Current { ticket, deadline, patience, changes });
        }
    }

    fn send(&mut self) {
        let now = self.link.now();
        let due: Vec<(SocketAddr, Request)> =
            self.sessions.iter_mut().filter_map(|session| session.conversation.poll(now)).collect();
        self.link.send_all(&due);
    }

    fn receive(&mut self) -> io::Result<()> {
        while let Some((_, responses)) = self.link.receive()? {
            let now = self.link.now();
            for response in responses {
                for session in &mut self.sessions {
                    if let Some(ended) = session.conversation.on_response(response.clone(), now) {
                        let ticket = session.current.take().map(|current| current.ticket);
                        self.ended.extend(ticket.map(|ticket| (ticket, Ok(ended))));
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn expire(&mut self) {
        let now = self.link.now();
        for session in &mut self.sessions {
            if let Some(late) = session.current.take_if(|current| current.deadline <= now) {
                session.conversation.give_up();
                self.ended.push_back((late.ticket, Err(too_late(late.changes, late.patience))));
            }
        }
        // What never was sent has not been applied, but its time is over all the same.
        let (late, waiting) = self.waiting.drain(..).partition(|(_, _, deadline, _)| *deadline <= now);
        self.waiting = waiting;
        let late: VecDeque<_> = late;
        self.ended.extend(
            late.into_iter().map(|(ticket, _, _, patience)| (ticket, Err(ClientError::NoAnswer(patience)))),
        );
    }
}

impl Session {
    fn wake(&self) -> Option<LocalTime> {
        let current = self.current.as_ref()?;
        Some(self.conversation.next_send().map_or(current.deadline, |at| at.min(current.deadline)))
    }
}
