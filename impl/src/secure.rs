//! A network on which every datagram is authenticated and encrypted.
//!
//! [`Secure`] is a [`Network`] over another one. Before two addresses exchange anything, they shake hands with Noise
//! (pattern KKpsk0): each knows the other's static key, and both the cluster's secret. The keys that come of it
//! are for one session of the two processes, so nothing of it can be replayed in another; within a session a
//! sliding window takes each datagram once. A datagram is decoded only after it was found authentic.
//!
//! - An index in each datagram names the receiver's session. New keys are a new handshake with a new index, so
//!   datagrams may overtake each other while keys change: old keys open what is under way for a while.
//! - A responder uses new keys only once the initiator has: a replayed initiation comes to nothing.
//! - When both sides begin at once, both handshakes come through; either's keys open, and each side sends by those
//!   that came about last.
//! - Whoever lacks the secret costs one hash. Under a flood of handshakes from those who have it (or replay it),
//!   an address must be proved before any asymmetric work (`cookie.rs`).
//! - What is not authentic is not answered, but for a handshake, whose answer is shorter.
//! - All that is kept is bounded: sessions, half-open handshakes, datagrams that wait, lines in the log.
//!
//! There are no timers: what must be tried again is tried when something is sent.

mod complaints;
pub mod config;
mod cookie;
mod credentials;
mod entropy;
mod fresh;
mod handshake;
mod keys;
mod noise;
mod packet;
mod route;
mod session;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;

use spec::{LocalTime, Span};

pub use credentials::{Claim, ClientKeys, Credentials, Peer, Role};
pub use entropy::Entropy;
pub use fresh::FreshKeys;
pub use keys::{KEY_BYTES, KeyFileError, NotAKey, PrivateKey, PublicKey, Secret};
pub use session::Wear;

use crate::clock::Clock;
use crate::network::Network;
use complaints::Complaints;
use cookie::Cookies;
use packet::{OVERHEAD, Packet};
use route::{Route, SESSIONS_MAX, server_at};
use session::Session;

/// Datagrams that are looked at in one call before the caller gets on with other things: most of a flood is
/// dropped here, and timers must run meanwhile.
const LOOKS_MAX: usize = 1024;
/// Handshakes that were answered and not confirmed, at most; the oldest make room.
const HALF_OPEN_MAX: usize = 256;
/// Clients with a session at most; who was not heard of the longest makes room.
const CLIENTS_MAX: usize = 4096;
/// The largest datagram that UDP can carry.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// A network that only those with a key can use.
#[derive(Debug)]
pub struct Secure<N, C> {
    network: N,
    clock: C,
    entropy: Entropy,
    credentials: Credentials,
    wear: Wear,
    /// By the index that the other side puts into its datagrams.
    sessions: BTreeMap<u32, Session>,
    half_open: VecDeque<u32>,
    routes: BTreeMap<SocketAddr, Route>,
    cookies: Cookies,
    complaints: Complaints,
    dropped: u64,
    /// Handshakes for which keys were computed.
    computed: u64,
    sealed: Vec<u8>,
    buffer: Vec<u8>,
}

impl<N: Network, C: Clock> Secure<N, C> {
    /// Guards a network.
    pub fn new(network: N, clock: C, mut entropy: Entropy, credentials: Credentials) -> Self {
        Self {
            network,
            clock,
            cookies: Cookies::new(&mut entropy),
            entropy,
            credentials,
            wear: Wear::default(),
            sessions: BTreeMap::new(),
            half_open: VecDeque::new(),
            routes: BTreeMap::new(),
            complaints: Complaints::default(),
            dropped: 0,
            computed: 0,
            sealed: Vec::new(),
            buffer: vec![0; DATAGRAM_BYTES_MAX],
        }
    }

    /// The same with other limits to how long keys are used.
    #[must_use]
    pub fn with_wear(mut self, wear: Wear) -> Self {
        self.wear = wear;
        self
    }

    /// Takes a datagram as it came. The length of what was in it, and from whom; none if it was a handshake, or
    /// not authentic.
    fn take(&mut self, length: usize, from: SocketAddr, out: &mut [u8]) -> Option<(usize, Peer)> {
        let buffer = std::mem::take(&mut self.buffer);
        let taken = match Packet::of(&buffer[..length]) {
            Some(Packet::Data { index, number, sealed }) => self.on_data(index, number, sealed, from, out),
            Some(Packet::Initiation(message)) => self.on_initiation(message, from).map(|()| None),
            Some(Packet::Response(message)) => self.on_response(message, from).map(|()| None),
            Some(Packet::Cookie(message)) => self.on_cookie(message, from).map(|()| None),
            None => None,
        };
        self.buffer = buffer;
        if taken.is_none() {
            self.dropped += 1;
        }
        taken.flatten()
    }

    /// None: not authentic. Some(None): only a sign that the keys are there.
    fn on_data(
        &mut self,
        index: u32,
        number: u64,
        sealed: &[u8],
        from: SocketAddr,
        out: &mut [u8],
    ) -> Option<Option<(usize, Peer)>> {
        let now = self.clock.now();
        let session = self.sessions.get_mut(&index).filter(|session| session.address == from)?;
        if now >= session.expires {
            return None;
        }
        let length = session.open(number, sealed, out)?;
        let peer = session.peer;
        if !session.confirmed {
            session.confirmed = true;
            self.half_open.retain(|&other| other != index);
            self.adopt(index, from, now);
        }
        if let Some(route) = self.routes.get_mut(&from) {
            (route.silent_since, route.heard) = (None, now);
        }
        Some((length > 0).then_some((length, peer)))
    }

