#include "send/relay_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* A pace lets so much of a second's mails go in one burst. */
#define BURST 0.1

/* ---- what a relay can take ------------------------------------------------------------------- */

unsigned relay_count(const struct relay *r, bool (*what)(const struct smtp *))
{
	unsigned n = 0;
	for (const struct relay_session *s = r->sessions; s; s = s->next)
		n += !what || what(s->smtp);
	return n;
}

unsigned relay_share(const struct relay *r)
{
	const struct relay_pool *pool = r->pool;
	if (pool->place >= pool->engines)
		return 0;
	return r->connections / pool->engines + (pool->place < r->connections % pool->engines);
}

static unsigned connection_limit(const struct relay *r, usec_t now)
{
	unsigned limit = relay_share(r);
	return now < r->kept_until && r->kept_to < limit ? r->kept_to : limit;
}

bool relay_is_spare(const struct relay *r, usec_t now)
{
	if (r->weight)
		return false;
	for (size_t i = 0; i < r->pool->n; i++) {
		const struct relay *other = r->pool->relays[i];
		if (other->weight && other->id && relay_would(other, now))
			return true;
	}
	return false;
}

static bool can_begin(const struct relay *r, usec_t now)
{
	return r->id && relay_share(r) && relay_would(r, now) && !relay_is_spare(r, now) &&
	       pace_due(&r->pace, now) <= now &&
	       (relay_session_idle(r) || relay_count(r, NULL) < connection_limit(r, now));
}

/* The relay that has least to do for its weight. */
static struct relay *choose(const struct relay_pool *pool, usec_t now)
{
	struct relay *best = NULL;
	double least = 0;
	for (size_t i = 0; i < pool->n; i++) {
		struct relay *r = pool->relays[i];
		if (!can_begin(r, now))
			continue;
		double busy = relay_count(r, NULL) - relay_count(r, smtp_idle);
		double load = (busy + 1) / (r->weight ? r->weight : 1);
		if (!best || load < least) {
			best = r;
			least = load;
		}
	}
	return best;
}

/* ---- work ------------------------------------------------------------------------------------ */

void relay_schedule(struct relay_pool *pool)
{
	sd_event_source_set_enabled(pool->work, SD_EVENT_ONESHOT);
}

/* Sets a session of this relay to work: an idle one, or a new one. */
static void begin(struct relay *r, usec_t now)
{
	if (!breaker_try(&r->breaker, now))
		return;
	struct relay_session *idle = relay_session_idle(r);
	if (idle) {
		idle->probe = r->breaker.state == BREAKER_HALF_OPEN;
		idle->good = false;
		smtp_wake(idle->smtp); /* may end it */
		return;
	}
	int res = relay_session_open(r);
	if (res < 0)
		relay_fault(r, strerror(-res));
}

/* Mails wait and can't begin now: when to look again. */
static void set_timer(struct relay_pool *pool, usec_t now)
{
	usec_t at = UINT64_MAX;
	for (size_t i = 0; i < pool->n; i++) {
		const struct relay *r = pool->relays[i];
		usec_t due = pace_due(&r->pace, now);
		if (r->breaker.state == BREAKER_OPEN && r->breaker.open_until > due)
			due = r->breaker.open_until;
		if (due > now && due < at)
			at = due;
	}
	if (at == UINT64_MAX || !pool->wanted)
		return;
	if (sd_event_source_set_time(pool->timer, at) < 0 ||
	    sd_event_source_set_enabled(pool->timer, SD_EVENT_ONESHOT) < 0)
		log_error("relays: no timer");
}

static size_t count_all(const struct relay_pool *pool, bool (*what)(const struct smtp *))
{
	size_t n = 0;
	for (size_t i = 0; i < pool->n; i++)
		n += relay_count(pool->relays[i], what);
	return n;
}

static void relay_free(struct relay *r)
{
	if (r->target.password)
		explicit_bzero((char *)r->target.password, strlen(r->target.password));
	arena_free(&r->arena);
	free(r);
}

