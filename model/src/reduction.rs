//! Reductions: which messages in flight are *dead*, so that the set can do without them.
//!
//! A message is dead if its delivery changes nothing at any server, now and in every future within the scope.
//! Dropping it merges states that have the same future. Each kind has its argument below; all rest on facts that
//! never go back, also across a crash:
//!
//! - **F1** A server that has left a view as its leader never leads or prepares it again: its attempt was durable
//!   before Prepare left, and the next view is above every attempted one. So nothing that only the leader of that
//!   view would heed matters any more.
//! - **F2** The *durable* promise of an acceptor never falls.
//! - **F3** What is durably committed at a server stays committed there, with its value.
//!
//! A variant that lets durable state go back, or reuses views, breaks the facts and must run without.

use spec::{Message, Role, Slot, View};

use crate::state::{MessageRef, Node, State};

/// Whether `message` can be dropped from `state`.
pub fn dead(state: &State, message: MessageRef) -> bool {
    let sender = &state.nodes[usize::from(message.from.0)];
    let receiver = &state.nodes[usize::from(message.to.0)];
    match &message.message {
        // A leader that promised (F1, F2): a repeated Promise goes to a server that counted it or has left; a refusal to one
        // that has left.
        Message::Prepare { view, .. } => {
            let promised = receiver.durable.promised;
            (promised > *view && !in_view(sender, *view))
                || (promised == *view && !awaits_promise(sender, receiver, *view))
        }
        // F1: only a candidate that still counts this sender's promise heeds it.
        Message::Promise { view, .. } => !awaits_promise(receiver, sender, *view),
        // F1, and what it says is known already.
        Message::Reject { view, promised } => {
            !in_view(receiver, *view) || (preparing(receiver, *view) && receiver.replica.seen() >= *promised)
        }
        // Below the durable promise it can only be refused (F2), and the refusal meets nobody (F1).
        Message::Propose { view, slot, .. } => {
            let closed = receiver.durable.promised > *view;
            let answered =
                receiver.durable.history.is_committed(*slot) && sender.durable.history.is_committed(*slot);
            !in_view(sender, *view) && (closed || answered)
        }
        // F1, and a slot that is chosen there needs no more votes.
        Message::Accept { view, slot } => !counts(receiver, *view, *slot),
        // F3.
        Message::Commit { first, commands } => {
            let last = first.0 + commands.len() as u64;
            (first.0..last).all(|slot| receiver.durable.history.is_committed(Slot(slot)))
        }
        // F3.
        Message::Committed { up_to, .. } => receiver.durable.history.committed() >= *up_to,
        // F1 and F2: it can be neither promised nor granted, the refusal meets nobody, and the mark says nothing new (F3).
        Message::Renew { view, committed, .. } => {
            receiver.durable.promised > *view
                && !in_view(sender, *view)
                && receiver.durable.history.committed() >= *committed
        }
        // F1; a round that is not counted any more never is again; and there is nothing to catch up on (F3).
        Message::Grant { view, round, committed } => {
            let counted = match receiver.replica.role() {
                Role::Leading(leading) if leading.view == *view => leading
                    .lease
                    .rounds
                    .iter()
                    .any(|known| known.number == *round && !known.grants.contains(message.from)),
                _ => false,
            };
            let behind = leads(receiver, *view) && receiver.durable.history.committed() < *committed;
            !counted && !behind
        }
        // F2: the view is granted no more, and is not granted now.
        Message::Release { view } => {
            receiver.durable.promised > *view
                && receiver.replica.grant().is_none_or(|grant| grant.view != *view)
        }
        Message::Forward(_) | Message::Redirect { .. } | Message::CatchUp { .. } => false,
    }
}

fn preparing(node: &Node, view: View) -> bool {
    matches!(node.replica.role(), Role::Preparing(preparing) if preparing.view == view)
}

fn leads(node: &Node, view: View) -> bool {
    matches!(node.replica.role(), Role::Leading(leading) if leading.view == view)
}

/// Whether the server prepares or leads the view.
fn in_view(node: &Node, view: View) -> bool {
    preparing(node, view) || leads(node, view)
}

/// Whether `candidate` still counts promises of `view` and has none of `acceptor`.
fn awaits_promise(candidate: &Node, acceptor: &Node, view: View) -> bool {
    match candidate.replica.role() {
        Role::Preparing(preparing) => {
            preparing.view == view && !preparing.promises.contains_key(&acceptor.replica.config().me)
        }
        Role::Follower | Role::Leading(_) => false,
    }
}

/// Whether a vote for the slot in this view would be counted.
fn counts(node: &Node, view: View, slot: Slot) -> bool {
    match node.replica.role() {
        Role::Leading(leading) => {
            leading.view == view && leading.proposals.get(&slot).is_some_and(|proposal| !proposal.chosen)
        }
        Role::Follower | Role::Preparing(_) => false,
    }
}