    /// Sends by this session from now on.
    fn adopt(&mut self, index: u32, address: SocketAddr, now: LocalTime) {
        if !self.routes.contains_key(&address) {
            self.make_room();
        }
        let route = self.routes.entry(address).or_insert_with(|| Route::new(now));
        for old in &route.sessions {
            if let Some(session) = self.sessions.get_mut(old) {
                session.expires = session.expires.min(now + self.wear.grace);
            }
        }
        route.sessions.push_front(index);
        if route.sessions.len() > SESSIONS_MAX {
            route.sessions.pop_back().and_then(|old| self.sessions.remove(&old));
        }
        (route.silent_since, route.heard) = (None, now);
        for datagram in route.take_queue() {
            self.seal_and_send(index, address, &datagram);
        }
    }

    /// Forgets the client that was not heard of the longest, if there are too many.
    fn make_room(&mut self) {
        if self.routes.len() < CLIENTS_MAX + self.credentials.servers.len() {
            return;
        }
        let servers = &self.credentials.servers;
        let clients = self.routes.iter().filter(|(address, _)| server_at(servers, **address).is_none());
        let oldest = clients.min_by_key(|(_, route)| route.heard).map(|(&address, _)| address);
        if let Some(route) = oldest.and_then(|address| self.routes.remove(&address)) {
            for index in route.sessions {
                self.sessions.remove(&index);
            }
        }
    }

    /// The session to send by.
    fn session_to(&self, to: SocketAddr, now: LocalTime) -> Option<u32> {
        let &index = self.routes.get(&to)?.sessions.front()?;
        self.sessions.get(&index).filter(|session| now < session.born + self.wear.reject_after).map(|_| index)
    }

    fn seal_and_send(&mut self, index: u32, to: SocketAddr, datagram: &[u8]) -> bool {
        let Some(session) = self.sessions.get_mut(&index) else { return false };
        match session.seal(datagram, &mut self.sealed) {
            Some(sealed) => self.network.send(to, sealed),
            None => false,
        }
    }

    /// Forgets keys that are never used again, of one address.
    fn forget_expired(&mut self, address: SocketAddr, now: LocalTime) {
        let Some(route) = self.routes.get_mut(&address) else { return };
        route.sessions.retain(|index| {
            let lives = self.sessions.get(index).is_some_and(|session| now < session.expires);
            if !lives {
                self.sessions.remove(index);
            }
            lives
        });
    }
}

impl<N: Network, C: Clock> Network for Secure<N, C> {
    fn wait(&mut self, wait: Option<Span>) -> io::Result<()> {
        self.network.wait(wait)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr, Peer)>> {
        for _ in 0..LOOKS_MAX {
            let Some((length, from, _)) = self.network.receive(&mut self.buffer)? else { return Ok(None) };
            if let Some((length, peer)) = self.take(length, from, buffer) {
                return Ok(Some((length, from, peer)));
            }
        }
        Ok(None)
    }

    fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> bool {
        let now = self.clock.now();
        let server = server_at(&self.credentials.servers, to);
        self.forget_expired(to, now);
        let current = self.session_to(to, now);
        if let Some(server) = server {
            let route = self.routes.entry(to).or_insert_with(|| Route::new(now));
            route.silent_since.get_or_insert(now);
            let worn = current
                .and_then(|index| self.sessions.get(&index))
                .is_none_or(|s| s.is_worn(now, &self.wear));
            if worn || route.is_silent(now) {
                if current.is_none() {
                    route.enqueue(datagram);
                }
                self.shake_hands(server, to, now);
            }
            return match current {
                Some(index) => self.seal_and_send(index, to, datagram),
                None => true,
            };
        }
        current.is_some_and(|index| self.seal_and_send(index, to, datagram))
    }

    fn overhead(&self) -> usize {
        OVERHEAD
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }

    fn overflowed(&self) -> u64 {
        self.network.overflowed()
    }

    fn complaint(&mut self) -> Option<String> {
        self.complaints.take()
    }
}

/// A network that is guarded or, where `insecure` was asked for, is not.
#[derive(Debug)]
pub enum Guarded<N, C> {
    /// Anybody can use it.
    Open(N),
    /// Only those with a key can.
    Secure(Box<Secure<N, C>>),
}

impl<N: Network, C: Clock> Guarded<N, C> {
    /// Guards a network if there are credentials.
    pub fn new(network: N, clock: C, credentials: Option<Credentials>) -> Self {
        match credentials {
            Some(credentials) => {
                Self::Secure(Box::new(Secure::new(network, clock, Entropy::System, credentials)))
            }
            None => Self::Open(network),
        }
    }
}

impl<N: Network, C: Clock> Network for Guarded<N, C> {
    fn wait(&mut self, wait: Option<Span>) -> io::Result<()> {
        match self {
            Self::Open(network) => network.wait(wait),
            Self::Secure(network) => network.wait(wait),
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr, Peer)>> {
        match self {
            Self::Open(network) => network.receive(buffer),
            Self::Secure(network) => network.receive(buffer),
        }
    }

    fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> bool {
        match self {
            Self::Open(network) => network.send(to, datagram),
            Self::Secure(network) => network.send(to, datagram),
        }
    }

    fn overhead(&self) -> usize {
        match self {
            Self::Open(network) => network.overhead(),
            Self::Secure(network) => network.overhead(),
        }
    }

    fn dropped(&self) -> u64 {
        match self {
            Self::Open(network) => network.dropped(),
            Self::Secure(network) => network.dropped(),
        }
    }

    fn overflowed(&self) -> u64 {
        match self {
            Self::Open(network) => network.overflowed(),
            Self::Secure(network) => network.overflowed(),
        }
    }

    fn complaint(&mut self) -> Option<String> {
        match self {
            Self::Open(network) => network.complaint(),
            Self::Secure(network) => network.complaint(),
        }
    }
}
