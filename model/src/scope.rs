//! Scopes: the bounds within which every reachable state is explored, and the table that `check` runs.

mod deep;
mod default;

use serde::{Deserialize, Serialize};
use spec::{Config, ServerId, ServerSet, SessionId, Slot, Span};

use crate::state::Value;
use crate::variant::scopes::VARIANT_SCOPES;

pub use deep::DEEP_SCOPES;
pub use default::SCOPES;

/// The most servers that a scope can have.
pub const SERVERS_MAX: usize = 5;

/// The most updates that a scope can have.
pub const UPDATES_MAX: u8 = 8;

/// How time passes: each tick advances each server's clock by a slow or a fast step, as it likes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// The holder's term `L`, in clock units.
    pub lease_term: u8,
    /// The grantor's term `G`.
    pub grant_term: u8,
    /// The steps; their ratio is the drift bound `1 + ε`.
    pub slow: u8,
    /// The fast step.
    pub fast: u8,
}

/// A clock that may go beyond the bound of [`Clocks`], as long as every leader doubts it: in a tick it may stand still, or
/// go on by a whole grant term.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Astray {
    /// Whose clock it is.
    pub server: ServerId,
    /// How often servers come to doubt it, or trust it again, together.
    pub doubts: u8,
}

impl Astray {
    /// The clocks that a server of so many comes to doubt: that one, or all others if it is its own, which look to it as
    /// if they were beyond the bound.
    pub fn doubted_by(&self, server: ServerId, servers: u8) -> ServerSet {
        let differs = |other: &ServerId| (server == self.server) != (*other == self.server);
        (0..servers).map(ServerId).filter(differs).collect()
    }
}

/// Drift up to 3/2 in units of which a slow step takes two and a fast one three; `L` is four slow steps and `G`
/// four fast ones, the least that `L·(1+ε) ≤ G` allows.
pub const CLOCKS: Clocks = Clocks { lease_term: 8, grant_term: 12, slow: 2, fast: 3 };

/// The same drift with terms of two steps, where the state space must stay small.
pub const SHORT_CLOCKS: Clocks = Clocks { lease_term: 4, grant_term: 6, slow: 2, fast: 3 };

/// Clocks that all go at one pace, and terms of one step: nothing is said about drift, and there is little to explore.
pub const ONE_PACE: Clocks = Clocks { lease_term: 1, grant_term: 1, slow: 1, fast: 1 };

/// The terms that a server is configured with after a restart, where a scope has it: half of [`SHORT_CLOCKS`].
pub const RESTART_CLOCKS: Clocks = Clocks { lease_term: 2, grant_term: 3, ..SHORT_CLOCKS };

/// How long a server waits for a sign of a leader before it stands, in clock units, and what chance may add.
const ELECTION_TIMEOUT: i64 = 12;

/// How often a leader without a lease confirms its view.
const RENEW_INTERVAL: Span = Span(60);

/// How long the others wait for that before they stand, in scopes where they are patient.
const PATIENCE: Span = Span(72);

