#!/bin/sh
# Runs each fuzz target a number of times: run.sh RUNS PROGRAM... Seeds of fuzz_NAME are the files
# in tests/fuzz/seeds/NAME, when there are any; an input that breaks it is left in its directory.
set -eu
runs=$1
shift
for program; do
	name=$(basename "$program")
	seeds=tests/fuzz/seeds/${name#fuzz_}
	[ -d "$seeds" ] || seeds=
	mkdir -p "$program.found" # libFuzzer writes into the first directory
	printf '%s: ' "$name"
	# shellcheck disable=SC2086 # no seeds, no argument
	if ! "$program" -runs="$runs" -max_len=8192 -timeout=20 -rss_limit_mb=1024 -verbosity=0 \
		-print_final_stats=1 -artifact_prefix="$program-" "$program.found" $seeds >"$program.log" 2>&1; then
		tail -40 "$program.log"
		exit 1
	fi
	sed -n 's/^stat::number_of_executed_units: */executed /p' "$program.log"
done
