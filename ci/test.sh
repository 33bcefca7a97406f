#!/usr/bin/env bash
# The tests, by the README's command.
source "$(dirname "$0")/env.sh"
for solver in $SOLVERS_REQUIRED; do
    need_solver "$solver"
done
cargo test --workspace "$@"
