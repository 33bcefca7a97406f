//! Each guard refuses something. At the steps of random walks of the correct handlers other actions are forged: of other
//! views, slots, rounds and values, by other quorums, until other times. A guard that refuses none of them might as well
//! not be there, and fails the check.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use spec::{ServerId, ServerSet, Slot, Span, View};
use stateright::Model;

use super::Judge;
use super::act::{ACTIONS, Act, Taken, When};
use super::global::Whole;
use super::guards::{Guard, Refused};
use crate::scope::{self, SHORT_CLOCKS, Scope};
use crate::state::{Choice, NOW, State};
use crate::step::Input;
use crate::system::{Action, Reductions, System};
use crate::variant::Variant;

/// The scopes of the walks: leases, restarts, late disks, unequal quorums, snapshots and reads are all among them.
pub const WALKED: &[&str] = &[
    "lease",
    "reads",
    "stable",
    "lease-reconfigured",
    "lease-forwarding",
    "flush",
    "late-disk",
    "agreement",
    "compaction",
    "quorums",
    "all-must-vote",
    "confirmed-reads",
    "lagging",
    "comeback",
];

/// A walk at random: SplitMix64 decides, and time passes seldom. States, each with the action that leads on.
pub fn walk(system: &System, seed: u64, steps: usize) -> Vec<(State, Option<Action>)> {
    let mut random = seed;
    let mut next = |end: usize| {
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).expect("it is small")
    };
    let (mut state, mut run) = (system.init_states()[0], Vec::new());
    for _ in 0..steps {
        let mut actions = Vec::new();
        system.actions(&state, &mut actions);
        let (ticks, others): (Vec<_>, Vec<_>) =
            actions.into_iter().partition(|action| matches!(action, Action::Tick(_)));
        let choices = if ticks.is_empty() || (next(8) > 0 && !others.is_empty()) { others } else { ticks };
        if choices.is_empty() {
            break;
        }
        let action = choices[next(choices.len())];
        if let Some(after) = system.next_state(&state, action) {
            run.push((state, Some(action)));
            state = after;
        }
    }
    run.push((state, None));
    run
}

/// The guards that refuse nothing; found out once.
pub fn idle_guards() -> &'static [Guard] {
    static IDLE: OnceLock<Vec<Guard>> = OnceLock::new();
    IDLE.get_or_init(|| idle_without(None))
}

/// One leader, whose second update may be chosen before its first, under a lease.
const LEASED_SLOTS: Scope = Scope { views: 1, rounds: 1, lease: Some(SHORT_CLOCKS), ..Scope::BASE };

/// The guards that refuse nothing if this one is left out.
pub fn idle_without(off: Option<Guard>) -> Vec<Guard> {
    const WALKS: u64 = 20;
    const STEPS: usize = 60;
    // A message that will be refused is dead, and a refusal is what is looked for.
    const REDUCTIONS: Reductions = Reductions { drop_dead: false, ..Reductions::ON };
    let mut idle: BTreeSet<_> = Guard::all().collect();
    for seed in 0..WALKS {
        for scope in WALKED.iter().filter_map(|name| scope::named(name)).chain([&LEASED_SLOTS]) {
            let system = System::without(scope, Variant::Correct, REDUCTIONS, off);
            for (state, action) in walk(&system, seed, STEPS) {
                let heard = system.in_flight(&state).into_iter();
                let deliveries = heard.map(|message| Action::At(message.to, Input::Deliver(message)));
                for action in deliveries.chain(action) {
                    forge(&system, &state, action, &mut idle);
                }
                // A guard that is left out refuses nothing, however long the walks.
                if idle.iter().all(|guard| off == Some(*guard)) {
                    return idle.into_iter().collect();
                }
            }
        }
    }
    idle.into_iter().collect()
}

