/*
 * How the daemons start and read their configuration again: the arguments that both of them know
 * (--config, --check-config, --version, --help), the settings, the log.
 */
#pragma once

#include "store/settings.h"

enum {
	START_USAGE = 2,   /* exit status: wrong arguments */
	START_CONFIG = 78, /* a mistake in the configuration: EX_CONFIG of sysexits.h */
};

struct start {
	const char *name;  /* "digestd" */
	const char *about; /* a sentence for --help */
	enum settings_program program;
};

/*
 * -1: go on with *ret, which is to be freed with settings_free(); otherwise the exit status, and
 * everything was said.
 */
int start_program(const struct start *start, int argc, char **argv, struct settings **ret);

/*
 * After SIGHUP: the settings from the same file again, and the log's level by them. 0: hand *ret
 * to all parts, then free the old ones. Otherwise the log tells why, and the old ones go on:
 * -EINVAL, -ENOMEM.
 */
int start_reload(const struct settings *old, struct settings **ret);
