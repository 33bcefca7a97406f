//! The second checker: what TLC is given to explore by the module in `spec/tla`, and how its states are compared with
//! the model's.
//!
//! [`projection`] says what of a state of the model is a state of the module, [`value`] writes and reads TLA+ values,
//! [`compare`] counts distinct projected states and holds them against TLC's own. `spec/tla/README.md` has the whole
//! correspondence.

pub mod compare;
pub mod projection;
pub mod value;

use std::fmt::Write;

use spec::{Phase, Rules, ServerId};

use crate::properties::{PROPERTIES, RECOVERABILITY};
use crate::scope::{SHORT_CLOCKS, Scope};
use crate::system::Reductions;
use crate::variant::Variant;

/// A scope that TLC explores too.
pub struct Shared {
    /// Its name: one of [`SCOPES`](crate::scope::SCOPES) or of [`SCOPES`].
    pub scope: &'static str,
    /// Its reductions, which the module has as well.
    pub reductions: Reductions,
    /// Its configuration file in `spec/tla`.
    pub configuration: &'static str,
    /// Whether TLC takes so long for it that `ci/tlc.sh` leaves it out.
    pub long: bool,
}

/// A variant as the module has it.
pub struct Replacement {
    /// Its name, which is that of the model's variant.
    pub variant: &'static str,
    /// What replaces what: an operator, for a line of a configuration; none if the bounds say it all.
    pub operator: Option<&'static str>,
    /// The scope that shows it.
    pub scope: &'static str,
    /// Whether TLC takes so long for it that `ci/tlc.sh` leaves it out.
    pub long: bool,
}

/// The variants that TLC runs too: those that replace one operator of `Rules.tla`, in scopes of a size for it.
pub const REPLACEMENTS: &[Replacement] = &[
    replaced("thesis-quorum-half", "IsQuorum <- HalfIsAQuorum", "quorum"),
    Replacement { variant: "quorums-of-n", operator: None, scope: "quorums-duel", long: false },
    replaced("lowest-view", "VoteToKeep <- LowestVote", "three-leaders"),
    replaced("new-update-in-reported-slot", "FirstFreeSlot <- FirstSlotNotCommitted", "three-leaders"),
    at_length("vote-promises-nothing", "PromisedByVote <- PromisedBefore", "three-leaders"),
    replaced("accepts-below-promise", "MayAccept <- AcceptsAnyView", "three-leaders"),
    at_length("stale-promise", "CountsPromise <- CountsAnyPromise", "comeback"),
    replaced("votes-passed-on", "MayPassOn <- PassesOnVotes", "asked-for"),
    replaced("thesis-update-in-two-slots", "Admits <- AdmitsAll", "tlc-retries"),
    replaced("accept-before-durable", "WaitsForDisk <- AllButAcceptsWait", "tlc-flush"),
    at_length("promise-before-durable", "WaitsForDisk <- AllButPromisesWait", "tlc-disk"),
    replaced("thesis-grant-forgotten", "GrantAfterRestart <- NoGrantAfterRestart", "lease-restart"),
    replaced("late-copy-extends", "GrantEnd <- GrantEndOfAnyCopy", "lease-moves"),
    replaced("thesis-promise-despite-lease", "MayPromise <- PromisesDespiteGrant", "lease-moves"),
    at_length("thesis-forsake-without-view", "MayEndGrant <- EndsAnyGrant", "lease-three"),
    at_length("grants-of-other-rounds", "CountsGrant <- CountsAnyRound", "lease-renewed"),
    replaced("grants-uncounted", "MakesLease <- OneGrantMakesLease", "lease-moves"),
    replaced("lease-from-ack", "LeaseEnd <- LeaseEndFromAcknowledgement", "lease-moves"),
    at_length("thesis-request-sent-again", "NextRound <- SameRound", "lease-renewed"),
    replaced("lease-held-at-its-end", "HoldsLease <- HoldsLeaseAtItsEnd", "lease-moves"),
    replaced("thesis-shorter-term", "TermFits <- TermFitsWithoutDrift", "lease-moves"),
    replaced("thesis-refusal-quits", "Departure <- Quits", "tlc-stable"),
];

