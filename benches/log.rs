//! What durability costs: votes for values of 256 B appended to the write-ahead log and made durable, in records a
//! second; `1 record a sync` is what a lone client waits for, and `64 records a sync` what many clients share.
//!
//! To be read against `floor/overwrite`: a sync of the log is one write and one `fdatasync` within a file that is
//! filled with zeros already, so `1 record a sync` should come close to it. `floor/append` is what it would
//! cost without the zeros.

use cluster::log::{Identity, Log};
use criterion::{Criterion, Throughput};
use spec::{Record, ServerId, Slot, View};

const GROUP: u16 = 0;
const VIEW: View = View::new(7, ServerId(0));

fn main() {
    benches::run(|criterion| {
        sync(criterion, "1 record a sync", 1);
        sync(criterion, "64 records a sync", 64);
    });
}

fn sync(criterion: &mut Criterion, name: &str, records: u64) {
    let directory =
        tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let identity = Identity { cluster: 1, server: 0 };
    Log::create(directory.path(), identity, 0).expect("the log can be begun");
    let (mut log, _) = Log::open(directory.path(), identity).expect("the log can be opened");
    let value = benches::value();
    let mut slots = 1_u64..;
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Elements(records));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for slot in slots.by_ref().take(usize::try_from(records).unwrap_or(0)) {
                let command = benches::update(slot, &value);
                log.append(GROUP, &Record::Vote { view: VIEW, slot: Slot(slot), command });
            }
            log.sync().expect("the disk can be written");
        });
    });
    group.finish();
}
