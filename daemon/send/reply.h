/*
 * What a refusal means. One table classes every reply by its enhanced status first (RFC 3463), then
 * by its code and the stage at which it came; a verdict says what is to be done with the reader and
 * with the relay. The table is the policy: it stands in reply.c and prints itself for operators.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "send/smtp_reply.h"

enum reply_class {
	REPLY_ACCEPTED,  /* no refusal */
	REPLY_GONE,      /* the mailbox doesn't exist: suppress the address */
	REPLY_REFUSED,   /* this mail, for good: content, size, an address that isn't taken */
	REPLY_FULL,      /* mailbox full */
	REPLY_POLICY,    /* the receiver doesn't want it, or doesn't like the sender */
	REPLY_THROTTLED, /* too much at a time: slow the provider down */
	REPLY_TEMPORARY, /* none of the others, and worth another try */
	REPLY_RELAY,     /* the relay's own trouble, or between it and us: not the reader's fault */
	REPLY_CLASSES
};

struct verdict {
	enum reply_class class;
	bool final;      /* no further try of this mail */
	bool suppress;   /* the address is never to be mailed again */
	bool spends_try; /* counts as one of the reader's tries */
	bool slow_down;  /* the provider's pace should fall */
	bool breaker;    /* the relay's breaker should open */
};

/* `enhanced` may be NULL or "". Any code will do; one that fits nowhere is the relay's trouble. */
struct verdict reply_verdict(enum smtp_stage stage, int code, const char *enhanced);

static inline struct verdict reply_class(const struct smtp_reply *reply)
{
	return reply_verdict(reply->stage, reply->code, reply->enhanced);
}

const char *reply_class_name(enum reply_class class); /* "gone", "relay trouble" ... */

/* The table, a row a line, in the order in which it is read. */
void reply_print_table(FILE *to);
