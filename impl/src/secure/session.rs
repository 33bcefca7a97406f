//! The keys that two sides agreed on, and when they are worn out.

use std::net::SocketAddr;

use snow::StatelessTransportState;
use spec::{LocalTime, Span};

use super::credentials::Peer;
use super::packet::{self, DATA, DATA_HEADER_BYTES, OVERHEAD};
use super::window::Window;
use crate::clock::millis;

/// With AES-GCM, 2^24.5 records of 2^14 bytes leave an attacker a chance of 2^-57 (RFC 8446, section 5.5); a datagram can
/// be four times as long.
const DATAGRAMS_MAX: u64 = 1 << 22;

/// When keys are renewed and thrown away.
#[derive(Clone, Copy, Debug)]
pub struct Wear {
    /// Datagrams after which the side that sends asks for new keys.
    pub datagrams: u64,
    /// Time after which it does.
    pub renew_after: Span,
    /// Time after which old keys are never used again.
    pub reject_after: Span,
    /// How long old keys still open what is under way when there are new ones.
    pub grace: Span,
}

impl Default for Wear {
    fn default() -> Self {
        Self {
            datagrams: DATAGRAMS_MAX,
            renew_after: millis(120_000),
            reject_after: millis(180_000),
            grace: millis(10_000),
        }
    }
}

/// One pair of keys.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) peer: Peer,
    /// The only address that it is heard from and spoken to.
    pub(super) address: SocketAddr,
    /// Whether the other side has proved that it has the keys, too.
    pub(super) confirmed: bool,
    pub(super) born: LocalTime,
    pub(super) expires: LocalTime,
    remote: u32,
    noise: StatelessTransportState,
    window: Window,
    sent: u64,
}

impl Session {
    pub(super) fn new(
        peer: Peer,
        address: SocketAddr,
        remote: u32,
        noise: StatelessTransportState,
        now: LocalTime,
        wear: &Wear,
    ) -> Self {
        let confirmed = noise.is_initiator();
        let expires = now + wear.reject_after;
        Self {
            peer,
            address,
            confirmed,
            born: now,
            expires,
            remote,
            noise,
            window: Window::default(),
            sent: 0,
        }
    }

    pub(super) fn is_worn(&self, now: LocalTime, wear: &Wear) -> bool {
        self.sent >= wear.datagrams || now - self.born >= wear.renew_after
    }

    /// Encrypts a datagram into `out`; none if it is longer than UDP carries.
    pub(super) fn seal<'a>(&mut self, datagram: &[u8], out: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        out.clear();
        out.extend_from_slice(&packet::head(DATA));
        out.extend_from_slice(&self.remote.to_le_bytes());
        out.extend_from_slice(&self.sent.to_le_bytes());
        out.resize(datagram.len() + OVERHEAD, 0);
        self.noise.write_message(self.sent, datagram, &mut out[DATA_HEADER_BYTES..]).ok()?;
        self.sent += 1;
        Some(out)
    }

    /// Decrypts what was never opened before; its length in `out`. None if it is not authentic, or comes again.
    pub(super) fn open(&mut self, number: u64, sealed: &[u8], out: &mut [u8]) -> Option<usize> {
        if !self.window.is_new(number) {
            return None;
        }
        let length = self.noise.read_message(number, sealed, out).ok()?;
        self.window.mark(number);
        Some(length)
    }
}
