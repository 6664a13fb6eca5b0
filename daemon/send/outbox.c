#include "send/outbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/faultpoint.h"
#include "base/log.h"
#include "queries.h"
#include "send/outbox_inside.h"

enum {
	KEYS_EVERY = 60,    /* seconds */
	FIRST_WINDOW = 200, /* readers, before the pace is known */
};

/* ---- timers ---------------------------------------------------------------------------------- */

static int arm(sd_event_source *timer, usec_t wait)
{
	int r = sd_event_source_set_time_relative(timer, wait);
	return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static int add_timer(struct outbox *o, sd_event_source **ret, sd_event_time_handler_t handler,
		     int enabled)
{
	int r = sd_event_add_time_relative(o->event, ret, CLOCK_MONOTONIC, 0, 1000, handler, o);
	return r < 0 ? r : sd_event_source_set_enabled(*ret, enabled);
}

/* A session that couldn't begin is tried again, and a rival looked at often enough. */
static usec_t again_after(const struct outbox *o)
{
	usec_t often = o->settings->timing.dead / 10;
	return often < USEC_PER_SEC ? often : USEC_PER_SEC;
}

static int on_turn_timer(sd_event_source *timer, uint64_t at, void *user)
{
	(void)at;
	struct outbox *o = user;
	outbox_ask(o);
	outbox_turn(o);
	outbox_wire_wake(o);
	return arm(timer, o->settings->timing.look);
}

static int on_soon_timer(sd_event_source *timer, uint64_t at, void *user)
{
	(void)at;
	struct outbox *o = user;
	if (o->state == OUTBOX_WAITING) {
		if (!db_is_up(o->parts.db))
			return arm(timer, again_after(o));
		outbox_enter(o, OUTBOX_BEGINNING);
		return 0;
	}
	if (o->state == OUTBOX_TELLING || o->state == OUTBOX_REJOINING) {
		outbox_server_step(o);
		return 0;
	}
	if (o->turning)
		o->turn_again = true;
	outbox_turn(o);
	return 0;
}

void outbox_turn_soon(struct outbox *o, usec_t wait)
{
	uint64_t due;
	int enabled = SD_EVENT_OFF;
	if (sd_event_source_get_enabled(o->soon_timer, &enabled) >= 0 && enabled != SD_EVENT_OFF &&
	    sd_event_source_get_time(o->soon_timer, &due) >= 0 && due <= clock_mono() + wait)
		return;
	arm(o->soon_timer, wait);
}

/* Before the loop sleeps: replies that no intent carried along get into the journal. */
static int on_flush(sd_event_source *source, void *user)
{
	(void)source;
	struct outbox *o = user;
	int r = o->journal ? journal_flush(o->journal) : 0;
	if (r < 0)
		log_error("the journal can't be written: %s", strerror(-r));
	return 0;
}

/* ---- keys and beats -------------------------------------------------------------------------- */

void outbox_read_keys(struct outbox *o, const struct pg_result *rows)
{
	_cleanup_arena_ struct arena arena = {0};
	struct str secret;
	if (db_rows(rows) == 0 || db_bytes(rows, 0, 1, &arena, &secret) < 0) {
		log_error("there is no key for links: run `digestctl db init` or `key rotate`");
		return;
	}
	struct token_key key = {.id = (uint8_t)db_int(rows, 0, 0)};
	key.len = (uint8_t)(secret.n < TOKEN_KEY ? secret.n : TOKEN_KEY);
	memcpy(key.bytes, secret.p, key.len);
	rendering_set_key(o->rendering, &key);
	explicit_bzero(&key, sizeof(key));
	o->keys_read = clock_mono();
}

static int on_keys(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	outbox_read_keys(user, rows);
	return 0;
}

/* A new session may have begun meanwhile: then more is kept than need be. */
static int on_needed(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct outbox *o = user;
	if (!o->journal || db_rows(rows) != 1)
		return 0;
	int r = journal_tidy(o->journal, db_int(rows, 0, 0), o->settings->timing.journal_keep);
	if (r < 0)
		log_warning("the journal can't be tidied up: %s", strerror(-r));
	return 0;
}

static void tidy_journal(struct outbox *o)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, o->engine);
	params_int64(&p, o->session);
	db_query(o->parts.db, sql_journal_needed, &p, on_needed, NULL, o);
}

