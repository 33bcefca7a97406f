#!/usr/bin/env bash
# Everything: the fast tier, every bench once, many seeds of the simulation, and the Explorer in a browser. Run it
# before a change is called done.
source "$(dirname "$0")/env.sh"
steps format dependencies lint docs no-std smoke check benches browser simulation test
