#!/usr/bin/env bash
# The wall clock jumps by years, back and forth, at each server by itself, while a client writes and reads: the leader
# stays, its lease too, and nobody takes anybody's clock for wrong. FAULTS.md, row 34.
#
# libfaketime makes the wall clock; it is told to leave the clocks alone that only go on. It stands between a program and
# the C library, so this program is built such that it reads every clock there.
source "$(dirname "$0")/env.sh"
need jq

readonly PATIENCE_S=60 ROUNDS=40 YEAR_S=31536000
library=$(find /usr/lib* -name libfaketimeMT.so.1 2>/dev/null | head -1)
if [[ -z $library && $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y libfaketime >/dev/null
    library=$(find /usr/lib* -name libfaketimeMT.so.1 | head -1)
fi
[[ -n $library ]] || fail "libfaketime is needed; install the package libfaketime"
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}/wall-clock") RUSTFLAGS="${RUSTFLAGS:-} --cfg=rustix_use_libc"
export CARGO_TARGET_DIR RUSTFLAGS
cluster=$(built cluster)
directory=$(mktemp -d)
nodes=()
cleanup() {
    ((${#nodes[@]} == 0)) || kill "${nodes[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$directory"
}
trap cleanup EXIT

# jump SERVER YEARS
jump() { printf '%+d\n' "$(($2 * YEAR_S))" >"$directory/$1.new" && mv "$directory/$1.new" "$directory/$1.time"; }

port=$((20000 + RANDOM % 20000))
servers="\"127.0.0.1:$port\", \"127.0.0.1:$((port + 1))\", \"127.0.0.1:$((port + 2))\""
years=(-20 25 -1)
for server in 0 1 2; do
    printf 'server = %d\ndata = "%d"\nservers = [%s]\ninsecure = true\nlease_ms = 2000\n' "$server" "$server" "$servers" >"$directory/$server.toml"
    "$cluster" init --config "$directory/$server.toml" >/dev/null 2>&1 || fail "cluster init"
    jump "$server" "${years[server]}"
    LD_PRELOAD=$library FAKETIME_TIMESTAMP_FILE=$directory/$server.time FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 \
        DONT_FAKE_MONOTONIC=1 "$cluster" node --config "$directory/$server.toml" >/dev/null 2>"$directory/$server.log" &
    nodes+=($!)
done
status() { "$cluster" status --config "$directory/0.toml" --json 2>/dev/null; }
begun=$SECONDS
until view=$(status | jq -er '[.servers[] | select(.lease_remaining_ms != null and .role == "leading")][0].view'); do
    ((SECONDS - begun < PATIENCE_S)) || { cat "$directory"/*.log >&2; fail "nobody holds a lease"; }
    sleep 0.1
done
for server in 0 1 2; do
    year=$(($(date +%Y) + years[server]))
    grep -qE "^($((year - 1))|$year|$((year + 1)))-" "$directory/$server.log" ||
        { cat "$directory/$server.log" >&2; fail "the wall clock of server $server was not moved by ${years[server]} years: this would prove nothing"; }
done

for ((round = 0; round < ROUNDS; round++)); do
    jump $((round % 3)) $((RANDOM % 60 - 30))
    "$cluster" kv --config "$directory/0.toml" put "key $round" "$round" >/dev/null 2>&1 || fail "round $round: put"
    got=$("$cluster" kv --config "$directory/0.toml" get "key $round") || fail "round $round: get"
    [[ $got == "$round" ]] || fail "round $round: '$got'"
done
status >"$directory/status.json"
jq -e --arg view "$view" 'all(.servers[]; .reachable and .view == $view and .clocks_apart == [] and .boots == 1)' \
    "$directory/status.json" >/dev/null || { cat "$directory/status.json" "$directory"/*.log >&2; fail "the leader changed, or a clock was taken for wrong"; }
echo "$ROUNDS jumps of the wall clock by up to 30 years: view $view throughout"
