/*
 * Cleanup attributes: a variable that owns something says so where it is declared, and every way
 * out of the block releases it. `steal()` hands ownership on. (The idea is systemd's; see its
 * docs/CODING_STYLE.md.)
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Defines fn##p(), the form that _cleanup_ takes, for a destructor that accepts NULL. */
#define DEFINE_CLEANUP(type, fn)                                                                   \
	static inline void fn##p(type *owner)                                                      \
	{                                                                                          \
		if (*owner)                                                                        \
			fn(*owner);                                                                \
	}                                                                                          \
	struct cleanup_needs_a_semicolon

/* Takes the value out of an owning variable, which then owns nothing. */
#define steal(owner)                                                                               \
	({                                                                                         \
		__typeof__(owner) stolen_ = (owner);                                               \
		(owner) = NULL;                                                                    \
		stolen_;                                                                           \
	})

static inline void cleanup_free(void *owner)
{
	free(*(void **)owner);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

DEFINE_CLEANUP(FILE *, fclose);

#define _cleanup_free_   _cleanup_(cleanup_free)
#define _cleanup_close_  _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(fclosep)

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
