#!/usr/bin/env bash
# The README's test command.
source "$(dirname "$0")/env.sh"
cargo test --workspace
