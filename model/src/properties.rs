//! The properties: what must hold in every reachable state.
//!
//! A property sees [`Facts`] about each server and the ghost, and nothing else, so that a search need judge each
//! combination of them once.

use spec::{Config, History, Slot};
use stateright::Property;

use crate::recovery::Recovery;
use crate::state::{Broken, Choice, FactsRef, Ghost, Kept, NodeRef, State, Value};
use crate::system::System;

/// What the properties look at in one server.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Facts {
    /// What it takes for committed.
    pub committed: Vec<(Slot, Choice)>,
    /// What its disk holds, committed or voted for.
    pub disk: Vec<(Slot, Choice)>,
    /// The updates that it applied, in order.
    pub applied: Vec<(Slot, Value)>,
    /// The last slot that it applied, whatever it held.
    pub applied_to: Slot,
    /// Whether it holds the lease.
    pub holder: bool,
    /// The slots that a lease read would see now, if it would be served at once.
    pub readable: Option<Slot>,
    /// Whether its disk is lost or damaged, and it has not recovered.
    pub recovering: bool,
}

impl Facts {
    /// The values of a history, by slot; the updates of compacted slots are in the snapshot that stands for them.
    pub fn values(history: &History<Value>, snapshots: &[Kept], committed_only: bool) -> Vec<(Slot, Choice)> {
        let base = snapshots.iter().find(|kept| kept.snapshot.slot == history.base());
        let compacted = base.into_iter().flat_map(|kept| &kept.applied);
        let held = history.above(Slot::NONE).filter(|(_, entry)| entry.committed || !committed_only);
        compacted
            .map(|&(slot, value)| (slot, Choice::Update(value)))
            .chain(held.map(|(slot, entry)| (slot, Choice::from(&entry.command))))
            .collect()
    }
}

/// What a property sees of a state.
pub struct Seen<'a> {
    /// The configuration that the scope means.
    pub config: &'a Config,
    /// The servers.
    pub servers: &'a [FactsRef],
    /// The ghost.
    pub ghost: &'a Ghost,
    /// The same servers in full, and what tries whether they recover; for the one property that asks.
    pub recovery: Option<(&'a [NodeRef], &'a Recovery)>,
}

/// Something that must hold in every reachable state.
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// What it says, in a sentence; the letters name the invariant that it is.
    pub says: &'static str,
    /// Whether it holds.
    pub holds: fn(&Seen<'_>) -> bool,
}

/// All of them, in the order of the table that `check` prints.
pub const PROPERTIES: &[Rule] = &[
    Rule {
        name: "agreement",
        says: "Two chosen values of one slot are equal: chosen is what a quorum voted for durably, not what somebody has learnt (I6).",
        holds: |seen| seen.ghost.stands(Broken::Agreement),
    },
    Rule {
        name: "validity",
        says: "What is chosen was submitted, or is a no-op.",
        holds: |seen| seen.ghost.stands(Broken::Validity),
    },
    Rule {
        name: "one value per view",
        says: "One value at most is proposed in a view for a slot (I1).",
        holds: |seen| seen.ghost.stands(Broken::OneValuePerView),
    },
    Rule {
        name: "learnt is chosen",
        says: "What a server takes for committed was chosen (I7).",
        holds: learnt_is_chosen,
    },
    Rule {
        name: "prefixes",
        says: "Applied histories are prefixes of one another, and none leaves out what another applied from its slots (I8).",
        holds: prefixes,
    },
    Rule { name: "at most once", says: "No server applies an update twice (I8).", holds: at_most_once },
    Rule {
        name: "acknowledged survives",
        says: "An acknowledged update is found by every phase-1 quorum of disks, but for those that failed and are not recovered yet.",
        holds: acknowledged_survives,
    },
    Rule {
        name: "covered by the disk",
        says: "Every Prepare, Promise, Accept and Grant that was sent is covered by its sender's durable records.",
        holds: |seen| seen.ghost.stands(Broken::Uncovered),
    },
    Rule {
        name: "lease exclusivity",
        says: "Two servers that hold a lease at the same time are one server (J5).",
        holds: |seen| seen.servers.iter().filter(|server| server.holder).count() <= 1,
    },
    Rule {
        name: "old views under a lease",
        says: "While a lease is held, what an older view completes is what the holder's promises told it.",
        holds: |seen| seen.ghost.stands(Broken::OldViewUnderLease),
    },
    Rule {
        name: "reads",
        says: "A read sees every update that was acknowledged, or read, before it began (R1).",
        holds: reads,
    },
    Rule {
        name: "stable leader",
        says: "A leader with a valid lease leaves its view only for a higher one of its own, or of its own will.",
        holds: |seen| seen.ghost.stands(Broken::LeaderUnseated),
    },
    Rule {
        name: REFINEMENT,
        says: "Every step of the handlers is a step of the machine that is proved for every size, or several, or none.",
        holds: |seen| seen.ghost.stands(Broken::NotRefined),
    },
    Rule {
        name: RECOVERABILITY,
        says: "Without faults and losses from here on, everything gets done: no reachable state is wedged.",
        holds: recovers,
    },
];

