#!/usr/bin/env bash
# Counts the instructions of handlers and codec, and compares them with the pinned figures: a loss that no time shows on a
# busy machine. `ci/instructions.sh pin` pins new ones.
source "$(dirname "$0")/env.sh"
need valgrind
cargo run --quiet --release --locked -p benches --bin instructions -- "${1:-check}"
