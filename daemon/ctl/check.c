#include "ctl/check.h"

#include <stdio.h>

#include "ctl/output.h"
#include "queries.h"

enum { CHECK_INDENT = 10, CHECK_WORDS = 29 }; /* columns before what is told, and what holds */

#define RECOVER                                                                                    \
	"The rows were changed by hand, or lost by a restore. Compare with a backup; digestctl "   \
	"explain ADDRESS tells a reader's story."

const struct check checks[] = {
    {"stamps", "readers' stamps are gens that their edition has come to", sql_check_stamps,
     "subscriptions", 0, false, RECOVER},
    {"stamps_events", "readers' stamps are those that their events gave", sql_check_stamps_events,
     "events", 0, false, RECOVER},
    {"events", "subscriptions are what their events lead to", sql_check_events, "events", 0, false,
     RECOVER},
    {"event_chain", "each event begins where the one before it ended", sql_check_event_chain,
     "events", 0, false, RECOVER},
    {"event_gens", "events' gens rise, and openings part them", sql_check_event_gens, "events", 0,
     false, RECOVER},
    {"provider", "readers stand with their domain's provider group", sql_check_provider,
     "subscriptions", 0, false,
     "The table of providers was changed. Readers move when their subscription is next written."},
    {"suppression", "who is suppressed is so by address and as a reader", sql_check_suppression,
     "subscribers", 0, false, "Say it again: digestctl subscriber suppress ADDRESS."},
    {"issue_once", "an occurrence opens once, at a gen of its own", sql_check_issue_once, "issues",
     0, false, "Cancel the newer one before it goes on: digestctl issue cancel ISSUE."},
    {"articles", "an edition uses a revision of an article once", sql_check_articles, "articles", 0,
     false, "Pause the issue and look at it: digestctl issue preview ISSUE."},
    {"issue_state", "an issue that has ended has nothing left", sql_check_issue_state, "issues",
     CHECK_ISSUE, false, "Name those who are left: digestctl issue audit ISSUE."},
    {"issue_takes", "nothing is taken of an issue that is held or ended", sql_check_issue_takes,
     "issues", CHECK_ISSUE, false,
     "Stop the engine that took it (digestctl engine ls), and say which version it is."},
    {"lanes", "cursors are beyond all who were taken", sql_check_lanes, "lanes", CHECK_ISSUE, false,
     "Pause the issue: its next take would meet readers who have it. The take itself leaves "
     "them out."},
    {"windows", "windows are whole, and their session's engine's", sql_check_windows, "windows",
     CHECK_ISSUE, false, RECOVER},
    {"window_takes", "a dead session takes nothing", sql_check_window_takes, "windows", CHECK_ISSUE,
     false, "Stop that engine (digestctl engine ls): it works though another took it for dead."},
    {"window_orphans", "no window of a retired engine stays open", sql_check_window_orphans,
     "windows", CHECK_ISSUE, false,
     "Start an engine: it settles them, unsettled readers in doubt."},
    {"window_members", "open windows of an issue share no reader", sql_check_window_members,
     "windows", CHECK_ISSUE, false, "Pause the issue at once: readers named may get it twice."},
    {"window_counts", "windows count what their readers' rows say", sql_check_window_counts,
     "windows", CHECK_ISSUE, false,
     "An issue's numbers are wrong by these; name the readers: digestctl issue audit ISSUE."},
    {"delivery_once", "a reader has one delivery of an issue", sql_check_delivery_once,
     "deliveries", CHECK_ISSUE, false, RECOVER},
    {"delivery_window", "deliveries and tries are of a window of their issue",
     sql_check_delivery_window, "deliveries", CHECK_ISSUE, false, RECOVER},
    {"delivery_deferral", "whose end is known isn't put off", sql_check_delivery_deferral,
     "deferrals", CHECK_ISSUE, false, "Pause the issue at once: readers named would get it again."},
    {"deferral_window", "deferrals are held by an open retry window, or by none",
     sql_check_deferral_window, "deferrals", CHECK_ISSUE, false,
     "Nobody will try them again. Start the engine that had the window, or retire it."},
    {"doubts", "a doubt is sent again once", sql_check_doubts, "deferrals", CHECK_ISSUE, false,
     "Pause the issue, and look at one: digestctl explain ADDRESS --issue ISSUE."},
    {"letters", "letters are queued once, and held by open windows", sql_check_letters, "letters",
     0, false, "Start the engine that had the window, or retire it."},
    {"sessions", "an engine lives one life at a time", sql_check_sessions, "engines", 0, false,
     "Stop the one that shouldn't run: digestctl engine ls."},
    {"partitions", "this month and the next have their place", sql_check_partitions, "partitions",
     CHECK_NOW, false, "Start an engine: it makes what is missing."},
    {"guards", "the constraints and triggers are at work", sql_check_guards, "partitions", 0, false,
     "Make it again as in sql/migrations; then ask once more what it let in."},
    {"sequences", "no id is given out twice", sql_check_sequences, "events", 0, false,
     "As the owner: SELECT setval(pg_get_serial_sequence('TABLE', 'id'), max(id)) FROM TABLE."},
    {"anomalies", "rows that didn't fit", sql_check_anomalies, NULL, CHECK_ISSUE, true,
     "Look at each: they tell what an engine or a relay did that it never should."},
    {0},
};

