#!/usr/bin/env bash
# Everything: the fast tier, every scope and variant that TLC checks too, every bench once, the Explorer and the
# report in a browser, other random schedules of the handlers, and many seeds of the simulation. Run it before a
# change is called done.
source "$(dirname "$0")/env.sh"
steps format dependencies lint docs no-std smoke check tlc benches browser report schedules simulation test