/// A named bound.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default = "Scope::nothing")]
pub struct Scope {
    /// Its name on the command line.
    #[serde(skip)]
    pub name: &'static str,
    /// What it is for, in a line.
    #[serde(skip)]
    pub purpose: &'static str,
    /// `N`.
    pub servers: u8,
    /// Quorums of phase 1 and phase 2, if they are not majorities.
    pub quorums: Option<(u8, u8)>,
    /// Slots that can be proposed in, above those that opened the sessions.
    pub slots: u8,
    /// How many views can be attempted, whatever their numbers.
    pub views: u8,
    /// How many of them by one server.
    pub views_each: u8,
    /// Which servers may attempt a view, if not all: the first so many.
    pub candidates: Option<u8>,
    /// Whether the first server leads from the beginning, in scopes that would be too large otherwise.
    pub begun: bool,
    /// Pairs of servers that never hear of each other, in scopes that would be too large otherwise.
    pub cut: Option<[(u8, u8); 3]>,
    /// Updates that clients submit, each once, each at any leader.
    pub updates: u8,
    /// How often clients ask again for an update that they have asked for, together, each time at any leader.
    pub retries: u8,
    /// Crashes (and restarts) of each server.
    pub crashes: u8,
    /// Crashes of all servers together, if that is less.
    pub crashes_together: Option<u8>,
    /// Lease requests, or confirmations, of each view.
    pub rounds: u8,
    /// Requests of all views together, if that is less.
    pub rounds_together: Option<u8>,
    /// How often leaders resign, together.
    pub resigns: u8,
    /// Reads that clients ask for, one at a time. Lease reads need none: each state in which one could be served
    /// counts as one.
    pub reads: u8,
    /// Leases and drifting clocks; without them no time passes.
    pub lease: Option<Clocks>,
    /// A clock that goes beyond what they may drift, and is doubted.
    #[serde(default)]
    pub astray: Option<Astray>,
    /// Whether time stands still all the same, so that a grant lasts.
    pub still: bool,
    /// The terms of a server that has restarted, if it is configured otherwise then.
    pub restart_lease: Option<Clocks>,
    /// How many sessions a server keeps, if the scope tries the limit.
    pub sessions_max: Option<u8>,
    /// How many chosen values a Promise or Commit carries, if the scope tries the limit.
    pub catch_up_max: Option<u8>,
    /// How often each server takes a snapshot and forgets its log up to there.
    #[serde(default)]
    pub compactions: u8,
    /// How often servers lose their disks, and recover, together.
    #[serde(default)]
    pub wipes: u8,
    /// How often disks are damaged: all but what the server promised is lost, or a snapshot and the votes above it.
    #[serde(default)]
    pub damages: u8,
    /// Whether records become durable in a step of their own.
    pub flush: bool,
    /// Whether updates can reach servers that do not lead, and be forwarded.
    pub forward: bool,
    /// Whether all updates are one client's, which submits the next once it has the answer to the one before.
    #[serde(default)]
    pub one_client: bool,
    /// Whether dead messages stay, whatever reductions are asked for: the arms that ignore them are arms too.
    #[serde(default)]
    pub every_message: bool,
    /// Whether what a server says to itself takes its time, whatever reductions are asked for.
    #[serde(default)]
    pub own_late: bool,
    /// Whether every state must be able to recover.
    pub recovery: bool,
    /// Whether it must also be able to without any one of the servers, which is gone for good.
    #[serde(default)]
    pub one_gone: bool,
    /// Whether servers wait for a leader without a lease as long as it may be silent. Then no election cures what it
    /// leaves undone.
    pub patient: bool,
    /// The probes that must be reached, by name.
    #[serde(skip)]
    pub probes: &'static [&'static str],
}

impl Scope {
    /// What scopes have in common, to be filled in.
    pub(crate) const BASE: Self = Self {
        name: "custom",
        purpose: "",
        servers: 3,
        quorums: None,
        slots: 2,
        views: 2,
        views_each: 1,
        candidates: None,
        begun: false,
        cut: None,
        updates: 2,
        retries: 0,
        crashes: 0,
        crashes_together: None,
        rounds: 0,
        rounds_together: None,
        resigns: 0,
        reads: 0,
        lease: None,
        astray: None,
        still: false,
        restart_lease: None,
        sessions_max: None,
        catch_up_max: None,
        compactions: 0,
        wipes: 0,
        damages: 0,
        flush: false,
        forward: false,
        one_client: false,
        every_message: false,
        own_late: false,
        recovery: false,
        one_gone: false,
        patient: false,
        probes: &["a view is established"],
    };

    /// Bounds within which nothing can happen: what a saved file does not name, it did not know of.
    fn nothing() -> Self {
        Self { servers: 0, slots: 0, views: 0, updates: 0, ..Self::BASE.unnamed() }
    }

    /// A scope of one's own, to be filled in.
    pub fn custom() -> Self {
        Self::BASE.clone()
    }

    /// The bounds alone, without what the table says of them.
    #[must_use]
    pub fn unnamed(&self) -> Self {
        Self { name: "", purpose: "", probes: &[], ..self.clone() }
    }

    /// The configuration of one server in this scope.
    pub fn config(&self, me: ServerId) -> Config {
        self.config_with(me, self.lease)
    }

    /// Its configuration after a restart.
    pub fn restart_config(&self, me: ServerId) -> Config {
        self.config_with(me, self.restart_lease.or(self.lease))
    }

