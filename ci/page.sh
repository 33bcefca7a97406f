#!/usr/bin/env bash
# The status page in a real browser, while the leader is killed: it shows the whole cluster, goes on by itself, and
# nothing overflows, wide and narrow, light and dark; text that looks like markup stays text.
#
# ci/page.sh [DIRECTORY]: screenshots are left in DIRECTORY, target/page by default. Another browser than Chromium from
# the path: CHROMIUM=/path/to/chrome. The browser is driven over a pipe, by its DevTools protocol.
source "$(dirname "$0")/env.sh"
source ci/chromium.sh
need jq

readonly PATIENCE_S=60
into=${1:-target/page}
mkdir -p "$into"
cluster=$(built cluster)
directory=$(mktemp -d)
demo=
cleanup() {
    [[ -z $demo ]] || kill "$demo" 2>/dev/null || true
    exec 8>&- || true
    wait 2>/dev/null || true
    rm -rf "$directory"
}
trap cleanup EXIT

"$cluster" demo >/dev/null 2>"$directory/err" &
demo=$!
begun=$SECONDS
until grep -q 'each server.s page' "$directory/err" && pages=$(grep -o '^  http://[^ ]*/$' "$directory/err"); do
    kill -0 "$demo" 2>/dev/null || { cat "$directory/err" >&2; fail "the demo has ended"; }
    ((SECONDS - begun < PATIENCE_S)) || { cat "$directory/err" >&2; fail "the demo does not serve"; }
    sleep 0.1
