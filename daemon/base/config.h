/*
 * A configuration read by its schema. The file's syntax is libconfig's (@include counts from the
 * directory of the file that it stands in); a schema is a table of keys, each with its type, range,
 * default and place in a struct. config_load() fills the struct and reports every mistake that it
 * finds, each with file, line and what would be right, before it gives up.
 *
 * Memory: texts, lists and secrets belong to the `struct config`, which config_free() empties and
 * wipes; the struct that was filled must not be used after that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/why.h"

enum config_type {
	CONFIG_STRING,   /* const char *, never NULL: "" is "not set" */
	CONFIG_BOOL,     /* bool */
	CONFIG_INT,      /* int; min..max */
	CONFIG_SIZE,     /* uint64_t, bytes, from "16 MiB"; min..max */
	CONFIG_DURATION, /* usec_t, from "1 h 30 min"; min..max */
	CONFIG_ENUM,     /* int (or an enum), one of `words` */
	CONFIG_SECRET,   /* struct secret, from KEY_file or KEY_credential; KEY itself is refused */
	CONFIG_STRINGS,  /* struct config_strings: [ "a", "b" ] or one "a" */
	CONFIG_GROUP,    /* a struct by `group`: { ... } */
	CONFIG_LIST,     /* struct config_items of structs by `group`: ( { ... }, { ... } ) */
};

struct config_strings {
	const char **items;
	size_t n;
};

struct config_items {
	void *items;
	size_t n;
};

struct config_word { /* a table of them ends with a NULL word */
	const char *word;
	int value;
};

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset;       /* of its value in the group's struct */
	const char *initial; /* the default, as it would stand in the file's quotes; NULL: unset */
	int64_t min, max;    /* of numbers; of a list or array's length when max isn't 0 */
	const struct config_word *words;
	const struct config_group *group;
	/* Of each text; NULL: any is right. -EACCES: wrong, and so that it may not be shown. */
	int (*check)(const char *value, struct why *why);
	unsigned must;    /* readers (see below) that can't do without it; not for secrets */
	unsigned whose;   /* readers that need the secret; others don't open it. 0: all */
	bool fixed;       /* a change needs a restart */
	const char *help; /* one line for people */
};

struct config_check;

struct config_group {
	const struct config_key *keys; /* ends with a NULL name */
	size_t size;                   /* of the struct */
	/* What is to be checked over several keys; tells by config_wrong() and config_warn(). */
	void (*check)(const void *group, struct config_check *check);
};

struct config {
	struct arena arena;
	struct config_secret *secrets;
};

/*
 * Reads `path` by the schema `root` into *ret, a zeroed struct of root->size bytes, as the reader
 * `reader` (one bit; what `must` and `whose` are compared with). Warnings don't make it fail.
 * -EINVAL: the report tells the mistakes, *ret must not be used. -ENOMEM. *c is to be freed anyway.
 */
int config_load(struct config *c, const struct config_group *root, const char *path,
		unsigned reader, void *ret, struct report *report);
/* The same for a text in memory, called `name`, in which @include is a mistake. */
int config_load_text(struct config *c, const struct config_group *root, const char *name,
		     struct str text, unsigned reader, void *ret, struct report *report);
void config_free(struct config *c);

/* For checks over several keys: told with the line of `key`, of the group when key isn't there. */
void config_wrong(struct config_check *check, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void config_warn(struct config_check *check, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
unsigned config_reader(const struct config_check *check); /* who it is loaded for */

/*
 * After a reload: names each key marked `fixed` whose value differs ("state_dir"), for each of
 * them one call of `tell`. Lists count as one value.
 */
void config_changed(const struct config_group *root, const void *old, const void *new,
		    void (*tell)(const char *path, void *userdata), void *userdata);

/* Calls `visit` for each name that may stand in a file, nested ones as "web.listen". */
void config_names(const struct config_group *root,
		  void (*visit)(const char *path, const struct config_key *key, void *userdata),
		  void *userdata);
