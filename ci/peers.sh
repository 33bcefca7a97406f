#!/usr/bin/env bash
# Leasehold beside others: installs what `benches peers` needs (etcd, RocksDB, what binds it), builds and tests the
# peers, and runs the command.
#
# ci/peers.sh            one short round of all systems, and whether its results are whole: for CI
# ci/peers.sh OPTION...  the command with these options in the same environment: `ci/peers.sh --rounds 5`
#
# Where etcd cannot be installed it is left out, which is said; the others are built by cargo.
source "$(dirname "$0")/env.sh"
need jq

# The library of RocksDB that the distribution has: to build the crate's own takes a quarter of an hour.
rocksdb() {
    ldconfig -p | sed -n 's,.* => \(.*\)/librocksdb\.so$,\1,p' | head -n 1
}

if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
    (need etcd etcd-server) || true
    # What is asked for is a library, which no command shows.
    if [[ -z $(rocksdb) ]] || ! ls /usr/lib/llvm-*/lib/libclang.so >/dev/null 2>&1; then
        echo "installing librocksdb-dev, libsnappy-dev and libclang-dev"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
            g++ librocksdb-dev libsnappy-dev libclang-dev >/dev/null || true
    fi
fi
if [[ -n $(rocksdb) && -z ${ROCKSDB_LIB_DIR:-} ]]; then
    ROCKSDB_LIB_DIR=$(rocksdb)
    export ROCKSDB_LIB_DIR SNAPPY_LIB_DIR="${SNAPPY_LIB_DIR:-$ROCKSDB_LIB_DIR}"
fi

if (($#)); then
    exec cargo run --release --locked --quiet -p benches -- peers "$@"
fi

systems=leasehold,leasehold-keys,openraft,omnipaxos
if command -v etcd >/dev/null; then
    systems+=,etcd
else
    echo "etcd is left out: install etcd-server"
fi

readonly PEERS=(--locked --release --manifest-path benches/peers/Cargo.toml)
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR=$target/peers-build
need_component clippy clippy
cargo clippy "${PEERS[@]}" --all-targets -- -D warnings
cargo test "${PEERS[@]}"
export CARGO_TARGET_DIR=$target

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cargo run --release --locked --quiet -p benches -- peers --quick --only "$systems" --out "$out"
whole() {
    jq -e "$2" "$out/peers.json" >/dev/null || fail "peers.json: not true that $1"
}
whole "it is schema 1 of peers" '.schema == 1 and .command == "peers"'
whole "every system did every work" '(.results | length) == 6 * (.systems | length)'
whole "every system updates and reads" 'all(.results[] | select(.work != "fail-over"); .ops_per_s.median > 0 and .p99_us.median > 0)'
whole "every system takes over within 8 s of its leader's end" 'all(.results[] | select(.work == "fail-over"); .longest_pause_ms.median < 8000)'
whole "whatever is durable says so" 'all(.systems[]; .durable and (.storage | length) > 0)'
lines=$(wc -l <"$out/peers.csv")
((lines == 1 + $(jq '.results | length' "$out/peers.json"))) || fail "peers.csv has $lines lines"

# Each update is on the disks of two of three servers at least before it is acknowledged.
if command -v strace >/dev/null; then
    cargo run --release --locked --quiet -p benches -- peers --work syncs --rounds 1 --seconds 2 --only "$systems" --out "$out/syncs"
    jq -e 'all(.results[]; .syncs_per_update.median >= 1.9)' "$out/syncs/peers.json" >/dev/null ||
        fail "somebody acknowledges what is on fewer than two disks"
else
    echo "strace is not there, so syncs are not counted"
fi

for plot in "$out"/*.svg; do
    grep -q '</svg>' "$plot" || fail "$plot is not whole"
done
