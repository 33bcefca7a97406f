//! Actions, messages and steps in words.

use spec::{
    Command, Effect, Message, Outcome, Record, Recovery, Report, SERVERS_MAX, ServerId, ServerSet, When,
};

use crate::passing::Stray;
use crate::saved::Act;
use crate::state::{Choice, State, Value, letter};
use crate::system::{Action, System};

/// A command as a person would call it: updates are letters.
pub fn command(command: &Command<Value>) -> String {
    format!("{:?}", Choice::from(command))
}

/// A message in a line.
pub fn message(message: &Message<Value>) -> String {
    match message {
        Message::Forward(update) => format!("Update({})", command(update)),
        Message::Redirect { view, .. } => format!("Redirect(to the leader of {view})"),
        Message::Prepare { view, committed } => format!("Prepare({view}, committed {committed})"),
        Message::Promise { view, committed, reports } => {
            format!("Promise({view}, committed {committed}, [{}])", report_words(reports))
        }
        Message::Reject { view, promised } => format!("Reject({view}, promised {promised})"),
        Message::Propose { view, slot, command: value } => {
            format!("Propose({view}, {slot}={})", command(value))
        }
        Message::Accept { view, slot } => format!("Accept({view}, {slot})"),
        Message::Commit { first, commands } => {
            let values: Vec<_> = commands.iter().map(command).collect();
            format!("Commit({first}={})", values.join(","))
        }
        Message::Committed { view, up_to } => format!("Committed({view}, up to {up_to})"),
        Message::CatchUp { first } => format!("CatchUp(from {first})"),
        Message::Renew { view, round, term, .. } => format!("Renew({view} #{round}, L={term:?})"),
        Message::Grant { view, round, .. } => format!("Grant({view} #{round})"),
        Message::Release { view } => format!("Release({view})"),
        Message::SnapshotOffer { slot } => format!("SnapshotOffer(up to {slot})"),
        Message::Recovery(recovery) => recovery_words(recovery),
    }
}

fn recovery_words(recovery: &Recovery<Value>) -> String {
    match recovery {
        Recovery::Note(incarnation) => format!("Note({incarnation})"),
        Recovery::Noted(incarnation) => format!("Noted({incarnation})"),
        Recovery::Tell { incarnation, first } => format!("Tell({incarnation}, from {first})"),
        Recovery::Lack { first, up_to } => format!("Lack({first} to {up_to})"),
        Recovery::Told { incarnation, promised, reports, .. } => {
            format!("Told({incarnation}, promised {promised}, [{}])", report_words(reports))
        }
    }
}

fn report_words(reports: &[Report<Value>]) -> String {
    let reports: Vec<_> = reports
        .iter()
        .map(|report| {
            let mark = if report.committed { "!" } else { "" };
            format!("{}={}@{}{mark}", report.slot, command(&report.command), report.view)
        })
        .collect();
    reports.join(" ")
}

/// An action in a line.
pub fn action(action: Action) -> String {
    act(&Act::from(action))
}

/// The same of an action that stands on its own.
pub fn act(act: &Act) -> String {
    match act {
        Act::Deliver { from, to, message: sent, .. } => {
            format!("server {to} receives {} from {from}", message(sent))
        }
        Act::Elect { server }
        | Act::Renew { server }
        | Act::Retry { server }
        | Act::Forward { server }
        | Act::Resign { server }
        | Act::Flush { server }
        | Act::Compact { server }
        | Act::Crash { server, .. }
        | Act::Wipe { server }
        | Act::Damage { server, .. }
        | Act::Doubt { server, .. }
        | Act::Clock { server, .. } => format!("server {server} {}", at_server(act)),
        Act::Submit { server, .. } | Act::Read { server } => {
            format!("{} at server {server}", at_server(act))
        }
        Act::Tick { fast, stray } => {
            let stray = match stray {
                None => "",
                Some(Stray::Still) => ", and the one that goes astray stands still",
                Some(Stray::Leap) => ", and the one that goes astray goes on by a grant term",
            };
            if fast.is_empty() {
                return format!("time passes: every clock is slow{stray}");
            }
            format!("time passes: fast clock at {}{stray}", servers(fast.iter().copied()))
        }
    }
}

/// What happens at a server, where it is clear which one.
pub fn at_server(act: &Act) -> String {
    match act {
        Act::Deliver { message: sent, .. } => format!("receives {}", message(sent)),
        Act::Elect { .. } => "stands for leader".into(),
        Act::Renew { .. } => "asks for the lease".into(),
        Act::Retry { .. } => "repeats what was not answered".into(),
        Act::Forward { .. } => "forwards what waits once more".into(),
        Act::Submit { update, .. } => format!("a client submits {update}"),
        Act::Read { .. } => "a client reads".into(),
        Act::Resign { .. } => "resigns".into(),
        Act::Flush { .. } => "has everything on disk".into(),
        Act::Compact { .. } => "takes a snapshot and forgets its log up to there".into(),
        Act::Crash { kept: 0, .. } => "crashes and restarts".into(),
        Act::Crash { kept: 1, .. } => "crashes and restarts, 1 unwritten record had reached its disk".into(),
        Act::Crash { kept, .. } => {
            format!("crashes and restarts, {kept} unwritten records had reached its disk")
        }
        Act::Wipe { .. } => "loses its disk, and is to recover".into(),
        Act::Damage { snapshot: false, .. } => "restarts with a disk that lost every vote and value".into(),
        Act::Damage { snapshot: true, .. } => "restarts with a disk that lost its snapshot and votes".into(),
        Act::Doubt { clocks, .. } if clocks.is_empty() => "doubts no clock any more".into(),
        Act::Doubt { clocks, .. } => {
            let what = if let [_] = clocks[..] { "the clock" } else { "the clocks" };
            format!("doubts {what} of {}", the_servers(clocks.iter().copied()))
        }
        Act::Clock { advance, .. } => format!("'s clock advances by {advance}"),
        Act::Tick { .. } => "time passes".into(),
    }
}