/* Frees what is no longer in the settings and has no session left. */
static void free_retired(struct relay_pool *pool)
{
	for (struct relay **at = &pool->retired; *at;) {
		struct relay *r = *at;
		if (r->sessions) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		relay_free(r);
	}
}

/* Sets as many sessions to work as mails wait; those that connect will ask by themselves. */
static void work(struct relay_pool *pool)
{
	usec_t now = clock_mono();
	free_retired(pool);
	if (pool->draining)
		return;
	relay_ask_probes(pool, now);
	size_t coming = count_all(pool, smtp_connecting);
	size_t turns = pool->wanted > coming ? pool->wanted - coming : 0;
	struct relay *r;
	while (turns-- && pool->wanted && (r = choose(pool, now)))
		begin(r, now);
	relay_leave_probes(pool, now);
	set_timer(pool, now);
}

static int on_work(sd_event_source *source, void *userdata)
{
	(void)source;
	work(userdata);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source, (void)usec;
	work(userdata);
	return 0;
}

/* ---- settings -------------------------------------------------------------------------------- */

static enum smtp_tls tls_of(enum settings_tls tls)
{
	switch (tls) {
	case SETTINGS_TLS_REQUIRED: return SMTP_TLS_REQUIRED;
	case SETTINGS_TLS_ALLOWED: return SMTP_TLS_ALLOWED;
	case SETTINGS_TLS_NONE: return SMTP_TLS_NONE;
	case SETTINGS_TLS_IMPLICIT: return SMTP_TLS_IMPLICIT;
	}
	return SMTP_TLS_REQUIRED;
}

static void set_pace(struct relay *r)
{
	double rate = (double)r->rate / r->pool->engines;
	pace_set(&r->pace, rate, rate * BURST);
}

/* What may change without a new connection. */
static void set_limits(struct relay *r, const struct settings_relay *from,
		       const struct settings_timing *t)
{
	r->connections = from->connections > 0 ? (unsigned)from->connections : 1;
	r->rate = from->rate > 0 ? (unsigned)from->rate : 0;
	r->weight = from->weight > 0 ? (unsigned)from->weight : 0;
	r->target.messages =
	    from->messages_per_connection > 0 ? (unsigned)from->messages_per_connection : 0;
	r->target.limits = (struct smtp_limits){
	    .connect = t->relay_connect,
	    .reply = t->relay_reply,
	    .data = t->relay_data,
	    .block = t->relay_block,
	    .dot = t->relay_dot,
	    .idle = t->relay_idle,
	    .quit = smtp_limits_rfc.quit / (usec_t)(t->scale > 0 ? t->scale : 1),
	    .tcp = t->relay_tcp,
	};
	set_pace(r);
}

static const char *copy(struct relay *r, const char *text)
{
	return arena_strdup(&r->arena, text ? text : "");
}

static struct relay *relay_new(struct relay_pool *pool, const struct settings_relay *from,
			       const struct settings_timing *timing)
{
	struct relay *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->pool = pool;
	r->name = copy(r, from->name);
	r->target = (struct smtp_target){
	    .host = copy(r, from->host),
	    .port = from->port,
	    .tls = tls_of(from->tls),
	    .insecure = !from->tls_verify,
	    .ca_file = copy(r, from->ca_file),
	    .user = copy(r, from->user),
	    .password = copy(r, from->password.text),
	    .ehlo = copy(r, from->ehlo),
	};
	const struct smtp_target *t = &r->target;
	if (!r->name || !t->host || !t->ca_file || !t->user || !t->password || !t->ehlo) {
		relay_free(r);
		return NULL;
	}
	r->fresh = true;
	set_limits(r, from, timing);
	return r;
}

static bool same(const char *a, const char *b)
{
	return strcmp(a, b ? b : "") == 0;
}

/* Is it still the same server, entered in the same way? */
static bool is_same(const struct relay *r, const struct settings_relay *s)
{
	const struct smtp_target *t = &r->target;
	return same(r->name, s->name) && same(t->host, s->host) && t->port == s->port &&
	       t->tls == tls_of(s->tls) && t->insecure == !s->tls_verify &&
	       same(t->ca_file, s->ca_file) && same(t->user, s->user) &&
	       same(t->password, s->password.text) && same(t->ehlo, s->ehlo);
}

