# What every script in ci/ begins with: `source "$(dirname "$0")/env.sh"`. Not to be run by itself.
#
# Goes to the root of the repository, sets what cargo needs, and provides `need` and `need_component`, which
# install what a new machine lacks where they can, and otherwise say what to install.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Nothing is built twice in a tier, so what incremental builds write would only cost time and space.
export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}"
export RUST_BACKTRACE="${RUST_BACKTRACE:-1}"
# Tests that need one of these solvers fail without it; ci/prove.sh and ci/test.sh install it.
export SOLVERS_REQUIRED="${SOLVERS_REQUIRED:-z3}"

fail() {
    echo "error: $*" >&2
    exit 1
}

# need COMMAND [PACKAGE]: makes sure that COMMAND can be run.
need() {
    local command=$1 package=${2:-$1}
    if command -v "$command" >/dev/null; then
        return
    fi
    if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
        echo "installing $package"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$package" >/dev/null
    fi
    command -v "$command" >/dev/null || fail "$command is needed; install the package $package"
}

# need_solver z3|cvc5: the same for a solver. Where z3 cannot be installed for the whole machine, the wheel of PyPI has
# the program, too.
need_solver() {
    local wheel
    wheel=$(realpath -m "${CARGO_TARGET_DIR:-target}/z3")
    if [[ $1 == z3 ]] && ! (need z3 2>/dev/null) && command -v python3 >/dev/null; then
        [[ -x $wheel/bin/z3 ]] ||
            python3 -m pip install --quiet --disable-pip-version-check --target "$wheel" z3-solver
        export PATH=$wheel/bin:$PATH
    fi
    need "$1"
}

# need_component COMPONENT CARGO_COMMAND: makes sure that `cargo CARGO_COMMAND` can be run.
need_component() {
    local component=$1 command=$2
    if cargo "$command" --version >/dev/null 2>&1; then
        return
    fi
    if command -v rustup >/dev/null; then
        rustup component add "$component"
    fi
    cargo "$command" --version >/dev/null 2>&1 || fail "cargo $command is needed: rustup component add $component"
}

# built PACKAGE: builds the program of PACKAGE and prints its path.
built() {
    cargo build --quiet --locked --package "$1" --message-format json-render-diagnostics |
        jq -r --arg name "$1" 'select(.executable != null and .target.name == $name) | .executable'
}

# steps NAME...: runs ci/NAME.sh for each, tells how long each took, and at the end which failed. Ends with the
# summary lines of the tests. A name can be followed by options: 'tlc --fast'.
steps() {
    local name begun failed=() told=() log command
    log=$(mktemp)
    # shellcheck disable=SC2064
    trap "rm -f '$log'" EXIT
    for name in "$@"; do
        echo "==> $name"
        begun=$SECONDS
        read -ra command <<<"$name"
        if "ci/${command[0]}.sh" "${command[@]:1}" 2>&1 | tee -a "$log"; then
            told+=("$(printf '%-14s ok      %5d s' "$name" $((SECONDS - begun)))")
        else
            told+=("$(printf '%-14s FAILED  %5d s' "$name" $((SECONDS - begun)))")
            failed+=("$name")
        fi
        echo "${told[-1]}"
    done
    echo
    printf '%s\n' "${told[@]}"
    echo
    grep '^test result:' "$log" || true
    if ((${#failed[@]})); then
        fail "failed: ${failed[*]}"
    fi
}
