/*
 * The reason of a failure in words for the person who has to mend it. A function that can fail
 * for reasons an errno doesn't tell takes a `struct why *` (NULL when nobody wants to know) and
 * returns the value of why_set(): `return why_set(why, -EINVAL, "line %d: ...", line);`.
 */
#pragma once

struct why {
	char text[512]; /* one line, no newline at its end; cut with "..." when too long */
};

/* Fills why->text and returns err unchanged. */
int why_set(struct why *why, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts words in front of what is there: "feeds.c3: " + "line 4: ...". Returns err unchanged. */
int why_prefix(struct why *why, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
