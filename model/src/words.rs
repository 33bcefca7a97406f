//! Actions, messages and steps in words.

use spec::{Command, Effect, Message, Outcome, Record, When};

use crate::state::{Broken, Choice, State, Value, letter};
use crate::step::Input;
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
            let reports: Vec<_> = reports
                .iter()
                .map(|report| {
                    let mark = if report.committed { "!" } else { "" };
                    format!("{}={}@{}{mark}", report.slot, command(&report.command), report.view)
                })
                .collect();
            format!("Promise({view}, committed {committed}, [{}])", reports.join(" "))
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
    }
}

/// An action in a line.
pub fn action(action: Action) -> String {
    match action {
        Action::At(server, input) => match input {
            Input::Deliver(envelope) => {
                format!("{} receives {} from {}", server, message(&envelope.message), envelope.from)
            }
            Input::Elect => format!("{server} stands for leader"),
            Input::Renew => format!("{server} asks for the lease"),
            Input::Submit(value) => format!("a client submits {} at {server}", letter(value)),
            Input::Read => format!("a client reads at {server}"),
            Input::Resign => format!("{server} resigns"),
            Input::Flush => format!("{server}'s disk has written everything"),
            Input::Crash(kept) => format!(
                "{server} crashes and restarts{}",
                if kept > 0 {
                    format!(", {kept} unwritten records had reached its disk")
                } else {
                    String::new()
                }
            ),
            Input::Tick(step) => format!("{server}'s clock advances by {step}"),
        },
        Action::Tick(fast) => {
            let clocks: Vec<_> =
                (0..8).filter(|server| fast & (1 << server) != 0).map(|server| server.to_string()).collect();
            if clocks.is_empty() {
                "time passes: every clock is slow".into()
            } else {
                format!("time passes: fast clock at {}", clocks.join(", "))
            }
        }
    }
}

/// What a step does, a line each: what happened, then what came of it.
pub fn step(system: &System, before: &State, performed: Action, after: &State) -> Vec<String> {
    let mut lines = vec![action(performed)];
    if let Action::At(server, input) = performed {
        let local = system.local(before, server, input);
        lines.extend(local.effects.iter().filter_map(effect));
    }
    for server in system.servers() {
        let (was, is) = (&before.nodes[usize::from(server.0)], &after.nodes[usize::from(server.0)]);
        if was.holder != is.holder {
            let end = is.replica.lease_remaining(crate::state::NOW);
            lines.push(match end {
                Some(rest) => format!("{server} holds the lease for {rest:?} more of its own clock"),
                None => format!("{server} holds the lease no longer"),
            });
        }
        if was.readable.is_none() && is.readable.is_some() {
            lines.push(format!("{server} may serve reads under its lease"));
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

/// An effect that a reader of a counterexample wants to know of.
fn effect(effect: &Effect<Value>) -> Option<String> {
    Some(match effect {
        Effect::Persist(record) => format!("writes {}", record_words(record)),
        Effect::Send { to, message: sent, when } => {
            let wait = if *when == When::Durable { "" } else { " at once" };
            format!("sends {} to {to}{wait}", message(sent))
        }
        Effect::Apply { slot, value, .. } => format!("applies {} from slot {slot}", letter(*value)),
        Effect::Answer { outcome: Outcome::Applied, .. } => "answers the client: applied".into(),
        Effect::Answer { outcome, .. } => format!("answers the client: {outcome:?}"),
        Effect::Serve(_) => "serves the read".into(),
        Effect::Refuse { .. } => "refuses the read".into(),
        Effect::Evict(_) | Effect::Arm { .. } => return None,
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
        Record::GrantTerm(term) => format!("grants last {term:?}"),
    }
}

/// Why a state breaks a property, in a sentence.
pub fn why(property: &str, state: &State) -> String {
    match property {
        "lease exclusivity" => {
            let holders: Vec<_> = state
                .nodes
                .iter()
                .filter(|node| node.holder)
                .map(|node| {
                    let rest = node.replica.lease_remaining(crate::state::NOW).map_or(0, |rest| rest.0);
                    format!("server {} believes in its lease for {rest} more", node.replica.config().me)
                })
                .collect();
            holders.join(", and ")
        }
        "agreement" => "two values were chosen in one slot".into(),
        "reads" if state.ghost.stands(Broken::Read) => {
            let stale =
                state.nodes.iter().find(|node| node.readable.is_some_and(|slot| slot < state.ghost.visible));
            stale.map_or(String::new(), |node| {
                format!(
                    "server {} would serve a read with slots up to {} applied, but a client has seen slot {}",
                    node.replica.config().me,
                    node.replica.applied(),
                    state.ghost.visible
                )
            })
        }
        other => format!("'{other}' does not hold"),
    }
}
