#!/bin/sh
# Runs the unit tests given, one after another; prints what a failing one said; fails if any did.
set -u
failed=0 passed=0
for test; do
	if out=$("$test" 2>&1); then
		passed=$((passed + 1))
		echo "$out" | grep -E '^\[  PASSED  \]' | sed "s|^|$(basename "$test"): |"
	else
		failed=$((failed + 1))
		echo "--- $test"
		echo "$out"
	fi
done
echo "unit test programs: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
