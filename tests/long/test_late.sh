#!/bin/bash
# The tests of the live server on a machine of bad timing (late.c), some ten minutes a turn;
# TURNS=N repeats them. A failure is a race: of the server, or of the test with it.
set -eu
cd "$(dirname "$0")/../.."
make --no-print-directory akin
late=$(mktemp --suffix=.so)
trap 'rm -f "$late"' EXIT
cc -O1 -Wall -Wextra -Werror -shared -fPIC -o "$late" tests/long/late.c
for turn in $(seq "${TURNS:-1}"); do
    echo "turn $turn"
    LD_PRELOAD=$late TEST_TIMEOUT=3000 tools/run-tests.sh build/release live/
done
