#!/usr/bin/env bash
# The papers' figures, redrawn briefly: that each experiment runs, and that data, plots and page are whole. What the figures
# say comes of `cargo run --release -p benches -- figures` alone.
#
# ci/figures.sh [DIRECTORY [NAME...]]: into DIRECTORY, target/figures-quick by default; all figures, or those named. Where
# there is a browser, the page is drawn in light, dark and print, too.
source "$(dirname "$0")/env.sh"

into=${1:-target/figures-quick}
shift || true
# The debug profile is built by then; a smoke test measures nothing.
cargo run --locked -p benches --bin benches -- figures --quick --out "$into" "$@" >"$into.txt"

figures=0
while IFS=: read -r name sentence; do
    [[ $(wc -l <"$into/$name.csv") -ge 2 ]] || fail "$into/$name.csv has no data"
    compgen -G "$into/$name*.svg" >/dev/null || fail "there is no plot of $name"
    grep -q "<section id=\"$name\">" "$into/index.html" || fail "$name is not on the page"
    ! grep -Eq 'NaN|inf' <<<"$sentence" || fail "$name says: $sentence"
    figures=$((figures + 1))
done <"$into.txt"
((figures > 0)) || fail "no figure was drawn"
if grep -Eo '<script|src=|@import|url\(.?http|<iframe|rel=.stylesheet' "$into/index.html"; then
    fail "the page wants to load something"
fi
for file in "$into"/*.svg; do
    [[ $(grep -c '<svg ' "$file") == 1 ]] || fail "$file is no SVG"
done

if command -v chromium chromium-browser google-chrome >/dev/null; then
    source ci/chromium.sh
    directory=$(mktemp -d)
    trap 'rm -rf "$directory"' EXIT
    page="file://$(realpath "$into/index.html")"
    browse --window-size=900,7000 --screenshot="$into/light.png" "$page" >/dev/null
    browse --window-size=900,7000 --blink-settings=preferredColorScheme=0 --screenshot="$into/dark.png" "$page" >/dev/null
    browse --print-to-pdf="$into/page.pdf" "$page" >/dev/null
fi
echo "$figures figures are drawn, with their data"
