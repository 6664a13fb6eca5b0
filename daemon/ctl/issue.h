/*
 * What the files of the noun `issue` share: naming an edition or an issue, the issue that an
 * edition would have now, and seeing one as a reader would. As everywhere in ctl/, functions return
 * an exit status and have told the reason when it isn't CTL_OK; texts live as long as the program.
 */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "ctl/ctl.h"
#include "mail/digest.h"

/* An edition whose issue is to be made. */
struct issue_target {
	int edition, list;
	const char *name; /* "list/edition" */
	const char *list_name, *theme, *lang, *base_url, *postal_address;
	const char *held; /* why it opens nothing by itself, or NULL */
};

/* The issue that an edition would have now. */
struct issue_draft {
	struct issue_target target;
	const char *occurrence;
	const char *subject; /* a template; NULL: the list's */
	const char *theme;   /* frozen, as JSON */
	int64_t *articles;
	size_t count;
	json_t *content; /* owned */
};

void issue_draft_free(struct issue_draft *draft);
#define _cleanup_draft_ _cleanup_(issue_draft_free)

/* "LIST/EDITION", or "LIST" for its default edition. */
int issue_find_target(struct ctl *ctl, const char *text, struct issue_target *ret);

/* Whether it is meant as an issue's number, and not as LIST/EDITION. */
bool issue_is_number(const char *text);

/* Reads --articles and --subject; CTL_FAILED with the reason when nothing is new. */
int issue_draft(struct ctl *ctl, const struct issue_target *target, const char *occurrence,
		struct issue_draft *ret);

/* The frozen content of an opened issue; *ret is the caller's. */
int issue_load(struct ctl *ctl, int64_t issue, json_t **ret);

/* What opening it would do, as an object for programs, which is the caller's; and for people. */
int issue_plan(struct ctl *ctl, const struct issue_draft *draft, json_t **ret);
void issue_plan_show(const json_t *plan);

/* Its number, state and counts in one row of ctl_issue_numbers. */
int issue_numbers(struct ctl *ctl, int64_t issue, struct pg_result **ret);
json_t *issue_numbers_row(const struct pg_result *res);

/*
 * Shows how an issue goes until it has ended: a bar on a terminal, lines elsewhere. *ret_state
 * lives in the arena. CTL_STOPPED: the operator pressed Ctrl-C.
 */
enum { CTL_STOPPED = 130 };
int issue_follow(struct ctl *ctl, int64_t issue, const char **ret_state);

/* ---- as a reader sees it. issue_view.c --------------------------------------------------------
 */

struct issue_view {
	const char *subject, *preheader; /* in the arena */
	struct buf html, text;
};

void issue_view_free(struct issue_view *view);
#define _cleanup_view_ _cleanup_(issue_view_free)

/* For a made-up reader; content is borrowed. */
int issue_view(struct ctl *ctl, json_t *content, const struct digest_variant *variant,
	       struct issue_view *ret);

/* The whole mail for a made-up reader, appended; out may be NULL. *ret_html_size in bytes. */
int issue_mail(struct ctl *ctl, json_t *content, const struct digest_variant *variant,
	       struct buf *out, size_t *ret_html_size);

/* The articles of an issue's content: number, title and url of each. NULL: no memory. */
json_t *issue_articles(const json_t *content);

/* A subject is a template: what it gives with these words. In the arena; NULL: no memory. */
const char *issue_subject(struct ctl *ctl, const char *subject, json_t *words);

/* ---- verbs ------------------------------------------------------------------------------------
 */

int issue_run_open(struct ctl *ctl);
int issue_run_preview(struct ctl *ctl);
int issue_run_test(struct ctl *ctl);
int issue_run_show(struct ctl *ctl);
int issue_run_pause(struct ctl *ctl);
int issue_run_resume(struct ctl *ctl);
int issue_run_cancel(struct ctl *ctl);
int issue_run_settle(struct ctl *ctl);
int issue_run_audit(struct ctl *ctl);
int issue_run_readers(struct ctl *ctl);
