#!/usr/bin/env bash
# A server that stood still for a moment catches up while the others take all the updates that they can (row 55 of
# impl/FAULTS.md). What it missed then, 1.5 s of them unless STILL_S says otherwise, is more than the others' logs hold, so
# that it begins with a snapshot.
source "$(dirname "$0")/env.sh"
need jq
need pgrep procps

readonly STILL_S="${STILL_S:-1.5}" CATCH_UP_S="${CATCH_UP_S:-8}" WATCHED_S=6
# A server may fall behind for a moment for reasons of its own.
readonly LAGS_MAX=2

cargo build --quiet --release --locked -p cluster
cluster=${CARGO_TARGET_DIR:-target}/release/cluster
report=$(mktemp)
log=$(mktemp)
bench='' process=''
# A bench that is interrupted ends its servers, but one that stands still has to go on for that.
leave() {
    [[ -z $process ]] || kill -CONT "$process" 2>/dev/null || true
    [[ -z $bench ]] || kill "$bench" 2>/dev/null || true
    rm -f "$report" "$log"
}
trap leave EXIT

seconds=$(jq -n "4 + $STILL_S + $CATCH_UP_S + $WATCHED_S | ceil")
"$cluster" bench --servers 3 --clients 1024 --warm-up 2 --seconds "$seconds" --json >"$report" 2>"$log" &
bench=$!
sleep 6
leader=$(sed -n 's/.* server \([0-9]\): leading .*/\1/p' "$log" | tail -n 1)
[[ -n $leader ]] || fail "no server leads: $(tail -n 3 "$log")"
follower=$(((leader + 1) % 3))
process=$(pgrep -P "$bench" -f "/$follower\.toml") || fail "server $follower is not there"

lags() {
    grep -c "server $follower: catching up" "$log" || true
}
before=$(lags)
kill -STOP "$process"
sleep "$STILL_S"
kill -CONT "$process"
sleep "$CATCH_UP_S"
caught_up=$(lags)
wait "$bench" || fail "cluster bench failed"
bench='' process=''
later=$(($(lags) - caught_up))

jq -r '"\(.ops_per_s | round) updates a second; MiB of each server at the beginning and the end: " +
    ([.per_server[].resident_bytes | map(. / 1048576 | round) | "\(.[0]) \(.[1])"] | join(", "))' "$report"
((caught_up > before)) || fail "server $follower never lagged"
((later <= LAGS_MAX)) ||
    fail "server $follower fell behind $later times more, $CATCH_UP_S s after it went on: it does not catch up"
echo "server $follower caught up within $CATCH_UP_S s"
