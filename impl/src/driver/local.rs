//! Updates that the program around a node proposes: one session, one update at a time, in order, each sent
//! again until it is decided.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;

use spec::{Command, LocalTime, Outcome, RequestId, SessionId, Slot, Span, Update};

use crate::payload::Payload;
use crate::rng::Rng;

/// How a proposal ended: its slot and the state machine's result, or why there is none.
pub type Learnt = Result<(Slot, Vec<u8>), SessionLost>;

/// The session in which an update was proposed was evicted, because many others were opened since it was last
/// used. The update may or may not have been applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the session of this server's own updates was evicted: whether the update was applied is unknown")]
pub struct SessionLost;

/// The queue of a node's own updates.
#[derive(Debug)]
pub(super) struct Local {
    rng: Rng,
    retry_interval: Span,
    nonce: u64,
    session: Option<SessionId>,
    sequence: u64,
    queue: VecDeque<(Payload, Sender<Learnt>)>,
    /// The request that the replica has in hand.
    asked: Option<RequestId>,
    /// Not before this.
    ask_at: Option<LocalTime>,
}

impl Local {
    pub(super) fn new(mut rng: Rng, retry_interval: Span) -> Self {
        let nonce = rng.next_u64();
        let (session, asked, ask_at) = (None, None, None);
        Self { rng, retry_interval, nonce, session, sequence: 1, queue: VecDeque::new(), asked, ask_at }
    }

    pub(super) fn push(&mut self, value: Payload, done: Sender<Learnt>) {
        self.queue.push_back((value, done));
    }

    /// When there is something to ask for; none while the replica has a request in hand or the queue is empty.
    pub(super) fn next(&self) -> Option<LocalTime> {
        let idle = self.asked.is_none() && !self.queue.is_empty();
        idle.then(|| self.ask_at.unwrap_or(LocalTime(i64::MIN)))
    }

    /// The command to submit at `now`, if any.
    pub(super) fn take(&mut self, now: LocalTime) -> Option<Command<Payload>> {
        self.next().filter(|&at| at <= now)?;
        let (value, _) = self.queue.front()?;
        let command = match self.session {
            None => Command::Open { nonce: self.nonce },
            Some(session) => {
                Command::Update(Update { session, sequence: self.sequence, value: value.clone() })
            }
        };
        self.asked = command.request();
        Some(command)
    }

    /// Whether an outcome of this request is for this queue.
    pub(super) fn asked(&self, request: RequestId) -> bool {
        self.asked == Some(request)
    }

    /// The request that is in hand has an outcome; `kept` is the session's latest result.
    pub(super) fn on_outcome(&mut self, outcome: Outcome, kept: Option<&(Slot, Payload)>, now: LocalTime) {
        self.asked = None;
        self.ask_at = None;
        match outcome {
            Outcome::Opened(session) => {
                self.session = Some(session);
                self.sequence = 1;
            }
            Outcome::Applied => {
                self.sequence += 1;
                let learnt = kept.map(|(slot, result)| (*slot, result.0.to_vec())).ok_or(SessionLost);
                self.finish(learnt);
            }
            Outcome::NoSession | Outcome::Stale => {
                self.session = None;
                self.nonce = self.rng.next_u64();
                self.finish(Err(SessionLost));
            }
            Outcome::Redirect(_) | Outcome::Busy => self.ask_at = Some(now + self.retry_interval),
        }
    }

    fn finish(&mut self, learnt: Learnt) {
        if let Some((_, done)) = self.queue.pop_front() {
            // Whoever asked may have stopped waiting.
            let _ = done.send(learnt);
        }
    }
}
