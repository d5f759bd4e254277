#!/bin/bash
# Runs commands one after the other, each in full whatever became of those before, and ends with
# the line "N passed, N failed" of all together. Status 0 only when nothing failed.
#   tools/sum-tests.sh "make test" "make MODE=asan test" ...
# A command that prints such lines counts as its last one says; any other counts as one test, its
# exit status. A command that claims success in its line but exits otherwise adds a failure.
# LIMIT_MIN=40 bounds all together: what is not done by then is ended and counted as failed.
set -u
deadline=$((SECONDS + ${LIMIT_MIN:-600} * 60))
log=$(mktemp)
trap 'rm -f "$log"' EXIT
total_passed=0
total_failed=0
for command in "$@"; do
    echo "=== $command"
    began=$SECONDS
    left=$((deadline - SECONDS))
    timeout -k 10 $((left > 0 ? left : 1)) bash -c "$command" </dev/null 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
    if [ -n "$line" ]; then
        read -r passed _ failed _ <<<"$line"
        if [ "$status" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
    else
        passed=$((status == 0))
        failed=$((status != 0))
    fi
    if [ "$status" = 124 ] || [ "$status" = 137 ]; then echo "=== ended: the time for all together is over"; fi
    echo "=== $command: $passed passed, $failed failed, $((SECONDS - began)) s"
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
done
echo "$total_passed passed, $total_failed failed"
[ "$total_failed" = 0 ] && [ "$total_passed" != 0 ]
