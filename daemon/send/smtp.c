#include "send/smtp_session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { READ = 16 * 1024 };

const struct smtp_limits smtp_limits_rfc = {
    .connect = 60 * USEC_PER_SEC,
    .reply = 300 * USEC_PER_SEC,
    .data = 120 * USEC_PER_SEC,
    .block = 180 * USEC_PER_SEC,
    .dot = 600 * USEC_PER_SEC,
    .idle = 30 * USEC_PER_SEC,
    .quit = 5 * USEC_PER_SEC,
    .tcp = 15 * USEC_PER_SEC,
};

/* ---- the end --------------------------------------------------------------------------------- */

static void disconnect(struct smtp *s)
{
	s->io = sd_event_source_disable_unref(s->io);
	s->timer = sd_event_source_disable_unref(s->timer);
	if (s->easy) {
		curl_loop_remove(s->loop, s->easy);
		curl_easy_cleanup(s->easy);
		s->easy = NULL;
	}
	s->input = (struct str){0};
}

/* Ends the session at once and says what that means for the mails it had. */
void smtp_finish(struct smtp *s, enum smtp_end why, const struct smtp_reply *reply,
		 const char *text)
{
	if (s->state == AT_CLOSED)
		return;
	const struct smtp_mail *mail = s->mail, *next = s->next;
	bool intended = s->intended, kept = smtp_wire_dot(&s->wire) == SMTP_DOT_KEPT;
	s->mail = s->next = NULL;
	s->state = AT_CLOSED;
	s->end = why;
	if (reply)
		s->end_reply = *reply;
	snprintf(s->end_text, sizeof(s->end_text), "%s", text);
	disconnect(s);

	if (mail && !intended)
		s->events->returned(s, mail, why);
	else if (mail && kept)
		s->events->voided(s, mail, why);
	else if (mail)
		s->events->doubt(s, mail, why);
	if (next)
		s->events->returned(s, next, why);
}

static void enter_our_code(struct smtp *s)
{
	s->depth++;
}

/* The last thing that a function called from outside does: `closed` may free the session. */
static void leave_our_code(struct smtp *s)
{
	if (--s->depth > 0 || s->state != AT_CLOSED || s->told)
		return;
	s->told = true;
	s->events->closed(s, s->end, &s->end_reply, s->end_text);
}

/* ---- time ------------------------------------------------------------------------------------ */

void smtp_limit(struct smtp *s, usec_t within)
{
	uint64_t now = 0;
	sd_event_now(curl_loop_event(s->loop), CLOCK_MONOTONIC, &now);
	s->deadline = now + within;
	if (s->armed && s->armed <= s->deadline)
		return;
	s->armed = s->deadline;
	if (sd_event_source_set_time(s->timer, s->armed) < 0 ||
	    sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT) < 0)
		smtp_finish(s, SMTP_END_MEMORY, NULL, "no timer");
}

void smtp_enter(struct smtp *s, enum smtp_state state)
{
	const struct smtp_limits *l = &s->target->limits;
	const usec_t limits[] = {
	    [AT_CONNECTING] = l->connect, [AT_IDLE] = l->idle,  [AT_RSET] = l->reply,
	    [AT_MAIL] = l->reply,         [AT_RCPT] = l->reply, [AT_DATA] = l->data,
	    [AT_BODY] = l->block,         [AT_DOT] = l->block,  [AT_LONE_DOT] = l->reply,
	    [AT_QUIT] = l->quit,
	};
	if (s->state == AT_CLOSED)
		return;
	s->state = state;
	smtp_limit(s, limits[state]);
}

/* ---- the connection -------------------------------------------------------------------------- */

static void take_end_of_input(struct smtp *s)
{
	if (s->state == AT_QUIT)
		smtp_finish(s, s->end, NULL, "");
	else if (s->state == AT_IDLE)
		smtp_finish(s, SMTP_END_ORDERLY, NULL, "closed by the server while idle");
	else
		smtp_finish(s, SMTP_END_CUT, NULL, "the connection was cut");
}

/* Reads once, and acts on every reply that is complete by it. */
static void read_some(struct smtp *s)
{
	char bytes[READ];
	ssize_t n = smtp_wire_recv(&s->wire, bytes, sizeof(bytes));
	if (n == -EAGAIN) {
		s->readable = false;
		return;
	}
	if (n <= 0) {
		take_end_of_input(s);
		return;
	}
	/* Less than fits means that no more is there, but for TLS, which has a buffer of its own.
	 */
	if ((size_t)n < sizeof(bytes) && !s->wire.tls && !s->hung_up && !s->broken)
		s->readable = false;
	s->input = (struct str){bytes, (size_t)n};
	while (s->state != AT_CLOSED && s->input.n) {
		int r = smtp_parse(&s->hello.parser, &s->input);
		if (r < 0)
			smtp_finish(s, SMTP_END_PROTOCOL, NULL, "what came is no SMTP reply");
		else if (r > 0)
			smtp_take_reply(s, &s->hello.parser.reply);
	}
	s->input = (struct str){0};
}

/* Writes and reads until neither goes on. */
static void pump(struct smtp *s)
{
	while (s->state != AT_CLOSED) {
		if (s->wire.pending.n && s->writable && !s->broken)
			smtp_flush(s);
		else if (s->readable)
			read_some(s);
		else
			break;
	}
	if (s->broken && s->state != AT_CLOSED)
		take_end_of_input(s);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source, (void)fd;
	struct smtp *s = userdata;
	enter_our_code(s);
	s->readable = s->writable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->hung_up = true;
	pump(s);
	leave_our_code(s);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	struct smtp *s = userdata;
	enter_our_code(s);
	s->armed = 0;
	if (usec < s->deadline) {
		usec_t now;
		sd_event_now(curl_loop_event(s->loop), CLOCK_MONOTONIC, &now);
		smtp_limit(s, s->deadline > now ? s->deadline - now : 0);
	} else if (s->state == AT_IDLE) {
		smtp_quit(s, SMTP_END_ORDERLY);
		pump(s);
	} else if (s->state == AT_QUIT) {
		smtp_finish(s, s->end, NULL, "");
	} else {
		smtp_finish(s, SMTP_END_TIMEOUT, NULL, "time-out");
	}
	leave_our_code(s);
	return 0;
}

