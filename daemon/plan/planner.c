#include "plan/planner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mail/theme.h"
#include "queries.h"

/* Why an edition that is due doesn't open: said when it is new, and again now and then. */
struct refusal {
	struct refusal *next;
	int32_t edition;
	usec_t said; /* clock_mono() */
	struct why why;
};

enum { SAY_AGAIN = 3600 }; /* seconds */

struct planner {
	struct planner_parts parts;
	sd_event_source *timer;
	bool asking; /* the question what is due is under way */
	bool stopped;
	bool said_trouble; /* once, until it goes well */
	size_t opening;    /* issues that are being opened */
	struct refusal *refusals;
};

/* An edition that is due, while its issue is being opened. */
struct opening {
	struct planner *planner;
	int64_t issue; /* 0: nothing was new, or another engine was first */
	char *occurrence;
	int32_t edition;
};

static void opening_free(struct opening *o)
{
	free(o->occurrence);
	free(o);
}

static int arm(struct planner *p, usec_t wait)
{
	int r = sd_event_source_set_time_relative(p->timer, wait);
	return r < 0 ? r : sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static void refuse(struct planner *p, int32_t edition, const char *what, const char *text)
{
	struct why why = {""};
	why_set(&why, -EINVAL, "%s: %s", what, text);
	struct refusal *r = p->refusals;
	while (r && r->edition != edition)
		r = r->next;
	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return;
		*r = (struct refusal){.next = p->refusals, .edition = edition};
		p->refusals = r;
	} else if (strcmp(r->why.text, why.text) == 0 &&
		   clock_mono() - r->said < SAY_AGAIN * USEC_PER_SEC) {
		return;
	}
	r->why = why;
	r->said = clock_mono();
	log_error("edition %d is due, but %s", edition, why.text);
}

static void forget_refusal(struct planner *p, int32_t edition)
{
	for (struct refusal **at = &p->refusals; *at; at = &(*at)->next)
		if ((*at)->edition == edition) {
			struct refusal *gone = *at;
			*at = gone->next;
			free(gone);
			return;
		}
}

static int on_opened(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct opening *o = user;
	o->issue = db_rows(rows) == 1 ? db_int64(rows, 0, 0) : 0;
	return 0;
}

static void open_end(void *user, const struct db_end *end)
{
	struct opening *o = user;
	struct planner *p = o->planner;
	p->opening--;
	if (end->outcome == DB_DONE)
		forget_refusal(p, o->edition);
	if (end->outcome == DB_DONE && o->issue) {
		log_info("issue %lld is open: edition %d, %s", (long long)o->issue, o->edition,
			 o->occurrence);
		p->parts.opened(p->parts.user);
	} else if (end->outcome == DB_FAILED && !end->closing) {
		refuse(p, o->edition, "its issue can't be opened", end->error.message);
	}
	opening_free(o);
}

static struct opening *opening_new(struct planner *p, int32_t edition, const char *occurrence)
{
	struct opening *o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	*o = (struct opening){p, 0, strdup(occurrence), edition};
	if (!o->occurrence) {
		free(o);
		return NULL;
	}
	return o;
}

static void submit_opening(struct planner *p, struct opening *o, const char *theme)
{
	/* An instant edition's issue is of one article, which its occurrence names. */
	long long article = 0;
	bool instant = sscanf(o->occurrence, "article-%lld", &article) == 1;
	_cleanup_params_ struct db_params params = {0};
	params_int64(&params, o->edition);
	params_text(&params, o->occurrence);
	if (instant)
		params_int64s(&params, &(int64_t){article}, 1);
	else
		params_null(&params);
	params_null(&params);
	params_text(&params, theme);
	params_usec(&params, clock_now());
	struct db_tx *tx = db_tx_new(p->parts.db, "open an issue");
	db_tx_query(tx, sql_issue_open, &params, on_opened, o);
	if (db_tx_submit(tx, open_end, o) < 0)
		opening_free(o);
	else
		p->opening++;
}

enum { DUE_EDITION, DUE_LIST, DUE_THEME, DUE_LANG, DUE_OCCURRENCE };

static int on_due(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct planner *p = user;
	for (int row = 0; row < db_rows(rows) && !p->stopped; row++) {
		struct why why = {""};
		_cleanup_free_ char *theme = NULL;
		int r =
		    theme_freeze(p->parts.settings->templates_dir, db_text(rows, row, DUE_THEME),
				 db_text(rows, row, DUE_LANG), &theme, &why);
		if (r < 0) {
			refuse(p, db_int(rows, row, DUE_EDITION), "its theme can't be used",
			       why.text[0] ? why.text : strerror(-r));
			continue;
		}
		struct opening *o = opening_new(p, db_int(rows, row, DUE_EDITION),
						db_text(rows, row, DUE_OCCURRENCE));
		if (o)
			submit_opening(p, o, theme);
	}
	return 0;
}

static void due_end(void *user, const struct db_end *end)
{
	struct planner *p = user;
	p->asking = false;
	if (end->outcome == DB_FAILED && !end->closing && !p->said_trouble)
		log_error("what is due can't be asked: %s", end->error.message);
	if (end->outcome == DB_DONE || end->outcome == DB_FAILED)
		p->said_trouble = end->outcome == DB_FAILED;
}

static int on_timer(sd_event_source *timer, uint64_t at, void *user)
{
	(void)timer;
	(void)at;
	struct planner *p = user;
	if (!p->asking && !p->opening && db_is_up(p->parts.db)) {
		_cleanup_params_ struct db_params params = {0};
		params_usec(&params, clock_now());
		struct db_tx *tx = db_tx_new(p->parts.db, "what is due");
		db_tx_query(tx, sql_partitions_ahead, &params, NULL, NULL);
		params_usec(&params, clock_now());
		db_tx_query(tx, sql_editions_due, &params, on_due, p);
		p->asking = db_tx_submit(tx, due_end, p) == 0;
	}
	return arm(p, p->parts.settings->timing.plan);
}

int planner_open(const struct planner_parts *parts, struct planner **ret, struct why *why)
{
	struct planner *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->parts = *parts;
	int r = sd_event_add_time_relative(parts->event, &p->timer, CLOCK_MONOTONIC, 0,
					   10 * USEC_PER_MSEC, on_timer, p);
	if (r < 0) {
		free(p);
		return why_set(why, r, "the planner's timer: %s", strerror(-r));
	}
	*ret = p;
	return 0;
}

void planner_free(struct planner *p)
{
	if (!p)
		return;
	sd_event_source_disable_unref(p->timer);
	while (p->refusals)
		forget_refusal(p, p->refusals->edition);
	free(p);
}

void planner_wake(struct planner *p)
{
	if (!p->stopped)
		arm(p, 0);
}

void planner_reload(struct planner *p, const struct settings *settings)
{
	p->parts.settings = settings;
}

void planner_stop(struct planner *p)
{
	p->stopped = true;
	sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
}
