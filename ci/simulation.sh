#!/usr/bin/env bash
# Whole clusters under faults, from many seeds: SEEDS=1000 unless given. A failure names its seed; run it again
# with `SEED=… cargo test -p cluster --release --test simulation`.
source "$(dirname "$0")/env.sh"
SEEDS="${SEEDS:-1000}" cargo test -p cluster --release --locked --test simulation
