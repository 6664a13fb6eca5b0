#!/bin/sh
# What `make lint` runs; all of it, even when one finds something. $LINT_FLAGS are the compiler's.
set -u
jobs=$(nproc)
failed=

step() {
	name=$1
	shift
	printf '  %-14s ' "$name"
	if out=$("$@" 2>&1); then
		echo "clean"
	else
		echo "not clean"
		printf '%s\n' "$out"
		failed="$failed $name"
	fi
}

sources() { find daemon tests -name '*.[ch]' -not -path '*/seeds/*' | sort; }

format() {
	sources | xargs clang-format --dry-run -Werror
}

python() {
	find tests -name '*.py' -print0 | xargs -0 pyflakes3
}

shell() {
	find tests -name '*.sh' -print0 | xargs -0 shellcheck .ci/run
}

# Links to each other's pages are checked by a test; mandoc looks for them in the system only.
manuals() {
	found=$(mandoc -Tlint -Wwarning daemon/*.[1578] 2>&1)
	[ -z "$found" ] || { echo "$found"; return 1; }
}

# It doesn't know of cleanup attributes: valgrind and the sanitizers look for leaks.
cppcheck_all() {
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--error-exitcode=1 -j"$jobs" -Idaemon -I"$O/gen" -D_GNU_SOURCE \
		--include=tests/lint/cppcheck.h --suppress=missingIncludeSystem \
		--suppress=resourceLeak --suppress=autoVariables daemon
}

tidy() {
	# shellcheck disable=SC2016 # for the inner shell
	find daemon -name '*.c' | sort | xargs -n 4 -P "$jobs" \
		sh -c 'clang-tidy --quiet "$@" -- $LINT_FLAGS 2>"$O/tidy.err.$$"; r=$?
			rm -f "$O/tidy.err.$$"; [ $r -eq 0 ] || exit 1' sh
}

step rooms sh tests/lint/rooms.sh
step clang-format format
step shellcheck shell
step pyflakes python
step mandoc manuals
step mutants /usr/bin/python3 -B tests/mutation/mutation.py --check
step SQL /usr/bin/python3 tests/system/lint_sql.py
step cppcheck cppcheck_all
step clang-tidy tidy
[ -z "$failed" ] || { echo "not clean:$failed" >&2; exit 1; }
