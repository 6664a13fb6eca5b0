/*
 * What a compiled template looks like inside: for mail/mustache_*.c only.
 *
 * A template is a flat array of nodes. A section's node knows the index of its end and the end
 * that of its section, so neither parsing nor rendering ever recurses. A partial's node refers to
 * another template of the same set; templates may refer to each other in circles.
 *
 * Indentation of a standalone partial: each line of it that gives output starts with it. `bol`
 * marks the text nodes that start a line of the template; a line that starts with a tag has an
 * empty text node of that kind in front.
 */
#pragma once

#include <stdint.h>

#include "mail/mustache.h"

enum node_kind {
	NODE_TEXT,
	NODE_VALUE,
	NODE_RAW,
	NODE_SECTION,
	NODE_INVERTED,
	NODE_END,
	NODE_PARTIAL,
};

struct mustache_name {
	const char *text; /* as written, without blanks around it */
	size_t count;     /* of parts; 0: the name is "." */
	struct str part[];
};

struct mustache_node {
	enum node_kind kind;
	bool bol;        /* TEXT: it starts a line */
	bool standalone; /* PARTIAL: alone on its line, which is taken out */
	uint32_t line;
	uint32_t column;
	uint32_t other;                    /* SECTION, INVERTED: index of the END; END: of these */
	struct str text;                   /* TEXT; PARTIAL: its indentation */
	const struct mustache_name *name;  /* all but TEXT */
	struct mustache_template *partial; /* PARTIAL */
};

struct mustache_template {
	const char *name; /* in the tags that include it */
	const char *path; /* in messages */
	struct str text;
	bool missing;
	uint32_t index; /* among the templates of its set */
	uint32_t count;
	const struct mustache_node *nodes;
	struct mustache_template *next;
};

struct mustache {
	struct mustache_template *first; /* the one that was compiled; then its partials */
	struct mustache_template *last;
	uint32_t count; /* of templates */
};

/*
 * Splits a name at its dots, in the arena. -EINVAL: empty, with an empty part, or with a line
 * break within; -ENOMEM.
 */
int mustache_name_split(struct arena *arena, struct str text, const struct mustache_name **ret);

/* Fills in the nodes of one template and adds the partials that it names to the set. */
int mustache_parse(struct arena *arena, struct mustache *set, struct mustache_template *template,
		   struct why *why);

/* Finds the template of that name in the set, or adds it. -E2BIG: too many; -ENOMEM. */
int mustache_template_add(struct arena *arena, struct mustache *set, const char *name,
			  struct mustache_template **ret);

/* What a member of an object is, or NULL. */
json_t *mustache_member(const json_t *object, struct str key);
/* Follows the parts of a name from the one numbered `from` on; NULL when there is nothing. */
json_t *mustache_follow(json_t *value, const struct mustache_name *name, size_t from);
bool mustache_is_true(const json_t *value); /* NULL is false */
