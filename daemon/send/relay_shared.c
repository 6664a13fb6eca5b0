/*
 * Breakers that several pools share. Each opens its own at once when it meets trouble, says so, and
 * hears what the others found; the last word is that of where they all tell and hear it. Whose
 * breaker is open asks, once its time is over, whether it may probe.
 *
 * A pool whose relay failed, and was then found well by another, keeps its next trouble with it to
 * itself until a mail of its own went well: it is the way there that is bad, or something else of
 * its own. That the others have the first chance to probe what it opened serves the same end.
 */
#include <stdio.h>

#include "base/log.h"
#include "send/relay_inside.h"

enum { FIRST_CHANCE = 5 }; /* a beat's part by which the others may probe earlier than who failed */

bool relay_would(const struct relay *r, usec_t now)
{
	bool told = !r->fresh || !r->pool->events->probe;
	bool must_ask = r->shared && r->breaker.state == BREAKER_OPEN;
	return told && !must_ask && breaker_would(&r->breaker, now);
}

static struct relay *find(const struct relay_pool *pool, int32_t id)
{
	for (size_t i = 0; id && i < pool->n; i++)
		if (pool->relays[i]->id == id)
			return pool->relays[i];
	return NULL;
}

/* ---- what we tell ---------------------------------------------------------------------------- */

static void tell(struct relay *r, usec_t rest, bool shared, const char *reason)
{
	const struct relay_pool *pool = r->pool;
	if (!pool->events->breaker || r->retired)
		return;
	r->unsaid += shared;
	pool->events->breaker(pool->user, &(struct relay_change){.relay = r->id,
								 .faults = r->breaker.faults,
								 .rest = rest,
								 .shared = shared,
								 .mark = r->mark,
								 .reason = reason});
}

void relay_opened(struct relay *r, usec_t wait, const char *reason)
{
	bool shares = r->pool->events->probe && !r->retired;
	if (r->alone && !r->shared && shares)
		log_warning("relay %s: others found it well: the trouble is ours alone", r->name);
	r->failed = true;
	r->asked = false;
	r->shared = shares && (r->shared || !r->alone);
	tell(r, wait, r->shared, reason);
}

void relay_closed(struct relay *r)
{
	bool shared = r->shared;
	r->shared = r->asked = false;
	tell(r, 0, shared, "");
	relay_schedule(r->pool);
}

void relay_pool_said(struct relay_pool *pool, int32_t relay, bool done)
{
	struct relay *r = find(pool, relay);
	if (!r || !r->unsaid)
		return;
	r->unsaid--;
	if (!done)
		r->shared = false;
}

/* ---- what we hear ---------------------------------------------------------------------------- */

static bool hear_closed(struct relay *r)
{
	if (!r->shared)
		return false;
	r->shared = r->asked = false;
	r->alone = r->failed;
	breaker_close(&r->breaker);
	log_notice("relay %s: works again, as another engine found", r->name);
	relay_schedule(r->pool);
	return true;
}

/* When we may ask to probe it. */
static usec_t probe_at(const struct relay *r, const struct relay_heard *heard, bool again,
		       usec_t now)
{
	usec_t chance = r->failed && r->pool->engines > 1 ? r->pool->beat / FIRST_CHANCE : 0;
	usec_t at = now + heard->resting + chance;
	if (heard->probed)
		return now + r->pool->beat;
	return again && r->breaker.open_until < at ? r->breaker.open_until : at;
}

static void hear_open(struct relay *r, const struct relay_heard *heard, bool again, bool fresh)
{
	usec_t now = clock_mono();
	bool known = r->breaker.state != BREAKER_CLOSED;
	r->shared = true;
	if (r->breaker.state == BREAKER_HALF_OPEN)
		return; /* it is us who probe */
	usec_t at = fresh && !heard->probed ? now : probe_at(r, heard, again && known, now);
	breaker_open(&r->breaker, heard->faults, at);
	if (!known) {
		r->kept_until = 0;
		snprintf(r->trouble, sizeof(r->trouble), "%s", heard->reason);
		log_notice("relay %s: rests, as another engine found: %s", r->name, heard->reason);
	}
	relay_schedule(r->pool);
}

bool relay_pool_heard(struct relay_pool *pool, int32_t relay, const struct relay_heard *heard)
{
	struct relay *r = find(pool, relay);
	if (!r || r->unsaid)
		return false;
	bool again = r->mark == heard->mark, fresh = r->fresh;
	r->mark = heard->mark;
	r->fresh = false;
	if (fresh)
		relay_schedule(pool);
	if (!heard->open)
		return hear_closed(r);
	hear_open(r, heard, again, fresh);
	return false;
}

/* ---- probing --------------------------------------------------------------------------------- */

/* Is there something to probe this relay with? */
static bool has_use(const struct relay *r, usec_t now)
{
	return r->pool->wanted && !r->pool->draining && relay_share(r) && !relay_is_spare(r, now);
}

void relay_ask_probes(struct relay_pool *pool, usec_t now)
{
	for (size_t i = 0; i < pool->n; i++) {
		struct relay *r = pool->relays[i];
		if (!r->shared || r->asked || r->unsaid || r->breaker.state != BREAKER_OPEN ||
		    now < r->breaker.open_until || !r->id || !has_use(r, now))
			continue;
		r->asked = true;
		pool->events->probe(pool->user, r->id, r->mark, true);
	}
}

void relay_give_up_probe(struct relay *r)
{
	const struct relay_pool *pool = r->pool;
	if (!r->shared || r->breaker.state != BREAKER_HALF_OPEN)
		return;
	breaker_open(&r->breaker, r->breaker.faults, clock_mono());
	pool->events->probe(pool->user, r->id, r->mark, false);
}

void relay_leave_probes(struct relay_pool *pool, usec_t now)
{
	for (size_t i = 0; i < pool->n; i++) {
		struct relay *r = pool->relays[i];
		if (!r->breaker.probing && !has_use(r, now))
			relay_give_up_probe(r);
	}
}

void relay_pool_may_probe(struct relay_pool *pool, int32_t relay, bool may)
{
	struct relay *r = find(pool, relay);
	if (!r || !r->asked) {
		if (may)
			pool->events->probe(pool->user, relay, 0, false);
		return;
	}
	r->asked = false;
	if (may)
		breaker_half_open(&r->breaker); /* what has no use for it leaves it */
	else
		breaker_open(&r->breaker, r->breaker.faults, clock_mono() + pool->beat);
	relay_schedule(pool);
}
