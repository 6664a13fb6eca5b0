/*
 * From templates and data to a compiled message: what digests and letters have in common. Subject
 * and preheader are templates of their own, which the bodies may show ({{issue.subject}},
 * {{preheader}}); a late value in them stays late there too.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/why.h"
#include "mail/listhead.h"
#include "mail/message.h"

enum { COMPOSE_BODY = 4 << 20 }; /* bytes of a body, at most: no mail server takes larger mails */

struct compose_spec {
	const struct mustache *text, *html;
	json_t *data; /* what all templates see; issue.subject and preheader are set in it */
	struct str subject;
	struct str preheader;
	struct listhead_spec list;
	const char *seed; /* what tells this message from others, for the boundary */
	bool unsubscribe;
};

/*
 * -EINVAL, -ENOENT, -ELOOP, -E2BIG, -EOVERFLOW with the reason: a template or a setting of the list
 * is wrong; -ENOMEM.
 */
int compose(struct arena *arena, const struct compose_spec *spec, struct message **ret,
	    struct why *why);
