//! The handshakes of [`Secure`]: begin one, answer one, and be told to prove one's address first.

use std::net::SocketAddr;

use spec::LocalTime;

use super::cookie::{self, COOKIE_TERM};
use super::credentials::{CLAIM_BYTES, Claim, Owner};
use super::keys::{PublicKey, Secret};
use super::noise::{self, Hands, MAC_BYTES};
use super::packet::{
    self, COOKIE, COOKIE_BYTES, INITIATION, INITIATION_BYTES, NOISE_BYTES, RESPONSE, RESPONSE_BYTES,
};
use super::route::{Pending, RETRY, server_at};
use super::session::Session;
use super::{HALF_OPEN_MAX, Secure};
use crate::clock::Clock;
use crate::network::Network;

/// Where the code of an initiation begins; the cookie's code follows.
const CODE_AT: usize = 24 + NOISE_BYTES;
const COOKIE_CODE_AT: usize = CODE_AT + MAC_BYTES;

/// What a responder with this key authenticates before it computes anything.
fn code_key(secret: &Secret, responder: &PublicKey) -> [u8; 32] {
    noise::hmac(&secret.0, &[b"initiation", &responder.0])
}

/// What a cookie is authenticated with.
fn cookie_key(secret: &Secret, responder: &PublicKey) -> [u8; 32] {
    noise::hmac(&secret.0, &[b"cookie", &responder.0])
}

impl<N: Network, C: Clock> Secure<N, C> {
    /// Begins a handshake with a server, unless one has just been begun. Each try takes the next of its keys and
    /// of the secrets, because the server may have changed to any of them.
    pub(super) fn shake_hands(&mut self, server: usize, to: SocketAddr, now: LocalTime) {
        let Some(route) = self.routes.get_mut(&to) else { return };
        if now - route.tried_at < RETRY {
            return;
        }
        let keys = &self.credentials.servers[server].1;
        let secrets = &self.credentials.secrets;
        if keys.is_empty() || secrets.is_empty() {
            return;
        }
        let (key, secret) =
            (keys[route.tries % keys.len()], &secrets[route.tries / keys.len() % secrets.len()]);
        (route.tried_at, route.tries) = (now, route.tries + 1);
        let hands = Hands {
            cluster: self.credentials.cluster,
            own: &self.credentials.key,
            other: &key,
            secret,
            random: self.entropy.bytes(),
        };
        let Ok(mut handshake) = hands.begin(true) else { return };
        let index = self.entropy.number();
        let mut message = [0; INITIATION_BYTES];
        message[..4].copy_from_slice(&packet::head(INITIATION));
        message[4..8].copy_from_slice(&index.to_le_bytes());
        message[8..16].copy_from_slice(&self.credentials.key.public().id().to_le_bytes());
        message[16..24].copy_from_slice(&key.id().to_le_bytes());
        let claim = self.credentials.me.encode();
        if handshake.write_message(&claim, &mut message[24..CODE_AT]).is_err() {
            return;
        }
        let code = noise::mac(&code_key(secret, &key), &[&message[..CODE_AT]]);
        message[CODE_AT..COOKIE_CODE_AT].copy_from_slice(&code);
        if let Some((cookie, _)) = route.cookie.filter(|&(_, at)| now - at < COOKIE_TERM) {
            let proof = cookie::prove(&cookie, &message[..COOKIE_CODE_AT]);
            message[COOKIE_CODE_AT..].copy_from_slice(&proof);
        }
        let owner = u8::try_from(server).map_or(Owner::Server(u8::MAX), Owner::Server);
        route.pending = Some(Pending { index, handshake, owner, key, secret: secret.clone(), code });
        self.network.send(to, &message);
    }

    /// Answers a handshake. None if it is not authentic or cannot be answered now.
    pub(super) fn on_initiation(&mut self, message: &[u8; INITIATION_BYTES], from: SocketAddr) -> Option<()> {
        let now = self.clock.now();
        let own = self.credentials.key.public();
        if packet::number8(message, 16) != own.id() {
            self.complain_of_key(message, from, now);
            return None;
        }
        let code = &message[CODE_AT..COOKIE_CODE_AT];
        let is_secret = |secret: &&Secret| {
            noise::is_equal(code, &noise::mac(&code_key(secret, &own), &[&message[..CODE_AT]]))
        };
        let Some(secret) = self.credentials.secrets.iter().find(is_secret).cloned() else {
            self.complain(
                message,
                from,
                now,
                "does not know the cluster's secret, or was altered on its way",
            );
            return None;
        };
        if self.cookies.count(now) && !self.cookies.is_proved(from, now, message) {
            self.send_cookie(message, from, now, &secret);
            return None;
        }
        let Some((owner, other)) = self.credentials.owner_of(packet::number8(message, 8)) else {
            self.complain(message, from, now, "uses a key that is in no list of this server");
            return None;
        };
        self.computed += 1;
        let hands = Hands {
            cluster: self.credentials.cluster,
            own: &self.credentials.key,
            other: &other,
            secret: &secret,
            random: self.entropy.bytes(),
        };
        let mut handshake = hands.begin(false).ok()?;
        let mut claim = [0; CLAIM_BYTES];
        let opened = handshake.read_message(&message[24..CODE_AT], &mut claim);
        if opened != Ok(CLAIM_BYTES) {
            self.complain(message, from, now, "does not have the private key that belongs to its name");
            return None;
        }
        let Some(peer) = Claim::decode(&claim).and_then(|claim| self.credentials.peer(owner, claim)) else {
            self.complain(message, from, now, "says that it is somebody else than its key's owner");
            return None;
        };
        let index = self.free_index();
        let mut response = [0; RESPONSE_BYTES];
        response[..4].copy_from_slice(&packet::head(RESPONSE));
        response[4..8].copy_from_slice(&index.to_le_bytes());
        response[8..12].copy_from_slice(&message[4..8]);
        handshake.write_message(&self.credentials.me.encode(), &mut response[12..]).ok()?;
        let transport = handshake.into_stateless_transport_mode().ok()?;
        let session = Session::new(peer, from, packet::number4(message, 4), transport, now, &self.wear);
        self.sessions.insert(index, session);
        self.half_open.push_back(index);
        if self.half_open.len() > HALF_OPEN_MAX {
            self.half_open.pop_front().and_then(|old| self.sessions.remove(&old));
        }
        self.network.send(from, &response);
        Some(())
    }

