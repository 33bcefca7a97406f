//! The lives of the other servers: what an earlier one still says is void, and a server whose disk was wiped or set back
//! is found out by those that heard of what it held.
//!
//! Every datagram says which [`Life`] of its sender it is from. Twice a second a server also tells the others how many
//! records its log began with in this life, and how many are durable by now. So one that comes back with less than it told of
//! before has lost promises or votes (an old backup, a disk that lies about syncs): it is not heard, and halts as soon as it is
//! told. After a restart nothing of a server is heard before it has said what it began with, where anything is known that this
//! could be compared with. What is known is in memory, but for incarnations: handlers note those durably.

use std::collections::BTreeMap;

use spec::{Incarnation, LocalTime, Message, ServerId, Span};
use thiserror::Error;

use super::Driver;
use crate::clock::{Clock, millis};
use crate::disk::Disk;
use crate::life::Life;
use crate::network::Network;
use crate::payload::Payload;
use crate::state_machine::StateMachine;
use crate::wire::{Between, Holding, Void};

/// How often a server tells the others how much it holds.
const TELL_EVERY: Span = millis(500);
/// A server that is not heard is told so at most this often.
const REFUSE_EVERY: Span = millis(500);
/// What the messages between whole servers, and not groups of them, say for a group.
const NO_GROUP: u16 = 0;

/// This server has forgotten what it promised or voted for, or must be taken for one that has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Superseded {
    /// It has lived on since, somewhere.
    #[error(
        "server {by} has heard of a later life of this server ({later}; this is {own}). Either another process runs under its \
         id, or its disk was set back, or begun as if it had never run: then it has forgotten what it promised and voted for, \
         and must not vote. It stops. Stop the other process; or, if there is none, run `cluster recover --config FILE --force \
         --above {}`", later.incarnation()
    )]
    Outlived {
        /// Who says so.
        by: ServerId,
        /// The later life.
        later: Life,
        /// This one.
        own: Life,
    },
    /// It was heard in this life already, and that was not this start.
    #[error(
        "server {by} has heard of another start of this server that was the same ({own}): a copy of the data directory was put \
         back, or is run elsewhere. What it did meanwhile is not known here, so this server must not vote, and stops. Stop \
         the other process; or, if there is none, run `cluster recover --config FILE --force`"
    )]
    Twice {
        /// Who says so.
        by: ServerId,
        /// The life.
        own: Life,
    },
    /// Its log held more once.
    #[error(
        "this server's log began with {began} records, and it had told server {by} of {held} that were durable: an old backup \
         was put back, or the disk lost what it had synced. Promises and votes may be among them, so this server must not \
         vote, and stops. Run `cluster recover --config FILE --force`"
    )]
    SetBack {
        /// Who says so.
        by: ServerId,
        /// How many records there were.
        held: u64,
        /// How many there are.
        began: u64,
    },
}

/// Whether what a server says counts.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Standing {
    #[default]
    Heard,
    /// Not before it has said what its log began with.
    Unchecked,
    /// Not in this life.
    Refused(Void),
}

/// What is known of another server.
#[derive(Clone, Copy, Default, Debug)]
struct Known {
    life: Life,
    /// The most records that its log held, as it said itself.
    held: u64,
    /// The start that is heard; none before it has said which it is.
    start: Option<u64>,
    standing: Standing,
    refused: Option<LocalTime>,
}

/// What is known of the other servers, and what they say of this one.
#[derive(Debug)]
pub(super) struct Lives {
    /// By server.
    known: Vec<Known>,
    /// When to tell the others the next time; none where there are no others.
    next: Option<LocalTime>,
    verdict: Option<Superseded>,
    /// Stands for this start of this server.
    start: u64,
}

impl Lives {
    pub(super) fn new(servers: usize, start: u64, now: LocalTime) -> Self {
        Self {
            known: vec![Known::default(); servers],
            next: (servers > 1).then_some(now),
            verdict: None,
            start,
        }
    }

    pub(super) fn next(&self) -> Option<LocalTime> {
        self.next
    }

