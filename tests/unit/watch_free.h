/*
 * Sees whether memory still holds a secret when it is freed. For a test program that is linked
 * with -Wl,--wrap=free. Include it in one file of the program only.
 */
#pragma once

#include "unit.h"

#include <malloc.h>
#include <stdbool.h>

static struct {
	const char *secret; /* looked for when set */
	unsigned frees;
	bool seen;
} watch_free;

void __real_free(void *p);
void __wrap_free(void *p);

void __wrap_free(void *p)
{
	if (p && watch_free.secret) {
		watch_free.frees++;
		watch_free.seen |= memmem(p, malloc_usable_size(p), watch_free.secret,
					  strlen(watch_free.secret)) != NULL;
	}
	__real_free(p);
}
