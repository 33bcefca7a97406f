//! Handler coverage: which arms of the handlers, and which outcomes of the rules, an exploration exercised. An arm that
//! is exercised in no default scope fails the check: whatever it does wrong, nobody would see.
//!
//! Every delivery of a message takes one arm of its kind, told by what came of it ([`delivery`]). What the rules answered is
//! noted by [`watched`] while the handlers run.

pub mod watched;

use std::sync::atomic::{AtomicU64, Ordering};

use spec::{Effect, Message, Record, Recovery, Role, Slot};

use crate::refinement::act::ACTIONS;
use crate::state::{Node, Value};
use crate::step::Local;

/// What a delivery can come to, by kind of message.
pub const DELIVERIES: &[(&str, &str)] = &[
    ("Forward", "proposed, or in hand already"),
    ("Forward", "ignored: applied already, or nobody leads here yet"),
    ("Forward", "redirected"),
    ("Redirect", "answers the client"),
    ("Redirect", "ignored"),
    ("Prepare", "promised"),
    ("Prepare", "promised once more"),
    ("Prepare", "refused"),
    ("Prepare", "kept out by a grant"),
    ("Promise", "counted"),
    ("Promise", "establishes the view"),
    ("Promise", "ignored"),
    ("Reject", "a candidate hears of a higher view"),
    ("Reject", "a leader steps down"),
    ("Reject", "a leader prepares a higher view"),
    ("Reject", "ignored"),
    ("Propose", "voted for"),
    ("Propose", "answered with the vote once more"),
    ("Propose", "refused"),
    ("Propose", "answered with its Commit"),
    ("Propose", "answered with a snapshot"),
    ("Accept", "counted"),
    ("Accept", "chooses the value"),
    ("Accept", "ignored"),
    ("Commit", "learnt"),
    ("Commit", "refutes a leader"),
    ("Commit", "known already"),
    ("Committed", "learnt"),
    ("Committed", "ignored"),
    ("CatchUp", "answered with Commits"),
    ("CatchUp", "answered with a snapshot"),
    ("CatchUp", "nothing to tell"),
    ("Renew", "granted"),
    ("Renew", "granted, and the view joined"),
    ("Renew", "refused"),
    ("Renew", "not granted"),
    ("Grant", "counted"),
    ("Grant", "makes the lease, or confirms the view"),
    ("Grant", "ignored"),
    ("Release", "ends the grant"),
    ("Release", "ignored"),
    ("SnapshotOffer", "fetched"),
    ("SnapshotOffer", "ignored"),
    ("Note", "noted"),
    ("Note", "noted before"),
    ("Noted", "counted"),
    ("Noted", "ignored"),
    ("Tell", "answered"),
    ("Tell", "ignored"),
    ("Told", "kept"),
    ("Told", "ignored"),
    ("Lack", "answered"),
    ("Lack", "filled"),
    ("Lack", "ignored"),
];

/// The arm that the delivery of a message took, by its place in [`DELIVERIES`].
///
/// # Panics
/// If the arm is not listed.
pub fn delivery(was: &Node, message: &Message<Value>, is: &Node, local: &Local) -> usize {
    let taken = Taken { was, is, local };
    let arm = (taken.kind(message), taken.arm(message));
    DELIVERIES.iter().position(|known| *known == arm).unwrap_or_else(|| panic!("{arm:?} is not listed"))
}

struct Taken<'a> {
    was: &'a Node,
    is: &'a Node,
    local: &'a Local,
}

