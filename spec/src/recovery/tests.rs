//! A recovery step by step, as the server that recovers and those that are asked see it.

use alloc::vec;

use super::*;
use crate::config::ConfigError;
use crate::effect::Effect;
use crate::record::Durable;
use crate::rules::Paxos;
use crate::testing::{
    ME, MINE, NOW, OTHER, THIRD, commit, fire, give, give_at, leader, open, promise, sent, start, start_from,
    three, with_leases,
};

const NEW: Incarnation = 7;
const VIEW: View = View::new(3, THIRD);

fn lost() -> Durable<u8> {
    Durable::from_iter([Record::Recovering(NEW)])
}

fn recovery(recovery: Recovery<u8>) -> Message<u8> {
    Message::Recovery(recovery)
}

fn vote(slot: u64, view: View, nonce: u64) -> Report<u8> {
    Report { slot: Slot(slot), view, command: open(nonce), committed: false }
}

fn told(first: u64, reports: Vec<Report<u8>>, next: Option<u64>) -> Message<u8> {
    recovery(Recovery::Told {
        incarnation: NEW,
        first: Slot(first),
        promised: VIEW,
        seen: View::new(4, OTHER),
        grant_term: Span(20),
        reports,
        next: next.map(Slot),
    })
}

/// A server whose new incarnation all others have noted.
fn noted() -> Replica<u8> {
    let mut replica = start_from(with_leases(), lost());
    for from in [OTHER, THIRD] {
        give(&mut replica, from, recovery(Recovery::Noted(NEW)));
    }
    replica
}

#[test]
fn a_server_that_lost_its_disk_promises_votes_grants_and_stands_for_nothing() {
    let mut replica = start_from(with_leases(), lost());
    let before = replica.clone();
    let (view, committed) = (VIEW, Slot::NONE);
    let asks = [
        Message::Prepare { view, committed },
        Message::Propose { view, slot: Slot(1), command: open(1) },
        Message::Renew { view, round: 1, term: Span(8), committed },
    ];
    for message in asks {
        assert_eq!(give(&mut replica, THIRD, message), []);
    }
    assert_eq!(fire(&mut replica, Timer::Election, NOW), []);
    assert_eq!(give(&mut replica, OTHER, promise(MINE)), []);
    assert_eq!(replica, before);
}

#[test]
fn nobody_is_asked_to_tell_before_every_other_server_has_noted() {
    let mut replica = start_from(three(), lost());
    let tells = |effects: &[Effect<u8>]| {
        let sent = sent(effects).into_iter();
        sent.filter(|(_, it)| matches!(it, Message::Recovery(Recovery::Tell { .. })))
            .map(|(to, _)| to)
            .collect::<Vec<_>>()
    };
    let none: Vec<ServerId> = vec![];
    assert_eq!(tells(&give(&mut replica, OTHER, recovery(Recovery::Noted(NEW)))), none);
    assert_eq!(tells(&give(&mut replica, THIRD, recovery(Recovery::Noted(NEW - 1)))), none);
    assert_eq!(tells(&give(&mut replica, THIRD, recovery(Recovery::Noted(NEW)))), [OTHER, THIRD]);
}

#[test]
fn it_keeps_the_highest_vote_of_each_slot_and_what_is_chosen() {
    let mut replica = noted();
    let chosen = Report { committed: true, ..vote(1, View::NONE, 1) };
    give(&mut replica, OTHER, told(1, vec![chosen, vote(2, VIEW, 5)], None));
    give(&mut replica, THIRD, told(1, vec![vote(1, MINE, 9), vote(2, MINE, 6), vote(3, MINE, 7)], None));
    let history = replica.history();
    assert_eq!(history.committed_command(Slot(1)), Some(&open(1)));
    assert_eq!(history.entry(Slot(2)).map(|it| (it.view, &it.command)), Some((VIEW, &open(5))));
    assert_eq!(history.entry(Slot(3)).map(|it| it.view), Some(MINE));
}

#[test]
fn a_vote_that_two_servers_report_is_kept_once() {
    let mut replica = noted();
    let mut votes_kept = |from| {
        let effects = give(&mut replica, from, told(1, vec![vote(1, VIEW, 5)], None));
        let is_vote = |effect: &&Effect<u8>| matches!(effect, Effect::Persist(Record::Vote { .. }));
        effects.iter().filter(is_vote).count()
    };
    assert_eq!((votes_kept(OTHER), votes_kept(THIRD)), (1, 0));
}

