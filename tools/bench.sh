#!/bin/sh
# Runs the measurements of bench/: for each NAME the script bench/NAME.py or bench/NAME.sh, or else
# the program that was built from bench/NAME.c.
#   tools/bench.sh build/release [NAME [ARGUMENT ...]]
# Scripts find programs in $AKIN_BUILD/bench and the binary in $AKIN_BIN.
set -eu
export AKIN_BUILD="$PWD/$1" AKIN_BIN="$PWD/$1/akin"
"$(dirname "$0")/deps.sh" bench
names=${2-$(cd bench && for file in *.c *.py *.sh; do [ -f "$file" ] && echo "${file%.*}"; done | sort -u)}
[ -n "$names" ] || { echo "bench/ holds no measurement" >&2; exit 1; }
if [ $# -gt 1 ]; then shift 2; else shift; fi
for name in $names; do
    echo "--- $name"
    if [ -f "bench/$name.py" ]; then
        /usr/bin/python3 "bench/$name.py" "$@"
    elif [ -f "bench/$name.sh" ]; then
        sh "bench/$name.sh" "$@"
    elif [ -x "$AKIN_BUILD/bench/$name" ]; then
        "$AKIN_BUILD/bench/$name" "$@"
    else
        echo "there is no measurement $name in bench/" >&2
        exit 1
    fi
done
