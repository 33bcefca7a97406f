//! What a handler asks its caller to do. The caller carries effects out in the order in which they are
//! listed; see the [crate documentation](crate) for the whole contract.

use alloc::vec::Vec;
use core::fmt::Debug;

use crate::command::{Outcome, RequestId, SessionId};
use crate::history::Slot;
use crate::message::Message;
use crate::record::Record;
use crate::time::Span;
use crate::view::{ServerId, View};

/// When a message may leave.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum When {
    /// Once every record that was listed before it, in this call and in earlier ones, is durable.
    Durable,
    /// At once.
    AtOnce,
}

/// The timers of a server. Each runs at most once at a time; arming it again replaces it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// No sign of a leader for too long (the progress timer of `002`; the time-out of 4.3.1).
    Election,
    /// Time to renew the lease (4.3.3).
    Renew,
    /// Time to repeat Prepare, or the Proposes that are still short of votes.
    Retry,
    /// Time to forward waiting requests again (the update timer of `002`).
    Forward,
}

/// Names a read that the caller asked for.
pub type ReadId = u64;

/// One thing for the caller to do.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Effect<V> {
    /// Make a record durable, after those listed before it.
    Persist(Record<V>),
    /// Send a message, also to this very server.
    Send {
        /// The receiver.
        to: ServerId,
        /// The message.
        message: Message<V>,
        /// When it may leave.
        when: When,
    },
    /// Hand an update to the state machine, and keep the result as the latest of its session.
    Apply {
        /// The slot, for whoever watches the log.
        slot: Slot,
        /// The session.
        session: SessionId,
        /// The client's sequence number.
        sequence: u64,
        /// The update.
        value: V,
    },
    /// Forget the result that is kept for this session: it was evicted.
    Evict(SessionId),
    /// Put the snapshot up to this slot, which the caller holds, in the place of the state machine and of the
    /// results that are kept.
    Restore(Slot),
    /// This server lags behind what others have in their logs. Get a snapshot up to this slot or a later one from
    /// that server, make it durable, and give it to [`Replica::install`](crate::Replica::install). Comes again while
    /// the server lags, also from others: one transfer at a time will do.
    Fetch {
        /// Who holds it.
        from: ServerId,
        /// The least slot that it covers.
        slot: Slot,
    },
    /// Answer a client's request that was submitted here.
    Answer {
        /// The request.
        request: RequestId,
        /// What became of it.
        outcome: Outcome,
    },
    /// Serve a read from the state machine as it is now.
    Serve(ReadId),
    /// Refuse a read: the leader may be the one of this view.
    Refuse {
        /// The read.
        read: ReadId,
        /// Where to ask instead ([`View::NONE`]: not known).
        view: View,
    },
    /// Arm a timer to run out after `after` and a uniformly random part of `spread`: all randomness is
    /// the caller's.
    Arm {
        /// Which timer.
        timer: Timer,
        /// The least delay.
        after: Span,
        /// The most that chance may add.
        spread: Span,
    },
}

/// The list that handlers add to, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effects<V>(Vec<Effect<V>>);

impl<V> Default for Effects<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Effects<V> {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what is listed, oldest first, and keeps the allocation.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect<V>> + '_ {
        self.0.drain(..)
    }

    /// What is listed, oldest first.
    pub fn as_slice(&self) -> &[Effect<V>] {
        &self.0
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends once every record listed so far is durable.
    pub(crate) fn send(&mut self, to: ServerId, message: Message<V>) {
        self.0.push(Effect::Send { to, message, when: When::Durable });
    }

    /// Sends without waiting. Each use has its reason beside it.
    pub(crate) fn send_at_once(&mut self, to: ServerId, message: Message<V>) {
        self.0.push(Effect::Send { to, message, when: When::AtOnce });
    }

    pub(crate) fn arm(&mut self, timer: Timer, after: Span, spread: Span) {
        self.0.push(Effect::Arm { timer, after, spread });
    }

    pub(crate) fn answer(&mut self, request: RequestId, outcome: Outcome) {
        self.0.push(Effect::Answer { request, outcome });
    }

    pub(crate) fn push(&mut self, effect: Effect<V>) {
        self.0.push(effect);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_taken_once_oldest_first() {
        let effects = &mut Effects::<u8>::new();
        assert!(effects.is_empty());
        (1..3).for_each(|read| effects.push(Effect::Serve(read)));
        assert!(!effects.is_empty());
        assert_eq!(effects.as_slice(), [Effect::Serve(1), Effect::Serve(2)]);
        assert_eq!(effects.drain().collect::<Vec<_>>(), [Effect::Serve(1), Effect::Serve(2)]);
        assert!(effects.is_empty());
    }
}
