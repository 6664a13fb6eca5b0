/*
 * A progress bar on standard error, drawn ten times a second at most, and only where somebody
 * looks at it: not when standard error is no terminal, and not with --json.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "ctl/ctl.h"

struct bar {
	const char *what; /* "import" */
	bool visible;
	bool drawn;
	usec_t began, drawn_at; /* clock_mono() */
	char note[96];          /* what else there is to say */
	bool waits;             /* nothing moves: no time left is guessed */
};

void bar_begin(struct bar *bar, const struct ctl *ctl, const char *what);
void bar_show(struct bar *bar, int64_t done, int64_t total); /* total 0: not known */
void bar_note(struct bar *bar, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bar_end(struct bar *bar); /* wipes it */
