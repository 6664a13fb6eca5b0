/*
 * An arena: memory for what lives as long as one thing (an issue, a request, a configuration) and
 * goes with it in one arena_free(). Nothing in it is freed alone. Every function that hands out
 * memory returns NULL when there is none left, and never changes what was handed out before.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/str.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* the newest first */
};

void *arena_alloc(struct arena *a, size_t size);               /* aligned for any type, zeroed */
void *arena_array(struct arena *a, size_t count, size_t size); /* NULL on overflow too */
char *arena_strdup(struct arena *a, const char *text);         /* NULL stays NULL */
char *arena_strndup(struct arena *a, const char *bytes, size_t n);
char *arena_copy(struct arena *a, struct str s); /* NUL-terminated copy of a view */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_free(struct arena *a); /* empties it; it can be used again */

#define _cleanup_arena_ _cleanup_(arena_free)