const fn replaced(variant: &'static str, operator: &'static str, scope: &'static str) -> Replacement {
    Replacement { variant, operator: Some(operator), scope, long: false }
}

/// The same, by hand.
const fn at_length(variant: &'static str, operator: &'static str, scope: &'static str) -> Replacement {
    Replacement { long: true, ..replaced(variant, operator, scope) }
}

/// The scopes that both check, the one of the fast tier first.
pub const SHARED: &[Shared] = &[
    reduced("tlc-agreement", "Agreement.cfg"),
    reduced("three-leaders", "ThreeLeaders.cfg"),
    reduced("tlc-retries", "Retries.cfg"),
    reduced("quorum", "Quorum.cfg"),
    reduced("quorums", "Quorums.cfg"),
    Shared { scope: "tlc-plain", reductions: Reductions::OFF, configuration: "Plain.cfg", long: false },
    reduced("tlc-flush", "Flush.cfg"),
    Shared { long: true, ..reduced("tlc-disk", "Disk.cfg") },
    reduced("lease-moves", "LeaseMoves.cfg"),
    reduced("lease-restart", "LeaseRestart.cfg"),
    reduced("tlc-stable", "Stable.cfg"),
    reduced("tlc-reads", "Reads.cfg"),
];

const fn reduced(scope: &'static str, configuration: &'static str) -> Shared {
    Shared { scope, reductions: Reductions::ON, configuration, long: false }
}

/// Scopes of a size for TLC, which are not part of the default check.
pub const SCOPES: &[Scope] = &[
    Scope {
        name: "tlc-agreement",
        purpose: "two views, and a restart of any server",
        crashes: 1,
        crashes_together: Some(1),
        ..BASE
    },
    Scope { name: "tlc-retries", purpose: "a client asks again anywhere", retries: 1, ..BASE },
    Scope { name: "tlc-plain", purpose: "no reductions", servers: 2, slots: 1, updates: 1, ..BASE },
    Scope {
        name: "tlc-flush",
        purpose: "records reach the disk late, and a crash keeps any prefix of them",
        servers: 2,
        crashes: 1,
        crashes_together: Some(1),
        flush: true,
        ..BASE
    },
    Scope {
        name: "tlc-disk",
        purpose: "the same with three servers, all of whose promises but only one of whose votes make a quorum",
        quorums: Some((3, 1)),
        slots: 1,
        crashes: 1,
        crashes_together: Some(1),
        flush: true,
        ..BASE
    },
    Scope {
        name: "tlc-stable",
        purpose: "a leader with a lease is refused and prepares a higher view of its own; leaders resign",
        views_each: 2,
        rounds_together: Some(2),
        resigns: 1,
        ..LEASE
    },
    Scope {
        name: "tlc-reads",
        purpose: "reads under a lease that is renewed, and an update",
        servers: 2,
        slots: 1,
        updates: 1,
        rounds: 2,
        ..LEASE
    },
];

const LEASE: Scope = Scope { slots: 0, updates: 0, rounds: 1, lease: Some(SHORT_CLOCKS), ..BASE };

const BASE: Scope = Scope { probes: &[], ..Scope::BASE };

/// The shared scope of that name.
pub fn shared(name: &str) -> Option<&'static Shared> {
    SHARED.iter().find(|shared| shared.scope == name)
}

/// How the module has a variant, if it does.
pub fn replacement(variant: Variant) -> Option<&'static Replacement> {
    let description = variant.description()?;
    REPLACEMENTS.iter().find(|it| it.variant == description.name)
}

