/*
 * Mustache: logic-less templates over JSON data, the whole core of the specification (version 1.4,
 * https://github.com/mustache/spec): interpolation, sections, inverted sections, comments,
 * delimiters, partials.
 *
 * A template is compiled once into an arena and rendered any number of times. Rendering either
 * fills everything in (mustache_render) or leaves what depends on the reader as holes
 * (mustache_reduce), and then fills those in for each reader (piece_render, piece_each).
 *
 * Values: strings as they are; numbers in the shortest form that reads back the same (85, 1.21);
 * true and false as words; null and what isn't there as nothing; lists and objects as JSON. False
 * for a section are: what isn't there, null, false, 0, "" and []. Data is borrowed, never changed.
 *
 * No template and no data can crash it or keep it for ever: nesting and steps are limited here,
 * the size of the output by the caller.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "base/why.h"

struct mustache;
struct mustache_name;

enum {
	MUSTACHE_NESTED = 100,   /* sections within one another in one template */
	MUSTACHE_DEPTH = 256,    /* sections and partials within one another in rendering */
	MUSTACHE_TEXT = 4 << 20, /* bytes of one template */
	MUSTACHE_PARTIALS = 256, /* partials that one template reaches */
	MUSTACHE_STEPS = 10 * 1000 * 1000, /* tags and look-ups in one rendering */
	MUSTACHE_HOLES = 100 * 1000,       /* pieces of one reduced template */
};

enum mustache_escape {
	MUSTACHE_HTML, /* & < > " ' become entities, but for {{{name}}} and {{&name}} */
	MUSTACHE_NONE, /* text: all values as they are */
};

/*
 * Where partials come from. load() gives the text of the partial `name` (only to be valid until it
 * is called again) and, when it likes, the path that messages should call it by (valid as long as
 * the arena); -ENOENT when there is none, any other error ends the compilation. A partial that is
 * missing is an error when strict, and nothing otherwise, as the specification says.
 */
struct mustache_partials {
	int (*load)(void *ctx, const char *name, struct str *ret_text, const char **ret_path,
		    struct why *why);
	void *ctx;
	bool strict;
};

/*
 * Compiles `text`, which messages call `name`, and all partials that it reaches, each once. All of
 * it is copied to the arena. `partials` may be NULL: there are none. -EINVAL: not a template, with
 * name, line and column in why; -ENOENT: a partial is missing (strict); -E2BIG; -ENOMEM.
 */
int mustache_compile(struct arena *arena, struct str text, const char *name,
		     const struct mustache_partials *partials, struct mustache **ret,
		     struct why *why);

/*
 * Appends the rendering to out, or nothing. -EOVERFLOW: longer than out->limit; -ELOOP: nested too
 * deep (a partial that includes itself for ever); -E2BIG: too many steps; -ENOMEM.
 */
int mustache_render(const struct mustache *set, json_t *data, enum mustache_escape escape,
		    struct buf *out, struct why *why);

enum piece_kind {
	PIECE_LITERAL,  /* text that is the same for all; never empty, never beside another one */
	PIECE_VALUE,    /* a late value */
	PIECE_SECTION,  /* its children, for each element of a late value, when that is true */
	PIECE_INVERTED, /* its children, once, when a late value is false */
};

struct piece {
	enum piece_kind kind;
	struct str text;                  /* LITERAL */
	const char *name;                 /* the others: "reader.name", or "." in a late section */
	const struct mustache_name *path; /* the name, split */
	bool local; /* the name is one within the late sections around it, not a late name */
	enum mustache_escape escape; /* VALUE: how it is to be escaped */
	struct piece *children;      /* SECTION, INVERTED; may be NULL */
	struct piece *next;
};

/*
 * Renders all but what depends on late values: names whose first part is in `late` (ended by NULL)
 * and that no section's own value has. Late names are keys of the root; what `data` holds under
 * them is ignored. In a late section `.` is the late value and other names are those of the data;
 * only what the data doesn't have is looked for in the late value. `limit`: bytes of literal text,
 * 0 for no limit. *ret (NULL: nothing at all) is the first of the pieces, in the arena; they don't
 * need the template or the data any more. A late section is always gone into, so a partial must not
 * include itself within one. Errors as for mustache_render().
 */
int mustache_reduce(const struct mustache *set, json_t *data, enum mustache_escape escape,
		    const char *const late[], size_t limit, struct arena *arena, struct piece **ret,
		    struct why *why);

/* What piece_each() calls; a negative value ends it and is returned. */
struct piece_sink {
	int (*literal)(void *ctx, const struct piece *piece);
	int (*value)(void *ctx, struct str text); /* escaped already; valid during the call */
	void *ctx;
};

/*
 * Goes through the pieces in the order of the text with the late values of one reader, an object
 * {"reader": {...}, "links": {...}}. -E2BIG, -ELOOP and -ENOMEM as in rendering.
 */
int piece_each(const struct piece *pieces, json_t *late, const struct piece_sink *sink);

/* Appends what the pieces give with these late values to out, or nothing. */
int piece_render(const struct piece *pieces, json_t *late, struct buf *out);

enum mustache_kind {
	MUSTACHE_VALUE,
	MUSTACHE_RAW,
	MUSTACHE_SECTION,
	MUSTACHE_INVERTED,
	MUSTACHE_PARTIAL,
};

/* One tag that uses a name. */
struct mustache_use {
	enum mustache_kind kind;
	const char *name;
	const char *file; /* the template or partial that it stands in, as messages call it */
	unsigned line;    /* from 1 */
	unsigned column;  /* from 1, in characters */
	bool missing;     /* PARTIAL: there is none */
	const struct mustache_use
	    *inside; /* the section around it, through partials too, or NULL */
};

/*
 * Calls use() for each tag, in the order of the text; each partial is gone through once, where it
 * is first included. A negative value ends it and is returned. -ELOOP as in rendering.
 */
int mustache_walk(const struct mustache *set, int (*use)(void *ctx, const struct mustache_use *),
		  void *ctx);

/* Appends a value as a tag would: its text, escaped. */
int mustache_put(struct buf *out, const json_t *value, enum mustache_escape escape);
int mustache_escape(struct buf *out, struct str text, enum mustache_escape escape);