static void close_sessions(struct relay *r)
{
	for (struct relay_session *s = r->sessions, *next; s; s = next) {
		next = s->next;
		smtp_close(s->smtp);
	}
}

static void retire(struct relay *r)
{
	relay_give_up_probe(r);
	r->retired = true;
	r->next = r->pool->retired;
	r->pool->retired = r;
	close_sessions(r);
}

static struct relay *find_same(const struct relay_pool *pool, const struct settings_relay *s)
{
	for (size_t i = 0; i < pool->n; i++)
		if (is_same(pool->relays[i], s))
			return pool->relays[i];
	return NULL;
}

static bool has(struct relay *const *relays, size_t n, const struct relay *r)
{
	for (size_t i = 0; i < n; i++)
		if (relays[i] == r)
			return true;
	return false;
}

int relay_pool_reload(struct relay_pool *pool, const struct settings *settings, struct why *why)
{
	size_t n = settings->relays.n;
	struct relay **relays = calloc(n ? n : 1, sizeof(struct relay *));
	size_t i = 0;
	for (; relays && i < n; i++) {
		relays[i] = find_same(pool, &settings->relays.items[i]);
		if (!relays[i])
			relays[i] = relay_new(pool, &settings->relays.items[i], &settings->timing);
		if (!relays[i])
			break;
	}
	if (!relays || i < n) {
		while (i--)
			if (!has(pool->relays, pool->n, relays[i]))
				relay_free(relays[i]);
		free(relays);
		return why_set(why, -ENOMEM, "no memory for the relays");
	}
	struct relay **old = pool->relays;
	size_t old_n = pool->n;
	pool->relays = relays;
	pool->n = n;
	pool->backoff = settings->retry.breaker;
	pool->beat = settings->timing.beat;
	for (i = 0; i < n; i++)
		set_limits(relays[i], &settings->relays.items[i], &settings->timing);
	for (i = 0; i < old_n; i++)
		if (!has(relays, n, old[i]))
			retire(old[i]);
	free(old);
	relay_schedule(pool);
	return 0;
}

/* ---- for the owner --------------------------------------------------------------------------- */

