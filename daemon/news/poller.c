#include "news/poller.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "news/feed.h"
#include "news/fetch.h"
#include "news/stored.h"
#include "queries.h"

enum {
	AT_ONCE = 8,                /* feeds won in one question */
	LEASE_MINUTES = 10,         /* an engine that died is followed by another after these */
	LONGEST_WAIT = 24 * 60 * 60 /* seconds between two tries of a feed that fails */
};

/* A feed that is being fetched or stored. */
struct poll {
	struct poll *next;
	struct poller *poller;
	struct arena arena;
	int32_t feed;
	const char *name, *url, *etag, *last_modified;
	bool local;
	struct str *drop;
	size_t drop_count;
	usec_t every;
	int failures;
	int64_t fresh, changed, suspect;
};

struct poller {
	struct poller_parts parts;
	struct fetcher *fetcher;
	sd_event_source *timer;
	struct poll *polls;
	bool asking, stopped;
	bool said_trouble; /* once, until it goes well */
};

static int arm(struct poller *p, usec_t wait)
{
	int r = sd_event_source_set_time_relative(p->timer, wait);
	return r < 0 ? r : sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static void poll_free(struct poll *poll)
{
	for (struct poll **at = &poll->poller->polls; *at; at = &(*at)->next)
		if (*at == poll) {
			*at = poll->next;
			break;
		}
	arena_free(&poll->arena);
	free(poll);
}

/* ---- what came of it ------------------------------------------------------------------------- */

static void poll_end(void *user, const struct db_end *end)
{
	struct poll *poll = user;
	if (end->outcome == DB_FAILED && !end->closing)
		log_error("feed %s can't be stored: %s", poll->name,
			  end->error.message[0] ? end->error.message : strerror(-end->err));
	if (poll->suspect)
		log_warning("feed %s: %lld articles came with new ids on known links or texts; its "
			    "lists' editions are held: `digestctl feed set %s --flood-ok` or "
			    "`--flood-drop`",
			    poll->name, (long long)poll->suspect, poll->name);
	if (end->outcome == DB_DONE && (poll->fresh || poll->changed))
		log_info("feed %s: %lld new articles, %lld changed", poll->name,
			 (long long)poll->fresh, (long long)poll->changed);
	poll_free(poll);
}

static int on_articles(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct poll *poll = user;
	if (db_rows(rows) == 1) {
		poll->fresh = db_int64(rows, 0, 0);
		poll->changed = db_int64(rows, 0, 1);
		poll->suspect = db_int64(rows, 0, 2);
	}
	return 0;
}

static void submit(struct poll *poll, struct db_tx *tx)
{
	if (db_tx_submit(tx, poll_end, poll) < 0) {
		log_error("feed %s can't be stored: out of memory", poll->name);
		poll_free(poll);
	}
}

/* The next poll after a failure: twice as long each time, up to a day. */
static usec_t failure_wait(const struct poll *poll, usec_t retry_after)
{
	int doublings = poll->failures < 10 ? poll->failures : 10;
	usec_t wait = poll->every << doublings;
	if (wait > LONGEST_WAIT * USEC_PER_SEC)
		wait = LONGEST_WAIT * USEC_PER_SEC;
	return wait > retry_after ? wait : retry_after;
}

static void store_failure(struct poll *poll, const char *reason, usec_t retry_after, bool gone)
{
	/* It may hold words of the server's, which need not be UTF-8, and may be cut. */
	_cleanup_buf_ struct buf line = {0};
	text_line(str_of(reason), &line);
	const char *why = buf_text(&line);
	/* Said once, and again only when it ends: `feed ls` shows the rest. */
	if (poll->failures == 0 || gone)
		log_warning("feed %s%s: %s", poll->name, gone ? " is gone and polled no more" : "",
			    why);
	struct db_tx *tx = db_tx_new(poll->poller->parts.db, "a feed failed");
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, poll->feed);
	params_usec(&p, clock_now() + failure_wait(poll, retry_after));
	params_text(&p, why);
	params_bool(&p, gone);
	db_tx_query(tx, sql_feed_failed, &p, NULL, NULL);
	submit(poll, tx);
}

