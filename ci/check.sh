#!/usr/bin/env bash
# The main job: every default scope to exhaustion with the published counts, and every variant falls as it should.
source "$(dirname "$0")/env.sh"
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

cargo build -p model
cargo run -q -p model -- check --json >"$results/check.json"
python3 ci/check.py "$results/check.json" README.md

for variant in quorum-half lowest-view promise-before-durable grant-forgotten lease-from-ack term-over-bound; do
    status=0
    cargo run -q -p model -- check --variant "$variant" >"$results/$variant.txt" || status=$?
    [ "$status" = 10 ] || { cat "$results/$variant.txt"; echo "$variant ended with $status, not 10" >&2; exit 1; }
    grep "^The variant" "$results/$variant.txt"
done
