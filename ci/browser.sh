#!/usr/bin/env bash
# The Explorer in a real browser: the deep link of a variant's counterexample shows its sequence diagram.
#
# ci/browser.sh [DIRECTORY]: the page and a screenshot are left in DIRECTORY, target/browser by default. Another
# browser than Chromium from the path: CHROMIUM=/path/to/chrome.
source "$(dirname "$0")/env.sh"
source ci/chromium.sh
need jq

readonly WORDS=('server 2' 'crashes and restarts' 'holds the lease' 'Grant(')
readonly PATIENCE_S=300
into=${1:-target/browser}
mkdir -p "$into"

model=$(built model)
directory=$(mktemp -d)
explorer=
cleanup() {
    if [[ -n $explorer ]]; then
        kill "$explorer" 2>/dev/null || true
        wait "$explorer" 2>/dev/null || true
    fi
    rm -rf "$directory"
}
trap cleanup EXIT

address=127.0.0.1:$((20000 + RANDOM % 10000))
"$model" explore lease --variant grant-forgotten --address "$address" >"$directory/out" 2>"$directory/err" &
explorer=$!
begun=$SECONDS
# The link is printed before the page is served, so the port is asked too.
until link=$(grep -o -m1 "http://$address/#/steps/[^ ]*" "$directory/out") &&
    (exec 3<>"/dev/tcp/${address/://}") 2>/dev/null; do
    kill -0 "$explorer" 2>/dev/null || { cat "$directory/err" >&2; fail "model explore has ended"; }
    ((SECONDS - begun < PATIENCE_S)) || { cat "$directory/err" >&2; fail "model explore does not serve"; }
    sleep 0.2
done
echo "$link"

options=(--virtual-time-budget=20000 --window-size=1600,1200)
browse "${options[@]}" --dump-dom "$link" >"$into/explorer.html"
browse "${options[@]}" --screenshot="$(realpath "$into")/explorer.png" "$link" >/dev/null

grep -q '<svg' "$into/explorer.html" || fail "$into/explorer.html: there is no diagram"
# The text of the diagrams only, not of the lists of steps beside them.
tr '\n' ' ' <"$into/explorer.html" | grep -o '<svg.*</svg>' >"$directory/diagrams"
for word in "${WORDS[@]}"; do
    grep -qF "$word" "$directory/diagrams" || fail "$into/explorer.html: the diagram does not say '$word'"
done
[[ -s $into/explorer.png ]] || fail "$into/explorer.png: there is no screenshot"
echo "the diagram is shown: $into/explorer.png"
