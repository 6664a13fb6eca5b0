/*
 * Files that were put into the program when it was built: migrations, templates and locales, by
 * their path in the source tree ("sql/migrations/0001_lists.sql"). They are read-only, live as
 * long as the program, and each is followed by a NUL that its view doesn't count.
 */
#pragma once

#include "base/str.h"

struct embedded_file {
	const char *name;
	const char *start;
	const char *end;
};

extern const struct embedded_file
    embedded_files[]; /* in the order of their names; ends with NULL */

/* The file of that name, or NULL. */
const struct embedded_file *embed_find(const char *name);

static inline struct str embed_bytes(const struct embedded_file *file)
{
	return (struct str){file->start, (size_t)(file->end - file->start)};
}
