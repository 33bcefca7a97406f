//! Servers tell each other how they are, a few times a second. From it each knows the others' state, how long a
//! datagram takes to them and back, and how many are lost on the way. Nothing of the protocol rests on it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use spec::{LocalTime, ServerId, Span};

use crate::clock::{Pace, Rates, Reached, Sample, millis};
use crate::life::Life;
use crate::status::Status;

/// How often a server tells the others.
pub(crate) const BEAT_INTERVAL: Span = millis(250);
/// A peer that was not heard for so long is silent.
const SILENT_AFTER: Span = millis(1_000);
/// Beats over which the loss is reckoned.
const WINDOW: u32 = u64::BITS;
/// Beats of which the time of sending is remembered.
const SENT_MAX: usize = 16;
/// The part of a new round trip in the mean: one of so many.
const SMOOTHING: i64 = 4;

/// What a server tells another of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Beat {
    /// Counts the sender's beats since it started, from 1.
    pub number: u64,
    /// The receiver's latest beat that the sender has.
    pub echo: Option<Echo>,
    /// How long the sender has been telling its peers how it is, by its clock. For comparing the rates of clocks; no
    /// handler sees it.
    pub running: Span,
    /// How the sender is.
    pub status: Status,
}

/// A beat that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Echo {
    /// The life of its sender: numbers begin anew in each.
    pub boots: u64,
    /// Its number.
    pub number: u64,
    /// How long ago it came.
    pub held: Span,
}

/// What a server knows of another.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerReport {
    /// The peer.
    pub server: ServerId,
    /// How long ago it was heard; none if never.
    pub heard: Option<Span>,
    /// The part of its latest beats that were lost, from 0 to 1; none if it was never heard.
    pub loss: Option<f64>,
    /// How long a datagram takes to it and back, smoothed.
    pub round_trip: Option<Span>,
    /// How it was when it was heard last.
    pub status: Option<Status>,
    /// How much faster its clock runs than this server's; none before that was measured.
    pub clock: Option<Rates>,
    /// How its clock is out of step; none if it is not known to be.
    pub clock_apart: Option<Pace>,
}

impl PeerReport {
    /// Whether it can be taken for running.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.heard.is_some_and(|heard| heard < SILENT_AFTER)
    }
}

#[derive(Debug, Default)]
struct Peer {
    heard: Option<LocalTime>,
    number: u64,
    /// Bit i: whether beat `number - i` came.
    came: u64,
    round_trip: Option<Span>,
    status: Option<Status>,
    was_heard: bool,
}

impl Peer {
    fn is_of_another_start(&self, beat: &Beat) -> bool {
        let start = |status: &Status| (status.incarnation, status.boots);
        self.status.as_ref().is_some_and(|status| start(status) != start(&beat.status))
    }
}

/// The beats of one server and its peers.
#[derive(Debug)]
pub(crate) struct Beats {
    boots: u64,
    begun: LocalTime,
    next: LocalTime,
    number: u64,
    sent: VecDeque<(u64, LocalTime)>,
    peers: Vec<Peer>,
}

impl Beats {
    pub(crate) fn new(servers: usize, boots: u64, now: LocalTime) -> Self {
        let peers = std::iter::repeat_with(Peer::default).take(servers).collect();
        Self { boots, begun: now, next: now, number: 0, sent: VecDeque::with_capacity(SENT_MAX), peers }
    }

    /// When the next beat is due.
    pub(crate) fn next(&self) -> LocalTime {
        self.next
    }

