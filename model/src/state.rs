//! The global state: what each server is, what is in flight, and what an observer has seen.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use spec::{
    Command, Durable, Incarnation, LocalTime, Message, Record, Replica, ServerId, ServerSet, Slot, Snapshot,
    View,
};

use crate::arms::watched::Watched;
use crate::intern::Interned;
use crate::properties::Facts;
use crate::scope::SERVERS_MAX;
use crate::step::Local;

/// The value of an update in the model: its number.
pub type Value = u8;

/// Each server is placed at this time of its own clock, always: after a tick every time that it stores is
/// shifted back.
pub const NOW: LocalTime = LocalTime(0);

/// A message on its way.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// The sender.
    pub from: ServerId,
    /// The sender's incarnation: which of its disks it had.
    pub incarnation: Incarnation,
    /// The receiver.
    pub to: ServerId,
    /// What it says.
    pub message: Message<Value>,
    /// The snapshot itself, with a [`Message::SnapshotOffer`]: how the callers move it, and how long that takes, is all in
    /// the time at which the envelope arrives. It may arrive whether it was asked for or not, for the asker may
    /// have been restarted since.
    pub snapshot: Option<Kept>,
}

/// A snapshot of the state machine, as a caller keeps it on its disk.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// What the handlers must know of it.
    pub snapshot: Snapshot,
    /// The state: the updates that were applied, in order.
    pub applied: Vec<(Slot, Value)>,
}

/// A message that waits for its sender's disk.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Held {
    /// The receiver.
    pub to: ServerId,
    /// What it says.
    pub message: Message<Value>,
}

/// One server: the real replica, and the disk and state machine that a caller would keep for it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Node {
    /// The handlers and their state.
    pub replica: Replica<Value, Watched>,
    /// What the disk holds: the sum of the records that are durable.
    pub durable: Durable<Value>,
    /// Records that are not durable yet, in order.
    pub unwritten: Vec<Record<Value>>,
    /// Messages that wait for them.
    pub held: Vec<Held>,
    /// The state machine: the updates that were applied, in order.
    pub applied: Vec<(Slot, Value)>,
    /// The timers that are armed, as bits (see [`timer_bit`](crate::step::timer_bit)), if the scope looks at them. Any
    /// timer may run out at any time, so they matter for recovery only.
    pub armed: u8,
    /// The snapshots on its disk: the one that its durable records name, and later ones.
    pub snapshots: Vec<Kept>,
    /// How often it has taken one.
    pub compactions: u8,
    /// How many views it has attempted.
    pub elections: u8,
    /// How often it has asked for the lease, if the scope counts that.
    pub requests: u8,
    /// How often it has crashed.
    pub crashes: u8,
    /// How often it has lost its disk.
    pub wipes: u8,
    /// How often its disk was damaged.
    pub damages: u8,
    /// How often it has come to doubt a clock, or to trust it again.
    pub doubts: u8,
    /// Whether it holds the lease now; follows from the replica.
    pub holder: bool,
    /// The slots that a lease read would see now, if it would be served at once; follows from the replica.
    pub readable: Option<Slot>,
    /// All that properties look at; follows from the rest.
    pub facts: FactsRef,
}

/// An interned message.
pub type MessageRef = Interned<Envelope, ()>;
/// An interned server.
pub type NodeRef = Interned<Node, &'static Local>;
/// Interned facts.
pub type FactsRef = Interned<Facts, ()>;
/// An interned ghost.
pub type GhostRef = Interned<Ghost, &'static Observed>;

/// Properties that a step can break for good; the step sets a bit of [`Ghost::broken`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Broken {
    /// Two values were chosen in one slot.
    Agreement,
    /// Something was chosen that nobody submitted.
    Validity,
    /// Two values were proposed in one view and slot.
    OneValuePerView,
    /// While a lease was held, an older view completed something else than the holder's promises told it.
    OldViewUnderLease,
    /// A read did not see an update that was acknowledged before it began.
    Read,
    /// A message left that its sender's durable records do not cover.
    Uncovered,
    /// A leader with a valid lease left its view, and not for a higher one of its own.
    LeaderUnseated,
    /// A step was none of the abstract machine.
    NotRefined,
}

/// What an observer knows about the run so far and no server does: ghost state.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// Updates that clients have submitted, as bits.
    pub submitted: u16,
    /// Durable votes for values that are not chosen, by slot, view and value.
    pub votes: BTreeMap<(Slot, View, Choice), ServerSet>,
    /// What is chosen: a quorum voted for it durably, in one view.
    pub chosen: BTreeMap<Slot, Choice>,
    /// Updates whose clients have an answer, by slot.
    pub acknowledged: BTreeMap<Slot, Value>,
    /// The highest slot that a client has seen the effect of: acknowledged to it, or read.
    pub visible: Slot,
    /// A read that is under way, and what it must see.
    pub reading: Option<(ServerId, Slot)>,
    /// How many reads have begun.
    pub reads: u8,
    /// How often clients have asked again.
    pub retries: u8,
    /// How often a leader has resigned.
    pub resigns: u8,
    /// Bits of [`Broken`].
    pub broken: u16,
}

