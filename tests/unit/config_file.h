/*
 * Configurations of a few lines, for tests: written as "a.conf" into a directory of the test
 * program's own, and loaded. Groups need config_file_setup() and config_file_teardown().
 */
#pragma once

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/settings.h"
#include "tempdir.h"

#define RELAY "relays = ( { name = \"r\"; host = \"h\"; tls = \"none\" } )\n"

static struct tempdir directory;

static inline const char *in_directory(const char *name)
{
	return tempdir_path(&directory, name);
}

static inline const char *write_file(const char *name, const char *text)
{
	tempdir_text(&directory, name, text);
	return in_directory(name);
}

static inline int config_file_setup(void **state)
{
	(void)state;
	tempdir_make(&directory);
	return 0;
}

static inline int config_file_teardown(void **state)
{
	(void)state;
	tempdir_remove(&directory);
	return 0;
}

static inline int load(const char *text, enum settings_program program, struct settings **ret,
		       struct report *report)
{
	return settings_load(write_file("a.conf", text), program, ret, report);
}

/* Refused for the engine with "a.conf:LINE: error: WORDS..." in the report, `errors` in all. */
static inline void refused(const char *text, unsigned line, const char *words, unsigned errors)
{
	struct settings *s = NULL;
	_cleanup_report_ struct report report = {0};
	char wanted[256];
	if (line)
		snprintf(wanted, sizeof(wanted), "a.conf:%u: error: %s", line, words);
	else
		snprintf(wanted, sizeof(wanted), "a.conf: error: %s", words);
	int r = load(text, SETTINGS_ENGINE, &s, &report);
	if (r != -EINVAL || report.errors != errors || !strstr(buf_text(&report.text), wanted))
		fail_msg("wanted: %s\ngot %d, %u errors:\n%s", wanted, r, report.errors,
			 buf_text(&report.text));
	assert_null(s);
}

static inline struct settings *accepted(const char *text, enum settings_program program)
{
	struct settings *s = NULL;
	_cleanup_report_ struct report report = {0};
	int r = load(text, program, &s, &report);
	if (r != 0 || report.errors)
		fail_msg("got %d:\n%s", r, buf_text(&report.text));
	return s;
}