static void store_unchanged(struct poll *poll)
{
	struct db_tx *tx = db_tx_new(poll->poller->parts.db, "a feed is unchanged");
	_cleanup_params_ struct db_params p = {0};
	usec_t now = clock_now();
	params_int64(&p, poll->feed);
	params_usec(&p, now);
	params_usec(&p, now + poll->every);
	db_tx_query(tx, sql_feed_unchanged, &p, NULL, NULL);
	submit(poll, tx);
}

static int rows_of(struct poll *poll, const struct feed *feed, char **ret)
{
	const char **patterns = arena_array(&poll->arena, poll->drop_count + 1, sizeof(*patterns));
	if (!patterns)
		return -ENOMEM;
	for (size_t i = 0; i < poll->drop_count; i++)
		patterns[i] = poll->drop[i].p;
	const struct drop drop = {patterns, poll->drop_count};
	json_t *rows;
	int r = stored_rows(feed, &drop, &rows);
	if (r < 0)
		return r;
	*ret = json_dumps(rows, JSON_COMPACT);
	json_decref(rows);
	return *ret ? 0 : -ENOMEM;
}

static void store_articles(struct poll *poll, const struct fetch_result *result,
			   const struct feed *feed, const char *rows)
{
	struct poller *p = poll->poller;
	struct db_tx *tx = db_tx_new(p->parts.db, "store a feed");
	_cleanup_params_ struct db_params params = {0};
	usec_t now = clock_now();
	params_int64(&params, poll->feed);
	params_text(&params, rows);
	params_int64(&params, p->parts.settings->feeds.flood);
	params_usec(&params, now);
	db_tx_query(tx, sql_feed_articles, &params, on_articles, poll);

	usec_t wait = feed->ttl > poll->every && feed->ttl < LONGEST_WAIT * USEC_PER_SEC
			  ? feed->ttl
			  : poll->every;
	params_int64(&params, poll->feed);
	params_usec(&params, now);
	params_usec(&params, now + wait);
	params_text(&params, result->etag);
	params_text(&params, result->last_modified);
	params_text(&params, result->moved_to);
	params_text(&params, feed->title);
	db_tx_query(tx, sql_feed_done, &params, NULL, NULL);
	submit(poll, tx);
}

static void take_in(struct poll *poll, const struct fetch_result *result)
{
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_free_ char *rows = NULL;
	struct why why = {""};
	struct feed *feed;
	int r = feed_parse(&arena, buf_str(&result->body), result->content_type, result->url, &feed,
			   &why);
	if (r == 0)
		r = rows_of(poll, feed, &rows);
	if (r < 0)
		store_failure(poll, why.text[0] ? why.text : strerror(-r), 0, false);
	else
		store_articles(poll, result, feed, rows);
}

static void on_fetched(struct fetch_result *result, void *user)
{
	struct poll *poll = user;
	switch (result->status) {
	case FETCH_OK: take_in(poll, result); break;
	case FETCH_NOT_MODIFIED: store_unchanged(poll); break;
	case FETCH_FAILED:
		store_failure(poll, result->why.text, result->retry_after,
			      result->http_status == 410);
		break;
	}
}

/* ---- asking ---------------------------------------------------------------------------------- */

enum { F_ID, F_NAME, F_URL, F_LOCAL, F_ETAG, F_MODIFIED, F_DROP, F_EVERY, F_FAILURES };

static const char *keep(struct poll *poll, const struct pg_result *rows, int row, int column)
{
	return arena_strdup(&poll->arena, db_text(rows, row, column));
}

