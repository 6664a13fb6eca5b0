/*
 * Sends made-up mails over SMTP sessions, one after another, and prints each event as a line of
 * JSON: what test_smtp.py holds against the server's own account. A mail that came back unstarted
 * goes out again with the next session.
 *
 *   smtp_driver port=N [host=] [tls=none|allowed|required|implicit] [insecure=1] [ca=FILE] [user=]
 *               [password=] [ehlo=] [mails=1] [size=300] [to=r%d@example.org] [from=] [messages=0]
 *               [sessions=5] [withhold=N] [abort=N] [overdue=N] [dots=1] [bare=1] [utf8=1]
 *               [fail=N] [LIMIT=MSEC ...]
 *
 * fail: the Nth allocation of our own code fails. The number of them is told at the end.
 */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "send/reply.h"
#include "send/smtp.h"

struct mail {
	struct smtp_mail smtp;
	int number;
	char to[256];
	bool waits;
};

static struct driver {
	sd_event *event;
	struct curl_loop *loop;
	struct smtp_target target;
	struct mail *mails;
	int n, sessions, withhold, abort_at, overdue, asked;
} d;

/* ---- allocations of our own code (libraries have theirs) --------------------------------------
 */

static long allocations, failing;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
	return ++allocations == failing ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return ++allocations == failing ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return ++allocations == failing ? NULL : __real_realloc(old, size);
}

/* ---- options and lines ----------------------------------------------------------------------- */

static const char *option(char **argv, const char *name, const char *otherwise)
{
	size_t n = strlen(name);
	for (; *argv; argv++)
		if (strncmp(*argv, name, n) == 0 && (*argv)[n] == '=')
			return *argv + n + 1;
	return otherwise;
}

static int number(char **argv, const char *name, int otherwise)
{
	const char *text = option(argv, name, NULL);
	return text ? atoi(text) : otherwise;
}

static void print(const char *event, json_t *more)
{
	if (!more)
		more = json_object();
	json_object_set_new(more, "event", json_string(event));
	json_dumpf(more, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(more);
}

static json_t *of_mail(const struct smtp_mail *smtp)
{
	const struct mail *mail = smtp->user;
	return json_pack("{s:i, s:s}", "mail", mail->number, "to", mail->to);
}

static json_t *of_reply(json_t *to, const struct smtp_reply *reply)
{
	if (!reply)
		return to;
	struct verdict v = reply_class(reply);
	json_t *more =
	    json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:b, s:b}", "stage",
		      smtp_stage_name(reply->stage), "code", reply->code, "enhanced",
		      reply->enhanced, "text", reply->text, "queue_id", reply->queue_id, "class",
		      reply_class_name(v.class), "final", v.final, "spends_try", v.spends_try);
	if (more)
		json_object_update(to, more);
	json_decref(more);
	return to;
}

static json_t *why(json_t *to, enum smtp_end end)
{
	json_object_set_new(to, "why", json_string(smtp_end_name(end)));
	return to;
}

static void on_ready(struct smtp *s)
{
	const struct smtp_features *f = smtp_features(s);
	print("ready", json_pack("{s:b, s:b, s:I, s:b, s:b}", "secure", smtp_secure(s),
				 "pipelining", f->pipelining, "size", (json_int_t)f->size_limit,
				 "8bitmime", f->eightbit, "smtputf8", f->smtputf8));
}

static const struct smtp_mail *on_next(struct smtp *s)
{
	for (int i = 0; i < d.n; i++)
		if (d.mails[i].waits) {
			d.mails[i].waits = false;
			return &d.mails[i].smtp;
		}
	smtp_close(s);
	return NULL;
}

static int on_intent(struct smtp *s, const struct smtp_mail *smtp)
{
	const struct mail *mail = smtp->user;
	print("intent", of_mail(smtp));
	if (mail->number == d.abort_at)
		smtp_abort(s);
	return mail->number == d.withhold ? -ECANCELED : 0;
}

/* That mail may no longer be sent when its second write comes. */
static int on_still(struct smtp *s, const struct smtp_mail *smtp)
{
	(void)s;
	const struct mail *mail = smtp->user;
	return mail->number == d.overdue && ++d.asked == 2 ? -ECANCELED : 0;
}

static void on_returned(struct smtp *s, const struct smtp_mail *smtp, enum smtp_end end)
{
	(void)s;
	struct mail *mail = smtp->user;
	mail->waits = mail->number != d.withhold && mail->number != d.abort_at;
	print("returned", why(of_mail(smtp), end));
}

static void on_voided(struct smtp *s, const struct smtp_mail *smtp, enum smtp_end end)
{
	(void)s;
	((struct mail *)smtp->user)->waits = true;
	print("voided", why(of_mail(smtp), end));
}

static void on_outcome(struct smtp *s, const struct smtp_mail *smtp, const struct smtp_reply *reply)
{
	(void)s;
	print("outcome", of_reply(of_mail(smtp), reply));
}

static void on_doubt(struct smtp *s, const struct smtp_mail *smtp, enum smtp_end end)
{
	(void)s;
	print("doubt", why(of_mail(smtp), end));
}

static void on_anomaly(struct smtp *s, const char *what, const struct smtp_reply *reply)
{
	(void)s;
	print("anomaly", of_reply(json_pack("{s:s}", "what", what), reply));
}

static void go_on(void);

static void on_closed(struct smtp *s, enum smtp_end end, const struct smtp_reply *reply,
		      const char *text)
{
	json_t *line = of_reply(json_object(), reply->code ? reply : NULL);
	json_object_set_new(line, "said", json_string(text));
	print("closed", why(line, end));
	smtp_free(s);
	go_on();
}