static const struct output_column told_columns[] = {
    {"what", "WHAT", OUTPUT_TEXT, NULL},
    {"who", "WHO", OUTPUT_TEXT, NULL},
    {"detail", "DETAIL", OUTPUT_TEXT, NULL},
    {0},
};

static void add_issue(struct db_params *p, int64_t issue)
{
	if (issue)
		params_int64(p, issue);
	else
		params_null(p);
}

int check_sizes(struct ctl *ctl, int64_t issue, json_t **ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	json_auto_t *sizes = json_object();
	add_issue(&p, issue);
	int r = ctl_query(ctl, sql_check_sizes, &p, &res);
	if (r != CTL_OK)
		return r;
	for (const struct check *c = checks; c->name; c++)
		if (c->rows && json_object_set_new(
				   sizes, c->rows,
				   json_integer(db_int64(res, 0, db_column(res, c->rows)))) < 0)
			return ctl_no_memory();
	*ret = json_incref(sizes);
	return CTL_OK;
}

int check_run(struct ctl *ctl, const struct check *check, int64_t issue, const json_t *sizes,
	      int64_t most, json_t **ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	const char *limit = most ? arena_printf(&ctl->arena, "%lld", (long long)most) : "ALL";
	const char *sql =
	    limit ? arena_printf(&ctl->arena,
				 "SELECT q.what, q.who, q.detail, count(*) OVER () AS broken"
				 " FROM (%s) q LIMIT %s",
				 check->sql, limit)
		  : NULL;
	if (!sql)
		return ctl_no_memory();
	if (check->params & CHECK_ISSUE)
		add_issue(&p, issue);
	if (check->params & CHECK_NOW)
		params_usec(&p, ctl->now);
	int r = ctl_query(ctl, sql, &p, &res);
	if (r != CTL_OK)
		return r;
	int64_t broken = db_rows(res) ? db_int64(res, 0, db_column(res, "broken")) : 0;
	json_t *looked = check->rows ? json_object_get(sizes, check->rows) : NULL;
	*ret = json_pack("{ss ss sb sO? ss? sI so ss}", "name", check->name, "invariant",
			 check->words, "holds", broken == 0 || check->told_only, "looked_at",
			 looked, "rows", check->rows, "broken", (json_int_t)broken, "told",
			 output_rows(res, told_columns), "remedy", check->remedy);
	return *ret ? CTL_OK : ctl_no_memory();
}

static int show_told(const json_t *row)
{
	_cleanup_buf_ struct buf line = {0};
	output_value(json_object_get(row, "who"), OUTPUT_TEXT, &line);
	buf_adds(&line, ": ");
	output_value(json_object_get(row, "what"), OUTPUT_TEXT, &line);
	buf_adds(&line, " (");
	output_value(json_object_get(row, "detail"), OUTPUT_TEXT, &line);
	if (buf_addc(&line, ')') < 0)
		return ctl_no_memory();
	printf("%*s", CHECK_INDENT, "");
	output_wrapped(CHECK_INDENT, buf_str(&line));
	return CTL_OK;
}

void check_line(const char *state, const char *name, const struct buf *words)
{
	printf("%-8s  %-17s  ", state, name);
	output_wrapped(CHECK_WORDS, buf_str(words));
}

int check_show(const json_t *result)
{
	_cleanup_buf_ struct buf words = {0};
	json_int_t broken = json_integer_value(json_object_get(result, "broken"));
	bool holds = json_is_true(json_object_get(result, "holds"));
	const char *rows = json_string_value(json_object_get(result, "rows"));
	const json_t *told = json_object_get(result, "told");
	size_t i;
	const json_t *row;
	buf_adds(&words, json_string_value(json_object_get(result, "invariant")));
	if (broken)
		buf_printf(&words, ": %lld", (long long)broken);
	if (rows)
		buf_printf(&words, " (%s%lld %s)", broken ? "of " : "",
			   (long long)json_integer_value(json_object_get(result, "looked_at")),
			   rows);
	else if (!broken)
		buf_adds(&words, ": none");
	if (words.err)
		return ctl_no_memory();
	check_line(!holds   ? "BROKEN"
		   : broken ? "told"
			    : "held",
		   json_string_value(json_object_get(result, "name")), &words);
	int r = CTL_OK;
	json_array_foreach(told, i, row) if (r == CTL_OK) r = show_told(row);
	if ((json_int_t)json_array_size(told) < broken)
		printf("%*sand %lld more; --all shows them\n", CHECK_INDENT, "",
		       (long long)(broken - (json_int_t)json_array_size(told)));
	if (broken) {
		printf("          ");
		output_wrapped(10, str_of(json_string_value(json_object_get(result, "remedy"))));
	}
	return r;
}