/* curl has logged in, or not. */
static void on_connected(struct curl_job *job, CURL *easy, CURLcode result)
{
	struct smtp *s = (struct smtp *)((char *)job - offsetof(struct smtp, job));
	enum smtp_end why;
	enter_our_code(s);
	curl_socket_t fd = CURL_SOCKET_BAD;
	if (!smtp_hello_good(&s->hello, result, &why)) {
		smtp_finish(s, why, s->hello.refusal.code ? &s->hello.refusal : NULL,
			    s->hello.error);
	} else if (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
		   sd_event_add_io(curl_loop_event(s->loop), &s->io, fd,
				   EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, on_io, s) < 0) {
		smtp_finish(s, SMTP_END_MEMORY, NULL, "can't watch the connection");
	} else {
		memset(&s->hello.parser, 0, sizeof(s->hello.parser));
		s->wire.easy = easy;
		s->wire.tls = smtp_hello_secure(&s->hello);
		s->readable = s->writable = true;
		smtp_enter(s, AT_IDLE);
		pump(s); /* reading at once ties the connection to the handle */
		if (s->state == AT_IDLE && s->events->ready)
			s->events->ready(s);
		if (s->state == AT_IDLE)
			smtp_start(s);
		pump(s);
	}
	leave_our_code(s);
}

/* ---- for the owner --------------------------------------------------------------------------- */

int smtp_open(struct curl_loop *loop, const struct smtp_target *target,
	      const struct smtp_events *events, void *user, struct smtp **ret)
{
	struct smtp *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct smtp){.target = target, .events = events, .user = user, .loop = loop};
	s->job.done = on_connected;
	int r = smtp_hello_easy(&s->hello, target, &s->easy);
	if (r == 0)
		r = sd_event_add_time(curl_loop_event(loop), &s->timer, CLOCK_MONOTONIC, UINT64_MAX,
				      USEC_PER_MSEC, on_timer, s);
	/* After a standstill an answer that is there counts before the time that has passed. */
	if (r >= 0)
		r = sd_event_source_set_priority(s->timer, SD_EVENT_PRIORITY_NORMAL + 1);
	if (r >= 0)
		r = curl_loop_add(loop, s->easy, &s->job);
	if (r < 0) {
		s->told = true;
		smtp_free(s);
		return r;
	}
	smtp_enter(s, AT_CONNECTING);
	if (s->state == AT_CLOSED) {
		s->told = true;
		smtp_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

void smtp_wake(struct smtp *s)
{
	enter_our_code(s);
	if (s->state == AT_IDLE && s->depth == 1) {
		s->readable = true; /* it may have been closed meanwhile */
		pump(s);
		if (s->state == AT_IDLE)
			smtp_start(s);
		pump(s);
	}
	leave_our_code(s);
}

void smtp_close(struct smtp *s)
{
	enter_our_code(s);
	s->closing = true;
	if (s->state == AT_CONNECTING)
		smtp_finish(s, SMTP_END_ORDERLY, NULL, "");
	if (s->state == AT_IDLE) {
		smtp_quit(s, SMTP_END_ORDERLY);
		if (s->depth == 1)
			pump(s);
	}
	leave_our_code(s);
}

void smtp_abort(struct smtp *s)
{
	enter_our_code(s);
	smtp_finish(s, SMTP_END_ABORTED, NULL, "aborted");
	leave_our_code(s);
}

void smtp_free(struct smtp *s)
{
	if (!s)
		return;
	if (!s->told) {
		s->depth++;
		smtp_finish(s, SMTP_END_ABORTED, NULL, "aborted");
		s->depth--;
		s->told = true;
		s->events->closed(s, s->end, &s->end_reply, s->end_text);
	}
	disconnect(s);
	buf_free(&s->wire.out);
	free(s);
}

void *smtp_user(const struct smtp *s)
{
	return s->user;
}

bool smtp_idle(const struct smtp *s)
{
	return s->state == AT_IDLE && !s->closing;
}

bool smtp_connecting(const struct smtp *s)
{
	return s->state == AT_CONNECTING;
}

bool smtp_ahead(const struct smtp *s)
{
	return s->mail != NULL;
}

bool smtp_secure(const struct smtp *s)
{
	return s->wire.tls;
}

unsigned smtp_messages(const struct smtp *s)
{
	return s->messages;
}

const struct smtp_features *smtp_features(const struct smtp *s)
{
	return &s->hello.features;
}

const char *smtp_end_name(enum smtp_end why)
{
	static const char *const names[SMTP_ENDS] = {
	    [SMTP_END_ORDERLY] = "orderly",   [SMTP_END_MESSAGES] = "messages",
	    [SMTP_END_CONNECT] = "connect",   [SMTP_END_TLS] = "tls",
	    [SMTP_END_AUTH] = "auth",         [SMTP_END_REFUSED] = "refused",
	    [SMTP_END_CUT] = "cut",           [SMTP_END_TIMEOUT] = "timeout",
	    [SMTP_END_PROTOCOL] = "protocol", [SMTP_END_WITHHELD] = "withheld",
	    [SMTP_END_ABORTED] = "aborted",   [SMTP_END_MEMORY] = "memory",
	};
	return names[why];
}