static int open_session(void)
{
	static const struct smtp_events events = {
	    .ready = on_ready,
	    .next = on_next,
	    .intent = on_intent,
	    .still = on_still,
	    .returned = on_returned,
	    .voided = on_voided,
	    .outcome = on_outcome,
	    .doubt = on_doubt,
	    .anomaly = on_anomaly,
	    .closed = on_closed,
	};
	struct smtp *s;
	d.sessions--;
	int r = smtp_open(d.loop, &d.target, &events, NULL, &s);
	if (r < 0)
		print("failed", json_pack("{s:s}", "error", strerror(-r)));
	return r;
}

/* Opens the next session while mails wait and sessions are left. */
static void go_on(void)
{
	bool more = false;
	for (int i = 0; i < d.n; i++)
		more |= d.mails[i].waits;
	while (more && d.sessions > 0)
		if (open_session() == 0)
			return;
	sd_event_exit(d.event, 0);
}

static enum smtp_tls tls_of(const char *name)
{
	static const char *const names[] = {"required", "allowed", "none", "implicit"};
	for (int i = 0; i < 4; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum smtp_tls)i;
	return SMTP_TLS_NONE;
}

static void set_target(char **argv)
{
	struct smtp_limits *l = &d.target.limits;
	const struct {
		const char *name;
		usec_t *limit;
	} limits[] = {{"connect", &l->connect}, {"reply", &l->reply}, {"data", &l->data},
		      {"block", &l->block},     {"dot", &l->dot},     {"idle", &l->idle},
		      {"quit", &l->quit},       {"tcp", &l->tcp}};
	d.target = (struct smtp_target){
	    .host = option(argv, "host", "127.0.0.1"),
	    .port = number(argv, "port", 0),
	    .tls = tls_of(option(argv, "tls", "none")),
	    .insecure = number(argv, "insecure", 0),
	    .ca_file = option(argv, "ca", NULL),
	    .user = option(argv, "user", NULL),
	    .password = option(argv, "password", NULL),
	    .ehlo = option(argv, "ehlo", "driver.example"),
	    .messages = (unsigned)number(argv, "messages", 0),
	    .limits = smtp_limits_rfc,
	};
	for (size_t i = 0; i < ELEMENTS(limits); i++)
		*limits[i].limit =
		    (usec_t)number(argv, limits[i].name, (int)(*limits[i].limit / USEC_PER_MSEC)) *
		    USEC_PER_MSEC;
}

/* The address of a mail: `to` is a list by commas, taken in turn; %d in it is the mail's number. */
static void set_address(char *address, size_t room, const char *to, int number_of)
{
	int commas = 0, turn;
	for (const char *c = to; *c; c++)
		commas += *c == ',';
	turn = number_of % (commas + 1);
	while (turn--)
		to = strchr(to, ',') + 1;
	size_t n = strcspn(to, ",");
	const char *mark = memmem(to, n, "%d", 2);
	if (mark)
		snprintf(address, room, "%.*s%d%.*s", (int)(mark - to), to, number_of,
			 (int)(n - (size_t)(mark - to) - 2), mark + 2);
	else
		snprintf(address, room, "%.*s", (int)n, to);
}

static void make_mails(char **argv)
{
	d.n = number(argv, "mails", 1);
	d.mails = calloc((size_t)d.n + 1, sizeof(*d.mails));
	size_t size = (size_t)number(argv, "size", 300);
	for (int i = 0; d.mails && i < d.n; i++) {
		struct mail *mail = &d.mails[i];
		struct buf bytes = {0};
		mail->number = i;
		mail->waits = true;
		set_address(mail->to, sizeof(mail->to), option(argv, "to", "r%d@example.org"), i);
		buf_printf(&bytes, "Message-ID: <%d@driver.example>\r\nSubject: mail %d\r\n\r\n", i,
			   i);
		if (number(argv, "dots", 0))
			buf_adds(&bytes, ".\r\n.leading\r\n..\r\nMAIL FROM:<smuggled@x>\r\n");
		if (number(argv, "bare", 0))
			buf_adds(&bytes, "one\n.\nMAIL FROM:<smuggled@x>\r\n");
		while (bytes.len + 2 < size)
			buf_adds(&bytes, "Seventy characters of a line that stands for many that a "
					 "mail is made of.\r\n");
		mail->smtp = (struct smtp_mail){
		    .from = str_of(option(argv, "from", "list@example.org")),
		    .to = str_of(mail->to),
		    .utf8 = number(argv, "utf8", 0),
		    .user = mail,
		};
		mail->smtp.bytes.p = buf_steal(&bytes, &mail->smtp.bytes.n);
	}
}

int main(int argc, char **argv)
{
	(void)argc;
	setenv("LC_ALL", "C", 1);
	set_target(argv + 1);
	make_mails(argv + 1);
	d.sessions = number(argv + 1, "sessions", 5);
	d.withhold = number(argv + 1, "withhold", -1);
	d.abort_at = number(argv + 1, "abort", -1);
	d.overdue = number(argv + 1, "overdue", -1);
	if (!d.mails || sd_event_new(&d.event) < 0 || curl_loop_open(d.event, &d.loop) < 0)
		return 1;
	allocations = 0;
	failing = number(argv + 1, "fail", 0);
	go_on();
	int r = sd_event_loop(d.event);
	failing = 0;
	print("end", json_pack("{s:I}", "allocations", (json_int_t)allocations));
	curl_loop_close(d.loop);
	sd_event_unref(d.event);
	for (int i = 0; i < d.n; i++)
		free((char *)d.mails[i].smtp.bytes.p);
	free(d.mails);
	return r != 0;
}