/// The property that holds the handlers to the machine.
pub const REFINEMENT: &str = "refinement";

/// The one property that looks at more than facts.
pub const RECOVERABILITY: &str = "recoverability";

/// The properties as stateright wants them.
pub fn properties() -> Vec<Property<System>> {
    /// One condition for each property: stateright takes plain functions.
    fn holds<const AT: usize>(system: &System, state: &State) -> bool {
        system.holds(AT, state)
    }
    const CONDITIONS: [fn(&System, &State) -> bool; 14] = [
        holds::<0>,
        holds::<1>,
        holds::<2>,
        holds::<3>,
        holds::<4>,
        holds::<5>,
        holds::<6>,
        holds::<7>,
        holds::<8>,
        holds::<9>,
        holds::<10>,
        holds::<11>,
        holds::<12>,
        holds::<13>,
    ];
    const { assert!(CONDITIONS.len() == PROPERTIES.len()) };
    PROPERTIES.iter().zip(CONDITIONS).map(|(rule, holds)| Property::always(rule.name, holds)).collect()
}

/// The property of that name, as stateright wants it.
pub fn named(name: &str) -> Option<Property<System>> {
    properties().into_iter().find(|property| property.name == name)
}

fn learnt_is_chosen(seen: &Seen<'_>) -> bool {
    let mut learnt = seen.servers.iter().flat_map(|server| &server.0.value.committed);
    learnt.all(|(slot, learnt)| {
        matches!(learnt, Choice::Open(_)) || seen.ghost.chosen.get(slot) == Some(learnt)
    })
}

fn prefixes(seen: &Seen<'_>) -> bool {
    let longest = seen.servers.iter().map(|server| &server.applied).max_by_key(|applied| applied.len());
    longest.is_none_or(|longest| {
        seen.servers.iter().all(|server| {
            longest.iter().take_while(|(slot, _)| *slot <= server.applied_to).eq(&server.applied)
        })
    })
}

fn at_most_once(seen: &Seen<'_>) -> bool {
    seen.servers.iter().all(|server| {
        let applied = &server.applied;
        applied
            .iter()
            .enumerate()
            .all(|(at, (_, value))| applied[..at].iter().all(|(_, before)| before != value))
    })
}

fn acknowledged_survives(seen: &Seen<'_>) -> bool {
    // As many disks as meet every phase-1 quorum.
    let needed = usize::from(seen.config.servers - seen.config.phase1_quorum) + 1;
    seen.ghost.acknowledged.iter().all(|(&slot, &value)| {
        let held = (slot, Choice::Update(value));
        // Who recovers will have what it must, from the others.
        seen.servers.iter().filter(|server| server.recovering || server.disk.contains(&held)).count()
            >= needed
    })
}

fn recovers(seen: &Seen<'_>) -> bool {
    seen.recovery.is_none_or(|(servers, recovery)| recovery.attempt(servers, &seen.ghost.chosen).is_ok())
}

fn reads(seen: &Seen<'_>) -> bool {
    seen.ghost.stands(Broken::Read)
        && seen.servers.iter().all(|server| server.readable.is_none_or(|slot| slot >= seen.ghost.visible))
}
