#!/usr/bin/env bash
# A cluster of three processes: its leader is killed and replaced, nothing is lost, and a second terminal can use it.
source "$(dirname "$0")/env.sh"
cargo build -p cluster
cluster=${CARGO_TARGET_DIR:-target}/debug/cluster

run=$("$cluster" demo --once --json)
echo "$run"
python3 -c 'import json, sys; run = json.loads(sys.argv[1]); assert run["schema"] == 1 and run["lost"] == 0 and run["acknowledged"] > 0' "$run"

output=$(mktemp)
"$cluster" demo >"$output" 2>&1 &
demo=$!
trap 'kill -INT "$demo" 2>/dev/null || true; wait "$demo" || true; rm -f "$output"' EXIT
for _ in $(seq 100); do
    servers=$(grep -oE '127\.0\.0\.1:[0-9]+(,127\.0\.0\.1:[0-9]+){2}' "$output" | head -1 || true)
    [ -n "$servers" ] && break
    sleep 0.2
done
[ -n "$servers" ] || { cat "$output"; echo "the demo printed no line to try" >&2; exit 1; }
"$cluster" kv --servers "$servers" put colour green
[ "$("$cluster" kv --servers "$servers" get colour)" = green ]
"$cluster" status --servers "$servers"
