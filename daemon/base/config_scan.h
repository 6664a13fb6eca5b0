/*
 * Reads a configuration file and what it includes into one flat text that libconfig can take as it
 * is, and refuses what libconfig 1.5 lets pass or tells badly: integers that it would wrap, names
 * given twice, mistakes of syntax; all of them, each with its file and line.
 *
 * The flat text has no comments. A name that was given again gets "*" and a number at its end, so
 * that the rest can still be checked: such names are already told.
 *
 * @include "FILE" counts from the directory of the file that it stands in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/config_syntax.h"
#include "base/report.h"

enum {
	CONFIG_SCAN_INCLUDES = 8,   /* within one another */
	CONFIG_SCAN_FILES = 100,    /* in all */
	CONFIG_SCAN_SIZE = 1 << 20, /* bytes in all */
};

struct config_scan {
	struct buf flat;
	struct config_span { /* lines of the flat text from `first` on, until the next span */
		unsigned first;
		struct syntax_place place;
	} * spans;
	size_t n_spans, spans_room;
	unsigned line;     /* of the flat text, from 1 */
	unsigned *refused; /* lines of integers that were told */
	size_t n_refused, refused_room;
	unsigned files;     /* included so far */
	bool broken;        /* libconfig can't read it; the report tells why */
	struct arena arena; /* names of files and keys: they live as long as the scan */
};

/* -ENOMEM, or 0: what is wrong with the file is in the report, and whether it's hopeless in
 * `broken`. *s is {0} before, and to be freed in any case. */
int config_scan_file(struct config_scan *s, const char *path, struct report *report);
/* The same for a text in memory, in which @include is a mistake. */
int config_scan_text(struct config_scan *s, const char *name, struct str text,
		     struct report *report);
void config_scan_free(struct config_scan *s);

/* Where a line of the flat text came from. */
struct syntax_place config_scan_place(const struct config_scan *s, unsigned line);
bool config_scan_refused(const struct config_scan *s, unsigned line);

#define _cleanup_config_scan_ _cleanup_(config_scan_free)
