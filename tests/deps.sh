#!/bin/sh
# Installs the Debian packages that are missing, as root or by sudo. Usage: deps.sh build|test|long|lint...
# Does nothing, quickly, when none is missing.
set -eu

build="gcc make pkg-config libc6-dev libcurl4-openssl-dev libpq-dev libconfig-dev libsystemd-dev
	libmicrohttpd-dev libcmark-dev libxml2-dev libssl-dev libjansson-dev libutf8proc-dev
	libidn2-dev zlib1g-dev postgresql-15 python3 ca-certificates tzdata"
test="libcmocka-dev python3-pytest python3-pytest-xdist python3-psycopg2 python3-cryptography pgbouncer
	postgresql-15-plpgsql-check clang
	systemd openssl curl procps postfix chromium-driver python3-selenium"
long="patroni etcd-server"
lint="clang clang-format pyflakes3 clang-tidy cppcheck shellcheck mandoc valgrind"

wanted=
for group; do
	case $group in
	build) wanted="$wanted $build" ;;
	test) wanted="$wanted $test" ;;
	long) wanted="$wanted $long" ;;
	lint) wanted="$wanted $lint" ;;
	*) echo "deps.sh: no group '$group'" >&2; exit 2 ;;
	esac
done

missing=
for package in $wanted; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
	as_root=
elif command -v sudo >/dev/null; then
	as_root=sudo
else
	echo "These Debian packages are missing, and installing them needs root:$missing" >&2
	exit 1
fi
echo "Installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # the lists are words
install() {
	case $missing in
	*postfix*) # no mail server of its own for this machine
		echo "postfix postfix/main_mailer_type select No configuration" |
			$as_root debconf-set-selections
		;;
	esac
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		$missing >/dev/null
}
install 2>/dev/null || { $as_root apt-get update -qq && install; }
