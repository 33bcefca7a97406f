#!/usr/bin/env bash
# The decoders of what comes from outside, under libFuzzer (fuzz/). First every input that is kept in fuzz/corpus, then
# new ones for a while; an input that breaks something is printed with the command that runs it again.
#
# ci/fuzz.sh [--fast] [--minutes N] [TARGET...]: 10 seconds for each target with --fast, else N minutes (2). Inputs that
# reach something new are kept from run to run in target/fuzz/corpus; fuzz/corpus is what every run begins with.
source "$(dirname "$0")/env.sh"

readonly CARGO_FUZZ_VERSION=0.13.1
readonly RSS_MB=1024 INPUT_BYTES=4096 ONE_INPUT_S=5

seconds=120
while (($#)); do
    case $1 in
        --fast) seconds=10 ;;
        --minutes) seconds=$((${2:?--minutes wants a number} * 60)) && shift ;;
        -*) fail "usage: ci/fuzz.sh [--fast] [--minutes N] [TARGET...]" ;;
        *) break ;;
    esac
    shift
done
targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"/\1/p' fuzz/Cargo.toml)

need c++ g++ # libFuzzer is in C++
directory=$(realpath -m "${CARGO_TARGET_DIR:-target}/fuzz")
export PATH=$directory/tools/bin:$PATH
cargo fuzz --version 2>/dev/null | grep -qF "$CARGO_FUZZ_VERSION" ||
    cargo install --quiet --locked --root "$directory/tools" --target-dir "$directory/tools/build" \
        "cargo-fuzz@$CARGO_FUZZ_VERSION"
# No sanitizer: this is safe Rust, whose own checks are on, and so a stable toolchain does.
options=(--sanitizer none --target-dir "$directory")
(cd fuzz && cargo fetch --quiet --locked)
cargo fuzz build "${options[@]}"
host=$(rustc -vV | sed -n 's/^host: //p')

# fuzz TARGET: what it says is shown if it fails. The results are what matters here, so nothing is minimised.
fuzz() {
    local target=$1 log=$directory/$1.log grown=$directory/corpus/$1 kept=fuzz/corpus/$1
    mkdir -p "$grown" "$directory/artifacts/$target"
    if ! "$directory/$host/release/$target" "$grown" "$kept" -max_total_time="$seconds" \
        -rss_limit_mb=$RSS_MB -max_len=$INPUT_BYTES -timeout=$ONE_INPUT_S -print_final_stats=1 \
        -artifact_prefix="$directory/artifacts/$target/" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        echo "error: $target: run it again with cargo fuzz run ${options[*]} $target FILE, the file that is named above" >&2
        return 1
    fi
    awk -v target="$target" '/^stat::number_of_executed_units/ {runs = $2} /^#.* cov: / {for (i = 1; i < NF; i++) if ($i == "cov:") reached = $(i + 1)}
        /^stat::peak_rss_mb/ {rss = $2}
        END {if (runs < 1) exit 1; printf "%-14s %9d inputs, %5d places reached, at most %d MB\n", target, runs, reached, rss}' "$log"
}

# As many at a time as there are processors.
failed=0 running=0
for target in "${targets[@]}"; do
    fuzz "$target" &
    running=$((running + 1))
    if ((running >= $(nproc))); then
        wait -n || failed=1
        running=$((running - 1))
    fi
done
while ((running > 0)); do
    wait -n || failed=1
    running=$((running - 1))
done
((failed == 0)) || fail "an input broke a decoder; mend it, and keep the input in fuzz/corpus"
