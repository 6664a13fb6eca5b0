#include "web/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum {
	BODY_IGNORED = 16,     /* times web.max_request: a body beyond that ends the connection */
	FORWARDED_MOST = 4096, /* bytes of X-Forwarded-For; only its end matters */
	AWAY_USEC = 2 * 1000 * 1000, /* how long a request waits for a PostgreSQL that is away */
};

enum state {
	STATE_NEW,     /* nothing but its headers is there */
	STATE_READING, /* its body comes in */
	STATE_WAITING, /* suspended, until PostgreSQL answers */
	STATE_READY,   /* the visit has an answer */
	STATE_SENT,    /* which was queued */
};

struct request {
	struct request_parts parts;
	struct MHD_Connection *connection;
	enum state state;
	struct visit visit;
	struct buf body, forwarded;
	uint64_t ignored;          /* bytes of a body that is too large */
	struct db_tx *tx;          /* until its end was told */
	sd_event_source *deadline; /* of WAITING */
};

struct request *request_new(const struct request_parts *parts, struct MHD_Connection *connection)
{
	struct request *r = calloc(1, sizeof(*r));
	if (r)
		*r = (struct request){
		    .parts = *parts, .connection = connection, .visit = {.site = parts->site}};
	return r;
}

void request_free(struct request *r)
{
	if (!r)
		return;
	if (r->tx)
		db_tx_forget(r->tx);
	sd_event_source_disable_unref(r->deadline);
	visit_free(&r->visit);
	buf_free(&r->body);
	buf_free(&r->forwarded);
	free(r);
}

static const char *header(const struct request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

/* ---- who asks ----------------------------------------------------------------------------- */

static enum MHD_Result on_header(void *user, enum MHD_ValueKind kind, const char *key,
				 const char *value)
{
	(void)kind;
	struct request *r = user;
	if (value && strcasecmp(key, "X-Forwarded-For") == 0) {
		if (r->forwarded.len)
			buf_addc(&r->forwarded, ',');
		buf_adds(&r->forwarded, value);
	}
	return MHD_YES;
}

static void find_client(struct request *r)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	MHD_get_connection_values(r->connection, MHD_HEADER_KIND, on_header, r);
	struct str forwarded = buf_str(&r->forwarded);
	if (forwarded.n > FORWARDED_MOST)
		forwarded = str_from(forwarded, forwarded.n - FORWARDED_MOST);
	client_of(&r->parts.site->settings->web.trusted_proxies, info ? info->client_addr : NULL,
		  r->forwarded.err ? STR("") : forwarded, &r->visit.client);
}

/* ---- the answer --------------------------------------------------------------------------- */

static enum MHD_Result add(struct MHD_Response *response, const char *name, const char *value)
{
	return value ? MHD_add_response_header(response, name, value) : MHD_YES;
}

static bool add_headers(struct MHD_Response *response, const struct answer *a)
{
	static const char *const caches[] = {[CACHE_NEVER] = "no-store",
					     [CACHE_ASK] = "no-cache",
					     [CACHE_A_DAY] = "public, max-age=86400"};
	char seconds[16];
	snprintf(seconds, sizeof(seconds), "%u", a->retry_after);
	const struct {
		const char *name, *value;
	} headers[] = {
	    {"Content-Type", a->type},
	    {"Content-Security-Policy", a->csp},
	    {"X-Content-Type-Options", "nosniff"},
	    {"Referrer-Policy", "no-referrer"}, /* links hold tokens */
	    {"Cache-Control", caches[a->cache]},
	    {"Vary", a->cache == CACHE_ASK ? "Accept-Language" : NULL},
	    {"X-Robots-Tag", a->private ? "noindex" : NULL},
	    {"Allow", a->allow},
	    {"Retry-After", a->retry_after ? seconds : NULL},
	};
	for (size_t i = 0; i < ELEMENTS(headers); i++)
		if (!add(response, headers[i].name, headers[i].value))
			return false;
	return true;
}

static enum MHD_Result send_answer(struct request *r)
{
	struct answer *a = &r->visit.answer;
	if (a->body.err) {
		log_error("an answer can't be made: %s", strerror(-a->body.err));
		return MHD_NO;
	}
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    a->body.len, (void *)buf_text(&a->body), MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	enum MHD_Result queued = MHD_NO;
	if (add_headers(response, a))
		queued = MHD_queue_response(r->connection, a->status, response);
	MHD_destroy_response(response);
	if (queued)
		r->state = STATE_SENT;
	return queued;
}

/* ---- PostgreSQL --------------------------------------------------------------------------- */

static void wake(struct request *r)
{
	sd_event_source_disable_unref(steal(r->deadline));
	r->state = STATE_READY;
	MHD_resume_connection(r->connection);
	r->parts.resumed(r->parts.user);
}

