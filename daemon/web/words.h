/*
 * The languages that pages can speak: all locales that the program or the operator's directory has,
 * loaded once, and which of them a reader gets.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/why.h"

struct words {
	const char *lang; /* "de": the name of its file */
	json_t *text;     /* the whole locale (mail/locale.h) */
};

struct languages;

/* `dir` as in mail/template.h, may be NULL. -EINVAL with the file and line; -ENOMEM; -errno. */
int languages_load(const char *dir, struct languages **ret, struct why *why);
void languages_free(struct languages *l);
DEFINE_CLEANUP(struct languages *, languages_free);

/*
 * The best for a reader: by `accept`, an Accept-Language header (RFC 9110 12.5.4), else by
 * `fallback`, a language tag, else English. Both may be NULL.
 */
const struct words *languages_choose(const struct languages *l, const char *accept,
				     const char *fallback);
