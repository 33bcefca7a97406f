#!/usr/bin/env bash
# Runs every bench once, so that none rots. It measures nothing; `cargo bench -p benches` does.
source "$(dirname "$0")/env.sh"
cargo bench -p benches --locked -- --test
