/*
 * From a window's member to the bytes of their mail. Issues are kept here by their frozen content,
 * with one compiled message a variant; letters by list, kind, language and theme. All of it is made
 * once and shared; what is not used any more goes with rendering_drop_issue().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/why.h"
#include "mail/token.h"
#include "send/window.h"

struct rendering;

/* *ret is freed by rendering_free(). */
int rendering_new(struct rendering **ret);
void rendering_free(struct rendering *r);

/* Where letters' templates may lie ("": nowhere). It must live until another is set. */
void rendering_set_templates(struct rendering *r, const char *dir);

/* The key that links are signed with from now on. */
void rendering_set_key(struct rendering *r, const struct token_key *key);
bool rendering_has_key(const struct rendering *r);

/* What is known of an issue besides its content. */
struct rendering_issue {
	int64_t id;
	int32_t list;
	bool resend_doubt; /* the list's policy for mails in doubt */
	const char *uid;
	usec_t expires_at;
};

/* Takes in an issue's content (JSON). -EINVAL with the reason: it isn't one. -ENOMEM. */
int rendering_add_issue(struct rendering *r, const struct rendering_issue *about,
			struct str content, struct why *why);
const struct rendering_issue *rendering_find_issue(const struct rendering *r, int64_t issue);
void rendering_drop_issue(struct rendering *r, int64_t issue);
void rendering_drop_issues(struct rendering *r); /* all of them */

/* A mail ready to go. The texts live in `bytes` and in the struct. */
struct rendered {
	struct buf bytes;
	char from[256]; /* return path: names the reader (VERP) */
	char to[256];
	bool utf8;
};

/*
 * Renders a member's mail into out->bytes, which keeps its memory from mail to mail; sets the
 * member's variant. -ENODATA: no article is for this reader; -EBADMSG: their address can't be
 * mailed; -EINVAL and others with the reason: the issue or the letter can't be rendered for anyone
 * like them; -ENOMEM.
 */
int rendering_mail(struct rendering *r, const struct window *w, struct member *m,
		   struct rendered *out, struct why *why);
