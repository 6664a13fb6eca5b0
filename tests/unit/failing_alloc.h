/*
 * Allocations that fail by number, SQLite's way: a run is repeated with its first, second, third
 * ... allocation failing until one comes clean. For a test program that is linked with
 * `UNIT_LDFLAGS_test_NAME := $(WRAP_ALLOC)`, which sends what it and libdigest.a allocate through
 * here; allocations within shared libraries are not seen, but jansson's are by
 * json_set_alloc_funcs(malloc, free). Include it in one file of the program only.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "unit.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static struct {
	unsigned long at;   /* the number of the one that fails; 0: none does */
	unsigned long seen; /* how many there were since */
	bool after;         /* all after it fail too */
	bool hit;           /* one has failed */
} failing_alloc;

static bool failing_alloc_fails(void)
{
	failing_alloc.seen++;
	bool fails =
	    failing_alloc.at && (failing_alloc.after ? failing_alloc.seen >= failing_alloc.at
						     : failing_alloc.seen == failing_alloc.at);
	failing_alloc.hit |= fails;
	return fails;
}

void *__wrap_malloc(size_t size)
{
	return failing_alloc_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return failing_alloc_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return failing_alloc_fails() ? NULL : __real_realloc(old, size);
}

/*
 * Runs `run` with one allocation failing, and then with all from that one on, until it comes
 * clean. It has to return -ENOMEM whenever one failed and 0 when none did, and to leave nothing
 * behind (which the sanitizers check). Returns how many allocations a clean run makes.
 */
static inline unsigned long failing_alloc_sweep(int (*run)(void *ctx), void *ctx)
{
	unsigned long at = 0;
	for (int after = 0; after < 2; after++) {
		at = 0;
		do {
			failing_alloc.after = after;
			failing_alloc.hit = false;
			failing_alloc.seen = 0;
			failing_alloc.at = ++at;
			int r = run(ctx);
			failing_alloc.at = 0;
			if (r != (failing_alloc.hit ? -ENOMEM : 0))
				fail_msg("allocation %lu fails%s: returned %d", at,
					 after ? " and all after" : "", r);
		} while (failing_alloc.hit);
	}
	return at - 1;
}
