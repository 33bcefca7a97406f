//! What clients and servers say to each other, and what the key-value store makes of what they carry.
#![no_main]

use cluster::kv::{Change, Question, Reply, Store};
use cluster::state_machine::StateMachine;
use cluster::wire::{Request, Response};
use fuzz::round_trip;
use libfuzzer_sys::fuzz_target;
use spec::Slot;

fuzz_target!(|data: &[u8]| {
    round_trip::<Request>(data);
    round_trip::<Response>(data);
    round_trip::<Change>(data);
    round_trip::<Question>(data);
    round_trip::<Reply>(data);

    let mut store = Store::default();
    store.change(&Change::Put { key: b"k", value: b"v" });
    let before = store.clone();
    let said = Reply::decode(&store.apply(Slot(1), data)).expect("the store answers in its own words");
    assert!(said != Reply::Malformed || store == before, "what is no change changed something");
    Reply::decode(&store.query(data)).expect("the store answers in its own words");
    let before = store.clone();
    if store.restore(data).is_err() {
        assert!(store == before, "a state that is refused changed something");
    }
    let mut copy = Store::default();
    copy.restore(&store.snapshot().expect("the store has snapshots")).expect("its own state is one");
    assert!(copy == store);
});