done
mapfile -t pages < <(tr -d ' ' <<<"$pages")
# As a client of the demo: its configuration file and key.
read -ra client < <(sed -n 's/.* -- status //p' "$directory/err" | head -1)
[[ ${#client[@]} == 4 ]] || { cat "$directory/err" >&2; fail "the demo does not say how to ask for its status"; }

mkfifo "$directory/to" "$directory/from"
"$browser" --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --hide-scrollbars \
    --user-data-dir="$directory/profile" --remote-debugging-pipe about:blank \
    3<"$directory/to" 4>"$directory/from" >/dev/null 2>"$directory/browser.log" &
exec 8>"$directory/to" 9<"$directory/from"

number=0
session=
# call METHOD [PARAMETERS]: what the browser answers is in $answer.
call() {
    number=$((number + 1))
    jq -cnj --argjson id "$number" --arg method "$1" --argjson params "${2:-{\}}" --arg session "$session" \
        '{$id, $method, $params} + if $session == "" then {} else {sessionId: $session} end' >&8
    printf '\0' >&8
    while IFS= read -r -t "$PATIENCE_S" -d '' answer <&9; do
        [[ $answer == "{\"id\":$number,"* ]] || continue
        [[ $answer != *'"error":'* ]] || fail "$1: ${answer:0:500}"
        return
    done
    tail "$directory/browser.log" >&2
    fail "$1: the browser does not answer"
}
# ask EXPRESSION: what it is in the page, in $told.
ask() {
    call Runtime.evaluate "$(jq -n --arg e "$1" '{expression: $e, returnByValue: true}')"
    told=$(jq -r '.result.result.value' <<<"$answer")
}
# await EXPRESSION WHAT: until it is true in the page.
await() {
    local begun=$SECONDS
    until ask "$1" && [[ $told == true ]]; do
        ((SECONDS - begun < PATIENCE_S)) || { ask 'document.body.innerText' && echo "$told" >&2; fail "$2"; }
        sleep 0.2
    done
}
open() {
    session=
    call Target.createTarget "$(jq -n --arg url "$1" '{$url}')"
    call Target.attachToTarget "$(jq '{targetId: .result.targetId, flatten: true}' <<<"$answer")"
    session=$(jq -r .result.sessionId <<<"$answer")
    call Page.bringToFront
}
# look NAME WIDTH SCHEME: a screenshot; nothing is wider than its place, and what is read stands out.
look() {
    call Emulation.setDeviceMetricsOverride "{\"width\":$2,\"height\":1000,\"deviceScaleFactor\":1,\"mobile\":false}"
    call Emulation.setEmulatedMedia "{\"features\":[{\"name\":\"prefers-color-scheme\",\"value\":\"$3\"}]}"
    sleep 1
    ask "$(cat "$directory/measure.js")"
    [[ $told == "$3 " ]] || fail "$1: $told"
    call Page.captureScreenshot '{"captureBeyondViewport":true}'
    jq -r .result.data <<<"$answer" | base64 -d >"$into/$1.png"
    echo "$into/$1.png"
}
cat >"$directory/measure.js" <<'MEASURE'
(() => {
const wrong = [];
if (document.documentElement.scrollWidth > innerWidth) wrong.push(`the page is ${document.documentElement.scrollWidth} wide in ${innerWidth}`);
for (const one of document.querySelectorAll("body *")) {
  if (!one.closest(".scroll, svg") && one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1) wrong.push(`${one.tagName} overflows: ${one.textContent.slice(0, 40)}`);
}
const light = (colour) => { const [r, g, b] = colour.match(/[\d.]+/g).map((part) => { const c = part / 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
const under = (one) => { const colour = getComputedStyle(one).backgroundColor; return colour === "rgba(0, 0, 0, 0)" ? under(one.parentElement) : light(colour); };
for (const one of document.querySelectorAll("p, h1, h2, td, th, dt, dd, span, time, a")) {
  const [paper, ink] = [under(one), light(getComputedStyle(one).color)];
  const ratio = (Math.max(paper, ink) + .05) / (Math.min(paper, ink) + .05);
  if (one.textContent && ratio < 4.5) wrong.push(`contrast ${ratio.toFixed(1)}: ${one.textContent.slice(0, 40)}`);
}
for (const entry of performance.getEntriesByType("resource")) if (new URL(entry.name).origin !== location.origin) wrong.push(`asks for ${entry.name}`);
return `${under(document.body) > .5 ? "light" : "dark"} ${[...new Set(wrong)].join("; ")}`;
})()
MEASURE

leader=$("$cluster" status "${client[@]}" --json | jq -r '.servers | to_entries[] | select(.value.role == "leading") | .key')
other=$(((leader + 1) % 3))
open "${pages[$other]}"
await 'document.getElementById("connection")?.textContent === "live"' "the page is not live"
await 'document.querySelectorAll("#servers tbody tr").length === 3' "the page does not show three servers"
await "document.querySelectorAll('#servers tbody tr')[$leader].cells[2].textContent === 'leading'" "the page does not say that server $leader leads"
await 'document.querySelectorAll("#events li").length > 0' "there are no events"
for key in {1..40}; do "$cluster" kv "${client[@]}" put "key $key" "<b>$key</b>" 2>/dev/null; done
look before 1200 light

# The demo's process of the leader, by its configuration file.
victim=
for child in $(ps -o pid= --ppid "$demo"); do
    [[ $(tr '\0' ' ' <"/proc/$child/cmdline") != *"/$leader.toml"* ]] || victim=$child
done
[[ -n $victim ]] || fail "no process of server $leader"
kill -KILL "$victim"
await "document.querySelectorAll('#servers tbody tr')[$leader].cells[2].textContent === 'silent'" "the page does not say that server $leader is silent"
look dying 1200 light
await '[...document.querySelectorAll("#servers tbody tr")].some((row) => row.cells[2].textContent === "leading")' "the page does not show the new leader"
await "document.getElementById('events').textContent.includes('server $leader is silent')" "the events do not say that server $leader is silent"
for key in {1..20}; do "$cluster" kv "${client[@]}" put "key $key" again 2>/dev/null; done
new=$("$cluster" status "${client[@]}" --json | jq -r '.servers | to_entries[] | select(.value.role == "leading") | .key')
open "${pages[$new]}"
await 'document.getElementById("role").textContent === "leading"' "server $new's page does not say that it leads"
ask 'document.querySelectorAll("#servers tbody tr")['"$new"'].cells[1].textContent' && address=$told
await 'document.getElementById("lease-bar").getBoundingClientRect().width > 0' "the lease has no bar"
await 'document.querySelector("#rate-plot path").getAttribute("d").length > 200' "the plot does not move"
for key in {1..20}; do "$cluster" kv "${client[@]}" put "key $key" more 2>/dev/null; done
# Datagrams from nowhere are counted by reason.
for _ in 1 2 3; do echo garbage >"/dev/udp/${address%:*}/${address##*:}"; done
await 'document.getElementById("drops").textContent.includes("that are not authentic")' "the page does not count dropped datagrams"
look light 1200 light
look dark 1200 dark
look narrow 390 light
look narrow-dark 390 dark

# Text that looks like markup.
ask 'happened({at_ms: 0, text: "<img src=x onerror=document.title=1>", warning: true}); document.querySelectorAll("#events img").length'
[[ $told == 0 ]] || fail "markup in an event became part of the page"
ask 'const inline = document.createElement("script"); inline.textContent = "window.ran = 1"; document.body.append(inline); String(window.ran)'
[[ $told == undefined ]] || fail "an inline script ran: the policy does not hold"
echo "the page shows a fail-over as it happens, wide and narrow, light and dark: $into"
