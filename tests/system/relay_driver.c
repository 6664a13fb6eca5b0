/*
 * Sends made-up mails through a pool of relays, puts off and sends again what isn't final, and
 * prints events and a summary as lines of JSON (see test_relay.py). Relays have the ids 1, 2 ...
 *
 *   relay_driver relay=PORT:CONNECTIONS:WEIGHT:RATE:MESSAGES ... [mails=100] [to=r%d@example.org]
 *                [size=300] [drain=N] [reload=PORT] [dot=MSEC] [idle=MSEC] [lonely=1] [seconds=300]
 *
 * drain: after so many outcomes; reload: the first relay moves to this port after ten outcomes;
 * dot, idle: the time limits that are tried, all others are long; lonely: each mail is given when
 * no connection is left. A breaker's event tells how many mails its relay and the others were
 * given.
 */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "send/relay.h"
#include "send/reply.h"

enum { RELAYS = 8, TRIES = 6 };

struct mail {
	struct smtp_mail smtp;
	int number, tries, returned;
	int64_t by; /* relays that answered, as decimal digits */
	char to[64];
	bool waits;
	const char *final;
};

static struct {
	sd_event *event;
	struct relay_pool *pool;
	struct settings settings;
	struct settings_relay relays[RELAYS];
	struct mail *mails;
	int n, left, outcomes, drain, reload;
	int given[10]; /* by the relays' ids */
	bool lonely, may_give;
	usec_t began;
} d;

static void print(json_t *line)
{
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(line);
}

static json_t *given(void)
{
	json_t *list = json_array();
	for (size_t i = 0; i < ELEMENTS(d.given); i++)
		json_array_append_new(list, json_integer(d.given[i]));
	return list;
}

static void finish(void)
{
	for (int i = 0; i < d.n; i++) {
		const struct mail *m = &d.mails[i];
		print(json_pack("{s:s, s:i, s:s, s:s, s:i, s:i, s:I}", "event", "final", "mail",
				m->number, "to", m->to, "state", m->final ? m->final : "unsent",
				"tries", m->tries, "returned", m->returned, "by",
				(json_int_t)m->by));
	}
	char status[1000];
	relay_pool_status(d.pool, status, sizeof(status));
	print(json_pack("{s:s, s:f, s:s, s:I, s:o}", "event", "summary", "seconds",
			(double)(clock_mono() - d.began) / (double)USEC_PER_SEC, "status", status,
			"connections", (json_int_t)relay_pool_connections(d.pool), "given",
			given()));
	sd_event_exit(d.event, 0);
}

static size_t waiting(void)
{
	size_t n = 0;
	for (int i = 0; i < d.n; i++)
		n += d.mails[i].waits;
	return n;
}

static const struct smtp_mail *on_next(void *user, int32_t relay)
{
	(void)user;
	static int at;
	if (d.lonely && !d.may_give)
		return NULL;
	for (int i = 0; i < d.n; i++) {
		struct mail *m = &d.mails[(at + i) % d.n];
		if (!m->waits)
			continue;
		at = (at + i + 1) % d.n;
		m->waits = false;
		m->by = m->by * 10 + relay;
		d.given[relay]++;
		d.may_give = false;
		return &m->smtp;
	}
	return NULL;
}

static int on_intent(void *user, const struct smtp_mail *smtp)
{
	(void)user, (void)smtp;
	return 0;
}

static void on_returned(void *user, const struct smtp_mail *smtp, enum smtp_end why)
{
	(void)user, (void)why;
	struct mail *m = smtp->user;
	m->returned++;
	m->waits = true;
}

static void settle(struct mail *m, const char *final)
{
	m->final = final;
	if (--d.left == 0)
		finish();
}

static void on_outcome(void *user, const struct smtp_mail *smtp, const struct smtp_reply *reply)
{
	(void)user;
	struct mail *m = smtp->user;
	struct verdict v = reply_class(reply);
	m->tries += v.spends_try;
	d.outcomes++;
	if (d.outcomes == d.drain)
		relay_pool_drain(d.pool);
	if (d.reload && d.outcomes == 10) {
		d.relays[0].port = d.reload;
		if (relay_pool_reload(d.pool, &d.settings, NULL) < 0)
			sd_event_exit(d.event, 1);
		relay_pool_set_id(d.pool, 0, 9);
	}
	if (v.class == REPLY_ACCEPTED || v.final || m->tries >= TRIES) {
		settle(m, reply_class_name(v.class));
		return;
	}
	m->waits = true;
	relay_pool_wake(d.pool, waiting());
}

static void on_doubt(void *user, const struct smtp_mail *smtp, enum smtp_end why)
{
	(void)user, (void)why;
	settle(smtp->user, "doubt");
}

