//! Variants of snapshots, at the boundary of the handlers: what is said of what they stand for, and how they are put
//! in place.

use spec::{Durable, Effect, Effects, Message, Record, Replica, Report, Slot, Snapshot, View};

use super::Variant;
use crate::arms::watched::Watched;
use crate::state::{Kept, NOW, Node, Value};

impl Variant {
    /// Changes what a server says that has forgotten some of its log.
    pub fn forgetful(self, replica: &Replica<Value, Watched>, effects: &mut [Effect<Value>]) {
        if self != Self::ForgottenUnreported || replica.history().base() == Slot::NONE {
            return;
        }
        for effect in effects {
            if let Effect::Send { message: Message::Promise { committed, .. }, .. } = effect {
                *committed = Slot::NONE;
            }
        }
    }

    /// What the handlers are told of a snapshot that is put in place.
    pub fn installed(self, replica: &Replica<Value, Watched>, snapshot: Snapshot) -> Snapshot {
        match self {
            // The state is taken over, and the sessions stay as they were.
            Self::SnapshotWithoutSessions => Snapshot { sessions: replica.sessions().clone(), ..snapshot },
            _ => snapshot,
        }
    }
}

/// A Promise whose sender is taken to have committed what it reports, and nothing that it has forgotten.
pub(super) fn as_far_as_reported(view: View, reports: &[Report<Value>]) -> Message<Value> {
    let committed = reports.iter().filter(|report| report.committed).map(|report| report.slot).max();
    Message::Promise { view, committed: committed.unwrap_or(Slot::NONE), reports: reports.to_vec() }
}

/// A snapshot that comes late takes the place of the state and of the log, and the server starts again from it.
pub(super) fn truncate(late: &Kept, before: &Node, node: &mut Node) {
    if late.snapshot.slot >= before.replica.applied() {
        return;
    }
    let disk = &before.durable;
    let kept = [
        Record::Attempt(disk.attempted),
        Record::Promise(disk.promised),
        Record::GrantTerm(disk.grant_term),
        Record::Snapshot(late.snapshot.clone()),
    ];
    let durable: Durable<Value> = kept.into_iter().collect();
    let config = before.replica.config().clone();
    let (rules, mut ignored) = (Watched(Variant::OlderSnapshotTruncates), Effects::new());
    if let Ok(replica) = Replica::recover(config, rules, durable.clone(), NOW, &mut ignored) {
        node.replica = replica;
        node.durable = durable;
        node.snapshots = vec![late.clone()];
        node.applied.clone_from(&late.applied);
    }
}