static int set_up(struct relay_pool *pool, const struct settings *settings, struct why *why)
{
	sd_event *event = curl_loop_event(pool->loop);
	int r = sd_event_add_defer(event, &pool->work, on_work, pool);
	if (r >= 0)
		r = sd_event_source_set_enabled(pool->work, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(event, &pool->timer, CLOCK_MONOTONIC, UINT64_MAX,
				      USEC_PER_MSEC, on_timer, pool);
	if (r < 0)
		return why_set(why, r, "the event loop: %s", strerror(-r));
	return relay_pool_reload(pool, settings, why);
}

int relay_pool_open(struct curl_loop *loop, const struct settings *settings,
		    const struct relay_events *events, void *user, struct relay_pool **ret,
		    struct why *why)
{
	struct relay_pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return why_set(why, -ENOMEM, "no memory for the relays");
	*pool = (struct relay_pool){.loop = loop, .events = events, .user = user, .engines = 1};
	int r = set_up(pool, settings, why);
	if (r < 0) {
		relay_pool_free(pool);
		return r;
	}
	*ret = pool;
	return 0;
}

static void cut(struct relay *r)
{
	while (r->sessions)
		smtp_abort(r->sessions->smtp); /* its end takes it out of the list */
}

void relay_pool_free(struct relay_pool *pool)
{
	if (!pool)
		return;
	pool->draining = true;
	for (size_t i = 0; i < pool->n; i++) {
		cut(pool->relays[i]);
		relay_free(pool->relays[i]);
	}
	for (struct relay *r = pool->retired; r; r = r->next)
		cut(r);
	free_retired(pool);
	sd_event_source_disable_unref(pool->work);
	sd_event_source_disable_unref(pool->timer);
	free(pool->relays);
	free(pool);
}

size_t relay_pool_count(const struct relay_pool *pool)
{
	return pool->n;
}

const char *relay_pool_name(const struct relay_pool *pool, size_t index)
{
	return pool->relays[index]->name;
}

int32_t relay_pool_id(const struct relay_pool *pool, size_t index)
{
	return pool->relays[index]->id;
}

void relay_pool_set_id(struct relay_pool *pool, size_t index, int32_t id)
{
	struct relay *r = pool->relays[index];
	r->id = id;
	r->mark = 0; /* the database may be another */
	r->asked = false;
	relay_schedule(pool);
}

void relay_pool_wake(struct relay_pool *pool, size_t wanted)
{
	pool->wanted = wanted;
	relay_schedule(pool);
}

bool relay_pool_usable(const struct relay_pool *pool)
{
	usec_t now = clock_mono();
	for (size_t i = 0; i < pool->n && !pool->draining; i++)
		if (pool->relays[i]->id && relay_share(pool->relays[i]) &&
		    (pool->relays[i]->breaker.state != BREAKER_OPEN ||
		     breaker_would(&pool->relays[i]->breaker, now)))
			return true;
	return false;
}

size_t relay_pool_connections(const struct relay_pool *pool)
{
	size_t n = 0;
	for (size_t i = 0; i < pool->n; i++)
		n += relay_share(pool->relays[i]);
	return n;
}

/* Those that rest go first, then those that are on their way, then those at work. */
static struct relay_session *one_too_many(struct relay *r)
{
	struct relay_session *best = NULL;
	unsigned staying = 0;
	for (struct relay_session *s = r->sessions; s; s = s->next) {
		if (s->leaving)
			continue;
		staying++;
		if (!best || smtp_idle(s->smtp) ||
		    (smtp_connecting(s->smtp) && !smtp_idle(best->smtp)))
			best = s;
	}
	return staying > relay_share(r) ? best : NULL;
}

void relay_pool_share(struct relay_pool *pool, unsigned engines, unsigned place)
{
	pool->engines = engines ? engines : 1;
	pool->place = place;
	for (size_t i = 0; i < pool->n; i++) {
		struct relay *r = pool->relays[i];
		struct relay_session *s;
		set_pace(r);
		while ((s = one_too_many(r))) {
			s->leaving = true;
			smtp_close(s->smtp); /* may end it */
		}
	}
	relay_schedule(pool);
}

void relay_pool_cut(struct relay_pool *pool)
{
	for (size_t i = 0; i < pool->n; i++)
		cut(pool->relays[i]);
	for (struct relay *r = pool->retired; r; r = r->next)
		cut(r);
}

void relay_pool_drain(struct relay_pool *pool)
{
	pool->draining = true;
	for (size_t i = 0; i < pool->n; i++)
		close_sessions(pool->relays[i]);
}

bool relay_pool_idle(const struct relay_pool *pool)
{
	for (const struct relay *r = pool->retired; r; r = r->next)
		if (r->sessions)
			return false;
	return count_all(pool, NULL) == 0;
}

void relay_pool_status(const struct relay_pool *pool, char *text, size_t room)
{
	usec_t now = clock_mono();
	size_t n = 0;
	if (room)
		text[0] = '\0';
	for (size_t i = 0; i < pool->n && n < room; i++) {
		const struct relay *r = pool->relays[i];
		int more = snprintf(
		    text + n, room - n,
		    "%srelay %s: %u of %u connections, %llu accepted, %llu put off, %llu refused, "
		    "%llu returned, %llu in doubt, breaker %s",
		    i ? "\n" : "", r->name, relay_count(r, NULL), connection_limit(r, now),
		    (unsigned long long)r->accepted, (unsigned long long)r->put_off,
		    (unsigned long long)r->refused, (unsigned long long)r->returned,
		    (unsigned long long)r->doubts, breaker_state_name(r->breaker.state));
		n += more > 0 ? (size_t)more : 0;
		if (r->breaker.state == BREAKER_CLOSED || n >= room)
			continue;
		more = snprintf(text + n, room - n, " (%s)", r->trouble);
		n += more > 0 ? (size_t)more : 0;
	}
}
