#!/usr/bin/env bash
# Mutants of the handlers: each changes one comparison, result or branch of `spec`, and spec's own tests must notice every
# one. What is left out, and why, stands in .cargo/mutants.toml. What was found is in target/mutants.out.
#
# Two rounds: the tests that end at once notice most of them, and only for what is left do the random schedules run, which
# take seconds each time.
#
# `ci/mutants.sh -f spec/src/lease.rs` tries those of one file; `ci/mutants.sh --iterate` what was missed last time.
source "$(dirname "$0")/env.sh"

readonly VERSION=27.1.0
# What a test program may take, so that a mutant that runs for ever fails like any other. They need six seconds together.
readonly CPU_SECONDS_MAX=30
readonly MEMORY_BYTES_MAX=4000000000

if [[ $(cargo mutants --version 2>/dev/null) != "cargo-mutants $VERSION" ]]; then
    echo "installing cargo-mutants $VERSION"
    cargo install --quiet --locked cargo-mutants --version "$VERSION"
fi
need prlimit util-linux
host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
export "CARGO_TARGET_${host}_RUNNER=prlimit --cpu=$CPU_SECONDS_MAX --as=$MEMORY_BYTES_MAX"
export CARGO_INCREMENTAL=1         # Mutants differ by one line.
export PROPTEST_MAX_SHRINK_ITERS=0 # That a schedule fails is enough.

mutants() {
    cargo mutants --package spec --jobs "${JOBS:-$(nproc)}" "$@"
}

status=0
# For the build as well as for the run: what is not run is not built.
mutants "$@" --cargo-arg=--lib --cargo-arg=--test=transcripts || status=$?
case $status in
    2 | 3) # Some were missed, or some took too long.
        echo "those that are left, with every test"
        [[ " $* " == *" --iterate "* ]] || set -- "$@" --iterate
        mutants "$@"
        ;;
    *) exit "$status" ;;
esac
