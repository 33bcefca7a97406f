//! The properties: what must hold in every reachable state.

use stateright::Property;

use crate::state::{Broken, Choice, State};
use crate::system::System;

/// All of them, in the order of the table that `check` prints.
pub fn properties() -> Vec<Property<System>> {
    vec![
        // Two chosen values of one slot are equal: judged by durable votes, not by what somebody has learnt (I6).
        Property::always("agreement", |_, state: &State| state.ghost.stands(Broken::Agreement)),
        // What is chosen was submitted, or is a no-op.
        Property::always("validity", |_, state: &State| state.ghost.stands(Broken::Validity)),
        // One value at most is proposed in a view for a slot (I1).
        Property::always("one value per view", |_, state: &State| {
            state.ghost.stands(Broken::OneValuePerView)
        }),
        // What a server takes for committed was chosen (I7).
        Property::always("learnt is chosen", |_, state: &State| learnt_is_chosen(state)),
        // Applied histories are prefixes of one another (I8).
        Property::always("prefixes", |_, state: &State| prefixes(state)),
        // No server applies an update twice (I8).
        Property::always("at most once", |_, state: &State| at_most_once(state)),
        // An acknowledged update is found by every phase-1 quorum of disks.
        Property::always("acknowledged survives", acknowledged_survives),
        // Every Prepare, Promise, Accept and Grant that was sent is covered by its sender's durable records.
        Property::always("covered by the disk", |_, state: &State| state.ghost.stands(Broken::Uncovered)),
        // Two servers that hold a lease at the same time are one server (J5).
        Property::always("lease exclusivity", |_, state: &State| {
            state.nodes.iter().filter(|node| node.holder).count() <= 1
        }),
        // While a lease is held, what an older view completes is what the holder's promises told it.
        Property::always("old views under a lease", |_, state: &State| {
            state.ghost.stands(Broken::OldViewUnderLease)
        }),
        // A read sees every update that was acknowledged, or read, before it began (R1).
        Property::always("reads", |_, state: &State| reads(state)),
        // A leader with a valid lease leaves its view only for a higher one of its own, or of its own will.
        Property::always("stable leader", |_, state: &State| state.ghost.stands(Broken::LeaderUnseated)),
    ]
}

/// The property of that name.
pub fn named(name: &str) -> Option<Property<System>> {
    properties().into_iter().find(|property| property.name == name)
}

fn learnt_is_chosen(state: &State) -> bool {
    state.nodes.iter().all(|node| {
        node.replica.history().above(spec::Slot::NONE).filter(|(_, entry)| entry.committed).all(
            |(slot, entry)| {
                let learnt = Choice::from(&entry.command);
                matches!(learnt, Choice::Open(_)) || state.ghost.chosen.get(&slot) == Some(&learnt)
            },
        )
    })
}

fn prefixes(state: &State) -> bool {
    let applied = || state.nodes.iter().map(|node| &node.applied);
    applied()
        .max_by_key(|applied| applied.len())
        .is_none_or(|longest| applied().all(|other| longest.starts_with(other)))
}

fn at_most_once(state: &State) -> bool {
    state.nodes.iter().all(|node| {
        let applied = &node.applied;
        applied
            .iter()
            .enumerate()
            .all(|(at, (_, value))| applied[..at].iter().all(|(_, before)| before != value))
    })
}

fn acknowledged_survives(system: &System, state: &State) -> bool {
    // As many disks as meet every phase-1 quorum.
    let config = system.scope.config(spec::ServerId(0));
    let needed = usize::from(config.servers - config.phase1_quorum) + 1;
    state.ghost.acknowledged.iter().all(|(&slot, &value)| {
        let holds = |node: &crate::state::NodeRef| {
            node.durable
                .history
                .entry(slot)
                .is_some_and(|entry| Choice::from(&entry.command) == Choice::Update(value))
        };
        state.nodes.iter().filter(|node| holds(node)).count() >= needed
    })
}

fn reads(state: &State) -> bool {
    state.ghost.stands(Broken::Read)
        && state.nodes.iter().all(|node| node.readable.is_none_or(|slot| slot >= state.ghost.visible))
}
