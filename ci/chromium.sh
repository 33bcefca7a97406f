# The browser that the scripts use: `source ci/chromium.sh` after `env.sh` and with `$directory` for its profile.
# Not to be run by itself.
# shellcheck shell=bash

browser=${CHROMIUM:-}
for name in chromium chromium-browser google-chrome; do
    browser=${browser:-$(command -v "$name" || true)}
done
if [[ -z $browser ]]; then
    need chromium
    browser=$(command -v chromium)
fi

# browse OPTION... URL: opens a page with a fresh profile.
browse() {
    timeout 180 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync --disable-default-apps \
        --user-data-dir="${directory:?}/profile-$RANDOM" "$@" 2>>"$directory/browser.log" ||
        { tail "$directory/browser.log" >&2; fail "$browser failed"; }
}
