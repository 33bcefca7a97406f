#!/usr/bin/env bash
# Servers at full load keep within their memory: measured after a warm-up in which each has taken its first snapshots, and
# LOADED_S seconds later (45 unless given; 600 for the claim). A server that keeps up ends with about what it began with.
# While one lags and fetches a snapshot, its source keeps up to ten snapshots' intervals of the log, 100,000 slots each, so
# it is an error only to grow by half and beyond LIMIT_MIB; what grew with the updates would soon be far beyond.
source "$(dirname "$0")/env.sh"
need jq

readonly LOADED_S="${LOADED_S:-45}" WARM_UP_S="${WARM_UP_S:-15}" LIMIT_MIB="${LIMIT_MIB:-512}"

cargo build --quiet --release --locked -p cluster
cluster=${CARGO_TARGET_DIR:-target}/release/cluster
report=$(mktemp)
trap 'rm -f "$report"' EXIT
for keys in "" --insecure; do
    # shellcheck disable=SC2086
    "$cluster" bench --servers 3 --clients 1024 --seconds "$LOADED_S" --warm-up "$WARM_UP_S" $keys --json \
        >"$report" 2>/dev/null || fail "cluster bench failed"
    jq -r '"\(.ops) updates in \(.seconds | round) s; MiB of each server at the beginning and the end: " +
        ([.per_server[].resident_bytes | map(. / 1048576 | round) | "\(.[0]) \(.[1])"] | join(", "))' "$report"
    jq -e --argjson limit $((LIMIT_MIB << 20)) \
        '(.per_server | length) == 3 and all(.per_server[].resident_bytes; .[1] <= 1.5 * .[0] or .[1] <= $limit)' \
        "$report" >/dev/null || fail "a server has grown by more than half, and beyond $LIMIT_MIB MiB"
done
