/*
 * What a request is answered with, before it is HTTP. Whoever holds the struct owns the body; an
 * answer that couldn't be made for want of memory has body.err set.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

enum answer_cache {
	CACHE_NEVER, /* no-store: what has to do with a reader */
	CACHE_ASK,   /* no-cache */
	CACHE_A_DAY, /* static files */
};

enum { ANSWER_CSP = 256 };

struct answer {
	unsigned status;
	const char *type;     /* Content-Type */
	const char *allow;    /* methods, or NULL */
	unsigned retry_after; /* seconds; 0: not said */
	enum answer_cache cache;
	bool private; /* no robot is to keep it */
	char csp[ANSWER_CSP];
	struct buf body;
};

/* The answer is this text alone; the policy allows nothing. */
void answer_plain(struct answer *a, unsigned status, const char *text);

static inline void answer_free(struct answer *a)
{
	buf_free(&a->body);
}
