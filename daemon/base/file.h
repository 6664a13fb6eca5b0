/*
 * Reading whole files into a buffer, with a limit. What fails is told with the file's name; the
 * buffer then holds what it held before.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/why.h"

/*
 * Appends a regular file's bytes. -errno as of open(2) and read(2); -EINVAL: not a regular file
 * (a FIFO mustn't hold a daemon up); -EFBIG: more than `most` bytes; -ENOMEM.
 */
int file_read(const char *path, size_t most, struct buf *out, struct why *why);

/* For what a person names on a command line: pipes and devices too, and "-" for standard input. */
int file_read_any(const char *path, size_t most, struct buf *out, struct why *why);
