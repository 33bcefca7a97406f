//! What a server is told before it starts, and which of it can be wrong.

use core::fmt;

use crate::time::Span;
use crate::view::{SERVERS_MAX, ServerId};

/// One server's configuration. All servers of a group agree on everything but `me`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// This server (`myServerId`).
    pub me: ServerId,
    /// How many servers the group has (`N`).
    pub servers: u8,
    /// How many promises establish a view.
    pub phase1_quorum: u8,
    /// How many votes choose a value, and how many grants make a lease.
    pub phase2_quorum: u8,

    /// The holder's term `L` (4.3.4); zero switches leases off.
    pub lease_term: Span,
    /// The grantor's term `G`, longer than `L` by the drift margin; zero when leases are off.
    pub grant_term: Span,
    /// The bound `ε` on how much faster one clock may run than another, in millionths (4.3.4).
    pub drift_ppm: u32,
    /// How often a leader renews its lease; the thesis renews every third of the term (4.3.3).
    pub renew_interval: Span,

    /// How long a server waits for a sign of a leader before it stands for election.
    pub election_timeout: Span,
    /// The random part that is added to it.
    pub election_spread: Span,
    /// How often the two are doubled, at most, while elections keep failing.
    pub backoff_doublings_max: u8,
    /// How long a leader waits for answers before it repeats a message.
    pub retry_interval: Span,
    /// How long a server waits before it forwards a request again.
    pub forward_interval: Span,

    /// How many proposals may be outstanding (the rate window of 6.1).
    pub window: usize,
    /// How many bytes they may hold together; one proposal always fits. Also the size that a list of values
    /// in one message aims at.
    pub window_bytes: usize,
    /// How far above its committed slot an acceptor votes. Bounds its memory and its Promises.
    pub slots_ahead_max: u64,
    /// How many chosen values a Commit or Promise carries.
    pub catch_up_max: usize,
    /// How many requests wait at one server, and how many reads.
    pub waiting_max: usize,
    /// How many sessions are kept; opening one more evicts the one that has been idle longest.
    pub sessions_max: usize,
}

impl Config {
    /// A group of `servers` with majorities as quorums, limits that suit a cluster, and terms in
    /// proportion to `lease_term` (4.3.3: renewal every third of the term).
    pub fn new(me: ServerId, servers: u8, lease_term: Span) -> Self {
        let majority = servers / 2 + 1;
        let margin = Span(lease_term.0 / 10);
        Self {
            me,
            servers,
            phase1_quorum: majority,
            phase2_quorum: majority,
            lease_term,
            grant_term: Span(lease_term.0 + margin.0),
            drift_ppm: 10_000,
            renew_interval: Span(lease_term.0 / 3),
            election_timeout: lease_term,
            election_spread: Span(lease_term.0 / 2),
            backoff_doublings_max: 4,
            retry_interval: Span(lease_term.0 / 10),
            forward_interval: Span(lease_term.0 / 2),
            window: 256,
            window_bytes: 256 * 1024,
            slots_ahead_max: 1024,
            catch_up_max: 64,
            waiting_max: 16 * 1024,
            sessions_max: 16 * 1024,
        }
    }

    /// All servers of the group, this one included.
    pub fn members(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.servers).map(ServerId)
    }

    /// Whether this group has such a server.
    pub fn is_member(&self, server: ServerId) -> bool {
        server.0 < self.servers
    }

    /// Checks what safety and progress rest on.
    ///
    /// # Errors
    /// Names the first requirement that does not hold.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { servers, phase1_quorum: q1, phase2_quorum: q2, .. } = *self;
        let checks = [
            ((1..=SERVERS_MAX).contains(&servers), ConfigError::Servers),
            (self.is_member(self.me), ConfigError::NotAMember),
            (
                (1..=servers).contains(&q1)
                    && (1..=servers).contains(&q2)
                    && u16::from(q1) + u16::from(q2) > u16::from(servers),
                ConfigError::Quorums,
            ),
            (self.lease_term >= Span::ZERO && self.grant_fits(self.lease_term), ConfigError::Terms),
            (
                self.lease_term == Span::ZERO || self.renew_interval < self.lease_term,
                ConfigError::RenewInterval,
            ),
            (
                self.window > 0 && self.catch_up_max > 0 && self.waiting_max > 0 && self.sessions_max > 0,
                ConfigError::Limits,
            ),
            (self.slots_ahead_max >= self.window as u64, ConfigError::Limits),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Whether a holder's term `L` fits this grantor's `G`: `L·(1+ε) ≤ G` (4.3.4).
    pub fn grant_fits(&self, term: Span) -> bool {
        const MILLION: i128 = 1_000_000;
        i128::from(term.0) * (MILLION + i128::from(self.drift_ppm)) <= i128::from(self.grant_term.0) * MILLION
    }
}

