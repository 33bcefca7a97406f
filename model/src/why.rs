//! Why a run breaks a property: who believed what, with the numbers of the run.
//!
//! A state alone does not tell: who voted for what is over once a value is chosen. So the run is read from its
//! beginning.

use std::collections::BTreeMap;

use spec::{Config, Effect, Message, Phase, Role, Rules, ServerId, ServerSet, Slot, View};

use crate::state::{Broken, Choice, NOW, Node, State, letter};
use crate::step::{Event, Local, covered};
use crate::system::{Action, System};
use crate::words::{self, members, the_servers};

/// A run: states, each with the action that leads on.
pub type Steps = [(State, Option<Action>)];

/// Why the last state of a run breaks the property, in a sentence or two.
pub fn why(system: &System, property: &str, run: &Steps) -> String {
    let Some((last, _)) = run.last() else { return String::new() };
    let known = match property {
        "agreement" => two_chosen(system, run),
        "validity" => nobody_submitted(system, run),
        "one value per view" => proposed_twice(system, run),
        "learnt is chosen" => learnt_otherwise(last),
        "prefixes" => applied_apart(last),
        "at most once" => applied_twice(last),
        "acknowledged survives" => on_few_disks(system, last),
        "covered by the disk" => uncovered(system, run),
        "lease exclusivity" => Some(two_holders(last)),
        "old views under a lease" => surprised(system, run),
        "reads" => stale_read(system, run),
        "stable leader" => unseated(run),
        "refinement" => refused(system, run),
        "recoverability" => system
            .amiss(last)
            .map(|amiss| format!("without further faults or losses, and with time enough, {amiss}")),
        _ => None,
    };
    known.unwrap_or_else(|| format!("'{property}' does not hold after the last step"))
}

fn refused(system: &System, run: &[(State, Option<Action>)]) -> Option<String> {
    let [.., (before, Some(action)), (after, _)] = run else { return None };
    let guard = system.refused(before, *action, after)?;
    Some(format!("the abstract machine has no such step; {guard}"))
}

/// The steps at one server: number, state before, server, what came of it.
fn steps<'a>(
    system: &'a System,
    run: &'a Steps,
) -> impl DoubleEndedIterator<Item = (usize, &'a State, ServerId, &'static Local)> {
    run.iter().enumerate().filter_map(|(place, (state, action))| match action {
        Some(Action::At(server, input)) => {
            Some((place + 1, state, *server, system.local(state, *server, *input)))
        }
        _ => None,
    })
}

/// What was chosen, in which view and by whom, in the order of choosing; the rules' quorums decide.
fn chosen(system: &System, run: &Steps) -> Vec<(Slot, View, Choice, ServerSet)> {
    let config = config(system);
    let mut votes: BTreeMap<(Slot, View, Choice), ServerSet> = BTreeMap::new();
    let mut chosen: Vec<(Slot, View, Choice)> = Vec::new();
    for (_, _, server, local) in steps(system, run) {
        for event in &local.events {
            let Event::Voted(slot, view, choice) = *event else { continue };
            let voters = votes.entry((slot, view, choice)).or_default();
            voters.insert(server);
            if system.variant.is_quorum(&config, Phase::Two, *voters)
                && !chosen.contains(&(slot, view, choice))
            {
                chosen.push((slot, view, choice));
            }
        }
    }
    chosen
        .into_iter()
        .map(|(slot, view, choice)| (slot, view, choice, votes[&(slot, view, choice)]))
        .collect()
}

fn config(system: &System) -> Config {
    system.variant.config(system.scope.config(ServerId(0)))
}

fn as_chosen(&(_, view, choice, voters): &(Slot, View, Choice, ServerSet)) -> String {
    format!("as {choice:?} in view {view} by {}", the_servers(members(voters)))
}

fn two_chosen(system: &System, run: &Steps) -> Option<String> {
    let chosen = chosen(system, run);
    let (second, first) = chosen.iter().find_map(|second| {
        let first = chosen.iter().find(|first| first.0 == second.0 && first.2 != second.2)?;
        Some((second, first))
    })?;
    // The list is in the order of choosing, so what is found first is the earlier one.
    let (first, second) = (second, first);
    Some(format!("slot {} was chosen {}, and {}", first.0, as_chosen(first), as_chosen(second)))
}

fn nobody_submitted(system: &System, run: &Steps) -> Option<String> {
    let submitted = run.last()?.0.ghost.submitted;
    let chosen = chosen(system, run);
    let odd = chosen.iter().find(|(_, _, choice, _)| match choice {
        Choice::Update(value) => submitted & (1 << value) == 0,
        Choice::Open(_) => true,
        Choice::NoOp => false,
    })?;
    Some(format!("slot {} was chosen {}, and no client had submitted that", odd.0, as_chosen(odd)))
}

