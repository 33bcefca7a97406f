//! What clients and servers say to each other: the bodies of frames.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use spec::{Command, Incarnation, ServerId, SessionId, Slot, Update, View};

use crate::life::Life;
use crate::payload::Payload;
use crate::status::Status;
use crate::watch::Beat;

/// What servers say to each other. `M` is a [`spec::Message`], or a reference to one that is to be sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Between<M> {
    /// A message of the protocol, for the handlers.
    Protocol(M),
    /// The sender leads no more, and would have the receiver lead: it need not wait for its election timer.
    Stand,
    /// The sender lags, and asks for a part of a snapshot.
    SnapshotAsk(SnapshotAsk),
    /// A part of a snapshot.
    SnapshotPiece(SnapshotPiece),
    /// How the sender is: for those who look, not for the protocol.
    Beat(Box<Beat>),
    /// What the sender's state is, for comparison.
    StateHash(StateHash),
    /// The settings with which the sender runs, which must be the receiver's, too.
    Settings {
        /// The settings.
        settings: Settings,
        /// Whether the receiver is to tell its own.
        asks: bool,
    },
    /// How much the sender's log holds.
    Holding(Holding),
    /// The sender does not hear the receiver.
    Void(Void),
}

/// What must be the same at all servers, or they could choose different values, or come to different states.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// How many servers there are.
    pub servers: u8,
    /// How many promises establish a view.
    pub phase1_quorum: u8,
    /// How many votes choose a value.
    pub phase2_quorum: u8,
    /// How many groups each server has.
    pub groups: u16,
    /// How many client sessions are kept.
    pub sessions: u64,
}

/// How many records a server's log has had, those included that were removed since. Repeated while it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holding {
    /// A random number of this start: a copy of a directory can be started as often as the directory itself was.
    pub start: u64,
    /// When it was started.
    pub began: u64,
    /// That are durable now.
    pub durable: u64,
}

/// Why a server is not heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Void {
    /// It has lived on since.
    Outlived(Life),
    /// It said before that its log held more.
    SetBack {
        /// On this disk.
        incarnation: Incarnation,
        /// So many records.
        held: u64,
    },
    /// Another start was this life before.
    Twice {
        /// The life.
        life: Life,
        /// The start that was heard first.
        start: u64,
    },
}

/// A hash of every update up to a slot and its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StateHash {
    /// The slot.
    pub slot: Slot,
    /// The hash.
    pub hash: u64,
}

/// Which snapshot it is. Servers with the same state have the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Edition {
    /// The last slot whose effect is in it.
    pub slot: Slot,
    /// How long it is.
    pub bytes: u64,
    /// The CRC32C of all of it.
    pub checksum: u32,
}

/// Asks for the bytes of a snapshot from an offset on, as many as make a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SnapshotAsk {
    /// The least slot that will do.
    pub least: Slot,
    /// The snapshot that is being fetched; none before the first piece. Another one is sent from its beginning.
    pub edition: Option<Edition>,
    /// How many of its bytes the sender has.
    pub offset: u64,
}

/// Some bytes of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SnapshotPiece {
    /// The snapshot.
    pub edition: Edition,
    /// Where in it they belong.
    pub offset: u64,
    /// The bytes.
    pub bytes: Payload,
}

/// A client's request. Sent again with the same number until it is answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The client's number for it; the answer repeats it.
    pub number: u64,
    /// What is asked.
    pub ask: Ask,
}

/// What a client can ask.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Open a session.
    Open {
        /// Chosen at random; the same again when the request is repeated.
        nonce: u64,
    },
    /// Propose an update.
    Update(Update<Payload>),
    /// Query the state machine.
    Read(Payload),
    /// How is this server?
    Status,
    /// What does this server know to be chosen for the slot?
    Learnt(Slot),
    /// Query the state machine of this very server, however old its state is.
    ReadStale(Payload),
    /// What has this server learnt from this slot on?
    Since(Slot),
    /// Give up leading in favour of this server; of the most up-to-date one if none is named.
    Transfer(Option<ServerId>),
}

/// A server's answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Response {
    /// The request's number.
    pub number: u64,
    /// The answer.
    pub answer: Answer,
}

/// What a server can answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The session is open.
    Opened(SessionId),
    /// The update is applied, now or by an earlier copy of the request.
    Applied {
        /// Where in the log.
        slot: Slot,
        /// What the state machine said.
        result: Payload,
    },
    /// The session is not open (any more).
    NoSession,
    /// A later update of the session is applied already.
    Stale,
    /// Ask elsewhere.
    Redirect {
        /// The view whose leader may help; [`View::NONE`] if none is known.
        view: View,
        /// That leader's address.
        leader: Option<SocketAddr>,
    },
    /// Too much is waiting here.
    Busy,
    /// The state machine's answer to a read, also to one that may be stale.
    Value {
        /// What the state machine said.
        value: Payload,
        /// The last slot that its state reflects.
        as_of: Slot,
    },
    /// How this server is.
    Status(Box<Status>),
    /// The chosen command, if this server knows it.
    Learnt(Option<Command<Payload>>),
    /// What was learnt, slot by slot without a gap; empty if there is nothing new.
    Since(Vec<Event>),
    /// What was learnt there is no longer in the log. It has what begins at this slot.
    Compacted(Slot),
    /// This server leads.
    Leading(ServerId),
    /// This server has given up leading in favour of that one.
    Transferred(ServerId),
    /// No such server, or none that is up to date, was heard of lately: this one leads on.
    NoSuccessor,
    /// The client's key does not allow it.
    Forbidden,
    /// Told along with the answer to an update: the server that leads, to which it had to be passed on.
    Leader(SocketAddr),
}

/// What a slot holds, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The slot.
    pub slot: Slot,
    /// What was chosen for it.
    pub command: Command<Payload>,
    /// Whether it changed the state machine: a repeated update, and one of a session that is not open, does not.
    pub applied: bool,
}