    /// Begins a beat, if one is due.
    pub(crate) fn begin(&mut self, now: LocalTime) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + BEAT_INTERVAL;
        self.number += 1;
        if self.sent.len() == SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((self.number, now));
        true
    }

    /// The beat that was begun, for one peer.
    pub(crate) fn beat(&self, to: usize, status: Status, now: LocalTime) -> Beat {
        let echo = self.peers.get(to).and_then(|peer| {
            let (status, heard) = (peer.status.as_ref()?, peer.heard?);
            let boots = Life::new(status.incarnation, status.boots).number();
            Some(Echo { boots, number: peer.number, held: now - heard })
        });
        Beat { number: self.number, echo, running: now - self.begun, status }
    }

    /// Whether the peer has been started again since its last beat came.
    pub(crate) fn is_of_another_start(&self, from: ServerId, beat: &Beat) -> bool {
        self.peers.get(usize::from(from.0)).is_some_and(|peer| peer.is_of_another_start(beat))
    }

    /// What the beat of a peer tells of its clock; none if it is not the latest.
    pub(crate) fn on_beat(&mut self, from: ServerId, beat: Beat, now: LocalTime) -> Option<Sample> {
        let echo = beat.echo.filter(|echo| echo.boots == self.boots && echo.held >= Span::ZERO);
        let echo = echo.and_then(|echo| {
            let sent = self.sent.iter().find(|(number, _)| *number == echo.number);
            sent.map(|&(_, left)| (left, echo.held))
        });
        let took = echo.map(|(left, held)| Span((now - left).0.saturating_sub(held.0)));
        let peer = self.peers.get_mut(usize::from(from.0))?;
        if peer.is_of_another_start(&beat) {
            *peer = Peer { was_heard: peer.was_heard, ..Peer::default() };
        }
        if let Some(took) = took.filter(|took| *took >= Span::ZERO) {
            let mean = peer.round_trip.map_or(took, |mean| Span(mean.0 + (took.0 - mean.0) / SMOOTHING));
            peer.round_trip = Some(mean);
        }
        if beat.number <= peer.number {
            let age = peer.number - beat.number;
            peer.came |= if age < u64::from(WINDOW) { 1 << age } else { 0 };
            return None;
        }
        let passed = if peer.heard.is_some() { beat.number - peer.number } else { 1 };
        let kept = if passed < u64::from(WINDOW) { peer.came << passed } else { 0 };
        // Beats from before it was first heard are not missing.
        peer.came = if peer.heard.is_some() { kept | 1 } else { u64::MAX };
        (peer.heard, peer.number, peer.status) = (Some(now), beat.number, Some(beat.status));
        let echo =
            echo.map(|(left, held)| Reached { left, came: Span(beat.running.0.saturating_sub(held.0)) });
        Some(Sample { sent: beat.running, came: now, echo })
    }

    /// What is known of each peer but `me`.
    pub(crate) fn reports(&self, me: ServerId, now: LocalTime) -> impl Iterator<Item = PeerReport> {
        let peers = (0..).map(ServerId).zip(&self.peers).filter(move |(server, _)| *server != me);
        peers.map(move |(server, peer)| {
            let heard = peer.heard.map(|heard| now - heard);
            PeerReport {
                server,
                heard,
                loss: heard.map(|heard| loss(peer.came, heard)),
                round_trip: peer.round_trip,
                status: peer.status.clone(),
                clock: None,
                clock_apart: None,
            }
        })
    }

    /// Peers that have fallen silent or are heard again, each told once.
    pub(crate) fn changes(&mut self, now: LocalTime) -> impl Iterator<Item = (ServerId, bool)> {
        (0..).map(ServerId).zip(&mut self.peers).filter_map(move |(server, peer)| {
            let heard = peer.heard.is_some_and(|heard| now - heard < SILENT_AFTER);
            let is_new = heard != peer.was_heard;
            peer.was_heard = heard;
            is_new.then_some((server, heard))
        })
    }

    /// The furthest slot that a peer says to be chosen.
    pub(crate) fn furthest(&self) -> u64 {
        self.peers.iter().flat_map(|peer| &peer.status).map(|status| status.committed.0).max().unwrap_or(0)
    }
}

