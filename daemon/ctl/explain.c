/* explain: everything that happened to one reader, told as a story. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ctl/find.h"
#include "ctl/issue.h"
#include "ctl/nouns.h"
#include "ctl/output.h"
#include "queries.h"

enum { ISSUES = 20, DATE_COLUMNS = 25 };

static const struct output_column line_columns[] = {
    {"at", NULL, OUTPUT_TIME, NULL},     {"kind", NULL, OUTPUT_TEXT, NULL},
    {"issue", NULL, OUTPUT_INT, NULL},   {"text", NULL, OUTPUT_TEXT, NULL},
    {"detail", NULL, OUTPUT_JSON, NULL}, {0},
};

static const struct output_column subscription_columns[] = {
    {"edition", "EDITION", OUTPUT_TEXT, NULL},
    {"status", "STATUS", OUTPUT_TEXT, NULL},
    {"zone", "ZONE", OUTPUT_TEXT, NULL},
    {"provider", "PROVIDER", OUTPUT_TEXT, NULL},
    {"topics", "TOPICS", OUTPUT_TEXTS, NULL},
    {"paused_until", NULL, OUTPUT_TIME, NULL},
    {"joined_gen", NULL, OUTPUT_INT, NULL},
    {"placed_gen", NULL, OUTPUT_INT, NULL},
    {0},
};

/* ---- for people -------------------------------------------------------------------------------
 */

static int print_line(const json_t *line)
{
	_cleanup_buf_ struct buf date = {0}, text = {0};
	output_value(json_object_get(line, "at"), OUTPUT_TIME, &date);
	text_shown(str_of(json_string_value(json_object_get(line, "text"))), &text);
	if (date.err || text.err)
		return ctl_no_memory();
	printf("%-*s", DATE_COLUMNS, buf_text(&date));
	output_wrapped(DATE_COLUMNS, buf_str(&text));
	return CTL_OK;
}

static int show_lines(const json_t *lines)
{
	size_t i;
	json_t *line;
	int r = CTL_OK;
	json_array_foreach(lines, i, line) if (r == CTL_OK) r = print_line(line);
	return r;
}

static int show(struct ctl *ctl, const struct pg_result *who, json_t *subscriptions, json_t *lines)
{
	_cleanup_buf_ struct buf head = {0}, safe = {0};
	const char *name = db_text(who, 0, 2);
	buf_printf(&head, "%s%s%s, reader %lld", db_text(who, 0, 1), *name ? ", " : "", name,
		   (long long)db_int64(who, 0, 0));
	if (!db_is_null(who, 0, 3))
		buf_printf(&head, ": never to be mailed again (%s)",
			   db_is_null(who, 0, 4) ? "no reason kept" : db_text(who, 0, 4));
	text_shown(buf_str(&head), &safe);
	if (head.err || safe.err)
		return ctl_no_memory();
	puts(buf_text(&safe));
	putchar('\n');
	int r = output_table(ctl, subscription_columns, json_incref(subscriptions),
			     "subscribed to nothing");
	if (r == CTL_OK && json_array_size(lines))
		putchar('\n');
	return r != CTL_OK ? r : show_lines(lines);
}

/* ---- asking -----------------------------------------------------------------------------------
 */

/* An erased reader's address is known as a suppressed one at most. */
static int unknown(struct ctl *ctl, const struct address *address)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_text(&p, address->norm);
	int r = ctl_query(ctl, sql_ctl_issue_suppressed, &p, &res);
	if (r != CTL_OK)
		return r;
	if (db_rows(res) == 0)
		return ctl_fail(CTL_NOT_FOUND,
				"nobody here has the address %s; who was erased is known by number "
				"only: digestctl explain NUMBER",
				address->display);
	const char *reason = db_text(res, 0, 0);
	json_t *lines =
	    json_pack("[{so ss sn ss so}]", "at", output_time(db_usec(res, 0, 1)), "kind",
		      "suppression", "issue", "text", "never to be mailed again", "detail",
		      json_pack("{ss}", "reason", reason));
	if (ctl->json)
		return output_table(ctl, line_columns, lines, "");
	json_decref(lines);
	printf("%s isn't a reader, and is never to be mailed again (%s)\n", address->display,
	       reason);
	return CTL_OK;
}