/// Forges actions at one step, and strikes out the guards that refuse them.
fn forge(system: &System, before: &State, action: Action, idle: &mut BTreeSet<Guard>) {
    let Action::At(server, input) = action else { return };
    let after = system.next_state(before, action).unwrap_or(*before);
    let was = &before.nodes[usize::from(server.0)];
    let (local, machine) = (system.local(before, server, input), system.machine());
    let step = machine.step(was, input, local);
    let messages = system.in_flight(before);
    let in_flight = || messages.clone();
    let whole = Whole { before, after: &after, ghost: &after.ghost, was, in_flight: &in_flight };
    let asks_for = |act: &Act| idle.iter().any(|guard| guard.name().0 == ACTIONS[act.action()]);
    let wanted = |acts: &Vec<Taken>| acts.iter().any(|(_, act)| asks_for(act));
    for acts in forgeries(system).into_iter().filter(wanted).collect::<Vec<_>>() {
        let alone = Judge::new(machine, &step, &acts).judge();
        let with_others = acts.iter().map(|(_, act)| machine.with_others(&whole, act));
        for verdict in with_others.chain([alone]) {
            if let Err(Refused::Guard(guard)) = verdict {
                idle.remove(&guard);
            }
        }
    }
}

/// What is forged: single actions, and the two pairs in which the first makes the second wrong.
fn forgeries(system: &System) -> Vec<Vec<Taken>> {
    let views = (1..=3).flat_map(|number| system.servers().map(move |leader| View::new(number, leader)));
    let mut all: Vec<Vec<Act>> = vec![vec![Act::Tick]];
    for view in views {
        let each = of_view(view).chain((0..=4).map(Slot).flat_map(|slot| of_slot(view, slot)));
        all.extend(each.map(|act| vec![act]));
        let serve = Act::Serve { view, round: 1, slot: Slot(9) };
        all.push(vec![Act::Leave { view }, serve]);
        let grant = |until| Act::Grant { view, round: 1, until: NOW + Span(until) };
        all.push(vec![grant(99), grant(98)]);
    }
    all.into_iter().map(|acts| acts.into_iter().map(|act| (When::Now, act)).collect()).collect()
}

fn of_view(view: View) -> impl Iterator<Item = Act> {
    let soon = NOW + Span(1);
    let rounds = (1..=2).flat_map(move |round| {
        [
            Act::Request { view, round },
            Act::Grant { view, round, until: NOW },
            Act::Grant { view, round, until: soon + Span(98) },
            Act::Regrant { view, round, later: round },
            Act::Hold { view, round, quorum: ServerSet::EMPTY, until: None },
            Act::Hold { view, round, quorum: (0..5).map(ServerId).collect(), until: Some(soon + Span(98)) },
        ]
    });
    [
        Act::Promise { view },
        Act::Establish { view, quorum: ServerSet::EMPTY },
        Act::Forget { view },
        Act::Restart { view, until: NOW },
    ]
    .into_iter()
    .chain(rounds)
}

fn of_slot(view: View, slot: Slot) -> impl Iterator<Item = Act> {
    let values = [Choice::NoOp, Choice::Update(0), Choice::Update(1)];
    let valued = values.into_iter().flat_map(move |value| {
        [
            Act::Propose { slot, view, value },
            Act::Vote { slot, view, value },
            Act::Choose { slot, view, value, quorum: ServerSet::EMPTY },
            Act::Mark { slot, view, value: Some(value) },
            Act::Follow { slot, view, value },
            Act::Learn { slot, value: Some(value) },
            Act::Acknowledge { slot, value },
        ]
    });
    let reads = [0, 1].into_iter().flat_map(move |round| {
        let confirmed = Some(round).filter(|&round| round > 0);
        [Act::Serve { view, round, slot }, Act::Confirm { view, round: confirmed, slot }]
    });
    valued.chain(reads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guard_refuses_something_and_is_missed_when_it_is_switched_off() {
        assert_eq!(idle_guards(), []);
        // Some of them: each takes as long as all guards together take to refuse something.
        for guard in Guard::all().step_by(11) {
            assert_eq!(idle_without(Some(guard)), [guard], "{guard}");
        }
    }
}
