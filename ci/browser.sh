#!/usr/bin/env bash
# The Explorer in a real browser: the deep link of a counterexample shows its diagram. Leaves screenshots in the folder
# that is named (default: a temporary one). Needs chromium; as root on Debian it installs it.
source "$(dirname "$0")/env.sh"
shots=${1:-$(mktemp -d)}
mkdir -p "$shots"
command -v chromium >/dev/null || { apt-get update && apt-get install -y chromium; }
cargo build -p model

address=127.0.0.1:${EXPLORER_PORT:-3217}
profile=$(mktemp -d)
link=$(mktemp)
"${CARGO_TARGET_DIR:-target}/debug/model" explore lease --variant grant-forgotten --address "$address" >"$link" 2>/dev/null &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$profile" "$link"' EXIT
for _ in $(seq 300); do
    [ -s "$link" ] && break
    sleep 0.2
done
browse() {
    timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$profile" --window-size=1500,1300 --virtual-time-budget=15000 "$@" "$(cat "$link")" 2>/dev/null
}
browse --screenshot="$shots/counterexample.png" >/dev/null
page=$(browse --dump-dom)
for words in "<svg" "server 2" "crashes and restarts" "holds the lease" "Grant("; do
    grep -qF "$words" <<<"$page" || { echo "the page lacks '$words'; see $shots" >&2; exit 1; }
done
echo "the Explorer shows the counterexample: $shots/counterexample.png"