/// The part of the beats that were lost, those that are overdue by now among them.
fn loss(came: u64, heard: Span) -> f64 {
    let overdue = u32::try_from(heard.0 / BEAT_INTERVAL.0 - 1).unwrap_or(0).min(WINDOW);
    let came = came.checked_shl(overdue).unwrap_or(0);
    f64::from(came.count_zeros()) / f64::from(WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Counters, Standing};
    use spec::{Slot, View};

    fn status(boots: u64, committed: u64) -> Status {
        let mut status = crate::watch::report::tests::status();
        (status.boots, status.committed) = (boots, Slot(committed));
        (status.role, status.view, status.counters) = (Standing::Follower, View::NONE, Counters::default());
        status
    }

    fn beat(number: u64) -> Beat {
        Beat { number, echo: None, running: Span(0), status: status(1, number) }
    }

    fn report(beats: &Beats, now: i64) -> PeerReport {
        beats.reports(ServerId(0), LocalTime(now)).next().unwrap()
    }

    #[test]
    fn beats_that_are_missing_are_the_loss_and_late_ones_are_not() {
        let mut beats = Beats::new(2, 1, LocalTime(0));
        assert_eq!(report(&beats, 0).loss, None);
        for number in (1..=64).filter(|number| number % 4 != 0) {
            beats.on_beat(ServerId(1), beat(number), LocalTime(0));
        }
        assert_eq!(report(&beats, 0).loss, Some(15.0 / 64.0));
        beats.on_beat(ServerId(1), beat(60), LocalTime(0));
        assert_eq!(report(&beats, 0).loss, Some(14.0 / 64.0));
        assert_eq!(report(&beats, 1_000 * BEAT_INTERVAL.0).loss, Some(1.0));
        assert_eq!(beats.furthest(), 63);
    }

    #[test]
    fn the_round_trip_leaves_out_how_long_the_peer_held_the_beat() {
        let mut beats = Beats::new(2, 1, LocalTime(0));
        assert!(beats.begin(LocalTime(0)) && !beats.begin(LocalTime(1)));
        let echo = Some(Echo { boots: 1, number: 1, held: Span(70) });
        beats.on_beat(ServerId(1), Beat { echo, ..beat(1) }, LocalTime(100));
        assert_eq!(report(&beats, 100).round_trip, Some(Span(30)));
        let of_an_earlier_start = Some(Echo { boots: 0, number: 1, held: Span(10) });
        let sample =
            beats.on_beat(ServerId(1), Beat { echo: of_an_earlier_start, ..beat(2) }, LocalTime(100));
        assert_eq!(sample.map(|sample| sample.echo), Some(None), "that was another beat");
    }

    #[test]
    fn a_peer_that_restarts_begins_anew_and_its_silence_is_told_once() {
        let mut beats = Beats::new(2, 1, LocalTime(0));
        beats.on_beat(ServerId(1), beat(900), LocalTime(0));
        assert_eq!(report(&beats, 0).loss, Some(0.0));
        assert_eq!(beats.changes(LocalTime(0)).collect::<Vec<_>>(), [(ServerId(1), true)]);
        let later = LocalTime(SILENT_AFTER.0);
        assert_eq!(beats.changes(later).collect::<Vec<_>>(), [(ServerId(1), false)]);
        assert_eq!(beats.changes(later).count(), 0);
        beats.on_beat(ServerId(1), Beat { status: status(2, 5), ..beat(1) }, later);
        assert_eq!(report(&beats, later.0).loss, Some(0.0));
        assert_eq!(beats.changes(later).collect::<Vec<_>>(), [(ServerId(1), true)]);
    }

    #[test]
    fn no_beat_makes_the_reckoning_panic() {
        let mut beats = Beats::new(2, 1, LocalTime(0));
        for (number, held) in
            [(0, Span(i64::MIN)), (u64::MAX, Span(i64::MAX)), (1, Span(0)), (u64::MAX, Span(-1))]
        {
            let echo = Some(Echo { boots: 1, number, held });
            beats.begin(beats.next());
            beats.on_beat(ServerId(1), Beat { echo, ..beat(number) }, LocalTime(1));
            beats.on_beat(ServerId(200), Beat { echo, ..beat(number) }, LocalTime(1));
        }
        assert!(report(&beats, 1).loss.is_some());
    }
}
