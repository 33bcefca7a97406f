//! What a leader does in corners that no transcript reaches.

use alloc::vec::Vec;

use super::*;
use crate::config::Config;
use crate::message::Report;
use crate::testing::{
    ME, MINE, NOW, OTHER, THIRD, commit, fire, give, leader, open, promise, start, three, told,
};

/// A server that stands for its first view, with its own promise.
fn candidate() -> Replica<u8> {
    let mut replica = start(three());
    fire(&mut replica, Timer::Election, NOW);
    give(&mut replica, ME, promise(MINE));
    replica
}

/// A promise that reports a vote for each slot up to `voted`.
fn promise_of_votes_up_to(voted: u64) -> Message<u8> {
    let view = View::new(1, THIRD);
    let report = |slot| Report { slot: Slot(slot), view, command: open(9), committed: false };
    Message::Promise { view: MINE, committed: Slot::NONE, reports: (1..=voted).map(report).collect() }
}

/// A server that leads and lacks slot 1, which another has committed.
fn lagging_leader() -> Replica<u8> {
    let mut replica = candidate();
    let reports = Vec::new();
    give(&mut replica, OTHER, Message::Promise { view: MINE, committed: Slot(1), reports });
    replica
}

/// The slots that it has proposed something for and not committed.
fn proposed(replica: &Replica<u8>) -> Vec<u64> {
    let Role::Leading(leading) = replica.role() else { panic!("it does not lead") };
    leading.proposals.keys().map(|slot| slot.0).collect()
}

fn submit(replica: &mut Replica<u8>, nonces: impl IntoIterator<Item = u64>) {
    nonces.into_iter().for_each(|nonce| replica.submit(open(nonce), &mut Effects::new()));
}

/// Two of three vote for what it proposed in a slot.
fn choose(replica: &mut Replica<u8>, slot: u64) -> Vec<Effect<u8>> {
    let accept = Message::Accept { view: MINE, slot: Slot(slot) };
    give(replica, ME, accept.clone());
    give(replica, OTHER, accept)
}

// Otherwise a mark of this view would commit, at those that voted for its proposal, another value than the
// chosen one.
#[test]
fn a_leader_proposes_nothing_for_a_slot_that_it_learnt_ahead_of_a_gap() {
    let mut replica = candidate();
    give(&mut replica, OTHER, promise(MINE));
    give(&mut replica, OTHER, commit(2, [open(8)]));
    submit(&mut replica, 5..7);
    assert_eq!(proposed(&replica), [1, 3]);
}

#[test]
fn a_new_leader_does_not_finish_a_slot_that_it_learnt_ahead_of_a_gap() {
    let mut replica = candidate();
    give(&mut replica, OTHER, commit(2, [open(8)]));
    give(&mut replica, OTHER, promise_of_votes_up_to(3));
    assert_eq!(proposed(&replica), [1, 3]);
}

#[test]
fn the_window_counts_the_bytes_of_what_is_proposed_and_not_committed() {
    // Each of these commands weighs 24.
    let mut replica = leader(Config { window_bytes: 48, ..three() });
    submit(&mut replica, 1..9);
    assert_eq!(proposed(&replica), [1, 2]);
    choose(&mut replica, 1);
    assert_eq!(proposed(&replica), [2, 3]);
    (2..4).for_each(|slot| _ = choose(&mut replica, slot));
    assert_eq!(proposed(&replica), [4, 5]);
}

#[test]
fn a_leader_that_commits_something_in_each_term_stays_however_much_is_left() {
    let mut replica = leader(three());
    submit(&mut replica, 1..9);
    for slot in 1..7 {
        fire(&mut replica, Timer::Renew, NOW);
        choose(&mut replica, slot);
    }
    assert!(matches!(replica.role(), Role::Leading(leading) if leading.view == MINE));
}

#[test]
fn a_leader_that_cannot_get_a_value_chosen_before_it_gives_its_view_up() {
    let mut replica = lagging_leader();
    for _ in 0..STALLED_RENEWALS {
        assert!(matches!(replica.role(), Role::Leading(_)));
        fire(&mut replica, Timer::Renew, NOW);
    }
    assert!(matches!(replica.role(), Role::Preparing(preparing) if preparing.view > MINE));
}

#[test]
fn a_leader_that_leaves_refuses_the_reads_that_wait() {
    let mut replica = leader(three());
    _ = told(|effects| replica.read(3, NOW, effects));
    let promised = View::new(2, OTHER);
    let effects = give(&mut replica, OTHER, Message::Reject { view: MINE, promised });
    assert!(effects.contains(&Effect::Refuse { read: 3, view: promised }), "{effects:?}");
}