static struct poll *poll_new(struct poller *p, const struct pg_result *rows, int row)
{
	struct poll *poll = calloc(1, sizeof(*poll));
	if (!poll)
		return NULL;
	poll->poller = p;
	poll->next = p->polls;
	p->polls = poll;
	poll->feed = db_int(rows, row, F_ID);
	poll->name = keep(poll, rows, row, F_NAME);
	poll->url = keep(poll, rows, row, F_URL);
	poll->etag = keep(poll, rows, row, F_ETAG);
	poll->last_modified = keep(poll, rows, row, F_MODIFIED);
	poll->local = db_bool(rows, row, F_LOCAL);
	poll->every = (usec_t)db_int64(rows, row, F_EVERY);
	poll->failures = db_int(rows, row, F_FAILURES);
	int r = db_texts(rows, row, F_DROP, &poll->arena, &poll->drop, &poll->drop_count);
	if (r < 0 || !poll->name || !poll->url) {
		poll_free(poll);
		return NULL;
	}
	return poll;
}

/* The rows are committed when this is called: nothing but the lease was written. */
static int on_feeds(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct poller *p = user;
	const struct settings_feeds *s = &p->parts.settings->feeds;
	for (int row = 0; row < db_rows(rows) && !p->stopped; row++) {
		struct poll *poll = poll_new(p, rows, row);
		if (!poll)
			return -ENOMEM;
		const struct fetch_request request = {
		    .url = poll->url,
		    .etag = poll->etag,
		    .last_modified = poll->last_modified,
		    .user_agent = s->user_agent,
		    .max_bytes = (size_t)s->max_size,
		    .timeout_ms = (unsigned)(s->timeout / USEC_PER_MSEC),
		    .allow_private = poll->local,
		    .allow_file = poll->local,
		};
		int r = fetch_start(p->fetcher, &request, on_fetched, poll);
		if (r < 0)
			store_failure(poll, strerror(-r), 0, false);
	}
	return 0;
}

static void asked(void *user, const struct db_end *end)
{
	struct poller *p = user;
	p->asking = false;
	if (end->outcome == DB_FAILED && !end->closing && !p->said_trouble)
		log_error("which feeds are due can't be asked: %s", end->error.message);
	if (end->outcome == DB_DONE || end->outcome == DB_FAILED)
		p->said_trouble = end->outcome == DB_FAILED;
}

static int on_timer(sd_event_source *timer, uint64_t at, void *user)
{
	(void)timer;
	(void)at;
	struct poller *p = user;
	if (!p->asking && db_is_up(p->parts.db)) {
		char lease[32];
		snprintf(lease, sizeof(lease), "%d minutes", LEASE_MINUTES);
		_cleanup_params_ struct db_params params = {0};
		params_usec(&params, clock_now());
		params_text(&params, lease);
		params_int64(&params, AT_ONCE);
		p->asking = db_query(p->parts.db, sql_feeds_take, &params, on_feeds, asked, p) == 0;
	}
	return arm(p, p->parts.settings->timing.plan);
}

/* ---- its life -------------------------------------------------------------------------------- */

int poller_open(const struct poller_parts *parts, struct poller **ret, struct why *why)
{
	struct poller *p = calloc(1, sizeof(*p));
	if (!p)
		return why_set(why, -ENOMEM, "the poller: no memory left");
	p->parts = *parts;
	int r = fetcher_open(parts->event, &p->fetcher);
	if (r == 0)
		r = sd_event_add_time_relative(parts->event, &p->timer, CLOCK_MONOTONIC, 0,
					       10 * USEC_PER_MSEC, on_timer, p);
	if (r < 0) {
		poller_free(p);
		return why_set(why, r, "the poller: %s", strerror(-r));
	}
	*ret = p;
	return 0;
}

void poller_free(struct poller *p)
{
	if (!p)
		return;
	fetcher_close(p->fetcher);
	while (p->polls)
		poll_free(p->polls);
	sd_event_source_disable_unref(p->timer);
	free(p);
}

void poller_wake(struct poller *p)
{
	if (!p->stopped)
		arm(p, 0);
}

void poller_reload(struct poller *p, const struct settings *settings)
{
	p->parts.settings = settings;
}

void poller_stop(struct poller *p)
{
	p->stopped = true;
	sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
}
