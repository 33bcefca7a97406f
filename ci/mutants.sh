#!/usr/bin/env bash
# Mutants of the handlers: each changes one comparison, result or branch of `spec`, and spec's own tests must notice every
# one. What is left out, and why, stands in .cargo/mutants.toml. What was found is in target/mutants.out.
#
# `ci/mutants.sh -f spec/src/lease.rs` tries those of one file; `ci/mutants.sh --iterate` what was missed last time.
source "$(dirname "$0")/env.sh"

readonly VERSION=27.1.0
# What a mutant that runs for ever may take. The tests take seconds, and megabytes.
readonly CPU_SECONDS_MAX=60
readonly MEMORY_KIB_MAX=8000000

if [[ $(cargo mutants --version 2>/dev/null) != "cargo-mutants $VERSION" ]]; then
    echo "installing cargo-mutants $VERSION"
    cargo install --quiet --locked cargo-mutants --version "$VERSION"
fi
ulimit -t "$CPU_SECONDS_MAX" -v "$MEMORY_KIB_MAX"
export CARGO_INCREMENTAL=1         # Mutants differ by one line.
export PROPTEST_MAX_SHRINK_ITERS=0 # That a schedule fails is enough.
cargo mutants --package spec --jobs "${JOBS:-$(nproc)}" "$@"