impl Taken<'_> {
    fn kind(&self, message: &Message<Value>) -> &'static str {
        match message {
            Message::Forward(_) => "Forward",
            Message::Redirect { .. } => "Redirect",
            Message::Prepare { .. } => "Prepare",
            Message::Promise { .. } => "Promise",
            Message::Reject { .. } => "Reject",
            Message::Propose { .. } => "Propose",
            Message::Accept { .. } => "Accept",
            Message::Commit { .. } => "Commit",
            Message::Committed { .. } => "Committed",
            Message::CatchUp { .. } => "CatchUp",
            Message::Renew { .. } => "Renew",
            Message::Grant { .. } => "Grant",
            Message::Release { .. } => "Release",
            Message::SnapshotOffer { .. } => "SnapshotOffer",
            Message::Recovery(Recovery::Note(_)) => "Note",
            Message::Recovery(Recovery::Noted(_)) => "Noted",
            Message::Recovery(Recovery::Tell { .. }) => "Tell",
            Message::Recovery(Recovery::Told { .. }) => "Told",
            Message::Recovery(Recovery::Lack { .. }) => "Lack",
        }
    }

    fn arm(&self, message: &Message<Value>) -> &'static str {
        let changed = self.was.replica != self.is.replica;
        match message {
            Message::Forward(_) if self.sends(|sent| matches!(sent, Message::Redirect { .. })) => {
                "redirected"
            }
            Message::Forward(_) if leads(self.is) => "proposed, or in hand already",
            Message::Forward(_) => "ignored: applied already, or nobody leads here yet",
            Message::Redirect { .. } if changed => "answers the client",
            Message::Prepare { .. } if self.refuses() => "refused",
            Message::Prepare { .. } if self.writes(|record| matches!(record, Record::Promise(_))) => {
                "promised"
            }
            Message::Prepare { .. } if self.sends(|sent| matches!(sent, Message::Promise { .. })) => {
                "promised once more"
            }
            Message::Prepare { .. } => "kept out by a grant",
            Message::Promise { .. } if !leads(self.was) && leads(self.is) => "establishes the view",
            Message::Promise { .. } | Message::Accept { .. } | Message::Grant { .. } if !changed => "ignored",
            Message::Promise { .. } => "counted",
            Message::Reject { .. } if !changed => "ignored",
            Message::Reject { .. } if !leads(self.was) => "a candidate hears of a higher view",
            Message::Reject { .. } if matches!(self.is.replica.role(), Role::Preparing(_)) => {
                "a leader prepares a higher view"
            }
            Message::Reject { .. } if !leads(self.is) => "a leader steps down",
            Message::Propose { .. } if self.refuses() => "refused",
            Message::Propose { .. } if self.writes(|record| matches!(record, Record::Vote { .. })) => {
                "voted for"
            }
            Message::Propose { .. } if self.sends(|sent| matches!(sent, Message::Commit { .. })) => {
                "answered with its Commit"
            }
            Message::Propose { .. } if self.sends(|sent| matches!(sent, Message::SnapshotOffer { .. })) => {
                "answered with a snapshot"
            }
            Message::Propose { .. } => "answered with the vote once more",
            Message::Accept { slot, .. } if self.chooses(*slot) => "chooses the value",
            Message::Accept { .. } => "counted",
            Message::Commit { .. } if !self.learns() => "known already",
            Message::Commit { .. } if leads(self.was) && !leads(self.is) => "refutes a leader",
            Message::Commit { .. } => "learnt",
            Message::Committed { .. } if self.learns() => "learnt",
            Message::CatchUp { .. } if self.sends(|sent| matches!(sent, Message::Commit { .. })) => {
                "answered with Commits"
            }
            Message::CatchUp { .. } if self.sends(|sent| matches!(sent, Message::SnapshotOffer { .. })) => {
                "answered with a snapshot"
            }
            Message::CatchUp { .. } => "nothing to tell",
            Message::Renew { .. } if self.refuses() => "refused",
            Message::Renew { .. } if !self.sends(|sent| matches!(sent, Message::Grant { .. })) => {
                "not granted"
            }
            Message::Renew { .. } if self.writes(|record| matches!(record, Record::Promise(_))) => {
                "granted, and the view joined"
            }
            Message::Renew { .. } => "granted",
            Message::Grant { .. } if self.confirms() => "makes the lease, or confirms the view",
            Message::Grant { .. } => "counted",
            Message::Release { .. } if changed => "ends the grant",
            Message::SnapshotOffer { .. } if self.fetches() => "fetched",
            Message::Recovery(Recovery::Note(_)) if changed => "noted",
            Message::Recovery(Recovery::Note(_)) => "noted before",
            Message::Recovery(Recovery::Noted(_)) if changed => "counted",
            Message::Recovery(Recovery::Tell { .. })
                if self.sends(|sent| matches!(sent, Message::Recovery(Recovery::Told { .. }))) =>
            {
                "answered"
            }
            Message::Recovery(Recovery::Told { .. }) if changed => "kept",
            Message::Recovery(Recovery::Lack { .. }) if changed => "filled",
            Message::Recovery(Recovery::Lack { .. })
                if self
                    .sends(|sent| matches!(sent, Message::Commit { .. } | Message::SnapshotOffer { .. })) =>
            {
                "answered"
            }
            Message::Redirect { .. }
            | Message::Reject { .. }
            | Message::Committed { .. }
            | Message::Release { .. }
            | Message::SnapshotOffer { .. }
            | Message::Recovery(_) => "ignored",
        }
    }

    fn sends(&self, what: impl Fn(&Message<Value>) -> bool) -> bool {
        self.local
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Send { message, .. } if what(message)))
    }

    fn refuses(&self) -> bool {
        self.sends(|sent| matches!(sent, Message::Reject { .. }))
    }

    fn writes(&self, what: impl Fn(&Record<Value>) -> bool) -> bool {
        self.local.effects.iter().any(|effect| matches!(effect, Effect::Persist(record) if what(record)))
    }

    fn learns(&self) -> bool {
        self.writes(|record| matches!(record, Record::Learnt { .. } | Record::Committed(_)))
    }

    fn fetches(&self) -> bool {
        self.local.effects.iter().any(|effect| matches!(effect, Effect::Fetch { .. }))
    }

    fn chooses(&self, slot: Slot) -> bool {
        let chosen = |node: &Node| match node.replica.role() {
            Role::Leading(leading) => leading.proposals.get(&slot).is_some_and(|proposal| proposal.chosen),
            Role::Follower | Role::Preparing(_) => false,
        };
        (chosen(self.is) && !chosen(self.was)) || self.learns()
    }

    fn confirms(&self) -> bool {
        let confirmed = |node: &Node| match node.replica.role() {
            Role::Leading(leading) => leading.lease.confirmed,
            Role::Follower | Role::Preparing(_) => 0,
        };
        confirmed(self.is) > confirmed(self.was)
    }
}

