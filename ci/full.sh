#!/usr/bin/env bash
# Everything: the fast tier, longer fuzzing, a cluster under attack for ten minutes, the proof by a second solver too, stateright's search and TLC beside the
# model's own, every bench once, instruction counts, memory under load, catching up under load, Leasehold beside others for one short round, the
# papers' figures briefly, the Explorer, the reports and the status page in a browser, random walks of the model, other
# random schedules of the handlers, their mutants, and many seeds of the simulation. Run it before a change is called done.
#
# ci/full.sh STEP...: some of it, each with its options: `ci/full.sh fuzz 'mutants -f spec/src/lease.rs'`
source "$(dirname "$0")/env.sh"
export SOLVERS_REQUIRED="z3 cvc5"
# What finds most in the least time first; at the end the three that go through everything a second time, for hours.
readonly ALL=(format dependencies lint docs no-std smoke check 'prove --both' test fuzz 'hostile --minutes 10 --profile release'
    simulation page browser report figures peers memory catch-up instructions bench-smoke wall-clock walks schedules engines tlc mutants)
if (($#)); then
    steps "$@"
else
    steps "${ALL[@]}"
fi