static int on_beat_timer(sd_event_source *timer, uint64_t at, void *user)
{
	(void)at;
	struct outbox *o = user;
	bool lives = o->state >= OUTBOX_TELLING && o->state <= OUTBOX_DRAINING;
	outbox_beat(o);
	usec_t every = KEYS_EVERY * USEC_PER_SEC / (usec_t)o->settings->timing.scale;
	if (lives && clock_mono() - o->keys_read > every && db_is_up(o->parts.db)) {
		o->keys_read = clock_mono();
		db_query(o->parts.db, sql_link_keys, NULL, on_keys, NULL, o);
		if (o->journal)
			tidy_journal(o);
	}
	return arm(timer, outbox_beat_wait(o));
}

/* ---- its life -------------------------------------------------------------------------------- */

static void leave_end(void *user, const struct db_end *end)
{
	struct outbox *o = user;
	FAULT_POINT("drain-session-ended");
	if (end->outcome != DB_DONE && !end->closing)
		log_warning("the session's end couldn't be recorded");
	outbox_end(o, o->outdated ? -ESTALE : 0);
}

static void leave(struct outbox *o)
{
	FAULT_POINT("drain-all-recorded");
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, o->session);
	params_usec(&p, clock_now());
	if (db_query(o->parts.db, sql_session_end, &p, NULL, leave_end, o) < 0)
		outbox_end(o, 0);
}

static void start_draining(struct outbox *o)
{
	FAULT_POINT("drain-begun");
	for (struct window *w = o->windows; w; w = w->next)
		outbox_return_waiting(o, w, "shut down", 0);
	outbox_wire_close(o);
	FAULT_POINT("drain-waiting-returned");
	arm(o->drain_timer, o->settings->timing.drain);
	outbox_turn_soon(o, 0);
}

void outbox_enter(struct outbox *o, enum outbox_state state)
{
	if (o->state == OUTBOX_ENDED)
		return;
	enum outbox_state before = o->state;
	o->state = state;
	switch (state) {
	case OUTBOX_WAITING: arm(o->soon_timer, again_after(o)); break;
	case OUTBOX_BEGINNING: outbox_past_begin(o); break;
	case OUTBOX_TELLING:
		if (!o->telling_since)
			o->telling_since = clock_boot();
		__attribute__((fallthrough));
	case OUTBOX_REJOINING: outbox_turn_soon(o, 0); break;
	case OUTBOX_RUNNING:
		o->telling_since = 0;
		o->said_absent = false;
		log_info("session %d of engine %d begins", o->session, o->engine);
		outbox_relays_name(o);
		outbox_join(o);
		arm(o->beat_timer, outbox_beat_wait(o));
		if (o->parts.ready)
			o->parts.ready(o->parts.user);
		break;
	case OUTBOX_FENCED:
		arm(o->drain_timer, o->settings->timing.drain);
		outbox_turn_soon(o, 0);
		break;
	case OUTBOX_DRAINING:
		if (o->parts.draining)
			o->parts.draining(o->parts.user);
		if (before >= OUTBOX_RUNNING)
			start_draining(o);
		else
			outbox_end(o, 0);
		break;
	case OUTBOX_LEAVING: leave(o); break;
	case OUTBOX_ENDED: break;
	}
}

void outbox_end(struct outbox *o, int result)
{
	if (o->state == OUTBOX_ENDED)
		return;
	o->state = OUTBOX_ENDED;
	o->parts.ended(o->parts.user, result);
}

void outbox_wake(struct outbox *o)
{
	outbox_ask(o);
	if (o->state == OUTBOX_WAITING && !o->rival.id && db_is_up(o->parts.db))
		outbox_enter(o, OUTBOX_BEGINNING);
	else if (o->state >= OUTBOX_RUNNING)
		outbox_turn_soon(o, 0);
}

void outbox_sessions_changed(struct outbox *o)
{
	if (o->state == OUTBOX_RUNNING)
		outbox_beat(o);
}

void outbox_relays_changed(struct outbox *o)
{
	if (o->state == OUTBOX_RUNNING)
		outbox_relays_look(o);
}