/// What an observer has seen after a step.
pub struct Observed {
    /// The ghost afterwards.
    pub ghost: GhostRef,
    /// What became chosen in the step: slot, view and value.
    pub chosen: Vec<(Slot, View, Choice)>,
}

/// What a slot was decided to hold, as far as an observer cares. Ordered, to be a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice {
    /// A no-op.
    NoOp,
    /// The opening of a session.
    Open(u64),
    /// An update.
    Update(Value),
}

impl From<&Command<Value>> for Choice {
    fn from(command: &Command<Value>) -> Self {
        match command {
            Command::NoOp => Self::NoOp,
            Command::Open { nonce } => Self::Open(*nonce),
            Command::Update(update) => Self::Update(update.value),
        }
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOp => f.write_str("no-op"),
            Self::Open(nonce) => write!(f, "open({nonce})"),
            Self::Update(value) => write!(f, "{}", letter(*value)),
        }
    }
}

/// Updates are called a, b, c, … wherever a person reads them.
pub fn letter(value: Value) -> char {
    char::from(b'a' + value % 26)
}

impl Ghost {
    /// Notes that a property is broken.
    pub fn break_it(&mut self, what: Broken) {
        self.broken |= 1 << what as u8;
    }

    /// Whether a property still stands.
    pub fn stands(&self, what: Broken) -> bool {
        self.broken & (1 << what as u8) == 0
    }
}

/// Words of a [`MessageSet`].
pub const WORDS: usize = 8;

/// How many different messages a scope can have.
pub const MESSAGES_MAX: usize = WORDS * 64;

/// The messages that were sent and can still be delivered, any number of times: a set that only reductions take
/// from. Loss is a message that is never delivered.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageSet {
    bits: [u64; WORDS],
    /// The sum of the members' content hashes.
    hash: u64,
}

impl MessageSet {
    /// Adds a message; whether it is new.
    pub fn insert(&mut self, message: MessageRef) -> bool {
        let (word, bit) = (message.0.index / 64, 1 << (message.0.index % 64));
        let new = self.bits[word] & bit == 0;
        if new {
            self.bits[word] |= bit;
            self.hash = self.hash.wrapping_add(message.0.hash);
        }
        new
    }

    /// The set of these bits, by the messages' indices.
    pub fn of(bits: [u64; WORDS], messages: &[MessageRef]) -> Self {
        let mut set = Self { bits, hash: 0 };
        set.hash = set.indices().fold(0_u64, |sum, index| sum.wrapping_add(messages[index].0.hash));
        set
    }

    /// The set as bits, by the messages' indices.
    pub fn bits(&self) -> &[u64; WORDS] {
        &self.bits
    }

    /// The sum of the members' content hashes.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Takes a message out.
    pub fn remove(&mut self, message: MessageRef) {
        let (word, bit) = (message.0.index / 64, 1 << (message.0.index % 64));
        if self.bits[word] & bit != 0 {
            self.bits[word] &= !bit;
            self.hash = self.hash.wrapping_sub(message.0.hash);
        }
    }

    /// Whether the message is in the set.
    pub fn contains(&self, message: MessageRef) -> bool {
        self.bits[message.0.index / 64] & (1 << (message.0.index % 64)) != 0
    }

    /// The indices of the members.
    pub fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        self.bits.iter().enumerate().flat_map(|(word, &bits)| ones(bits).map(move |bit| word * 64 + bit))
    }
}

/// The places of the ones of a word, lowest first.
pub fn ones(word: u64) -> impl Iterator<Item = usize> {
    let mut rest = word;
    std::iter::from_fn(move || {
        (rest != 0).then(|| {
            let bit = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            bit
        })
    })
}

/// The global state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The servers; places beyond the scope's number repeat server 0 as it began.
    pub nodes: [NodeRef; SERVERS_MAX],
    /// What is in flight.
    pub messages: MessageSet,
    /// What an observer has seen.
    pub ghost: GhostRef,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for (place, node) in self.nodes.iter().enumerate() {
            state.write_u64(node.0.hash.rotate_left(u32::try_from(place).unwrap_or(0)));
        }
        state.write_u64(self.messages.hash);
        state.write_u64(self.ghost.0.hash);
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}→{} {}", self.from, self.to, crate::words::message(&self.message))
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.replica)?;
        if !self.unwritten.is_empty() {
            write!(f, " unwritten={:?}", self.unwritten)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Ghost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chosen {:?}, acknowledged {:?}", self.chosen, self.acknowledged)
    }
}

/// What the Explorer's page shows of a state.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("servers", &self.nodes)
            .field("in_flight", &self.messages.indices().count())
            .field("observer", &self.ghost)
            .finish()
    }
}
