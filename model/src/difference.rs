//! What a step changes, variable by variable: of the servers, of what an observer knows, and of what is in flight.

use std::collections::BTreeMap;

use serde::Serialize;
use spec::{Role, ServerSet, Slot, View};

use crate::state::{NOW, Node, State};
use crate::system::System;
use crate::words;

/// Whose variables the messages in flight are.
pub const NETWORK: &str = "network";

/// A variable that a step changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Change {
    /// Whose it is: `server 1`, `observer` or `network`.
    pub of: String,
    /// What it is called.
    pub what: String,
    /// Its value before; none if it had none.
    pub was: Option<String>,
    /// Its value afterwards.
    pub is: Option<String>,
}

/// Everything that differs between two states.
pub fn between(system: &System, before: &State, after: &State) -> Vec<Change> {
    let mut changes = Vec::new();
    for server in system.servers() {
        let place = usize::from(server.0);
        let (was, is) = (variables(&before.nodes[place]), variables(&after.nodes[place]));
        changes.extend(compare(&format!("server {server}"), &was, &is));
    }
    changes.extend(compare("observer", &observed(before), &observed(after)));
    changes.extend(compare(NETWORK, &in_flight(system, before), &in_flight(system, after)));
    changes
}

type Variables = BTreeMap<String, String>;

fn compare(of: &str, was: &Variables, is: &Variables) -> Vec<Change> {
    let names: std::collections::BTreeSet<_> = was.keys().chain(is.keys()).collect();
    let differing = names.into_iter().filter(|&name| was.get(name) != is.get(name));
    differing
        .map(|name| Change {
            of: of.into(),
            what: name.clone(),
            was: was.get(name).cloned(),
            is: is.get(name).cloned(),
        })
        .collect()
}

/// The variables of a server that a person wants to see.
fn variables(node: &Node) -> Variables {
    let replica = &node.replica;
    let mut variables = Variables::new();
    let mut add = |name: &str, value: String| variables.insert(name.into(), value);
    add("attempted", view(replica.durable().attempted));
    add("promised", view(replica.durable().promised));
    add("committed", format!("up to {}", replica.history().committed()));
    add("applied", format!("up to {}", replica.applied()));
    add("seen", view(replica.seen()));
    if let Some(grant) = replica.grant() {
        let rest = (grant.until - NOW).0;
        let end = if rest > 0 { format!("ends in {rest}") } else { "over".into() };
        add("grant", format!("to the leader of {}, round {}, {end}", grant.view, grant.round));
    }
    for (slot, entry) in replica.history().above(Slot::NONE) {
        let value = words::command(&entry.command);
        let how = match (entry.committed, entry.view) {
            (true, _) => "committed".into(),
            (false, view) => format!("voted for in {view}"),
        };
        add(&format!("slot {slot}"), format!("{value}, {how}"));
    }
    if replica.doubted() != ServerSet::EMPTY {
        add("doubts the clock of", words::servers(words::members(replica.doubted())));
    }
    if let Some(rest) = replica.lease_remaining(NOW) {
        add("lease", format!("held, ends in {rest:?}"));
    }
    if !node.unwritten.is_empty() {
        let records: Vec<_> = node.unwritten.iter().map(words::record_words).collect();
        add("not yet on disk", records.join("; "));
    }
    if !node.held.is_empty() {
        let held = node.held.iter().map(|held| format!("{} to {}", words::message(&held.message), held.to));
        add("waiting for the disk", held.collect::<Vec<_>>().join("; "));
    }
    let waiting = replica.waiting().count();
    if waiting > 0 {
        add("clients waiting", waiting.to_string());
    }
    role(node, &mut variables);
    variables
}

fn role(node: &Node, variables: &mut Variables) {
    let mut add = |name: &str, value: String| variables.insert(name.into(), value);
    match node.replica.role() {
        Role::Follower => {
            add("role", "follower".into());
        }
        Role::Preparing(preparing) => {
            add("role", format!("prepares {}", preparing.view));
            add("promises", format!("from {}", words::servers(preparing.promises.keys().copied())));
        }
        Role::Leading(leading) => {
            add("role", format!("leads {}", leading.view));
            for (slot, proposal) in &leading.proposals {
                let votes = words::servers(words::members(proposal.votes));
                let mark = if proposal.chosen { ", chosen" } else { "" };
                let value = words::command(&proposal.command);
                add(&format!("proposal {slot}"), format!("{value}, votes of {votes}{mark}"));
            }
            for round in &leading.lease.rounds {
                let ago = (NOW - round.sent).0;
                let grants = words::servers(words::members(round.grants));
                add(&format!("round {}", round.number), format!("sent {ago} ago, granted by {grants}"));
            }
        }
    }
}

fn observed(state: &State) -> Variables {
    let ghost = &state.ghost;
    let mut variables = Variables::new();
    let mut add = |name: String, value: String| variables.insert(name, value);
    for (slot, choice) in &ghost.chosen {
        add(format!("chosen in slot {slot}"), format!("{choice:?}"));
    }
    for (slot, value) in &ghost.acknowledged {
        add(format!("acknowledged in slot {slot}"), crate::state::letter(*value).into());
    }
    if ghost.visible > Slot::NONE {
        add("clients have seen".into(), format!("up to {}", ghost.visible));
    }
    if let Some((server, must_see)) = ghost.reading {
        add("a read at".into(), format!("server {server}, must see up to {must_see}"));
    }
    variables
}

fn in_flight(system: &System, state: &State) -> Variables {
    let in_words = |sent: &crate::state::MessageRef| {
        format!("{}, {} → {}", words::message(&sent.message), sent.from, sent.to)
    };
    system.in_flight(state).iter().map(|sent| (in_words(sent), "in flight".into())).collect()
}

fn view(view: View) -> String {
    if view == View::NONE { "none".into() } else { view.to_string() }
}
