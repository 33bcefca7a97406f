//! Proof of an address before any expensive work: a responder under a flood of handshakes answers with a cookie,
//! which it makes from the sender's address and does not store, and goes on only with who repeats it (as WireGuard
//! does, section 5.4.7 of its paper).

use std::net::{IpAddr, SocketAddr};

use spec::{LocalTime, Span};

use super::entropy::Entropy;
use super::noise::{self, MAC_BYTES};
use crate::clock::millis;

/// Handshakes in a second from which on cookies are asked for.
pub(super) const LOADED_AT: u32 = 64;
/// How long they are asked for after that.
const LOADED_FOR: Span = millis(2_000);
/// How long one secret makes cookies; they are good for one to two of these.
pub(super) const COOKIE_TERM: Span = millis(60_000);
const SECOND: Span = millis(1_000);

pub(super) type Cookie = [u8; MAC_BYTES];

/// Makes and checks cookies, and knows when to ask for them.
#[derive(Debug)]
pub(super) struct Cookies {
    key: [u8; 32],
    second: LocalTime,
    count: u32,
    loaded_until: LocalTime,
}

impl Cookies {
    pub(super) fn new(entropy: &mut Entropy) -> Self {
        let long_ago = LocalTime(i64::MIN);
        Self { key: entropy.bytes(), second: long_ago, count: 0, loaded_until: long_ago }
    }

    /// Counts a handshake. Whether there are so many that its sender must show a cookie.
    pub(super) fn count(&mut self, now: LocalTime) -> bool {
        if now.0 >= self.second.0.saturating_add(SECOND.0) {
            (self.second, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(1);
        if self.count > LOADED_AT {
            self.loaded_until = now + LOADED_FOR;
        }
        now < self.loaded_until
    }

    /// The cookie of an address at this time.
    pub(super) fn make(&self, from: SocketAddr, now: LocalTime) -> Cookie {
        self.of_term(from, now.0.div_euclid(COOKIE_TERM.0))
    }

    /// Whether a message ends with the code that only who has the cookie of this address can make.
    pub(super) fn is_proved(&self, from: SocketAddr, now: LocalTime, message: &[u8]) -> bool {
        let Some((message, code)) = message.split_last_chunk::<MAC_BYTES>() else { return false };
        let term = now.0.div_euclid(COOKIE_TERM.0);
        [term, term - 1].iter().any(|&term| noise::is_equal(code, &prove(&self.of_term(from, term), message)))
    }

    fn of_term(&self, from: SocketAddr, term: i64) -> Cookie {
        let address = match from.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        noise::mac(&self.key, &[&term.to_le_bytes(), &address, &from.port().to_le_bytes()])
    }
}

/// The code that proves that one has a cookie.
pub(super) fn prove(cookie: &Cookie, message: &[u8]) -> [u8; MAC_BYTES] {
    let mut key = [0; 32];
    key[..MAC_BYTES].copy_from_slice(cookie);
    noise::mac(&key, &[message])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn a_cookie_is_good_for_its_address_and_for_a_while() {
        let cookies = Cookies::new(&mut Entropy::Seeded(Rng::seeded(3)));
        let [one, other]: [SocketAddr; 2] = [([10, 0, 0, 1], 5).into(), ([10, 0, 0, 1], 6).into()];
        let now = LocalTime(5 * COOKIE_TERM.0);
        let message = [&b"hello"[..], &prove(&cookies.make(one, now), b"hello")].concat();
        assert!(cookies.is_proved(one, now, &message) && cookies.is_proved(one, now + COOKIE_TERM, &message));
        assert!(!cookies.is_proved(other, now, &message));
        assert!(!cookies.is_proved(one, now + COOKIE_TERM.times(2), &message));
        assert!(!cookies.is_proved(one, now, &message[1..]) && !cookies.is_proved(one, now, b""));
    }
}
