#!/usr/bin/env bash
# The HTML report in a real browser, light and dark, wide and narrow: it asks for nothing, and nothing overflows or
# covers something else.
#
# ci/report.sh [DIRECTORY]: reports and screenshots are left in DIRECTORY, target/report by default. Another browser
# than Chromium from the path: CHROMIUM=/path/to/chrome.
#
# What is measured is measured in the page, by a script that is added to a copy of it; the report itself has none.
source "$(dirname "$0")/env.sh"
source ci/chromium.sh
need jq
need_solver z3

into=${1:-target/report}
mkdir -p "$into"
model=$(built model)
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

code=0
"$model" check --variant grant-forgotten --save "$directory/found.json" --report "$into" >/dev/null || code=$?
((code == 10)) || fail "model check --variant grant-forgotten --report ended with exit code $code"
"$model" variants grant-forgotten lowest-view promise-before-durable late-copy-extends --report "$into" >/dev/null ||
    fail "model variants --report failed"

code=0
"$model" prove --drop promise:no-lease --report "$into" >/dev/null || code=$?
((code == 10)) || fail "model prove --drop promise:no-lease --report ended with exit code $code"

# complete REPORT PART...: it has every part, and wants to load nothing.
complete() {
    local report=$1 part
    shift
    for part in 'prefers-color-scheme' "$@"; do
        grep -q "$part" "$report" || fail "$report: there is no $part"
    done
    if grep -Eo '<script|src=|@import|url\(.?http|<iframe|rel=.stylesheet' "$report"; then
        fail "$report wants to load something"
    fi
}
readonly RUNS=('id=.errata.' 'id=.limits.' '<svg ' 'believes in the lease')
complete "$into/prove.html" 'id=.counterexamples.' 'id=.obligations.' 'id=.machines.' 'id=.sources.'
complete "$into/check.html" "${RUNS[@]}" 'id=.scopes.' 'id=.properties.' 'id=.probes.' 'id=.variants.'
complete "$into/variants.html" "${RUNS[@]}" 'id=.table.' 'id=.controls.' 'id=.counterexamples.'

# The copy: a script of its own may run, and tells the page that frames it what it finds. In a frame the width is that
# which was asked for; a window is never narrower than 500.
cat >"$directory/script.html" <<'SCRIPT'
<script>
addEventListener("load", () => setTimeout(() => parent.postMessage(JSON.stringify(measure()), "*"), 500));
const measure = () => {
document.querySelectorAll("details").forEach((folded) => folded.open = true);
const box = (element) => element.getBoundingClientRect();
const wrong = [];
if (document.documentElement.scrollWidth > innerWidth) {
  wrong.push(`the page is ${document.documentElement.scrollWidth} wide in a window of ${innerWidth}`);
}
// Words of a diagram lie within it and on no other words.
for (const svg of document.querySelectorAll("svg.diagram")) {
  const frame = box(svg), texts = [...svg.querySelectorAll("text")];
  texts.forEach((text, place) => {
    const a = box(text);
    if (a.right > frame.right || a.left < frame.left || a.bottom > frame.bottom) wrong.push(`outside: ${text.textContent}`);
    for (const other of texts.slice(place + 1)) {
      const b = box(other);
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 3) wrong.push(`'${text.textContent}' lies on '${other.textContent}'`);
    }
  });
}
// Only what may scroll by itself is wider than its place.
for (const element of document.querySelectorAll("main *, header *")) {
  const scrolls = element.closest(".scroll");
  if (!scrolls && !element.closest("svg") && element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0) {
    wrong.push(`${element.tagName} is wider than its place: ${element.textContent.slice(0, 60)}`);
  }
}
// What is read stands out from what it is written on (WCAG 2.2 AA: 4.5).
const light = (colour) => {
  const [r, g, b] = colour.match(/[\d.]+/g).map((part) => {
    const c = part / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const paper = light(getComputedStyle(document.body).backgroundColor);
const contrast = (colour) => {
  const ink = light(colour);
  return (Math.max(paper, ink) + 0.05) / (Math.min(paper, ink) + 0.05);
};
for (const element of document.querySelectorAll("p, a, .good, .bad, .faint, dt, code, svg text")) {
  if (element.closest("svg") && element.tagName !== "text") continue;
  const style = getComputedStyle(element);
  const ratio = contrast(element.closest("svg") ? style.fill : style.color);
  if (ratio < 4.5) wrong.push(`contrast ${ratio.toFixed(1)}: ${element.textContent.slice(0, 40)}`);
}
// The policy that would have stopped it is not in the copy.
for (const entry of performance.getEntriesByType("resource")) wrong.push(`asks for ${entry.name}`);
const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
const twice = ids.filter((id, place) => ids.indexOf(id) !== place);
if (twice.length) wrong.push(`used twice: ${twice.join(", ")}`);
return {
  width: innerWidth, dark: paper < 0.2, diagrams: document.querySelectorAll("svg.diagram").length,
  wrong: [...new Set(wrong)],
};
};
</script>
SCRIPT
cat >"$directory/frame.html" <<'FRAME'
<!DOCTYPE html>
<meta name="color-scheme" content="light dark">
<pre id="measured"></pre>
<script>
addEventListener("message", (message) => document.getElementById("measured").textContent = message.data);
const frame = document.createElement("iframe");
frame.style = `border: 0; width: ${location.hash.slice(1)}px; height: 4000px`;
frame.src = "measured.html";
document.body.append(frame);
</script>
FRAME

# look REPORT NAME WIDTH SCHEME: takes a screenshot of the report, and measures the copy. The proof has no diagrams.
look() {
    local report=$into/$1.html name=$1-$2 width=$3 scheme=$4 found
    # 0 is dark and 1 is light.
    local diagrams=1
    [[ $1 != prove ]] || diagrams=0
    local options=(--window-size="$width,4000" --hide-scrollbars --blink-settings=preferredColorScheme="$scheme")
    browse "${options[@]}" --screenshot="$(realpath "$into")/$name.png" "file://$(realpath "$report")" >/dev/null
    sed 's/<meta http-equiv=.Content-Security-Policy.[^>]*>//' "$report" |
        cat - "$directory/script.html" >"$directory/measured.html"
    browse "${options[@]}" --virtual-time-budget=5000 --dump-dom "file://$directory/frame.html#$width" \
        >"$directory/$name.html"
    found=$(grep -o '<pre id="measured">.*</pre>' "$directory/$name.html" |
        sed 's/<[^>]*>//g; s/&gt;/>/g; s/&lt;/</g; s/&amp;/\&/g')
    echo "$name: $found"
    [[ -n $found ]] || fail "$report: $name could not be measured"
    jq -e --argjson dark "$((1 - scheme))" --argjson width "$width" --argjson diagrams "$diagrams" \
        '.width == $width and .dark == ($dark == 1) and .diagrams >= $diagrams and (.wrong | length) == 0' \
        <<<"$found" >/dev/null || fail "$report: $name is not as it should be; see $into/$name.png"
}
for report in check variants prove; do
    look "$report" light 1300 1
    look "$report" dark 1300 0
    look "$report" narrow 400 1
    look "$report" narrow-dark 400 0
done
echo "the reports ask for nothing and nothing overflows: $into"