fn proposed_twice(system: &System, run: &Steps) -> Option<String> {
    let mut proposed: BTreeMap<(Slot, View), (Choice, usize)> = BTreeMap::new();
    for (number, _, _, local) in steps(system, run) {
        for effect in &local.effects {
            let Effect::Send { message: Message::Propose { view, slot, command }, .. } = effect else {
                continue;
            };
            let choice = Choice::from(command);
            let (first, at) = *proposed.entry((*slot, *view)).or_insert((choice, number));
            if first != choice {
                return Some(format!(
                    "in view {view}, slot {slot} was proposed as {first:?} in step {at} and as {choice:?} in step {number}"
                ));
            }
        }
    }
    None
}

fn learnt_otherwise(state: &State) -> Option<String> {
    state.nodes.iter().find_map(|node| {
        let mut entries = node.replica.history().above(Slot::NONE).filter(|(_, entry)| entry.committed);
        entries.find_map(|(slot, entry)| {
            let learnt = Choice::from(&entry.command);
            let chosen = state.ghost.chosen.get(&slot);
            let wrong = !matches!(learnt, Choice::Open(_)) && chosen != Some(&learnt);
            let really = match chosen {
                Some(choice) => format!("{choice:?} was chosen there"),
                None => "no quorum has voted for anything there in one view".into(),
            };
            let me = node.replica.config().me;
            wrong.then(|| format!("server {me} takes {learnt:?} for chosen in slot {slot}, but {really}"))
        })
    })
}

fn applied_apart(state: &State) -> Option<String> {
    let nodes = &state.nodes;
    let left_out = nodes.iter().find_map(|one| nodes.iter().find_map(|other| left_out(one, other)));
    let apart = |one: &[(Slot, u8)], other: &[(Slot, u8)]| one.iter().zip(other).position(|(a, b)| a != b);
    let apart = nodes.iter().find_map(|one| {
        nodes.iter().find_map(|other| {
            let at = apart(&one.applied, &other.applied)?;
            let ((slot, value), (other_slot, other_value)) = (one.applied[at], other.applied[at]);
            Some(format!(
                "server {} has applied {} from slot {slot} where server {} has applied {} from slot {other_slot}",
                one.replica.config().me,
                letter(value),
                other.replica.config().me,
                letter(other_value)
            ))
        })
    });
    apart.or(left_out)
}

/// An update that one server has applied and the other has passed over.
fn left_out(one: &Node, other: &Node) -> Option<String> {
    let passed = |slot| slot <= other.replica.applied() && other.applied.iter().all(|held| held.0 != slot);
    let &(slot, value) = one.applied.iter().find(|held| passed(held.0))?;
    let (me, them) = (one.replica.config().me, other.replica.config().me);
    let update = letter(value);
    Some(format!(
        "server {me} has applied {update} from slot {slot}, and server {them} has passed that slot without it"
    ))
}

fn applied_twice(state: &State) -> Option<String> {
    state.nodes.iter().find_map(|node| {
        let applied = &node.applied;
        applied.iter().enumerate().find_map(|(at, (slot, value))| {
            let (first, _) = applied[..at].iter().find(|(_, before)| before == value)?;
            let (me, update) = (node.replica.config().me, letter(*value));
            Some(format!("server {me} applied {update} from slot {first}, and again from slot {slot}"))
        })
    })
}

fn on_few_disks(system: &System, state: &State) -> Option<String> {
    let config = config(system);
    let holds = |server: &ServerId, slot, value| {
        state.nodes[usize::from(server.0)].facts.disk.contains(&(slot, Choice::Update(value)))
    };
    state.ghost.acknowledged.iter().find_map(|(&slot, &value)| {
        let (have, lack): (Vec<_>, Vec<_>) =
            system.servers().partition(|server| holds(server, slot, value));
        let lost = lack.len() >= usize::from(config.phase1_quorum);
        lost.then(|| {
            let disks = match &have[..] {
                [] => "no disk".into(),
                [one] => format!("the disk of server {one} only"),
                _ => format!("the disks of {} only", the_servers(have.iter().copied())),
            };
            let without = the_servers(lack.iter().copied().take(config.phase1_quorum.into()));
            format!(
                "update {} was acknowledged in slot {slot} and is on {disks}: a new leader that hears from {without} finds no trace of it",
                letter(value)
            )
        })
    })
}

