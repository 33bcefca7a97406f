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
//! - **F3** What is durably committed at a server stays committed there, with its value or in a snapshot, and the slot up
//!   to which a snapshot stands for it never falls.
//!
//! That an answer concerns its own view only is a decision of the rules, and so they are asked: with rules that count
//! answers of older views none is dead. A variant that lets durable state go back, or reuses views, breaks the facts
//! and must run without.

use spec::{Message, Role, Rules, ServerId, Slot, View};

use crate::state::{Envelope, MessageRef, Node, State};

/// What one end of a message says about its being dead, for two reasons: a message is dead for a reason if both ends
/// say so. So whether it is can be remembered for each server alone.
pub type Says = [bool; 2];

/// Whether `message` can be dropped from `state`. `compacts`: servers may forget their logs.
pub fn dead(state: &State, message: MessageRef, compacts: bool) -> bool {
    let sender = sender_says(&state.nodes[usize::from(message.from.0)], &message, compacts);
    let receiver = receiver_says(&state.nodes[usize::from(message.to.0)], &message);
    (sender[0] && receiver[0]) || (sender[1] && receiver[1])
}

/// What the sender has to say.
pub fn sender_says(sender: &Node, envelope: &Envelope, compacts: bool) -> Says {
    match &envelope.message {
        Message::Prepare { view, .. } => {
            [!in_view(sender, *view), !awaits_promise(sender, envelope.to, *view)]
        }
        Message::Propose { view, slot, .. } => {
            let gone = !in_view(sender, *view);
            // Where the value may be forgotten, the answer may be a snapshot that the sender can use.
            [gone, gone && committed(sender, *slot) && !compacts]
        }
        Message::Renew { view, .. } => [!in_view(sender, *view), false],
        _ => [true, true],
    }
}

/// What the receiver has to say.
pub fn receiver_says(receiver: &Node, envelope: &Envelope) -> Says {
    let promised = receiver.durable.promised;
    let rules = receiver.replica.rules();
    let later = |view: &View| View::new(view.number + 1, view.leader);
    match &envelope.message {
        // Below the durable promise it can only be refused (F2), and the refusal meets nobody (F1); or a leader that was
        // promised: a repeated Promise goes to a server that counted it or has left.
        Message::Prepare { view, .. } => [promised > *view, promised == *view],
        // F1: only a candidate that still counts this sender's promise heeds it.
        Message::Promise { view, .. } => {
            one(!awaits_promise(receiver, envelope.from, *view) && !rules.counts_promise(later(view), *view))
        }
        // F1, and what it says is known already.
        Message::Reject { view, promised } => {
            one(!in_view(receiver, *view)
                || (preparing(receiver, *view) && receiver.replica.seen() >= *promised))
        }
        // Below the durable promise it can only be refused (F2), and the refusal meets nobody (F1); or it is answered with
        // what its sender knows (F3).
        Message::Propose { view, slot, .. } => [promised > *view, committed(receiver, *slot)],
        // F1, and a slot that is chosen there needs no more votes.
        Message::Accept { view, slot } => {
            one(!counts(receiver, *view, *slot) && !rules.counts_vote(later(view), *view))
        }
        // F3.
        Message::Commit { first, commands } => {
            let last = first.0 + commands.len() as u64;
            one((first.0..last).all(|slot| committed(receiver, Slot(slot))))
        }
        // F3.
        Message::Committed { up_to, .. } => one(receiver.durable.history.committed() >= *up_to),
        // F1 and F2: it can be neither promised nor granted, the refusal meets nobody, and the mark says nothing new (F3).
        Message::Renew { view, committed, .. } => {
            one(promised > *view && receiver.durable.history.committed() >= *committed)
        }
        // F1; a round that is not counted any more never is again; and there is nothing to catch up on (F3).
        Message::Grant { view, round, committed } => {
            let behind = leads(receiver, *view) && receiver.durable.history.committed() < *committed;
            let stale = rules.counts_grant((later(view), *round), (*view, *round));
            one(!counts_grant(receiver, envelope.from, *view, *round) && !behind && !stale)
        }
        // F2: the view is granted no more, and is not granted now.
        Message::Release { view } => {
            let stale = rules.may_end_grant(later(view), *view);
            one(promised > *view
                && receiver.replica.grant().is_none_or(|grant| grant.view != *view)
                && !stale)
        }
        // F3: neither what it offers nor the snapshot that comes with it is of use.
        Message::SnapshotOffer { slot } => one(receiver.durable.history.base() >= *slot),
        Message::Forward(_) | Message::Redirect { .. } | Message::CatchUp { .. } | Message::Recovery(_) => {
            [false; 2]
        }
    }
}

/// Dead for one reason or none.
fn one(dead: bool) -> Says {
    [dead, false]
}

fn committed(node: &Node, slot: Slot) -> bool {
    node.durable.history.is_committed(slot)
}

/// Whether a grant of `from` for this round would be counted.
fn counts_grant(node: &Node, from: ServerId, view: View, round: u64) -> bool {
    match node.replica.role() {
        Role::Leading(leading) if leading.view == view => {
            let mut rounds = leading.lease.rounds.iter();
            rounds.any(|known| known.number == round && !known.grants.contains(from))
        }
        _ => false,
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
fn awaits_promise(candidate: &Node, acceptor: ServerId, view: View) -> bool {
    match candidate.replica.role() {
        Role::Preparing(preparing) => preparing.view == view && !preparing.promises.contains_key(&acceptor),
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
