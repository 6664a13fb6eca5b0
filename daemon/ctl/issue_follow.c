/* Following an issue to its end. It asks the database twice a second and changes nothing. */
#include <signal.h>
#include <string.h>
#include <time.h>

#include "ctl/bar.h"
#include "ctl/issue.h"
#include "ctl/output.h"
#include "queries.h"

enum { ASK_MS = 500, LINE_SECONDS = 5 };

static volatile sig_atomic_t stopped;

static void on_interrupt(int number)
{
	(void)number;
	stopped = 1;
}

int issue_numbers(struct ctl *ctl, int64_t issue, struct pg_result **ret)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, issue);
	return ctl_find(ctl, sql_ctl_issue_numbers, &p, ret, "there is no issue %lld",
			(long long)issue);
}

static const struct output_column numbers[] = {
    {"issue", NULL, OUTPUT_INT, NULL},
    {"state", NULL, OUTPUT_TEXT, NULL},
    {"opened_at", NULL, OUTPUT_TIME, NULL},
    {"ended_at", NULL, OUTPUT_TIME, NULL},
    {"expires_at", NULL, OUTPUT_TIME, NULL},
    {"delivered", NULL, OUTPUT_INT, NULL},
    {"refused", NULL, OUTPUT_INT, NULL},
    {"expired", NULL, OUTPUT_INT, NULL},
    {"skipped", NULL, OUTPUT_INT, NULL},
    {"in_doubt", NULL, OUTPUT_INT, NULL},
    {"put_off", NULL, OUTPUT_INT, NULL},
    {"deferred", NULL, OUTPUT_INT, NULL},
    {"in_flight", NULL, OUTPUT_INT, NULL},
    {"windows", NULL, OUTPUT_INT, NULL},
    {"next_try", NULL, OUTPUT_TIME, NULL},
    {"lanes", NULL, OUTPUT_INT, NULL},
    {"lanes_left", NULL, OUTPUT_INT, NULL},
    {"lanes_from", NULL, OUTPUT_TIME, NULL},
    {0},
};

json_t *issue_numbers_row(const struct pg_result *res)
{
	return output_row(res, 0, numbers);
}

struct follow {
	struct ctl *ctl;
	int64_t issue, audience;
	struct bar bar;
	usec_t began, told_at;
	char line[256]; /* the last that was told */
};

static int64_t number(const struct pg_result *res, const char *column)
{
	return db_int64(res, 0, db_column(res, column));
}

/* What is waited for, when it isn't the wire. */
static void note(struct follow *f, const struct pg_result *res)
{
	const char *state = db_text(res, 0, db_column(res, "state"));
	int64_t deferred = number(res, "deferred"), in_flight = number(res, "in_flight");
	usec_t now = clock_now(), next = db_usec(res, 0, db_column(res, "next_try"));
	bool held = strcmp(state, "open") != 0, alone = number(res, "engines") == 0;
	bool idle = !in_flight && !number(res, "lanes_left");
	f->bar.note[0] = '\0';
	f->bar.waits = held || alone || idle;
	if (held)
		bar_note(&f->bar, "%s", state);
	else if (alone)
		bar_note(&f->bar, "no engine runs");
	else if (deferred && idle && next > now)
		bar_note(&f->bar, "%lld put off, next try in %lld s", (long long)deferred,
			 (long long)((next - now) / USEC_PER_SEC) + 1);
	else if (deferred)
		bar_note(&f->bar, "%lld put off", (long long)deferred);
}

/* Where nobody looks at a bar: a line when something changed, some seconds apart. */
static void tell_line(struct follow *f, int64_t done)
{
	char line[sizeof(f->line)];
	usec_t now = clock_mono();
	snprintf(line, sizeof(line), "%lld of %lld done%s%s", (long long)done,
		 (long long)f->audience, f->bar.note[0] ? ", " : "", f->bar.note);
	if (f->ctl->json || f->bar.visible || strcmp(line, f->line) == 0 ||
	    (f->told_at && now - f->told_at < LINE_SECONDS * USEC_PER_SEC))
		return;
	printf("issue %lld: %s\n", (long long)f->issue, line);
	fflush(stdout);
	memcpy(f->line, line, sizeof(line));
	f->told_at = now;
}

/* CTL_OK and *ret_state: it has ended. */
static int look(struct follow *f, const char **ret_state)
{
	_cleanup_result_ struct pg_result *res = NULL;
	int r = issue_numbers(f->ctl, f->issue, &res);
	if (r != CTL_OK)
		return r;
	int64_t done = number(res, "delivered") + number(res, "refused") + number(res, "expired") +
		       number(res, "skipped") + number(res, "in_doubt");
	if (done > f->audience)
		f->audience = done;
	if (!db_is_null(res, 0, db_column(res, "ended_at"))) {
		*ret_state = arena_strdup(&f->ctl->arena, db_text(res, 0, db_column(res, "state")));
		return *ret_state ? CTL_OK : ctl_no_memory();
	}
	note(f, res);
	bar_show(&f->bar, done, f->audience);
	tell_line(f, done);
	return CTL_OK;
}

static int count_audience(struct follow *f)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, f->issue);
	params_usec(&p, f->ctl->now);
	int r = ctl_query(f->ctl, sql_ctl_issue_audience_of, &p, &res);
	if (r == CTL_OK)
		f->audience = db_int64(res, 0, 0);
	return r;
}

static int stop(const struct follow *f)
{
	fprintf(stderr,
		"digestctl: issue %lld goes on; see: digestctl issue show %lld\n"
		"           to hold it: digestctl issue pause %lld\n",
		(long long)f->issue, (long long)f->issue, (long long)f->issue);
	return CTL_STOPPED;
}

int issue_follow(struct ctl *ctl, int64_t issue, const char **ret_state)
{
	struct follow f = {.ctl = ctl, .issue = issue, .began = clock_mono()};
	const struct sigaction action = {.sa_handler = on_interrupt}; /* ends a sleep */
	struct sigaction before;
	const struct timespec wait = {0, ASK_MS * 1000 * 1000L};
	const char *what = arena_printf(&ctl->arena, "issue %lld", (long long)issue);
	const char *state = NULL;
	if (!what)
		return ctl_no_memory();
	int r = count_audience(&f);
	bar_begin(&f.bar, ctl, what);
	stopped = 0;
	sigaction(SIGINT, &action, &before);
	while (r == CTL_OK && !stopped && (r = look(&f, &state)) == CTL_OK && !state)
		nanosleep(&wait, NULL);
	sigaction(SIGINT, &before, NULL);
	bar_end(&f.bar);
	if (r == CTL_OK && !state)
		return stop(&f);
	if (r == CTL_OK)
		*ret_state = state;
	return r;
}