/// A configuration that no server may start with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// The number of servers is out of range.
    Servers,
    /// `me` is not one of the servers.
    NotAMember,
    /// Two quorums could miss each other.
    Quorums,
    /// The grantor's term does not cover the holder's.
    Terms,
    /// The lease would lapse before it is renewed.
    RenewInterval,
    /// A limit is zero, or votes are cut off within the window.
    Limits,
    /// What only one server knew is lost with its disk.
    QuorumOfOne,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Servers => "a group has 1 to 64 servers",
            Self::NotAMember => "this server's id is not below the number of servers",
            Self::Quorums => {
                "each quorum is 1 to N servers, and phase 1 and phase 2 together must be more than N, \
                 or two leaders could choose different values"
            }
            Self::Terms => {
                "the grant term must be at least the lease term times (1 + drift), or two servers could \
                 hold the lease at once"
            }
            Self::RenewInterval => "the lease must be renewed before its term is over",
            Self::Limits => "limits must be positive, and slots_ahead_max at least the window",
            Self::QuorumOfOne => {
                "a server can recover from the others only if no quorum is one server alone: what only it knew is lost"
            }
        })
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Config {
        Config::new(ServerId(0), 5, Span(1_000))
    }

    #[test]
    fn each_unsafe_setting_is_refused_by_name() {
        type Change = fn(&mut Config);
        let table: [(Change, ConfigError); 14] = [
            (|it| it.servers = 0, ConfigError::Servers),
            (|it| it.servers = SERVERS_MAX + 1, ConfigError::Servers),
            (|it| it.me = ServerId(5), ConfigError::NotAMember),
            (|it| it.phase1_quorum = 2, ConfigError::Quorums),
            (|it| (it.phase1_quorum, it.phase2_quorum) = (0, 5), ConfigError::Quorums),
            (|it| it.phase2_quorum = 6, ConfigError::Quorums),
            (|it| it.grant_term = Span(1_009), ConfigError::Terms),
            (|it| it.lease_term = Span(-1), ConfigError::Terms),
            (|it| it.renew_interval = it.lease_term, ConfigError::RenewInterval),
            (|it| it.window = 0, ConfigError::Limits),
            (|it| it.catch_up_max = 0, ConfigError::Limits),
            (|it| it.waiting_max = 0, ConfigError::Limits),
            (|it| it.sessions_max = 0, ConfigError::Limits),
            (|it| it.slots_ahead_max = it.window as u64 - 1, ConfigError::Limits),
        ];
        for (at, (change, error)) in table.into_iter().enumerate() {
            let mut config = valid();
            change(&mut config);
            assert_eq!(config.validate(), Err(error), "row {at}");
        }
    }

    #[test]
    fn what_is_just_safe_is_accepted() {
        let table: [fn(&mut Config); 4] = [
            |_| {},
            |it| (it.phase1_quorum, it.phase2_quorum) = (4, 2),
            |it| it.grant_term = Span(1_010), // L·(1+ε) exactly, at 10,000 ppm
            |it| (it.lease_term, it.grant_term) = (Span::ZERO, Span::ZERO),
        ];
        for (at, change) in table.into_iter().enumerate() {
            let mut config = valid();
            change(&mut config);
            assert_eq!(config.validate(), Ok(()), "row {at}");
        }
    }

    #[test]
    fn the_longest_terms_do_not_overflow_the_check_of_the_grant() {
        let config = Config { grant_term: Span(i64::MAX), ..valid() };
        assert!(!config.grant_fits(Span(i64::MAX)));
    }

    #[test]
    fn each_error_says_in_its_own_words_what_is_required() {
        use ConfigError::{Limits, NotAMember, Quorums, RenewInterval, Servers, Terms};
        let words = [
            (Servers, "1 to 64"),
            (NotAMember, "below the number of servers"),
            (Quorums, "together must be more than N"),
            (Terms, "lease term times (1 + drift)"),
            (RenewInterval, "before its term is over"),
            (Limits, "must be positive"),
        ];
        for (error, required) in words {
            assert!(alloc::format!("{error}").contains(required), "{error:?}: {error}");
        }
    }
}
