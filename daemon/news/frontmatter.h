/*
 * The head of a Markdown file: lines between "---" and "---" as Hugo, Jekyll and others write them,
 * a small part of YAML: `key: value`, quoted or not, `key: [a, "b, c"]`, `- a` lines below a key,
 * `|` and `>` blocks. Nested maps are passed over. Keys are matched in any case.
 */
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

struct frontmatter_entry {
	struct frontmatter_entry *next;
	char *key;
	char **values; /* a single value is a list of one; empty ones are left out */
	size_t n;
};

struct frontmatter {
	struct frontmatter_entry *first; /* the file's order; in the arena */
};

/*
 * Reads it and sets *ret_body to what follows; a text that begins with no such head is all body.
 * -ENOMEM.
 */
int frontmatter_read(struct arena *arena, struct str text, struct frontmatter *ret,
		     struct str *ret_body);

const struct frontmatter_entry *frontmatter_find(const struct frontmatter *f, const char *key);
const char *frontmatter_value(const struct frontmatter *f, const char *key); /* NULL: none */
