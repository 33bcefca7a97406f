#!/usr/bin/env bash
# What an update costs with more servers, and after a long history: `cluster bench` without keys, 1,024 clients, snapshots on.
# It measures and judges nothing, so it is in no tier: the numbers are in benches/README.md.
#
# ROUNDS rounds (3); in each 3, 5, 7 and 9 servers in turns, then 3 servers measured after 2 s and after LONG_S (60),
# SECONDS_EACH (4) each. Prints medians: updates a second; u(N)/u(3), and 3/N, which the leader's N messages an update
# allow; CPU time for an update, of all servers and the load; and about how many slots were filled when it was measured.
source "$(dirname "$0")/env.sh"
need jq

readonly ROUNDS="${ROUNDS:-3}" SECONDS_EACH="${SECONDS_EACH:-4}" LONG_S="${LONG_S:-60}"

cargo build --quiet --release --locked -p cluster
cluster=${CARGO_TARGET_DIR:-target}/release/cluster
results=$(mktemp)
trap 'rm -f "$results"' EXIT

# measure WHAT SERVERS WARM_UP_S
measure() {
    "$cluster" bench --servers "$2" --insecure --clients 1024 --seconds "$SECONDS_EACH" --warm-up "$3" --json 2>/dev/null |
        jq -c --arg what "$1" --argjson warm_up "$3" '{what: $what, servers, rate: .ops_per_s,
            cost: ((([.per_server[].cpus] | add) + .load_cpus) / .ops_per_s * 1e6), slots: (.ops_per_s * $warm_up)}' \
            >>"$results" || fail "cluster bench failed"
}

for ((round = 1; round <= ROUNDS; round++)); do
    for servers in 3 5 7 9; do
        measure servers "$servers" 2
    done
    measure short 3 2
    measure long 3 "$LONG_S"
done

jq -rs 'def median: sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2;
    def row: {what: .[0].what, servers: .[0].servers, rate: (map(.rate) | median), cost: (map(.cost) | median), slots: (map(.slots) | median)};
    (map(select(.what == "servers")) | group_by(.servers) | map(row)) as $servers
    | ["servers", "updates/s", "u(N)/u(3)", "3/N", "µs CPU an update"],
      ($servers[] | [.servers, (.rate | round), (.rate / $servers[0].rate * 100 | round / 100), (300 / .servers | round / 100), (.cost * 10 | round / 10)]),
      ["slots before", "updates/s", "µs CPU an update"],
      (["short", "long"][] as $what | map(select(.what == $what)) | row | [(.slots | round), (.rate | round), (.cost * 10 | round / 10)])
    | @tsv' "$results"