    /// Ends a handshake that one has begun.
    pub(super) fn on_response(&mut self, message: &[u8; RESPONSE_BYTES], from: SocketAddr) -> Option<()> {
        let now = self.clock.now();
        let index = packet::number4(message, 8);
        let route = self.routes.get_mut(&from)?;
        route.pending.as_ref().filter(|pending| pending.index == index)?;
        // What is not authentic must not end the handshake: it is begun again with the next datagram then.
        let mut pending = route.pending.take()?;
        let mut claim = [0; CLAIM_BYTES];
        let opened = pending.handshake.read_message(&message[12..], &mut claim);
        let claim = Claim::decode(&claim).filter(|_| opened == Ok(CLAIM_BYTES));
        let Some(peer) = claim.and_then(|claim| self.credentials.peer(pending.owner, claim)) else {
            let name = self.credentials.name(pending.owner);
            self.complaints.say(&name, now, || {
                format!("{name} at {from} answered a handshake without the key that this one knows of it")
            });
            return None;
        };
        let transport = pending.handshake.into_stateless_transport_mode().ok()?;
        let session = Session::new(peer, from, packet::number4(message, 4), transport, now, &self.wear);
        if self.sessions.contains_key(&index) {
            return None;
        }
        self.sessions.insert(index, session);
        // The other side may use the keys once it has heard of them, so something goes out in any case.
        self.adopt(index, from, now);
        self.seal_and_send(index, from, &[]);
        if let Some(route) = self.routes.get_mut(&from) {
            // The next handshake begins with what has just worked.
            route.tries = route.tries.saturating_sub(1);
        }
        Some(())
    }

    /// Answers with a cookie, without remembering anything.
    fn send_cookie(
        &mut self,
        message: &[u8; INITIATION_BYTES],
        from: SocketAddr,
        now: LocalTime,
        secret: &Secret,
    ) {
        let cookie = self.cookies.make(from, now);
        let mut answer = [0; COOKIE_BYTES];
        answer[..4].copy_from_slice(&packet::head(COOKIE));
        answer[4..8].copy_from_slice(&message[4..8]);
        answer[8..24].copy_from_slice(&cookie);
        let key = cookie_key(secret, &self.credentials.key.public());
        let code = noise::mac(&key, &[&answer[..24], &message[CODE_AT..COOKIE_CODE_AT]]);
        answer[24..].copy_from_slice(&code);
        self.network.send(from, &answer);
    }

    /// Keeps a cookie for the next try.
    pub(super) fn on_cookie(&mut self, message: &[u8; COOKIE_BYTES], from: SocketAddr) -> Option<()> {
        let now = self.clock.now();
        let route = self.routes.get_mut(&from)?;
        let index = packet::number4(message, 4);
        let pending = route.pending.as_ref().filter(|pending| pending.index == index)?;
        let code = noise::mac(&cookie_key(&pending.secret, &pending.key), &[&message[..24], &pending.code]);
        if !noise::is_equal(&code, &message[24..]) {
            return None;
        }
        let cookie = std::array::from_fn(|at| message[8 + at]);
        // The same keys again, and at once: a cookie that is new is not asked for twice.
        let is_first = route.cookie.is_none_or(|(known, _)| known != cookie);
        route.cookie = Some((cookie, now));
        route.tries = route.tries.saturating_sub(1);
        if is_first {
            route.tried_at = LocalTime(i64::MIN / 2);
            let server = server_at(&self.credentials.servers, from)?;
            self.shake_hands(server, from, now);
        }
        Some(())
    }

    fn free_index(&mut self) -> u32 {
        loop {
            let index = self.entropy.number();
            if !self.sessions.contains_key(&index) {
                return index;
            }
        }
    }

    /// A handshake that was meant for a key that this server does not have.
    fn complain_of_key(&mut self, message: &[u8; INITIATION_BYTES], from: SocketAddr, now: LocalTime) {
        self.complain(message, from, now, "was told another public key of this server");
    }

    /// Says who was turned away and why.
    fn complain(&mut self, message: &[u8; INITIATION_BYTES], from: SocketAddr, now: LocalTime, why: &str) {
        let owner = self.credentials.owner_of(packet::number8(message, 8)).map(|(owner, _)| owner);
        let place = server_at(&self.credentials.servers, from);
        let name = match (owner, place) {
            (Some(owner), _) => format!("{}, or somebody with its name,", self.credentials.name(owner)),
            (None, Some(server)) => format!("whoever is at the address of server {server}"),
            (None, None) => "somebody unknown".into(),
        };
        self.complaints.say(&name, now, || {
            format!(
                "{name} at {from} was not let in: it {why}. Compare `key`, `server_keys`, `clients` and `secret` on \
                 both sides; nothing more is said about it for a minute"
            )
        });
    }
}
