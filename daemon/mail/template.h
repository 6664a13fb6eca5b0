/*
 * Where templates come from: a directory on disk where the operator keeps changed ones, before the
 * files that were put into the program ("templates/..." in embed.h). Names are relative to either:
 * "mail/magazine/digest.html.mustache".
 *
 * A mail has two templates of one name, NAME.html.mustache and NAME.txt.mustache, looked for in
 * its theme's folder (mail/THEME/) and then among those that all themes share (mail/). So are
 * their partials: {{> card}} in an html template is card.html.mustache, in a text
 * card.txt.mustache. A partial that is missing is an error here, told with file, line and column.
 *
 * `dir` may be NULL: only what is in the program. What fails is told in `why`.
 */
#pragma once

#include <jansson.h>

#include "mail/mustache.h"

enum template_part { TEMPLATE_HTML, TEMPLATE_TEXT };

/*
 * The text of one file, as a view that lives as long as the arena. -ENOENT: neither has it;
 * -EINVAL: a name that could leave the directory, or what is there isn't UTF-8; -EFBIG; -errno.
 */
int template_load(const char *dir, const char *name, struct arena *arena, struct str *ret,
		  struct why *why);

/*
 * Compiles a mail's template with its partials, by name: "digest", "letter-confirm". `theme` may be
 * NULL: only the shared ones.
 */
int template_compile(const char *dir, const char *theme, const char *name, enum template_part part,
		     struct arena *arena, struct mustache **ret, struct why *why);

/*
 * Freezes a theme's digest: {"html": "...", "text": "...", "partials": {"card.html": "..."}}, with
 * just the partials that it reaches. The caller releases the object. It has been compiled once, so
 * a mistake shows now and not when the issue goes out.
 */
int template_collect(const char *dir, const char *theme, json_t **ret, struct why *why);

/* Compiles a part of what template_collect() froze. -EINVAL: the object isn't of that form. */
int template_thaw(const json_t *templates, enum template_part part, struct arena *arena,
		  struct mustache **ret, struct why *why);

/* What template_render_file() is to do. */
struct template_job {
	const char *file;            /* "-": standard input */
	struct str data;             /* JSON of any kind; empty: {} */
	const char *partials;        /* folder of NAME.mustache, or NULL: there are none */
	enum mustache_escape escape; /* MUSTACHE_HTML, as the specification says */
	bool strict;                 /* a partial that is missing is an error */
};

/* Appends what the file gives with the data. out->limit is the most that it may give. */
int template_render_file(const struct template_job *job, struct buf *out, struct why *why);

/* What jansson found wrong with a file: "NAME:3:7: '}' expected"; -EINVAL or -ENOMEM (jansson can't
 * always tell). */
int template_json_error(const char *name, const json_error_t *error, struct why *why);