static int ask_lines(struct ctl *ctl, int64_t subscriber, int64_t issue, json_t **ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, subscriber);
	if (issue)
		params_int64(&p, issue);
	else
		params_null(&p);
	params_usec(&p, ctl->now);
	params_int64(&p, ISSUES);
	int r = ctl_query(ctl, sql_ctl_explain, &p, &res);
	if (r == CTL_OK && !(*ret = output_rows(res, line_columns)))
		r = ctl_no_memory();
	return r;
}

static int ask_subscriptions(struct ctl *ctl, int64_t subscriber, json_t **ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, subscriber);
	int r = ctl_query(ctl, sql_ctl_explain_subscriptions, &p, &res);
	if (r == CTL_OK && !(*ret = output_rows(res, subscription_columns)))
		r = ctl_no_memory();
	return r;
}

static int explain(struct ctl *ctl, const struct pg_result *who, int64_t issue)
{
	json_auto_t *lines = NULL, *subscriptions = NULL;
	int64_t subscriber = db_int64(who, 0, 0);
	int r = ask_lines(ctl, subscriber, issue, &lines);
	if (r == CTL_OK && ctl->json)
		return output_table(ctl, line_columns, json_incref(lines), "");
	if (r == CTL_OK)
		r = ask_subscriptions(ctl, subscriber, &subscriptions);
	return r != CTL_OK ? r : show(ctl, who, subscriptions, lines);
}

/* A reader's number, whose address isn't kept any more. */
static int erased(struct ctl *ctl, int64_t subscriber, int64_t issue)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	json_auto_t *lines = NULL;
	params_int64(&p, subscriber);
	int r = ctl_query(ctl, sql_ctl_explain_erased, &p, &res);
	if (r == CTL_OK && !db_bool(res, 0, 0))
		return ctl_fail(CTL_NOT_FOUND, "there never was a reader %lld",
				(long long)subscriber);
	if (r == CTL_OK)
		r = ask_lines(ctl, subscriber, issue, &lines);
	if (r != CTL_OK || ctl->json)
		return r != CTL_OK ? r : output_table(ctl, line_columns, json_incref(lines), "");
	printf("reader %lld was erased: the address isn't kept, what was sent stays true\n\n",
	       (long long)subscriber);
	return show_lines(lines);
}

static int run(struct ctl *ctl)
{
	struct address address;
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *who = NULL;
	const char *text = ctl_value(ctl, "issue"), *reader = ctl_arg(ctl, 0);
	bool by_number = issue_is_number(reader);
	int64_t issue = 0, number = 0;
	int r = text ? check_number("issue", text, &issue) : CTL_OK;
	if (r == CTL_OK)
		r = by_number ? check_number("subscriber", reader, &number)
			      : check_address(reader, &address);
	if (r == CTL_OK && issue) {
		_cleanup_result_ struct pg_result *res = NULL;
		r = issue_numbers(ctl, issue, &res);
	}
	if (r != CTL_OK)
		return r;
	params_text(&p, by_number ? NULL : address.norm);
	if (by_number)
		params_int64(&p, number);
	else
		params_null(&p);
	r = ctl_query(ctl, sql_ctl_explain_who, &p, &who);
	if (r != CTL_OK)
		return r;
	if (db_rows(who))
		return explain(ctl, who, issue);
	return by_number ? erased(ctl, number, issue) : unknown(ctl, &address);
}

static const struct ctl_option options[] = {
    {"issue", "ISSUE", "of one issue only (default: the 20 newest of their lists)"},
    {0},
};

static const struct ctl_verb verbs[] = {
    {NULL, "ADDRESS|NUMBER", "Tell everything that happened to one reader.", run, 1, 1, options,
     "An issue is for those who were its readers when it opened. Each time an edition opens one,\n"
     "its gen rises; readers note the gen at which they came, and the issue the one at which it\n"
     "opened. Windows are told as SESSION.NUMBER of the engine's host. In doubt is what was "
     "handed\n"
     "over and whose answer was never seen: it says who decided so, and what became of it. The\n"
     "number of a reader, as audits tell it, finds one who was erased, too.",
     false},
    {0},
};

const struct ctl_noun noun_explain = {"explain", "everything that happened to one reader", verbs};