static void on_breaker(void *user, const struct relay_change *change)
{
	(void)user;
	print(json_pack("{s:s, s:i, s:b, s:i, s:s, s:o}", "event", "breaker", "relay",
			change->relay, "open", change->rest != 0, "faults", (int)change->faults,
			"reason", change->reason, "given", given()));
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)userdata;
	if (d.drain && d.outcomes >= d.drain && relay_pool_idle(d.pool)) {
		finish();
		return 0;
	}
	if (clock_mono() > d.began + (usec_t)d.settings.timing.look) {
		finish();
		return 0;
	}
	if (d.lonely && !d.may_give && relay_pool_idle(d.pool)) {
		d.may_give = true;
		relay_pool_wake(d.pool, 1);
	}
	sd_event_source_set_time(source, usec + 20 * USEC_PER_MSEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void add_relay(const char *text)
{
	struct settings_relay *r = &d.relays[d.settings.relays.n];
	static char names[RELAYS][16];
	*r = (struct settings_relay){.host = "127.0.0.1",
				     .tls = SETTINGS_TLS_NONE,
				     .connections = 4,
				     .weight = 1,
				     .ca_file = "",
				     .user = "",
				     .ehlo = "driver.example"};
	sscanf(text, "%d:%d:%d:%d:%d", &r->port, &r->connections, &r->weight, &r->rate,
	       &r->messages_per_connection);
	snprintf(names[d.settings.relays.n], sizeof(names[0]), "r%zu", d.settings.relays.n + 1);
	r->name = names[d.settings.relays.n++];
}

static void make_mails(const char *to, int size)
{
	d.mails = calloc((size_t)d.n, sizeof(*d.mails));
	if (!d.mails)
		exit(1);
	for (int i = 0; i < d.n; i++) {
		struct mail *m = &d.mails[i];
		struct buf bytes = {0};
		const char *mark = strstr(to, "%d");
		m->number = i;
		m->waits = true;
		snprintf(m->to, sizeof(m->to), "%.*s%d%s", mark ? (int)(mark - to) : 0, to, i,
			 mark ? mark + 2 : to);
		buf_printf(&bytes, "Message-ID: <%d@driver.example>\r\n\r\n", i);
		while ((int)bytes.len < size)
			buf_adds(&bytes, "One of the lines that a mail is made of\r\n");
		m->smtp = (struct smtp_mail){
		    .from = STR("list@example.org"), .to = str_of(m->to), .user = m};
		m->smtp.bytes.p = buf_steal(&bytes, &m->smtp.bytes.n);
	}
	d.left = d.n;
}

static void read_options(char **argv)
{
	const char *to = "r%d@example.org";
	int size = 300, seconds = 300, dot = 60000, idle = 60000, lonely = 0;
	d.n = 100;
	for (; *argv; argv++) {
		if (strncmp(*argv, "relay=", 6) == 0)
			add_relay(*argv + 6);
		else if (strncmp(*argv, "to=", 3) == 0)
			to = *argv + 3;
		sscanf(*argv, "mails=%d", &d.n);
		sscanf(*argv, "size=%d", &size);
		sscanf(*argv, "drain=%d", &d.drain);
		sscanf(*argv, "reload=%d", &d.reload);
		sscanf(*argv, "dot=%d", &dot);
		sscanf(*argv, "idle=%d", &idle);
		sscanf(*argv, "lonely=%d", &lonely);
		sscanf(*argv, "seconds=%d", &seconds);
	}
	d.lonely = lonely;
	make_mails(to, size);
	const usec_t limit = 60 * USEC_PER_SEC;
	d.settings.relays.items = d.relays;
	d.settings.retry.breaker = (struct settings_backoff){
	    .first = 100 * USEC_PER_MSEC, .factor = 2, .cap = USEC_PER_SEC};
	d.settings.timing = (struct settings_timing){
	    .scale = 1,
	    .relay_connect = limit,
	    .relay_reply = limit,
	    .relay_data = limit,
	    .relay_block = limit,
	    .relay_dot = (usec_t)dot * USEC_PER_MSEC,
	    .relay_idle = (usec_t)idle * USEC_PER_MSEC,
	    .relay_tcp = limit,
	    .look = (usec_t)seconds * USEC_PER_SEC,
	};
}

int main(int argc, char **argv)
{
	(void)argc;
	static const struct relay_events events = {
	    .next = on_next,
	    .intent = on_intent,
	    .returned = on_returned,
	    .voided = on_returned,
	    .outcome = on_outcome,
	    .doubt = on_doubt,
	    .breaker = on_breaker,
	};
	_cleanup_(curl_loop_closep)
	struct curl_loop *loop = NULL;
	struct why why = {""};
	log_init("relay_driver");
	setvbuf(stdout, NULL, _IOLBF, 0);
	read_options(argv + 1);
	if (sd_event_new(&d.event) < 0 || curl_loop_open(d.event, &loop) < 0 ||
	    relay_pool_open(loop, &d.settings, &events, NULL, &d.pool, &why) < 0)
		return 1;
	for (size_t i = 0; i < relay_pool_count(d.pool); i++)
		relay_pool_set_id(d.pool, i, (int32_t)i + 1);
	d.began = clock_mono();
	if (!d.lonely)
		relay_pool_wake(d.pool, (size_t)d.n);
	sd_event_add_time_relative(d.event, NULL, CLOCK_MONOTONIC, 20 * USEC_PER_MSEC, 1, on_tick,
				   NULL);
	int r = sd_event_loop(d.event);
	relay_pool_free(d.pool);
	for (int i = 0; i < d.n; i++)
		free((char *)d.mails[i].smtp.bytes.p);
	free(d.mails);
	sd_event_unref(d.event);
	return r != 0;
}
