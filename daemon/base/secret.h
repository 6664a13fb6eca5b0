/*
 * Secrets: passwords and keys, which come from a file or a systemd credential and from nowhere
 * else: not from arguments, not from the environment, not from the configuration itself. Never log
 * one. The owner frees it with secret_free(), which wipes the memory first (explicit_bzero(3)).
 *
 * A secret is the one line of its file, without the line's end; 1 to SECRET_MAX bytes, no NUL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/why.h"

enum { SECRET_MAX = 4096 };

struct secret {
	char *text; /* followed by a NUL; NULL when there is none */
	size_t len;
};

/*
 * Reads the file. *ret_open tells whether any user of the machine can read it too. Fails with
 * -errno and the reason in `why` (which names the path, never the content): no such file, no
 * permission, not a regular file, empty, too long (-EFBIG), more than one line (-EINVAL).
 */
int secret_read(const char *path, struct secret *ret, bool *ret_open, struct why *why);

/* The path of a systemd credential, "$CREDENTIALS_DIRECTORY/name"; the caller frees. -ENOENT: the
 * variable isn't set, as when the program wasn't started by systemd. -EINVAL: no such name. */
int secret_credential_path(const char *name, char **ret, struct why *why);

void secret_free(struct secret *s); /* wipes; the struct can be used again */

#define _cleanup_secret_ _cleanup_(secret_free)
