/*
 * A report of mistakes for the person who has to mend them: all that were found, not only the
 * first, a line each: "FILE:LINE: error: WORDS" (without ":LINE" for line 0). The caller owns the
 * struct, {0} at first, and frees it with report_free().
 *
 * Lines come as they are found; report_sort() puts them into the order of their lines. Control
 * characters in what is told are shown as \xNN. After REPORT_MOST lines further ones are
 * only counted. When memory runs out the counts still hold, so "errors == 0" can be trusted.
 */
#pragma once

#include "base/buf.h"

enum { REPORT_MOST = 100 };

struct report {
	struct buf text;
	unsigned errors;
	unsigned warnings;
	struct report_line {
		size_t at, len;  /* in `text`, with its newline */
		unsigned file;   /* of the files told of, this one was the n-th */
		size_t file_len; /* of its name as shown */
		unsigned line;
	} lines[REPORT_MOST];
	unsigned n; /* lines that are there */
};

void report_error(struct report *r, const char *file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void report_warning(struct report *r, const char *file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void report_sort(struct report *r);      /* by line, file by file as they came */
void report_log(const struct report *r); /* each line to the log */
void report_free(struct report *r);

#define _cleanup_report_ _cleanup_(report_free)
