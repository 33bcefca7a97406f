//! What the machine can do at best, without any of Leasehold's code: the rows that every other bench is to be read
//! against, as a ratio within the same run.
//!
//! - `append`: append 4 KiB to a file and `fdatasync` it. The file grows, so each sync also writes its length.
//! - `overwrite`: the same within a file that is filled with zeros already, as the log's segments are. No
//!   durable update can take less than one of these.
//! - `ping-pong, 1 CPU`: 64 B over loopback UDP to another thread and back, both blocking and on the same CPU. No
//!   request of a client can take less.
//! - `ping-pong, 2 CPUs`: the same with a CPU for each, which is idle when the datagram comes. In a virtual machine
//!   waking it can cost more than all the rest, and where the servers run is up to the scheduler. Left
//!   out where this process may use one CPU only.
//! - `datagram`: one datagram of 64 B sent and received by the same thread, so nobody is woken: what the
//!   two system calls cost. The code that is run for a datagram should be small beside it.

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::FileExt;
use std::thread;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Throughput};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

const BLOCK_BYTES: usize = 4096;
/// The length of the file that is overwritten, in blocks.
const FILE_BLOCKS: u64 = 4096;
const DATAGRAM_BYTES: usize = 64;

fn main() {
    benches::run(|criterion| {
        let mut group = criterion.benchmark_group("floor");
        group.throughput(Throughput::Elements(1));
        append(&mut group);
        overwrite(&mut group);
        ping_pong(&mut group);
        datagram(&mut group);
        group.finish();
    });
}

/// On the disk that the log and the cluster are measured on.
fn file() -> File {
    tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written")
}

fn append(group: &mut BenchmarkGroup<'_, WallTime>) {
    let mut file = file();
    group.bench_function("append", |bencher| {
        bencher.iter(|| {
            file.write_all(&[1; BLOCK_BYTES]).expect("the disk can be written");
            file.sync_data().expect("the disk can be synced");
        });
    });
}

fn overwrite(group: &mut BenchmarkGroup<'_, WallTime>) {
    let mut file = file();
    let zeros = [0; BLOCK_BYTES];
    (0..FILE_BLOCKS).try_for_each(|_| file.write_all(&zeros)).expect("the disk has room");
    file.sync_all().expect("the disk can be synced");
    let mut offsets = (0..FILE_BLOCKS).map(|block| block * BLOCK_BYTES as u64).cycle();
    group.bench_function("overwrite", |bencher| {
        bencher.iter(|| {
            let offset = offsets.next().expect("a cycle has no end");
            file.write_all_at(&[1; BLOCK_BYTES], offset).expect("the disk can be written");
            file.sync_data().expect("the disk can be synced");
        });
    });
}

fn ping_pong(group: &mut BenchmarkGroup<'_, WallTime>) {
    let allowed = sched_getaffinity(None).expect("the kernel says which CPUs this process may use");
    let cpus: Vec<_> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).take(2).collect();
    for (echo_cpu, name) in cpus.iter().zip(["ping-pong, 1 CPU", "ping-pong, 2 CPUs"]) {
        let (near, far) = (socket(), socket());
        connect(&near, &far);
        connect(&far, &near);
        pin_to(*echo_cpu); // inherited by the thread
        thread::spawn(move || echo(&far));
        pin_to(cpus[0]);
        group.bench_function(name, |bencher| {
            let mut buffer = [7; DATAGRAM_BYTES];
            bencher.iter(|| exchange(&near, &near, &mut buffer));
        });
        near.send(&[]).expect("loopback takes a datagram"); // the end
    }
    sched_setaffinity(None, &allowed).expect("what was allowed still is");
}

/// Keeps this thread, and those that it starts, on one CPU.
fn pin_to(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).expect("the CPU is one of those that are allowed");
}

/// Sends a datagram from one socket, and waits for one at the other.
fn exchange(from: &UdpSocket, to: &UdpSocket, buffer: &mut [u8]) {
    from.send(buffer).expect("loopback takes a datagram");
    to.recv(buffer).expect("loopback brings a datagram");
}

/// Sends back what comes, until an empty datagram does.
fn echo(socket: &UdpSocket) {
    let mut buffer = [0; DATAGRAM_BYTES];
    while let Ok(length @ 1..) = socket.recv(&mut buffer) {
        if socket.send(&buffer[..length]).is_err() {
            return;
        }
    }
}

fn datagram(group: &mut BenchmarkGroup<'_, WallTime>) {
    let (near, far) = (socket(), socket());
    connect(&near, &far);
    group.bench_function("datagram", |bencher| {
        let mut buffer = [7; DATAGRAM_BYTES];
        bencher.iter(|| exchange(&near, &far, &mut buffer));
    });
}

fn socket() -> UdpSocket {
    UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback has a free port")
}

fn connect(one: &UdpSocket, other: &UdpSocket) {
    let address = other.local_addr().expect("a bound socket has an address");
    one.connect(address).expect("loopback can be connected");
}