    /// Whether a datagram of this life counts, but for what it says of its own log. `refusal` is what to answer.
    fn hear(&mut self, from: ServerId, life: Life, now: LocalTime) -> Result<(), Option<Void>> {
        let Some(known) = self.known.get_mut(usize::from(from.0)) else { return Err(None) };
        if life > known.life {
            if life.incarnation() > known.life.incarnation() {
                known.held = 0;
            }
            (known.life, known.start) = (life, None);
            known.standing = if known.held > 0 { Standing::Unchecked } else { Standing::Heard };
        }
        let void = match known.standing {
            _ if life < known.life => Void::Outlived(known.life),
            Standing::Refused(void) => void,
            Standing::Heard | Standing::Unchecked => return Ok(()),
        };
        let is_due = known.refused.is_none_or(|at| now - at >= REFUSE_EVERY);
        Err(is_due.then(|| {
            known.refused = Some(now);
            void
        }))
    }

    /// The disk of a server that may be heard; none if it may not be.
    pub(super) fn incarnation_of(&self, server: ServerId) -> Option<Incarnation> {
        let known = self.known.get(usize::from(server.0)).filter(|known| known.standing == Standing::Heard);
        known.map(|known| known.life.incarnation())
    }

    /// Takes a server's word on its log. Whether it was found out just now.
    fn check(&mut self, from: ServerId, Holding { start, began, durable }: Holding) -> bool {
        let Some(known) = self.known.get_mut(usize::from(from.0)) else { return false };
        let (life, held) = (known.life, known.held);
        let void = match (known.standing, known.start.replace(start)) {
            (Standing::Refused(_), _) => return false,
            (_, Some(first)) if first != start => Some(Void::Twice { life, start: first }),
            (_, None) if began < held => Some(Void::SetBack { incarnation: life.incarnation(), held }),
            _ => None,
        };
        match void {
            Some(void) => known.standing = Standing::Refused(void),
            None => (known.standing, known.held) = (Standing::Heard, held.max(durable)),
        }
        void.is_some()
    }
}

impl<C: Clock, D: Disk, N: Network, S: StateMachine> Driver<C, D, N, S> {
    /// Disks of servers that a group's handlers have noted, maybe in an earlier life of this server.
    pub(super) fn know_incarnations(&mut self, noted: &BTreeMap<ServerId, Incarnation>) {
        for (&server, &incarnation) in noted {
            if let Some(known) = self.lives.known.get_mut(usize::from(server.0)) {
                known.life = known.life.max(Life::new(incarnation, 0));
            }
        }
    }

    /// Whether what this life of a server says counts. Where it does not, it is told so.
    pub(super) fn hears(&mut self, from: ServerId, life: Life) -> bool {
        if self.lives.known.get(usize::from(from.0)).is_some_and(|known| life > known.life) {
            self.forget_settings(from); // It may have been configured anew.
        }
        match self.lives.hear(from, life, self.clock.now()) {
            Ok(()) => true,
            Err(refusal) => {
                if let Some(void) = refusal {
                    self.tell(from, &Between::Void(void));
                }
                false
            }
        }
    }

    pub(super) fn on_holding(&mut self, from: ServerId, holding: Holding) {
        if self.lives.check(from, holding) {
            self.alarms.push(format!(
                "server {from} came back without what it had told of: an old backup was put back there, or its disk lost \
                 what it had synced. It is not heard any more, and must be recovered (`cluster recover`, there)"
            ));
        }
    }

    /// Another server will not hear this one.
    pub(super) fn on_void(&mut self, by: ServerId, void: Void) {
        let (own, began) = (self.identity.life, self.identity.log_position);
        self.lives.verdict = match void {
            Void::Outlived(later) if later > own => Some(Superseded::Outlived { by, later, own }),
            Void::SetBack { incarnation, held } if incarnation == own.incarnation() && held > began => {
                Some(Superseded::SetBack { by, held, began })
            }
            Void::Twice { life, start } if life == own && start != self.lives.start => {
                Some(Superseded::Twice { by, own })
            }
            // About an earlier life.
            _ => return,
        };
    }