void outbox_drain(struct outbox *o)
{
	if (o->state < OUTBOX_DRAINING)
		outbox_enter(o, OUTBOX_DRAINING);
}

void outbox_issue_ended(struct outbox *o, int64_t issue)
{
	for (const struct window *w = o->windows; w; w = w->next)
		if (w->issue == issue)
			return;
	rendering_drop_issue(o->rendering, issue);
}

static int on_drain_timer(sd_event_source *timer, uint64_t at, void *user)
{
	(void)timer;
	(void)at;
	struct outbox *o = user;
	if (o->state < OUTBOX_FENCED)
		return 0;
	if (o->state == OUTBOX_FENCED) {
		outbox_fence_cut(o);
		return 0;
	}
	log_warning("not everything came to its end in time");
	outbox_end(o, -ETIME);
	return 0;
}

int outbox_reload(struct outbox *o, const struct settings *settings, struct why *why)
{
	int r = outbox_wire_reload(o, settings, why);
	if (r == 0) {
		o->settings = settings;
		rendering_set_templates(o->rendering, settings->templates_dir);
		/* Also before the pace is measured again. */
		if (o->window_size > (size_t)settings->window.size)
			o->window_size = (size_t)settings->window.size;
	}
	return r;
}

void outbox_status(const struct outbox *o, char *text, size_t room)
{
	if (o->state < OUTBOX_RUNNING) {
		snprintf(text, room,
			 o->state == OUTBOX_TELLING
			     ? "waiting for the other engines, after a fail-over"
			     : "waiting for the database");
		return;
	}
	size_t waiting = 0, out = 0;
	for (const struct window *w = o->windows; w; w = w->next) {
		waiting += w->in_state[MEMBER_WAITING];
		out += w->in_state[MEMBER_OUT] + w->in_state[MEMBER_INTENT];
	}
	snprintf(text, room, "%zu taken and waiting, %zu on the wire, %.0f a second", waiting, out,
		 o->pace);
}

static int add_timers(struct outbox *o)
{
	int r = add_timer(o, &o->turn_timer, on_turn_timer, SD_EVENT_ONESHOT);
	if (r >= 0)
		r = add_timer(o, &o->soon_timer, on_soon_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = add_timer(o, &o->beat_timer, on_beat_timer, SD_EVENT_ONESHOT);
	if (r >= 0)
		r = add_timer(o, &o->drain_timer, on_drain_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_post(o->event, &o->flush, on_flush, o);
	return r < 0 ? r : 0;
}

int outbox_open(const struct outbox_parts *parts, struct outbox **ret, struct why *why)
{
	struct outbox *o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->parts = *parts;
	o->settings = parts->settings;
	o->event = sd_event_ref(curl_loop_event(parts->curl));
	o->may_take = true;
	o->alive = 1;
	snprintf(o->idle_limit, sizeof(o->idle_limit), "%llu",
		 (unsigned long long)(o->settings->timing.stop_after / USEC_PER_MSEC));
	size_t most = (size_t)o->settings->window.size;
	o->window_size = most < FIRST_WINDOW ? most : FIRST_WINDOW;
	o->pace_at = clock_mono();
	outbox_ask(o);
	int r = rendering_new(&o->rendering);
	if (r == 0)
		rendering_set_templates(o->rendering, o->settings->templates_dir);
	if (r == 0)
		r = add_timers(o);
	if (r == 0)
		r = outbox_wire_open(o, why);
	if (r < 0) {
		outbox_free(o);
		return r;
	}
	*ret = o;
	return 0;
}

void outbox_free(struct outbox *o)
{
	if (!o)
		return;
	o->state = OUTBOX_ENDED;
	outbox_wire_free(o);
	windows_free(&o->taken);
	windows_free(&o->windows);
	sd_event_source_disable_unref(o->turn_timer);
	sd_event_source_disable_unref(o->soon_timer);
	sd_event_source_disable_unref(o->beat_timer);
	sd_event_source_disable_unref(o->drain_timer);
	sd_event_source_disable_unref(o->flush);
	journal_close(o->journal);
	outbox_others_free(o);
	free(o->known);
	rendering_free(o->rendering);
	sd_event_unref(o->event);
	free(o);
}
