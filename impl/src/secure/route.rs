//! What is known of an address that one talks to: the keys in use, a handshake under way, and what waits for it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use snow::HandshakeState;
use spec::{LocalTime, Span};

use super::cookie::Cookie;
use super::credentials::Owner;
use super::keys::{PublicKey, Secret};
use super::noise::MAC_BYTES;
use crate::clock::millis;

/// Datagrams that wait for a handshake at most; the oldest make room.
const QUEUE_MAX: usize = 64;
/// Keys of one address that may be in use at once: two sides that began at the same time both come through.
pub(super) const SESSIONS_MAX: usize = 4;
/// How soon a handshake is begun again that was not answered.
pub(super) const RETRY: Span = millis(100);
/// How long the other side may be silent while it is spoken to before new keys are tried: it may have restarted.
pub(super) const SILENCE: Span = millis(400);
const LONG_AGO: LocalTime = LocalTime(i64::MIN / 2);

/// A handshake that one has begun.
pub(super) struct Pending {
    pub(super) index: u32,
    pub(super) handshake: HandshakeState,
    pub(super) owner: Owner,
    pub(super) key: PublicKey,
    pub(super) secret: Secret,
    /// The code of the initiation, which a cookie must name.
    pub(super) code: [u8; MAC_BYTES],
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pending({})", self.index)
    }
}

#[derive(Debug)]
pub(super) struct Route {
    /// Confirmed sessions, the newest first. The first is the one to send by.
    pub(super) sessions: VecDeque<u32>,
    pub(super) pending: Option<Pending>,
    pub(super) tried_at: LocalTime,
    pub(super) tries: usize,
    pub(super) cookie: Option<(Cookie, LocalTime)>,
    /// Since when the other side is spoken to and says nothing.
    pub(super) silent_since: Option<LocalTime>,
    pub(super) heard: LocalTime,
    queue: VecDeque<Vec<u8>>,
}

impl Route {
    pub(super) fn new(now: LocalTime) -> Self {
        Self {
            sessions: VecDeque::new(),
            pending: None,
            tried_at: LONG_AGO,
            tries: 0,
            cookie: None,
            silent_since: None,
            heard: now,
            queue: VecDeque::new(),
        }
    }

    pub(super) fn enqueue(&mut self, datagram: &[u8]) {
        if self.queue.len() >= QUEUE_MAX {
            self.queue.pop_front();
        }
        self.queue.push_back(datagram.to_vec());
    }

    pub(super) fn take_queue(&mut self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut self.queue)
    }

    pub(super) fn is_silent(&self, now: LocalTime) -> bool {
        self.silent_since.is_some_and(|since| now - since >= SILENCE)
    }
}

/// A server's address, if it is one.
pub(super) fn server_at(servers: &[(SocketAddr, Vec<PublicKey>)], to: SocketAddr) -> Option<usize> {
    servers.iter().position(|(address, _)| *address == to)
}
