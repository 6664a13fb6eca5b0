/*
 * The clocks, each for its own question, all in microseconds.
 *
 * clock_now()  "What moment is it?" For schedules, due times and Date headers; may step. Tests
 *              move it: $DIGESTD_CLOCK names a file that holds an offset in seconds ("+86400"),
 *              read again at each call, so that they can live through a year in minutes.
 * clock_mono() "How long did it take?" For time limits within a process; never steps.
 * clock_boot() "Who is alive?" Goes on while the machine sleeps. Liveness is decided by this one
 *              only, never by a wall clock (CLOCK_BOOTTIME, clock_gettime(2)).
 */
#pragma once

#include <stdint.h>

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)

typedef uint64_t usec_t;

usec_t clock_now(void); /* since 1970-01-01 00:00 UTC */
usec_t clock_mono(void);
usec_t clock_boot(void);

/* "2026-03-29T01:00:00.000000Z", which PostgreSQL takes as timestamptz. */
enum { CLOCK_TEXT = 32 };
const char *clock_text(usec_t moment, char text[static CLOCK_TEXT]);