    fn config_with(&self, me: ServerId, lease: Option<Clocks>) -> Config {
        const DRIFT_MILLIONTHS: u32 = 1_000_000;
        let clocks = lease.unwrap_or(Clocks { lease_term: 0, grant_term: 0, slow: 1, fast: 1 });
        let (slow, fast) = (u32::from(clocks.slow), u32::from(clocks.fast));
        let mut config = Config {
            grant_term: Span(clocks.grant_term.into()),
            drift_ppm: (fast - slow) * DRIFT_MILLIONTHS / slow,
            renew_interval: match self.lease {
                Some(_) => Span(clocks.slow.min(clocks.lease_term.saturating_sub(1)).into()),
                None => RENEW_INTERVAL,
            },
            // In a scope any timer may run out at any time; these delays matter to recovery only.
            election_timeout: if self.patient { PATIENCE } else { Span(ELECTION_TIMEOUT) },
            election_spread: Span(ELECTION_TIMEOUT),
            retry_interval: Span(ELECTION_TIMEOUT / 4),
            forward_interval: Span(ELECTION_TIMEOUT / 2),
            // Elections that fail are as free to be repeated as any: the back-off is the environment's.
            backoff_doublings_max: 0,
            ..Config::new(me, self.servers, Span(clocks.lease_term.into()))
        };
        if let Some((phase1, phase2)) = self.quorums {
            (config.phase1_quorum, config.phase2_quorum) = (phase1, phase2);
        }
        config.sessions_max = self.sessions_max.map_or(config.sessions_max, usize::from);
        config.catch_up_max = self.catch_up_max.map_or(config.catch_up_max, usize::from);
        config
    }

    /// Whether the bounds are such that a model can be made of them, for those that no code here has chosen.
    ///
    /// # Errors
    /// In words, if a bound is out of range or contradicts another.
    pub fn validate(&self) -> Result<(), String> {
        const COUNT_MAX: u8 = 64;
        let within = |what: &str, value: u8, least: u8, most: u8| {
            let fits = (least..=most).contains(&value);
            fits.then_some(()).ok_or_else(|| format!("{what} must be {least} to {most}, and not {value}"))
        };
        within("servers", self.servers, 1, u8::try_from(SERVERS_MAX).unwrap_or(u8::MAX))?;
        within("updates", self.updates, 0, UPDATES_MAX)?;
        within("views_each", self.views_each, 1, COUNT_MAX)?;
        let counts = [
            ("slots", self.slots),
            ("views", self.views),
            ("retries", self.retries),
            ("crashes", self.crashes),
            ("rounds", self.rounds),
            ("resigns", self.resigns),
            ("reads", self.reads),
            ("compactions", self.compactions),
            ("wipes", self.wipes),
            ("damages", self.damages),
        ];
        counts.into_iter().try_for_each(|(what, value)| within(what, value, 0, COUNT_MAX))?;
        if u16::from(self.views) > u16::from(self.servers) * u16::from(self.views_each) {
            return Err(format!(
                "{} views need as many servers: each server attempts {}",
                self.views, self.views_each
            ));
        }
        if let Some(Astray { server, doubts }) = self.astray {
            within("the server whose clock goes astray", server.0, 0, self.servers - 1)?;
            within("doubts", doubts, 0, COUNT_MAX)?;
        }
        within("sessions_max", self.sessions_max.unwrap_or(1), 1, COUNT_MAX)?;
        within("catch_up_max", self.catch_up_max.unwrap_or(1), 1, COUNT_MAX)?;
        for clocks in self.lease.into_iter().chain(self.restart_lease) {
            within("slow", clocks.slow, 1, COUNT_MAX)?;
            within("fast", clocks.fast, clocks.slow, COUNT_MAX)?;
        }
        Ok(())
    }

    /// Whether two servers never hear of each other.
    pub fn cuts(&self, one: ServerId, other: ServerId) -> bool {
        let pair = (one.0.min(other.0), one.0.max(other.0));
        self.cut.is_some_and(|pairs| pairs.contains(&pair))
    }

    /// The request that submits an update: the first of its client's session, or the next of the one client's.
    pub fn request(&self, value: Value) -> (SessionId, u64) {
        if self.one_client {
            return (SessionId(Slot(1)), u64::from(value) + 1);
        }
        (SessionId(Slot(u64::from(value) + 1)), 1)
    }

    /// The slots that opened the clients' sessions before the exploration begins, one an update.
    pub fn sessions(&self) -> u64 {
        self.updates.into()
    }

