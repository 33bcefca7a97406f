//! Variants: one rule replaced, or one thing at the boundary of the handlers done wrong, and nothing else. Each
//! must break the property that it names; a check that no variant can fail would prove nothing.

use spec::rules::{Choice, Promises};
use spec::{
    Command, Config, Grant, LocalTime, Message, Paxos, Phase, Rules, ServerSet, Slot, Span, Value, View, When,
};

use crate::scope::{CLOCKS, Clocks, Scope};

/// Which Paxos is checked.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Variant {
    /// The rules as they are meant.
    #[default]
    Correct,
    /// ⌊N/2⌋ servers make a quorum, the leader counted among them.
    QuorumHalf,
    /// A new leader proposes the value of the lowest view that its promises report.
    LowestView,
    /// A Promise leaves before its record is durable.
    PromiseBeforeDurable,
    /// A grantor forgets its grant in a restart.
    GrantForgotten,
    /// The holder measures its term from the acknowledgement of its request.
    LeaseFromAck,
    /// The grantor's term is a step shorter than the drift of clocks demands.
    TermOverBound,
}

/// What a variant is called, where it was seen, and what must fall.
pub struct Description {
    /// Which one.
    pub variant: Variant,
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub deviation: &'static str,
    /// Where somebody made it.
    pub source: &'static str,
    /// The rule that it breaks, by its name in `spec::rules`, or the boundary.
    pub rule: &'static str,
    /// The scope that shows it.
    pub scope: &'static str,
    /// The property that must fall.
    pub falls: &'static str,
}

/// All of them.
pub const VARIANTS: &[Description] = &[
    Description {
        variant: Variant::QuorumHalf,
        name: "quorum-half",
        deviation: "⌊N/2⌋ servers make a quorum",
        source: "thesis 5.3, 5.4 and Figure 5.6, against Figure 5.5",
        rule: "is_quorum",
        scope: "quorum",
        falls: "agreement",
    },
    Description {
        variant: Variant::LowestView,
        name: "lowest-view",
        deviation: "a new leader takes the value of the lowest view that it hears of",
        source: "a literal reading of 'apply e to local data structures', Figure 5.4",
        rule: "value_to_propose",
        scope: "agreement",
        falls: "agreement",
    },
    Description {
        variant: Variant::PromiseBeforeDurable,
        name: "promise-before-durable",
        deviation: "a Promise leaves before its record is durable",
        source: "nodedb #161",
        rule: "boundary: When::Durable",
        scope: "flush",
        falls: "agreement",
    },
    Description {
        variant: Variant::GrantForgotten,
        name: "grant-forgotten",
        deviation: "a grantor forgets its lease grant in a restart",
        source: "tikv #15035",
        rule: "grant_after_restart",
        scope: "lease",
        falls: "lease exclusivity",
    },
    Description {
        variant: Variant::LeaseFromAck,
        name: "lease-from-ack",
        deviation: "the holder counts its term from the acknowledgement, not from before the request left",
        source: "etcd-raft #166, RATIS-1864",
        rule: "lease_end",
        scope: "lease",
        falls: "lease exclusivity",
    },
    Description {
        variant: Variant::TermOverBound,
        name: "term-over-bound",
        deviation: "the grantor's term leaves no room for the drift of clocks",
        source: "Paxos Made Live; riak_ensemble #49",
        rule: "configuration: grant_term",
        scope: "lease",
        falls: "lease exclusivity",
    },
];

impl Variant {
    /// The description of a variant; none for the correct rules.
    pub fn description(self) -> Option<&'static Description> {
        VARIANTS.iter().find(|description| description.variant == self)
    }

    /// At the boundary: the bounds of the scope, as the variant would have them.
    pub fn scope(self, scope: &Scope) -> Scope {
        let mut scope = scope.clone();
        if self == Self::TermOverBound {
            // A whole step below the bound: a coarse step hides anything less.
            scope.lease = Some(Clocks { grant_term: CLOCKS.grant_term - CLOCKS.fast, ..CLOCKS });
        }
        scope
    }

    /// At the boundary: the configuration of a server, as the variant would have it.
    pub fn config(self, config: Config) -> Config {
        match self {
            Self::TermOverBound => Config { drift_ppm: 0, ..config },
            _ => config,
        }
    }

    /// At the boundary: when a message may leave.
    pub fn when<V>(self, message: &Message<V>, when: When) -> When {
        match (self, message) {
            (Self::PromiseBeforeDurable, Message::Promise { .. }) => When::AtOnce,
            _ => when,
        }
    }
}

impl Rules for Variant {
    fn is_quorum(&self, config: &Config, phase: Phase, votes: ServerSet) -> bool {
        match self {
            Self::QuorumHalf => votes.len() >= config.servers / 2,
            _ => Paxos.is_quorum(config, phase, votes),
        }
    }

    fn value_to_propose<V: Value>(&self, slot: Slot, promises: &Promises<V>) -> Choice<V> {
        let right = Paxos.value_to_propose(slot, promises);
        if *self != Self::LowestView || !matches!(right, Choice::Propose(_)) {
            return right;
        }
        let reports = promises.values().flat_map(|said| &said.reports).filter(|report| report.slot == slot);
        let lowest = reports.min_by_key(|report| report.view);
        Choice::Propose(lowest.map_or(Command::NoOp, |report| report.command.clone()))
    }

    fn grant_after_restart(&self, promised: View, grant_term: Span, now: LocalTime) -> Option<Grant> {
        match self {
            Self::GrantForgotten => None,
            _ => Paxos.grant_after_restart(promised, grant_term, now),
        }
    }

    fn lease_end(&self, sent: LocalTime, acknowledged: LocalTime, lease_term: Span) -> LocalTime {
        match self {
            Self::LeaseFromAck => acknowledged + lease_term,
            _ => Paxos.lease_end(sent, acknowledged, lease_term),
        }
    }
}