fn uncovered(system: &System, run: &Steps) -> Option<String> {
    steps(system, run).find_map(|(number, _, server, local)| {
        if !local.events.contains(&Event::Uncovered) {
            return None;
        }
        let durable = &local.node.durable;
        // Among the effects are those that the server sent to itself.
        let own = local.effects.iter().filter_map(|effect| match effect {
            Effect::Send { message, .. } => Some(message),
            _ => None,
        });
        let mut sent = local.sent.iter().map(|sent| &sent.message).chain(own);
        let message = sent.find(|message| !covered(durable, message))?;
        let lacks = match message {
            Message::Prepare { .. } => {
                format!("the highest view that its disk has attempted is {}", durable.attempted)
            }
            Message::Accept { slot, view } if durable.promised >= *view => {
                format!("its disk holds no vote for slot {slot} in that view")
            }
            _ => format!("the highest view that its disk has promised is {}", durable.promised),
        };
        Some(format!("in step {number} server {server} sent {}, but {lacks}", words::message(message)))
    })
}

/// The view that a server leads.
fn led(state: &State, server: ServerId) -> Option<View> {
    match state.nodes[usize::from(server.0)].replica.role() {
        Role::Leading(leading) => Some(leading.view),
        Role::Follower | Role::Preparing(_) => None,
    }
}

/// Until when a server believes in its lease: of which view, and for how much longer.
fn belief(state: &State, server: ServerId) -> String {
    let replica = &state.nodes[usize::from(server.0)].replica;
    let rest = replica.lease_remaining(NOW).map_or(0, |rest| rest.0);
    let view = led(state, server).map_or_else(String::new, |view| format!(" of view {view}"));
    format!("the lease{view} for {rest} more of its clock")
}

fn two_holders(state: &State) -> String {
    let mut holders: Vec<_> =
        state.nodes.iter().filter(|node| node.holder).map(|node| node.replica.config().me).collect();
    holders.dedup();
    let says = |(place, server): (usize, &ServerId)| {
        let verb = if place == 0 { "holds" } else { "believes in" };
        format!("server {server} {verb} {}", belief(state, *server))
    };
    holders.iter().enumerate().map(says).collect::<Vec<_>>().join(", and ")
}

fn surprised(system: &System, run: &Steps) -> Option<String> {
    let broken_in = run.iter().position(|(state, _)| !state.ghost.stands(Broken::OldViewUnderLease))?;
    let before = &run.get(broken_in.checked_sub(1)?)?.0;
    let holder = before.nodes.iter().find(|node| node.holder)?;
    let Role::Leading(leading) = holder.replica.role() else { return None };
    let chosen = chosen(system, &run[..=broken_in]);
    let odd = chosen.iter().rev().find(|(_, view, _, _)| *view < leading.view)?;
    let told = holder.replica.history().committed_command(odd.0).or_else(|| {
        leading.proposals.get(&odd.0).filter(|_| odd.0 <= leading.reported).map(|proposal| &proposal.command)
    });
    let told = told.map_or("nothing for it".into(), |command| format!("{} for it", words::command(command)));
    Some(format!(
        "while server {} held {}, slot {} was chosen {}, and the promises had told the holder {told}",
        holder.replica.config().me,
        belief(before, holder.replica.config().me),
        odd.0,
        as_chosen(odd)
    ))
}

fn stale_read(system: &System, run: &Steps) -> Option<String> {
    let state = &run.last()?.0;
    let visible = state.ghost.visible;
    let stale = state.nodes.iter().find(|node| node.readable.is_some_and(|slot| slot < visible));
    if let Some(node) = stale {
        let me = node.replica.config().me;
        return Some(format!(
            "server {me} holds {} and would serve a read with slots up to {} applied, but a client has seen slot {visible} already",
            belief(state, me),
            node.replica.applied()
        ));
    }
    steps(system, run).rev().find_map(|(number, before, server, local)| {
        let served = local.events.iter().find_map(|event| match event {
            Event::Served(slot) => Some(*slot),
            _ => None,
        })?;
        // A read that is served at once began in this very step.
        let must_see = before.ghost.reading.map_or(before.ghost.visible, |(_, must_see)| must_see);
        (served < must_see).then(|| {
            format!(
                "in step {number} server {server} served a read with slots up to {served} applied, but before it began a client had seen slot {must_see}"
            )
        })
    })
}

fn unseated(run: &Steps) -> Option<String> {
    let broken_in = run.iter().position(|(state, _)| !state.ghost.stands(Broken::LeaderUnseated))?;
    let (before, action) = run.get(broken_in.checked_sub(1)?)?;
    let Some(Action::At(server, _)) = action else { return None };
    Some(format!(
        "server {server} held {}, and left its view without preparing a higher one of its own: {}",
        belief(before, *server),
        words::action((*action)?)
    ))
}
