#!/usr/bin/env bash
# Everything: what .ci/run does, many more simulated clusters, the benches once each, and the Explorer in a browser.
source "$(dirname "$0")/env.sh"
step "fast tier" bash .ci/run
step "simulation, 20,000 seeds" env SEEDS=20000 cargo test -p cluster --release --test simulation
step "other random schedules of the handlers" bash -c 'for seed in 2 3 4 5; do PROPERTY_SEED=$seed cargo test -q -p spec --test properties; done'
step "benches, once each" cargo bench -p benches -- --test
step "browser" bash ci/browser.sh