#[test]
fn it_takes_part_again_when_all_have_told_and_the_longest_grant_is_over() {
    let mut replica = noted();
    give(&mut replica, OTHER, told(1, vec![], None));
    assert_eq!(replica.recovering().unwrap().until, None);
    give(&mut replica, THIRD, told(1, vec![], None));
    fire(&mut replica, Timer::Retry, LocalTime(19));
    assert!(replica.durable().recovering);
    fire(&mut replica, Timer::Retry, LocalTime(20));
    assert!(!replica.durable().recovering && replica.recovering().is_none());
    assert_eq!(replica.durable().promised, VIEW);
    assert_eq!(replica.next_view(), View::new(5, ME));
    assert_eq!(replica.durable().grant_term, Span(20));
    let low = Message::Prepare { view: View::new(2, OTHER), committed: Slot::NONE };
    let refused = Message::Reject { view: View::new(2, OTHER), promised: VIEW };
    assert_eq!(sent(&give_at(&mut replica, OTHER, low, LocalTime(20))), [(OTHER, refused)]);
}

#[test]
fn a_report_comes_in_pieces_each_once_and_in_order() {
    let mut replica = noted();
    let asks = sent(&give(&mut replica, OTHER, told(1, vec![vote(1, MINE, 1)], Some(4))));
    let next = Recovery::Tell { incarnation: NEW, first: Slot(4) };
    assert_eq!(asks, [(OTHER, recovery(next))]);
    assert_eq!(give(&mut replica, OTHER, told(1, vec![vote(1, VIEW, 2)], None)), [], "that piece was here");
    give(&mut replica, OTHER, told(4, vec![vote(4, MINE, 4)], None));
    assert!(replica.recovering().unwrap().told.contains(OTHER));
}

#[test]
fn who_notes_hears_the_old_incarnation_no_more_and_forgets_its_promise_and_votes() {
    let mut replica = start(three());
    fire(&mut replica, Timer::Election, NOW);
    give(&mut replica, OTHER, promise(MINE));
    let noted = give(&mut replica, OTHER, recovery(Recovery::Note(NEW)));
    assert_eq!(noted[0], Effect::Persist(Record::Noted { server: OTHER, incarnation: NEW }));
    assert_eq!(sent(&noted), [(OTHER, recovery(Recovery::Noted(NEW)))]);
    give(&mut replica, ME, promise(MINE));
    assert!(matches!(replica.role(), Role::Preparing(_)), "one promise is left");
    let mut effects = Effects::new();
    replica.receive_from((OTHER, NEW - 1), promise(MINE), NOW, &mut effects);
    assert!(matches!(replica.role(), Role::Preparing(_)));
    replica.receive_from((OTHER, NEW), promise(MINE), NOW, &mut effects);
    assert!(matches!(replica.role(), Role::Leading(_)));
}

#[test]
fn a_leader_that_notes_forgets_the_votes_that_have_chosen_nothing() {
    let mut replica = leader(three());
    replica.submit(open(1), &mut Effects::new());
    give(&mut replica, OTHER, Message::Accept { view: MINE, slot: Slot(1) });
    give(&mut replica, OTHER, recovery(Recovery::Note(NEW)));
    give(&mut replica, ME, Message::Accept { view: MINE, slot: Slot(1) });
    assert_eq!(replica.history().committed(), Slot::NONE, "one vote is left");
    give(&mut replica, THIRD, Message::Accept { view: MINE, slot: Slot(1) });
    assert_eq!(replica.history().committed(), Slot(1));
}

// Slot 2 is chosen and waits for slot 1. What a quorum chose stays chosen.
#[test]
fn a_leader_that_notes_keeps_what_the_votes_have_chosen() {
    let mut replica = leader(three());
    (1..=2).for_each(|nonce| replica.submit(open(nonce), &mut Effects::new()));
    for from in [ME, OTHER] {
        give(&mut replica, from, Message::Accept { view: MINE, slot: Slot(2) });
    }
    give(&mut replica, OTHER, recovery(Recovery::Note(NEW)));
    for from in [ME, THIRD] {
        give(&mut replica, from, Message::Accept { view: MINE, slot: Slot(1) });
    }
    assert_eq!(replica.history().committed(), Slot(2));
}