    /// The highest slot that may be proposed in.
    pub fn highest_slot(&self) -> u64 {
        self.sessions() + u64::from(self.slots)
    }

    /// The bounds in a line.
    pub fn bounds(&self) -> String {
        let count = |count: u8, what: &str| {
            format!(
                "{count} {what}{}",
                if count == 1 {
                    ""
                } else if what.ends_with('h') {
                    "es"
                } else {
                    "s"
                }
            )
        };
        let in_all = |limit: Option<u8>| limit.map_or(String::new(), |limit| format!(", {limit} in all"));
        let mut parts = vec![
            count(self.servers, "server"),
            count(self.slots, "slot"),
            count(self.views, "view"),
            count(self.updates, "update"),
        ];
        if self.views_each > 1 {
            parts.push(format!("up to {} by one server", self.views_each));
        }
        if self.begun {
            parts.push("the first of them established".into());
        }
        parts.extend(self.cut.map(|pairs| {
            let pairs = pairs.map(|(one, other)| format!("{one}-{other}"));
            format!("cut off from each other {}", pairs.join(" "))
        }));
        parts.extend(self.candidates.map(|servers| format!("by the first {}", count(servers, "server"))));
        if self.crashes > 0 {
            parts.push(format!(
                "{} of each server{}",
                count(self.crashes, "crash"),
                in_all(self.crashes_together)
            ));
        }
        if self.rounds > 0 {
            parts.push(format!(
                "{} of each view{}",
                count(self.rounds, "round"),
                in_all(self.rounds_together)
            ));
        }
        if self.resigns > 0 {
            parts.push(count(self.resigns, "resignation"));
        }
        if self.retries > 0 {
            parts.push(if self.retries == 1 {
                "1 retry".into()
            } else {
                format!("{} retries", self.retries)
            });
        }
        if self.reads > 0 {
            parts.push(count(self.reads, "read"));
        }
        if let Some((phase1, phase2)) = self.quorums {
            parts.push(format!("quorums {phase1}+{phase2}"));
        }
        if let Some(clocks) = self.lease {
            parts.push(format!(
                "L={} G={} drift {}/{}",
                clocks.lease_term, clocks.grant_term, clocks.fast, clocks.slow
            ));
        }
        parts.extend(self.astray.map(|Astray { server, doubts }| {
            format!(
                "the clock of server {server} beyond that, {}",
                count(doubts, "change") + " of who doubts it"
            )
        }));
        if self.still {
            parts.push("time stands still".into());
        }
        if let Some(clocks) = self.restart_lease {
            parts.push(format!("L={} G={} after a restart", clocks.lease_term, clocks.grant_term));
        }
        parts.extend(self.sessions_max.map(|sessions| count(sessions, "session")));
        parts.extend(self.catch_up_max.map(|values| format!("{} a message", count(values, "chosen value"))));
        if self.compactions > 0 {
            parts.push(format!("{} of each server", count(self.compactions, "snapshot")));
        }
        if self.wipes > 0 {
            parts.push(format!("{} lost", count(self.wipes, "disk")));
        }
        if self.damages > 0 {
            parts.push(format!("{} damaged", count(self.damages, "disk")));
        }
        if self.flush {
            parts.push("separate flush".into());
        }
        if self.own_late {
            parts.push("own messages late".into());
        }
        if self.forward {
            parts.push("forwarding".into());
        }
        if self.recovery {
            parts.push(if self.patient { "recovery by patient servers".into() } else { "recovery".into() });
        }
        if self.one_gone {
            parts.push("also without any one server".into());
        }
        parts.join(", ")
    }
}

impl Scope {
    /// Whether disks and clocks are such as the machine that the handlers are refined to knows.
    pub fn is_refined(&self) -> bool {
        !self.disks_fail() && self.astray.is_none()
    }

    /// Whether disks lose what was durable; most reductions rest on it that they do not.
    pub fn disks_fail(&self) -> bool {
        self.wipes > 0 || self.damages > 0
    }
}

/// The scope of that name: a default or a deep one, or one for variants or for TLC.
pub fn named(name: &str) -> Option<&'static Scope> {
    SCOPES
        .iter()
        .chain(DEEP_SCOPES)
        .chain(VARIANT_SCOPES)
        .chain(crate::tlc::SCOPES)
        .find(|scope| scope.name == name)
}
