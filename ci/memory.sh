#!/usr/bin/env bash
# Servers at full load end with the memory that they began with: measured after a warm-up in which each has taken its first
# snapshots, and SECONDS_LOADED later (20 unless given; the claim is for 600). The window, queues, sessions, caches and the
# log in memory have limits, whatever the load.
source "$(dirname "$0")/env.sh"
need jq

readonly LOADED_S="${SECONDS_LOADED:-20}" WARM_UP_S="${SECONDS_WARM_UP:-15}"
# Of the memory at the beginning, in per cent: the allocator's share moves a little.
readonly LIMIT_PERCENT=125

cargo build --quiet --release --locked -p cluster
cluster=${CARGO_TARGET_DIR:-target}/release/cluster
report=$(mktemp)
trap 'rm -f "$report"' EXIT
for keys in "" --insecure; do
    # shellcheck disable=SC2086
    "$cluster" bench --servers 3 --clients 1024 --seconds "$LOADED_S" --warm-up "$WARM_UP_S" $keys --json \
        >"$report" 2>/dev/null || fail "cluster bench failed"
    jq -r '"\(.ops) updates in \(.seconds | round) s; MiB at the beginning and the end: " +
        ([.per_server[].resident_bytes | map(. / 1048576 | round) | "\(.[0]) \(.[1])"] | join(", "))' "$report"
    jq -e --argjson limit "$LIMIT_PERCENT" \
        '(.per_server | length) == 3 and all(.per_server[].resident_bytes; .[1] * 100 <= .[0] * $limit)' \
        "$report" >/dev/null || fail "a server has grown beyond $LIMIT_PERCENT % of its memory"
done
