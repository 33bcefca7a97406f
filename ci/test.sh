#!/usr/bin/env bash
# The tests, by the README's command.
source "$(dirname "$0")/env.sh"
cargo test --workspace "$@"
