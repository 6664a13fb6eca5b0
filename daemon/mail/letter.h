/*
 * A letter: a single mail outside an issue, compiled in the language of its reader. The templates
 * are letter-<kind> of the list's theme or of all; the subject is the locale's
 * text.mail.<kind>.subject, the preheader text.mail.<kind>.preheader. Letters say that they are
 * automatic (RFC 3834). Only the welcome has List-Unsubscribe: before it and after it there is
 * nothing to unsubscribe from.
 */
#pragma once

#include <jansson.h>

#include "base/arena.h"
#include "base/why.h"
#include "mail/message.h"

struct letter_spec {
	const char *kind;         /* "confirm", "welcome", "goodbye", "test" */
	const char *template_dir; /* changed templates, or NULL: only those in the program */
	json_t *list;             /* as in an issue's content; its theme is looked in first */
	json_t *text;             /* the locale */
	json_t *params;           /* templates see it as params; may be NULL */
};

/*
 * The message is in the arena; the spec is borrowed during the call. Errors as with
 * digest_compile(); -ENOENT: there is no such template.
 */
int letter_compile(struct arena *arena, const struct letter_spec *spec, struct message **ret,
		   struct why *why);
