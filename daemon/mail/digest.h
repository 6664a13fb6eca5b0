/*
 * A digest: an issue's frozen content, as one variant of its readers sees it. Rendered once, it's
 * shared by all readers with these topics and this language.
 *
 * Content is one JSON object: "list", "edition", "issue", "articles" as the database froze them,
 * "templates" as template_collect() did, "text", the list's own locale. It may hold "texts" too,
 * locales by language tag, for readers in other languages; a variant in a language that isn't there
 * is in the list's.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/why.h"
#include "mail/message.h"

struct digest_variant {
	const char *const *topics; /* none: all articles; an article without topics is for all */
	size_t count;
	const char *lang; /* NULL or "": the list's */
};

/*
 * The variant's number: above 0, the same on every host whatever the order of the topics (each is
 * named once). It only tells variants apart in records; a rare collision does no harm.
 */
uint32_t digest_variant_id(const struct digest_variant *variant);

/*
 * The message is in the arena; content is borrowed during the call and not changed. -ENODATA: no
 * article is for these topics; -EINVAL, -ENOENT (a partial), -ELOOP, -E2BIG, -EOVERFLOW with the
 * reason: a template or a setting of the list is wrong; -ENOMEM.
 */
int digest_compile(struct arena *arena, json_t *content, const struct digest_variant *variant,
		   struct message **ret, struct why *why);

/*
 * What its templates see, for previews and `template render` too: list, edition, issue, text,
 * articles with their numbers and dates, lead, others, more. A new reference, or NULL with -ENODATA
 * or -ENOMEM in *ret_err.
 */
json_t *digest_data(json_t *content, const struct digest_variant *variant, int *ret_err);