/// Servers in a list: `servers 0 and 1`, `server 2`.
pub fn the_servers(of: impl IntoIterator<Item = ServerId>) -> String {
    let of: Vec<_> = of.into_iter().collect();
    match &of[..] {
        [] => "no server".into(),
        [one] => format!("server {one}"),
        _ => format!("servers {}", servers(of)),
    }
}

/// Their numbers alone.
pub fn servers(of: impl IntoIterator<Item = ServerId>) -> String {
    let numbers: Vec<_> = of.into_iter().map(|server| server.to_string()).collect();
    match &numbers[..] {
        [] => "nobody".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The members of a set.
pub fn members(set: ServerSet) -> impl Iterator<Item = ServerId> {
    (0..SERVERS_MAX).map(ServerId).filter(move |&server| set.contains(server))
}

/// What a step does, a line each: what happened, then what came of it.
pub fn step(system: &System, before: &State, performed: Action, after: &State) -> Vec<String> {
    let mut lines = vec![action(performed)];
    if let Action::At(server, input) = performed {
        let local = system.local(before, server, input);
        lines.extend(effects(&local.effects));
    }
    for server in system.servers() {
        let (was, is) = (&before.nodes[usize::from(server.0)], &after.nodes[usize::from(server.0)]);
        if was.holder != is.holder {
            let end = is.replica.lease_remaining(crate::state::NOW);
            lines.push(match end {
                Some(rest) => {
                    format!("server {server} holds the lease for {rest:?} more of its own clock")
                }
                None => format!("server {server} holds the lease no longer"),
            });
        }
        if was.readable.is_none() && is.readable.is_some() {
            lines.push(format!("server {server} may serve reads under its lease"));
        }
    }
    for (slot, choice) in &after.ghost.chosen {
        if before.ghost.chosen.get(slot) != Some(choice) {
            lines.push(match before.ghost.chosen.get(slot) {
                Some(former) => {
                    format!("{choice:?} is chosen in slot {slot}, where {former:?} was chosen before")
                }
                None => format!("{choice:?} is chosen in slot {slot}"),
            });
        }
    }
    lines
}

/// The effects that a reader of a counterexample wants to know of; a message to several servers is one line.
fn effects(listed: &[Effect<Value>]) -> Vec<String> {
    let mut lines = Vec::new();
    for (place, one) in listed.iter().enumerate() {
        let line = if let Effect::Send { message: sent, when, .. } = one {
            let same = |other: &Effect<Value>| match other {
                Effect::Send { to, message, when: then } if message == sent && then == when => Some(*to),
                _ => None,
            };
            if listed[..place].iter().any(|other| same(other).is_some()) {
                continue;
            }
            let wait = if *when == When::Durable { "" } else { " at once" };
            Some(format!("sends {} to {}{wait}", message(sent), servers(listed.iter().filter_map(same))))
        } else {
            effect(one)
        };
        lines.extend(line);
    }
    lines
}

fn effect(effect: &Effect<Value>) -> Option<String> {
    Some(match effect {
        Effect::Persist(record) => format!("writes {}", record_words(record)),
        Effect::Apply { slot, value, .. } => format!("applies {} from slot {slot}", letter(*value)),
        Effect::Answer { outcome: Outcome::Applied, .. } => "answers the client: applied".into(),
        Effect::Answer { outcome, .. } => format!("answers the client: {outcome:?}"),
        Effect::Serve(_) => "serves the read".into(),
        Effect::Refuse { .. } => "refuses the read".into(),
        Effect::Restore(slot) => format!("restores the snapshot up to slot {slot}"),
        Effect::Fetch { from, slot } => format!("wants the snapshot of {from} up to slot {slot} or later"),
        Effect::Send { .. } | Effect::Evict(_) | Effect::Arm { .. } => return None,
    })
}

/// A record in words.
pub fn record_words(record: &Record<Value>) -> String {
    match record {
        Record::Attempt(view) => format!("attempted {view}"),
        Record::Promise(view) => format!("promised {view}"),
        Record::Vote { view, slot, command: value } => format!("vote {slot}={} in {view}", command(value)),
        Record::Learnt { slot, command: value } => format!("learnt {slot}={}", command(value)),
        Record::Committed(slot) => format!("committed up to {slot}"),
        Record::Snapshot(snapshot) => format!("snapshot up to {}", snapshot.slot),
        Record::GrantTerm(term) => format!("grants last {term:?}"),
        Record::Noted { server, incarnation } => format!("incarnation {incarnation} of {server}"),
        Record::Recovering(incarnation) => format!("recovering as incarnation {incarnation}"),
        Record::Lacks { up_to, .. } => format!("lacks up to {up_to}"),
        Record::Recovered { promised, .. } => format!("recovered, promised {promised}"),
    }
}