// As one must that has lost its disk since it noted it: what it then hears first may be an answer.
#[test]
fn any_message_of_a_later_incarnation_notes_it() {
    let mut replica = start_from(three(), lost());
    let mut hear = |from, message| {
        let mut effects = Effects::new();
        replica.receive_from(from, message, NOW, &mut effects);
        effects.drain().collect::<Vec<_>>()
    };
    let noted = Effect::Persist(Record::Noted { server: OTHER, incarnation: 2 });
    assert_eq!(hear((OTHER, 2), recovery(Recovery::Noted(NEW))), [noted]);
    let tell = Recovery::Tell { incarnation: 1, first: Slot(1) };
    assert_eq!(hear((OTHER, 1), recovery(tell)), []);
    assert_eq!(hear((ServerId(7), 9), recovery(Recovery::Note(9))), []);
    assert_eq!(replica.durable().noted.len(), 1);
}

#[test]
fn an_older_incarnation_is_not_noted_and_a_known_one_is_only_confirmed() {
    let mut replica = start(three());
    give(&mut replica, OTHER, recovery(Recovery::Note(NEW)));
    assert_eq!(give(&mut replica, OTHER, recovery(Recovery::Note(NEW - 1))), []);
    let again = give(&mut replica, OTHER, recovery(Recovery::Note(NEW)));
    assert_eq!((again.len(), sent(&again)), (1, vec![(OTHER, recovery(Recovery::Noted(NEW)))]));
}

#[test]
fn who_recovers_itself_tells_nothing_and_passes_on_what_is_chosen() {
    let mut replica = start_from(three(), lost());
    give(&mut replica, OTHER, recovery(Recovery::Note(1)));
    let tell = Recovery::Tell { incarnation: 1, first: Slot(1) };
    assert_eq!(give(&mut replica, OTHER, recovery(tell)), []);
    give(&mut replica, THIRD, commit(1, [open(1)]));
    let answer = give(&mut replica, OTHER, Message::CatchUp { first: Slot(1) });
    assert_eq!(sent(&answer), [(OTHER, commit(1, [open(1)]))]);
}

#[test]
fn what_only_one_server_knew_cannot_be_recovered() {
    let config = crate::Config { phase1_quorum: 3, phase2_quorum: 1, ..three() };
    let refused = Replica::<u8>::recover(config, Paxos, lost(), NOW, &mut Effects::new());
    assert_eq!(refused.err(), Some(ConfigError::QuorumOfOne));
}

#[test]
fn a_report_that_does_not_fit_in_a_message_says_where_it_goes_on() {
    const COMMAND_BYTES: usize = 24;
    let votes = (1..=3).map(|slot| Record::Vote { view: MINE, slot: Slot(slot), command: open(slot) });
    let config = crate::Config { window_bytes: 2 * COMMAND_BYTES, ..three() };
    let mut replica = start_from(config, votes.collect());
    give(&mut replica, OTHER, recovery(Recovery::Note(NEW)));
    let mut pieces = |first: u64| {
        let tell = Recovery::Tell { incarnation: NEW, first: Slot(first) };
        let [(OTHER, Message::Recovery(Recovery::Told { reports, next, .. }))] =
            &sent(&give(&mut replica, OTHER, recovery(tell)))[..]
        else {
            panic!("it tells")
        };
        (reports.iter().map(|report| report.slot.0).collect::<Vec<_>>(), next.map(|next| next.0))
    };
    assert_eq!(pieces(1), (vec![1, 2], Some(3)));
    assert_eq!(pieces(3), (vec![3], None));
}

#[test]
fn what_was_told_to_another_incarnation_counts_for_nothing() {
    let mut replica = noted();
    let before = replica.clone();
    let Message::Recovery(Recovery::Told { first, promised, seen, grant_term, reports, next, .. }) =
        told(1, vec![vote(1, MINE, 1)], None)
    else {
        unreachable!()
    };
    let incarnation = NEW + 1;
    let other = Recovery::Told { incarnation, first, promised, seen, grant_term, reports, next };
    assert_eq!(give(&mut replica, OTHER, recovery(other)), []);
    assert_eq!(replica, before);
}
