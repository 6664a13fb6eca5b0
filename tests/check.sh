#!/bin/sh
# What `make check` runs, in the order in which it tells most, soonest. Everything here must pass on
# a bare Debian 12 once tests/deps.sh has run.
set -eu
jobs=$(nproc)

step() { printf '\n== %s\n' "$1"; }

step "rooms"
sh tests/lint/rooms.sh
step "build, gcc, no warnings"
make -j"$jobs" WERROR=1 O=build all
step "build, clang, no warnings"
make -j"$jobs" WERROR=1 CC=clang O=build/clang all
step "unit tests, with sanitizers"
make -j"$jobs" WERROR=1 SAN=1 O=build/san all
make -j"$jobs" WERROR=1 SAN=1 O=build/san unit
step "system tests, with sanitizers"
make SAN=1 WERROR=1 O=build/san system