fn leads(node: &Node) -> bool {
    matches!(node.replica.role(), Role::Leading(_))
}

/// The arms and outcomes that were exercised, as bits by their places in [`DELIVERIES`] and [`watched::OUTCOMES`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Exercised {
    /// Arms of deliveries.
    pub deliveries: u64,
    /// Outcomes of rules.
    pub outcomes: u128,
    /// Actions of the machine that is proved, by their places in [`ACTIONS`].
    pub actions: u64,
}

impl Exercised {
    /// What either exercised.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            deliveries: self.deliveries | other.deliveries,
            outcomes: self.outcomes | other.outcomes,
            actions: self.actions | other.actions,
        }
    }

    /// Every arm and outcome: its handler or rule, what it is, and whether it was exercised.
    pub fn all(self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let deliveries =
            DELIVERIES.iter().enumerate().map(move |(at, arm)| (arm, self.deliveries & (1 << at) != 0));
        let outcomes =
            watched::OUTCOMES.iter().enumerate().map(move |(at, arm)| (arm, self.outcomes & (1 << at) != 0));
        deliveries.chain(outcomes).map(|(&(of, what), exercised)| (of, what, exercised))
    }

    /// Every action of the machine that is proved, and whether a step took it.
    pub fn actions(self) -> impl Iterator<Item = (&'static str, bool)> {
        ACTIONS.iter().enumerate().map(move |(at, action)| (*action, self.actions & (1 << at) != 0))
    }
}

/// Collects what the threads of one exploration exercise.
#[derive(Default)]
pub struct Coverage {
    deliveries: AtomicU64,
    /// The lower half, and the upper.
    outcomes: [AtomicU64; 2],
    actions: AtomicU64,
}

impl Coverage {
    /// Adds what a step exercised.
    pub fn add(&self, exercised: Exercised) {
        self.deliveries.fetch_or(exercised.deliveries, Ordering::Relaxed);
        for (half, bits) in self.outcomes.iter().zip(halves(exercised.outcomes)) {
            half.fetch_or(bits, Ordering::Relaxed);
        }
        self.actions.fetch_or(exercised.actions, Ordering::Relaxed);
    }

    /// What was exercised so far.
    pub fn so_far(&self) -> Exercised {
        Exercised {
            deliveries: self.deliveries.load(Ordering::Relaxed),
            outcomes: whole(self.outcomes.each_ref().map(|half| half.load(Ordering::Relaxed))),
            actions: self.actions.load(Ordering::Relaxed),
        }
    }
}

/// The lower half of some bits, and the upper.
fn halves(bits: u128) -> [u64; 2] {
    let [lower, upper] = [bits, bits >> 64].map(|bits| bits & u128::from(u64::MAX));
    [lower, upper].map(|half| u64::try_from(half).unwrap_or(u64::MAX))
}

fn whole([lower, upper]: [u64; 2]) -> u128 {
    u128::from(lower) | u128::from(upper) << 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arm_is_listed_once_and_has_a_bit() {
        for (list, bits) in [(DELIVERIES, 64), (watched::OUTCOMES, 128)] {
            assert!(list.len() <= bits, "{} do not fit", list.len());
            let mut sorted = list.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), list.len());
        }
    }

    #[test]
    fn every_rule_is_watched() {
        let rules = include_str!("../../spec/src/rules.rs");
        let names = rules.lines().filter_map(|line| line.strip_prefix("    fn ")?.split(['(', '<']).next());
        for name in names {
            assert!(watched::OUTCOMES.iter().any(|(rule, _)| *rule == name), "{name} is not watched");
        }
    }
}
