#!/usr/bin/env bash
# Servers at full load keep within their memory: after a warm-up in which each has taken its first snapshots, for LOADED_S
# seconds (45 unless given; 600 for the claim). Told are medians of the first and of the last tenth of that time. A server that
# keeps up ends with about what it began with. While one lags and fetches a snapshot, its source keeps more of the log for it,
# at most ten snapshots' intervals of 100,000 slots each, which is where LIMIT_MIB is from; what its allocator once had
# it keeps, so twice as much at the end is the error, and not a tenth more. What grew with the updates would soon be far beyond.
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
        ([.per_server[] | [.resident_bytes[], .resident_bytes_max] | map(. / 1048576 | round) |
            "\(.[0]) \(.[1]) (at most \(.[2]))"] | join(", "))' "$report"
    jq -e --argjson limit $((LIMIT_MIB << 20)) \
        '(.per_server | length) == 3 and
            all(.per_server[]; .resident_bytes[1] <= 2 * .resident_bytes[0] and .resident_bytes_max <= $limit)' \
        "$report" >/dev/null || fail "a server has grown to twice its memory, or beyond $LIMIT_MIB MiB"
done
