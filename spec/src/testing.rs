//! What the unit tests of the handlers share: a server, its peers, and how to give it a message.

use alloc::vec::Vec;

use crate::command::{Command, SessionId, Update};
use crate::config::Config;
use crate::effect::{Effect, Effects, Timer, When};
use crate::history::Slot;
use crate::message::Message;
use crate::record::Durable;
use crate::replica::Replica;
use crate::rules::Paxos;
use crate::time::{LocalTime, Span};
use crate::view::{ServerId, View};

/// The server under test, and the other two of its group.
pub(crate) const ME: ServerId = ServerId(0);
pub(crate) const OTHER: ServerId = ServerId(1);
pub(crate) const THIRD: ServerId = ServerId(2);

/// When nothing depends on time.
pub(crate) const NOW: LocalTime = LocalTime(0);

/// The first view of the server under test.
pub(crate) const MINE: View = View::new(1, ME);

/// A group of three without leases.
pub(crate) fn three() -> Config {
    Config::new(ME, 3, Span::ZERO)
}

/// The same with a lease of 8 that is granted for 12.
pub(crate) fn with_leases() -> Config {
    Config { grant_term: Span(12), ..Config::new(ME, 3, Span(8)) }
}

/// A server that starts with an empty disk.
pub(crate) fn start(config: Config) -> Replica<u8> {
    start_from(config, Durable::default())
}

/// A server that starts with this disk.
pub(crate) fn start_from(config: Config, durable: Durable<u8>) -> Replica<u8> {
    Replica::recover(config, Paxos, durable, NOW, &mut Effects::new()).expect("the configuration is safe")
}

/// A server that stood for its first view and has a quorum of promises, its own among them.
pub(crate) fn leader(config: Config) -> Replica<u8> {
    let mut replica = start(config);
    replica.timeout(Timer::Election, NOW, &mut Effects::new());
    for from in [ME, OTHER] {
        give(&mut replica, ME, Message::Prepare { view: MINE, committed: Slot::NONE });
        give(&mut replica, from, promise(MINE));
    }
    replica
}

/// What a server does about a message.
pub(crate) fn give(replica: &mut Replica<u8>, from: ServerId, message: Message<u8>) -> Vec<Effect<u8>> {
    give_at(replica, from, message, NOW)
}

/// The same at some time.
pub(crate) fn give_at(
    replica: &mut Replica<u8>,
    from: ServerId,
    message: Message<u8>,
    now: LocalTime,
) -> Vec<Effect<u8>> {
    told(|effects| replica.receive(from, message, now, effects))
}

/// What a server does about a timer that runs out.
pub(crate) fn fire(replica: &mut Replica<u8>, timer: Timer, now: LocalTime) -> Vec<Effect<u8>> {
    told(|effects| replica.timeout(timer, now, effects))
}

/// The effects that are listed meanwhile.
pub(crate) fn told(input: impl FnOnce(&mut Effects<u8>)) -> Vec<Effect<u8>> {
    let mut effects = Effects::new();
    input(&mut effects);
    effects.drain().collect()
}

/// The messages among the effects, with their receivers.
pub(crate) fn sent(effects: &[Effect<u8>]) -> Vec<(ServerId, Message<u8>)> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to, message, .. } => Some((*to, message.clone())),
        _ => None,
    });
    sent.collect()
}

pub(crate) fn at_once(to: ServerId, message: Message<u8>) -> Effect<u8> {
    Effect::Send { to, message, when: When::AtOnce }
}

/// A promise by a server that has voted for nothing.
pub(crate) fn promise(view: View) -> Message<u8> {
    Message::Promise { view, committed: Slot::NONE, reports: Vec::new() }
}

pub(crate) fn open(nonce: u64) -> Command<u8> {
    Command::Open { nonce }
}

/// An update of the session that slot 1 opened.
pub(crate) fn update(sequence: u64) -> Command<u8> {
    Command::Update(Update { session: SessionId(Slot(1)), sequence, value: 5 })
}

/// The values of some slots in a row, as another server sends them.
pub(crate) fn commit(first: u64, commands: impl IntoIterator<Item = Command<u8>>) -> Message<u8> {
    Message::Commit { first: Slot(first), commands: commands.into_iter().collect() }
}