static void on_end(void *user, const struct db_end *end)
{
	struct request *r = user;
	r->tx = NULL;
	if (end->outcome == DB_DONE) {
		visit_end(&r->visit);
	} else {
		/* 57014: it took too long. Without SQLSTATE there was no answer. */
		bool away = end->outcome != DB_FAILED || !*end->error.sqlstate ||
			    db_error_in_class(&end->error, "57") ||
			    db_error_in_class(&end->error, "53") ||
			    db_error_is_passing(&end->error);
		if (!away || end->err == -ENOMEM)
			log_error("%s failed: %s", end->name, end->error.message);
		visit_failed(&r->visit, away);
	}
	wake(r);
}

bool request_waits(const struct request *r)
{
	return r->state == STATE_WAITING;
}

void request_give_up(struct request *r)
{
	if (r->tx)
		db_tx_forget(steal(r->tx));
	visit_failed(&r->visit, true);
	wake(r);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source, (void)usec;
	request_give_up(user);
	return 0;
}

/* Hands the questions over and suspends the connection. */
static int ask(struct request *r)
{
	struct db *db = pool_pick(r->parts.pool);
	usec_t limit = r->parts.site->settings->web.timeout;
	usec_t wait = db_is_up(db) || limit / 2 < AWAY_USEC ? limit / 2 : AWAY_USEC;
	int e = sd_event_add_time_relative(r->parts.event, &r->deadline, CLOCK_MONOTONIC, wait, 0,
					   on_deadline, r);
	if (e < 0)
		return e;
	struct db_tx *tx = db_tx_new(db, r->visit.route->path);
	if (tx) {
		db_tx_limit(tx, wait);
		db_tx_replayable(tx, NULL, NULL);
		visit_ask(&r->visit, tx);
	}
	e = tx ? db_tx_submit(tx, on_end, r) : -ENOMEM;
	if (e < 0)
		return e;
	r->tx = tx;
	r->state = STATE_WAITING;
	MHD_suspend_connection(r->connection);
	return 0;
}

/* ---- coming in ---------------------------------------------------------------------------- */

/* The headers are there: what can be refused by them alone is. */
static enum MHD_Result begin(struct request *r, const char *url, const char *method)
{
	struct visit *v = &r->visit;
	uint64_t most = r->parts.site->settings->web.max_request;
	const char *length = header(r, "Content-Length");
	r->body.limit = most;
	r->state = STATE_READING;
	v->path = arena_strdup(&v->arena, url);
	v->method = arena_strdup(&v->arena, strcmp(method, "HEAD") == 0 ? "GET" : method);
	if (!v->path || !v->method)
		return MHD_NO;
	v->accept_language = header(r, "Accept-Language");
	v->agent = header(r, "User-Agent");
	find_client(r);
	if (length && strtoull(length, NULL, 10) > most)
		visit_error(v, 413);
	else if (visit_route(v) == VISIT_ASKS)
		return MHD_YES;
	return send_answer(r);
}

/* Part of the body. What is too large is read on, so that the answer to it can be. */
static enum MHD_Result take(struct request *r, const char *data, size_t *size)
{
	uint64_t most = r->parts.site->settings->web.max_request;
	size_t n = *size;
	*size = 0;
	if (buf_add(&r->body, data, n) == 0)
		return MHD_YES;
	r->ignored += n;
	return r->body.err == -ENOMEM || r->ignored > BODY_IGNORED * most ? MHD_NO : MHD_YES;
}

static enum MHD_Result finish(struct request *r)
{
	struct visit *v = &r->visit;
	if (r->body.err) {
		visit_error(v, 413);
		return send_answer(r);
	}
	struct str type = str_of(header(r, "Content-Type"));
	if (visit_begin(v, type, buf_str(&r->body)) == VISIT_ANSWERED)
		return send_answer(r);
	if (ask(r) == 0)
		return MHD_YES;
	sd_event_source_disable_unref(steal(r->deadline));
	visit_failed(v, false);
	return send_answer(r);
}

enum MHD_Result request_handle(struct request *r, const char *url, const char *method,
			       const char *data, size_t *data_size, bool *ret_answered)
{
	enum MHD_Result result = MHD_NO;
	switch (r->state) {
	case STATE_NEW: result = begin(r, url, method); break;
	case STATE_READING: result = *data_size ? take(r, data, data_size) : finish(r); break;
	case STATE_WAITING: result = MHD_YES; break;
	case STATE_READY: result = send_answer(r); break;
	case STATE_SENT: result = MHD_YES; break;
	}
	*ret_answered = r->state == STATE_SENT;
	return result;
}
