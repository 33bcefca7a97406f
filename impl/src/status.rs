//! What a server says about itself.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spec::{Incarnation, Replica, Role, ServerId, Slot, View};

use crate::clock::to_millis;
use crate::life::Life;
use crate::payload::Payload;

/// One server's state, as it sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The server's id.
    pub server: u8,
    /// Which of its disks it runs on: 0 for its first.
    pub incarnation: Incarnation,
    /// How often it has been started on it.
    pub boots: u64,
    /// What it is doing as a leader.
    pub role: Standing,
    /// How far its recovery is, if it lost its disk and may not vote.
    pub recovery: Option<Recovery>,
    /// The view that it has promised.
    pub view: View,
    /// The last slot that it knows to be chosen, with all below it.
    pub committed: Slot,
    /// The last slot applied to its state machine.
    pub applied: Slot,
    /// What is left of its lease, in milliseconds; none if it holds none.
    pub lease_remaining_ms: Option<f64>,
    /// Servers whose clocks run at another rate than its own, by more than the bound.
    pub clocks_apart: Vec<ServerId>,
    /// What it has counted since it started, in all groups.
    pub counters: Counters,
    /// Whether it stands aside until its disk has room.
    pub disk_full: bool,
    /// How many groups it has; the rest but the counters is about one of them.
    pub groups: u16,
}

// A lease is a finite number of milliseconds, so equality is reflexive.
impl Eq for Status {}

impl Status {
    /// It as an object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "incarnation": self.incarnation,
            "boots": self.boots,
            "role": self.role,
            "recovery": self.recovery,
            "view": self.view.to_string(),
            "committed": self.committed,
            "applied": self.applied,
            "lease_remaining_ms": self.lease_remaining_ms,
            "clocks_apart": self.clocks_apart,
            "disk_full": self.disk_full,
            "counters": self.counters,
        })
    }

    /// The state of a replica at `now`.
    pub(crate) fn of(
        replica: &Replica<Payload>,
        now: spec::LocalTime,
        life: Life,
        counters: Counters,
        groups: u16,
    ) -> Self {
        Self {
            server: replica.config().me.0,
            incarnation: life.incarnation(),
            boots: life.boots(),
            role: Standing::of(replica),
            recovery: None,
            view: replica.durable().promised,
            committed: replica.history().committed(),
            applied: replica.applied(),
            lease_remaining_ms: replica.lease_remaining(now).map(to_millis),
            clocks_apart: Vec::new(),
            counters,
            disk_full: false,
            groups,
        }
    }
}

/// What a server is doing as a leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It leads nothing.
    Follower,
    /// It stands for election.
    Preparing,
    /// It leads.
    Leading,
    /// It lost its disk, and may not vote yet.
    Recovering,
    /// Its disk is damaged, and it may not vote before it has learnt again what was chosen.
    Repairing,
}

impl Standing {
    pub(crate) fn of(replica: &Replica<Payload>) -> Self {
        match replica.role() {
            _ if replica.recovering().is_some() => Self::Recovering,
            _ if replica.repairing().is_some() => Self::Repairing,
            Role::Follower => Self::Follower,
            Role::Preparing(_) => Self::Preparing,
            Role::Leading(_) => Self::Leading,
        }
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Follower => "follower",
            Self::Preparing => "preparing",
            Self::Leading => "leading",
            Self::Recovering => "recovering",
            Self::Repairing => "repairing",
        })
    }
}

/// How far the recovery of a server is that lost its disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recovery {
    /// What it is waiting for.
    pub stage: Stage,
    /// The servers that have not answered in this stage.
    pub waits_for: Vec<ServerId>,
}

/// What a recovery is waiting for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Every other server is to note that the former disk is lost.
    Noting,
    /// Every other server is to tell what the former disk must have held.
    Telling,
    /// The longest lease that it may have granted must be over.
    Waiting,
}

impl std::fmt::Display for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let servers: Vec<_> = self.waits_for.iter().map(ServerId::to_string).collect();
        let servers =
            format!("{} {}", if servers.len() == 1 { "server" } else { "servers" }, servers.join(", "));
        match self.stage {
            Stage::Noting => write!(f, "waits for {servers} to note that its disk was lost"),
            Stage::Telling => write!(f, "waits for {servers} to tell what its disk held"),
            Stage::Waiting => f.write_str("waits until no lease can run that it granted"),
        }
    }
}

/// What a node counts. All of it starts at zero with the node.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Counters {
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Datagrams that the operating system did not take.
    pub datagrams_unsent: u64,
    /// Datagrams dropped on receipt: not authentic, damaged, foreign, or not from its server's address, or of an
    /// incarnation that is over.
    pub datagrams_dropped: u64,
    /// Datagrams that the operating system dropped because the socket's buffer was full.
    pub datagrams_overflowed: u64,
    /// Frames dropped: no message, or of no group of this node.
    pub frames_dropped: u64,
    /// Messages dropped because they are longer than any receiver takes.
    pub messages_too_long: u64,
    /// Records written.
    pub records: u64,
    /// Times that the disk was synced.
    pub syncs: u64,
    /// Updates applied.
    pub applied: u64,
    /// Reads served.
    pub reads: u64,
    /// Snapshots taken of this server's own state.
    pub snapshots: u64,
    /// Snapshots fetched from other servers.
    pub snapshots_fetched: u64,
    /// Snapshots that could not be written.
    pub snapshots_failed: u64,
    /// Messages sent, to servers and clients; several share a datagram.
    pub messages_out: u64,
    /// Bytes of the datagrams sent, without what keys add to each.
    pub bytes_out: u64,
}
