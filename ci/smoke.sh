#!/usr/bin/env bash
# The cluster across processes: a fail-over that loses nothing, and a second terminal that uses a running cluster.
source "$(dirname "$0")/env.sh"
need jq

readonly PATIENCE_S=60
cluster=$(built cluster)
directory=$(mktemp -d)
demo=
cleanup() {
    if [[ -n $demo ]]; then
        kill "$demo" 2>/dev/null || true
        wait "$demo" 2>/dev/null || true
    fi
    rm -rf "$directory"
}
trap cleanup EXIT

echo "a fail-over, a wiped disk and its recovery"
"$cluster" demo --once --json >"$directory/demo.json" 2>"$directory/demo.log" ||
    { cat "$directory/demo.log" >&2; fail "cluster demo --once failed"; }
cat "$directory/demo.json"
jq -e '.schema == 1 and .lost == 0 and .acknowledged >= 200 and .new_leader != .old_leader and .failover_ms > 0
       and .authenticated and .recovery.refused_with == 22 and .recovery.incarnation > 0 and .recovery.snapshots_fetched > 0' \
    "$directory/demo.json" >/dev/null || fail "cluster demo --once: not what was expected"

echo "a second terminal"
"$cluster" demo >"$directory/out" 2>"$directory/err" &
demo=$!
begun=$SECONDS
until grep -q 'serving until Ctrl-C' "$directory/err" && grep -q 'status --config' "$directory/err"; do
    kill -0 "$demo" 2>/dev/null || { cat "$directory/err" >&2; fail "the demo has ended"; }
    ((SECONDS - begun < PATIENCE_S)) || { cat "$directory/err" >&2; fail "the demo does not serve"; }
    sleep 0.1
done
read -r CLUSTER_CONFIG CLUSTER_KEY < <(sed -n 's/.*status --config \(.*\) --key \(.*\)/\1 \2/p' "$directory/err")
export CLUSTER_CONFIG CLUSTER_KEY
cp "$CLUSTER_CONFIG" "$CLUSTER_KEY" "$(dirname "$CLUSTER_CONFIG")/cluster.secret" "$directory"
CLUSTER_CONFIG=$directory/${CLUSTER_CONFIG##*/} CLUSTER_KEY=$directory/${CLUSTER_KEY##*/}

# expect WANTED COMMAND...: what the command prints on standard output.
expect() {
    local wanted=$1 got
    shift
    got=$("$cluster" "$@" 2>/dev/null) || fail "cluster $*: exit code $?"
    [[ $got == "$wanted" ]] || fail "cluster $*: '$got', not '$wanted'"
}
expect '' kv put colour blue
expect blue kv get colour
expect '' kv cas colour blue green
expect green kv get colour
expect '' kv delete colour
code=0
"$cluster" kv get colour >/dev/null 2>&1 || code=$?
((code == 1)) || fail "a key that is not there: exit code $code, not 1"
"$cluster" status --json >"$directory/status.json"
jq -e '.schema == 1 and (.servers | length) == 3 and all(.servers[]; .reachable)
       and ([.servers[] | select(.role == "leading")] | length) == 1' "$directory/status.json" >/dev/null ||
    { cat "$directory/status.json" >&2; fail "cluster status: not what was expected"; }

kill -TERM "$demo"
code=0
wait "$demo" || code=$?
demo=
((code == 0)) || fail "the demo ended with exit code $code"
code=0
"$cluster" status --timeout-ms 500 >/dev/null 2>&1 || code=$?
((code == 1)) || fail "a server has outlived the demo"
echo "put, get, compare-and-swap, delete and status work, and nothing outlives the demo"
