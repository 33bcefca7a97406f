//! What the benches of Leasehold share: how long they measure, and the update that all of them carry.
//!
//! Each bench is a target of its own beside this file. `floor` measures what the machine can do at best, and the
//! others say in their documentation which of its rows they are to be read against.

pub mod datagrams;
pub mod steps;

use std::time::Duration;

use cluster::payload::Payload;
use criterion::Criterion;
use spec::{Command, SessionId, Slot, Update};

/// The size of every update's value, in bytes.
pub const VALUE_BYTES: usize = 256;

/// The session of every update: the one that slot 1 opened.
pub const SESSION: SessionId = SessionId(Slot(1));

/// Runs the benches of one target under criterion, with the options of the command line. All of them together
/// take about four minutes.
pub fn run(benches: impl FnOnce(&mut Criterion)) {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .sample_size(40)
        .configure_from_args();
    benches(&mut criterion);
    criterion.final_summary();
}

/// A value. Clones share one allocation.
#[must_use]
pub fn value() -> Payload {
    vec![b'v'; VALUE_BYTES].into()
}

/// The update of [`SESSION`] with this sequence number.
#[must_use]
pub fn update(sequence: u64, value: &Payload) -> Command<Payload> {
    Command::Update(Update { session: SESSION, sequence, value: value.clone() })
}