    /// Halts a server that others know to have forgotten something, before it says anything more.
    pub(super) fn check_life(&self) -> Result<(), Superseded> {
        self.lives.verdict.map_or(Ok(()), Err)
    }

    /// Tells the others how much this server holds, if it is time.
    pub(super) fn tell_holding(&mut self) {
        let now = self.clock.now();
        if self.lives.next.is_none_or(|at| now < at) {
            return;
        }
        self.lives.next = Some(now + TELL_EVERY);
        let began = self.identity.log_position;
        let holding =
            Holding { start: self.lives.start, began, durable: began + self.syncing.durable_records };
        for server in (0..).map(ServerId).take(self.identity.addresses.len()) {
            if server != self.identity.server {
                self.tell(server, &Between::Holding(holding));
            }
        }
    }

    fn tell(&mut self, to: ServerId, body: &Between<&Message<Payload>>) {
        if let Some(&address) = self.identity.addresses.get(usize::from(to.0)) {
            self.outbox.push(address, NO_GROUP, body, &mut self.network, &mut self.counters);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: ServerId = ServerId(1);

    fn holding(start: u64, began: u64, durable: u64) -> Holding {
        Holding { start, began, durable }
    }

    fn lives() -> Lives {
        Lives::new(3, 0, LocalTime(0))
    }

    fn hear(lives: &mut Lives, incarnation: u64, boots: u64) -> Option<Void> {
        lives.hear(PEER, Life::new(incarnation, boots), LocalTime(0)).err().flatten()
    }

    #[test]
    fn an_earlier_life_is_void_and_told_so_now_and_then() {
        let mut lives = lives();
        assert_eq!(hear(&mut lives, 0, 3), None);
        assert_eq!(hear(&mut lives, 0, 2), Some(Void::Outlived(Life::new(0, 3))));
        let again = |lives: &mut Lives, at| lives.hear(PEER, Life::new(0, 2), at);
        assert_eq!(again(&mut lives, LocalTime(1)), Err(None));
        assert!(matches!(again(&mut lives, LocalTime(REFUSE_EVERY.0)), Err(Some(_))));
        assert_eq!(hear(&mut lives, 0, 3), None, "the later one is heard all the while");
        assert_eq!(lives.incarnation_of(PEER), Some(0));
    }

    #[test]
    fn a_server_that_comes_back_with_less_than_it_told_of_is_not_heard_until_its_disk_is_another() {
        let mut lives = lives();
        hear(&mut lives, 0, 1);
        assert!(!lives.check(PEER, holding(1, 0, 50)));
        assert!(!lives.check(PEER, holding(1, 0, 40)), "an earlier word of the same life");
        hear(&mut lives, 0, 2);
        assert_eq!(lives.incarnation_of(PEER), None, "not before it has said what it holds");
        assert!(lives.check(PEER, holding(2, 49, 49)));
        assert_eq!(lives.incarnation_of(PEER), None);
        assert!(!lives.check(PEER, holding(2, 50, 50)), "what it says later in this life changes nothing");
        assert_eq!(hear(&mut lives, 0, 2), Some(Void::SetBack { incarnation: 0, held: 50 }));
        hear(&mut lives, 0, 3);
        assert!(!lives.check(PEER, holding(3, 50, 50)) && lives.incarnation_of(PEER) == Some(0), "put right");
        hear(&mut lives, 7, 1);
        assert_eq!(lives.incarnation_of(PEER), Some(7), "recovered, and begun with nothing");
    }

    #[test]
    fn a_copy_that_was_started_as_often_as_the_directory_itself_is_told_from_it() {
        let mut lives = lives();
        hear(&mut lives, 0, 4);
        assert!(!lives.check(PEER, holding(1, 10, 20)));
        hear(&mut lives, 0, 4);
        assert!(!lives.check(PEER, holding(1, 10, 15)), "an earlier word");
        assert!(lives.check(PEER, holding(2, 20, 20)) && lives.incarnation_of(PEER).is_none());
        let refusal = Some(Void::Twice { life: Life::new(0, 4), start: 1 });
        assert_eq!((hear(&mut lives, 0, 4), hear(&mut lives, 0, 5)), (refusal, None));
    }
}
