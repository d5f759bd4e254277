#!/bin/sh
# Runs the tests that were built in BUILD and the tests of the live server, two at a time.
#   tools/run-tests.sh build/release [PART]    PART: only programs whose path holds it
# A line a program, the whole output of those that failed, and at the end "N passed, N failed".
# Status 1 when a test failed, a program crashed, ran past its time, or when nothing ran at all.
set -u
build=$1
mode=${build##*/}
export CMOCKA_MESSAGE_OUTPUT=TAP AKIN_BIN="$PWD/$build/akin" PYTHONDONTWRITEBYTECODE=1
limit=${TEST_TIMEOUT:-600}
export OMP_WAIT_POLICY=passive # as akin itself: two programs share the cores
case $mode in
asan)
    export ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1:${ASAN_OPTIONS-}"
    export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS-}"
    if [ -f tests/lsan.supp ]; then
        export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp:print_suppressions=0:${LSAN_OPTIONS-}"
    fi
    limit=$((limit * 4))
    ;;
tsan)
    # gcc's OpenMP is not instrumented: its barriers look like races with more than one thread.
    export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp:exitcode=66:${TSAN_OPTIONS-}"
    export OMP_NUM_THREADS=1
    limit=$((limit * 4))
    ;;
esac

# count OUTPUT STATUS: "passed failed" of TAP (cmocka) and of Python's unittest.
count() {
    awk -v status="$2" '
        /^1\.\.[0-9]+$/ { planned += substr($0, 4) }
        /^ok [0-9]+/ { passed++; seen++ }
        /^not ok [0-9]+/ { seen++; if ($4 != "SKIP" && $5 != "SKIP") failed++; else skipped++ }
        /^Ran [0-9]+ tests? in / { ran = $2; unittest = 1 }
        unittest && /^(OK|FAILED)( \(.*\))?$/ {
            bad = 0
            line = $0
            while (match(line, /[a-z ]+=[0-9]+/)) {
                split(substr(line, RSTART, RLENGTH), pair, "=")
                sub(/^ +/, "", pair[1])
                if (pair[1] == "failures" || pair[1] == "errors" || pair[1] == "unexpected successes") bad += pair[2]
                if (pair[1] == "skipped") skipped += pair[2]
                if (pair[1] == "skipped" || pair[1] == "expected failures") ran -= pair[2]
                line = substr(line, RSTART + RLENGTH)
            }
            failed += bad
            passed += ran > bad ? ran - bad : 0
            unittest = 0
        }
        END {
            # A crash, a time-out or a leak is a failure of its own; so is a program without tests.
            if (status != 0 && (!failed || planned > seen)) failed++
            if (!passed && !failed && !skipped) failed = 1
            print passed + 0, failed + 0
        }' "$1"
}

if [ "${2-}" = --one ]; then # the inner call: one program, its result into the folder $4
    program=$3
    name=${program#"$build"/tests/}
    name=${name#tests/}
    out=$4/$(printf '%s' "$name" | tr / _)
    start=$(date +%s%N)
    case $program in
    *.py) timeout -k 5 "$limit" /usr/bin/python3 "$program" >"$out.log" 2>&1 ;;
    *) timeout -k 5 "$limit" "$program" >"$out.log" 2>&1 ;;
    esac </dev/null
    status=$?
    took=$((($(date +%s%N) - start) / 10000000))
    result=$(count "$out.log" $status)
    echo "$result" >"$out.result"
    passed=${result% *} failed=${result#* }
    note=
    [ "$status" = 124 ] || [ "$status" = 137 ] && note="  (ran past $limit s, or was killed)"
    [ "$status" -gt 128 ] && [ "$status" != 137 ] && note="  (signal $((status - 128)))"
    line=$(printf '%-28s %3d passed %3d failed %4d.%02d s%s' "$name" "$passed" "$failed" \
        $((took / 100)) $((took % 100)) "$note")
    if [ "$failed" != 0 ]; then # in one piece, though two programs run
        printf '%s\n--- %s\n%s\n---\n' "$line" "$name" "$(tail -c 20000 "$out.log")"
    else
        echo "$line"
    fi
    exit 0
fi

part=${2-}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
trap 'exit 1' INT TERM
{
    for source in tests/*/test_*.c; do # what was built from a source that is gone is left alone
        program=$build/${source%.c}
        [ -x "$program" ] && echo "$program"
    done
    ls tests/live/test_*.py 2>/dev/null
} | grep -F -e "$part" >"$results/programs"
xargs -r -P 2 -I '{}' "$0" "$build" --one '{}' "$results" <"$results/programs"

passed=0 failed=$(wc -l <"$results/programs") # each until its result is there
for result in "$results"/*.result; do
    [ -f "$result" ] || continue
    read -r p f <"$result"
    failed=$((failed - 1))
    passed=$((passed + p)) failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
