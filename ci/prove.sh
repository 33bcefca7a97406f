#!/usr/bin/env bash
# The proof for every size: every obligation of the machines in spec/proof is proved, by z3; every guard, invariant and
# axiom is needed, and every action can happen.
#
#   ci/prove.sh           by z3
#   ci/prove.sh --both    by z3 and by cvc5: none is refuted by either, and what one leaves unknown is listed
# shellcheck disable=SC2016 # the dollars in quotes are jq's
source "$(dirname "$0")/env.sh"
need jq
need_solver z3

readonly OBLIGATIONS_MIN=500
# What one solver may leave to the other.
readonly LEFT_MAX=10
solver=z3
if [[ ${1:-} == --both ]]; then
    need_solver cvc5
    solver=both
fi
z3 --version
model=$(built model)
report=$(mktemp)
trap 'rm -f "$report"' EXIT

begun=$SECONDS
code=0
"$model" prove --solver "$solver" --json >"$report" || code=$?
jq -r '.obligations | group_by(.machine, .solver)[] |
    "\(.[0].machine), \(.[0].solver): \([.[] | select(.verdict == "proved")] | length) of \(length) proved, \([.[].seconds] | add) s"' "$report"
jq -r '.obligations[] | select(.verdict != "proved") | "\(.machine) \(.action):\(.invariant): \(.verdict) by \(.solver)"' "$report"
# demand WHAT FILTER: the filter must say true of the report.
demand() {
    jq -e --argjson least "$OBLIGATIONS_MIN" --argjson left "$LEFT_MAX" "$2" "$report" >/dev/null ||
        fail "model prove --json: not true that $1 (exit code $code)"
}
demand "it is the proof of the whole machines, in schema 1" '.schema == 1 and .command == "prove" and .dropped == null'
demand "there are at least $OBLIGATIONS_MIN obligations" '(.obligations | length) >= $least'
demand "nothing is refuted" 'all(.obligations[]; .verdict != "refuted")'
demand "each is proved by a solver" \
    '.obligations | group_by([.machine, .action, .invariant]) | all(.[]; any(.[]; .verdict == "proved"))'
demand "a solver leaves at most $LEFT_MAX open" '([.obligations[] | select(.verdict == "unknown")] | length) <= $left'
demand "all is well" '.ok == true'
((code == 0)) || fail "model prove ended with exit code $code"
echo "proved in $((SECONDS - begun)) s"

"$model" prove --necessary >"$report" || { cat "$report" >&2; fail "model prove --necessary ended with exit code $?"; }
tail -n 1 "$report"
