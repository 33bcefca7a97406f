#!/usr/bin/env bash
# The properties of the handlers in other random schedules than `cargo test` has: one run a seed of PROPERTY_SEEDS.
source "$(dirname "$0")/env.sh"
for seed in ${PROPERTY_SEEDS:-2 3 4 5}; do
    echo "PROPERTY_SEED=$seed"
    PROPERTY_SEED=$seed cargo test --quiet --locked -p spec --test properties
done
