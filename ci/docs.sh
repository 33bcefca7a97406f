#!/usr/bin/env bash
# Builds the documentation of all packages. A broken link is an error.
source "$(dirname "$0")/env.sh"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
