#!/bin/sh
# Rooms depend downwards only: base < store, mail < news, plan, send, inbox, web, ctl < programs,
# and the rooms of the middle don't know each other, but for ctl, which reads articles with news.
# Prints "file:line: room includes room" for what goes another way.
# Usage: rooms.sh [DIRECTORY]   (daemon)
set -eu
root=${1:-daemon}

below() {
	case $1 in
	base) echo "base" ;;
	store) echo "base store" ;;
	mail) echo "base mail" ;;
	news | plan | send | inbox | web) echo "base store mail $1" ;;
	ctl) echo "base store mail news ctl" ;; # articles by hand are read as a feed's are
	*) return 1 ;;
	esac
}

wrong=0
for room in "$root"/*/; do
	[ -d "$room" ] || continue
	name=$(basename "$room")
	if ! allowed=$(below "$name"); then
		echo "$room: there is no room of this name (DESIGN: base store mail news plan send inbox web ctl)"
		wrong=1
		continue
	fi
	find "$room" -name '*.[ch]' -exec awk -v room="$name" -v allowed="$allowed" '
		BEGIN { n = split(allowed, words, " "); for (i = 1; i <= n; i++) may[words[i]] = 1 }
		/^#include "[^"]*\// {
			split($2, parts, /["\/]/)
			if (!(parts[2] in may)) {
				printf "%s:%d: %s/ must not include %s/\n", FILENAME, FNR, room, parts[2]
				bad = 1
			}
		}
		END { exit bad }' {} + || wrong=1
done
exit "$wrong"