/// The constants of the module for a scope as a variant has it, in the order in which the module declares them.
pub fn constants(scope: &Scope, variant: Variant, reductions: Reductions) -> Vec<(&'static str, String)> {
    const UNLIMITED: u8 = 99;
    let scope = &variant.scope(scope);
    let config = variant.config(scope.config(ServerId(0)));
    let (slow, fast) = scope.lease.map_or((1, 1), |clocks| (clocks.slow, clocks.fast));
    // What an operator of the module replaces is not said twice.
    let by_operator = replacement(variant).is_some_and(|it| it.operator.is_some());
    let rules = if by_operator { Variant::Correct } else { variant };
    let needed = |phase| {
        let makes_quorum = |&size: &u8| rules.is_quorum(&config, phase, (0..size).map(ServerId).collect());
        (1..=scope.servers).find(makes_quorum).unwrap_or(scope.servers).to_string()
    };
    let boolean = |it: bool| if it { "TRUE" } else { "FALSE" }.to_string();
    let reductions = variant.reductions(reductions);
    vec![
        ("N", scope.servers.to_string()),
        ("Q1", needed(Phase::One)),
        ("Q2", needed(Phase::Two)),
        ("Slots", scope.slots.to_string()),
        ("Views", scope.views.to_string()),
        ("ViewsEach", scope.views_each.to_string()),
        ("Updates", scope.updates.to_string()),
        ("Retries", scope.retries.to_string()),
        ("Crashes", scope.crashes.to_string()),
        ("CrashesTogether", scope.crashes_together.unwrap_or(UNLIMITED).to_string()),
        ("Rounds", scope.rounds.to_string()),
        ("RoundsTogether", scope.rounds_together.unwrap_or(UNLIMITED).to_string()),
        ("Resigns", scope.resigns.to_string()),
        ("LeaseTerm", config.lease_term.0.to_string()),
        ("GrantTerm", config.grant_term.0.to_string()),
        ("Slow", slow.to_string()),
        ("Fast", fast.to_string()),
        ("Flush", boolean(scope.flush)),
        ("OwnAtOnce", boolean(reductions.own_at_once)),
        ("DropDead", boolean(reductions.drop_dead)),
        ("InOrder", boolean(reductions.symmetric && scope.views_each == 1)),
    ]
}

/// Whether the module has a property: all but those that compare whole runs, or steps, with something else.
pub fn has_property(name: &str) -> bool {
    name != RECOVERABILITY && name != "refinement"
}

/// What the module calls a property: `one value per view` is `OneValuePerView`.
pub fn invariant(property: &str) -> String {
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    property.split(' ').map(capitalised).collect()
}

/// A configuration of TLC for a scope: all properties of the correct rules, or the one that the variant must break.
///
/// # Errors
/// Says what of the scope or the variant the module does not have.
pub fn configuration(scope: &Scope, variant: Variant, reductions: Reductions) -> Result<String, String> {
    let missing = [
        (scope.forward, "forwarded updates"),
        (scope.reads > 0, "reads that wait"),
        (scope.restart_lease.is_some(), "other terms after a restart"),
        (scope.sessions_max.is_some(), "a limit of sessions"),
        (scope.catch_up_max.is_some(), "a limit of values in a message"),
        (scope.compactions > 0, "snapshots"),
        (scope.recovery, "recovery"),
        (scope.candidates.is_some() || scope.cut.is_some(), "servers that cannot do all that others can"),
    ];
    if let Some((_, what)) = missing.iter().find(|(wanted, _)| *wanted) {
        return Err(format!("scope {}: spec/tla does not have {what}; choose another scope", scope.name));
    }
    let mut text = format!("\\* {}: {}\n", scope.name, scope.bounds());
    text += "CONSTANTS\n";
    for (name, value) in constants(scope, variant, reductions) {
        let _ = writeln!(text, "    {name} = {value}");
    }
    if let Some(description) = variant.description() {
        let replacement = replacement(variant).ok_or_else(|| {
            let names: Vec<_> = REPLACEMENTS.iter().map(|it| it.variant).collect();
            format!("spec/tla does not have the variant {}; it has {}", description.name, names.join(", "))
        })?;
        if let Some(operator) = replacement.operator {
            let _ = writeln!(text, "    {operator}");
        }
    }
    text += "\nSPECIFICATION Spec\nINVARIANTS\n";
    let wanted = PROPERTIES.iter().filter(|it| variant.falls().is_none_or(|falls| falls == it.name));
    for property in wanted.filter(|it| has_property(it.name)) {
        let _ = writeln!(text, "    {}", invariant(property.name));
    }
    Ok(text)
}
