/* queue: what waits, and why. */
#include <stdio.h>

#include "ctl/find.h"
#include "ctl/issue.h"
#include "ctl/nouns.h"
#include "ctl/output.h"
#include "queries.h"

static const struct output_column issue_columns[] = {
    {"issue", "ISSUE", OUTPUT_INT, NULL},
    {"edition", "EDITION", OUTPUT_TEXT, NULL},
    {"ended_readers", "DONE", OUTPUT_INT, NULL},
    {"in_flight", "BEING SENT", OUTPUT_INT, NULL},
    {"deferred", "PUT OFF", OUTPUT_INT, NULL},
    {"why", "NOW", OUTPUT_TEXT, NULL},
    {"state", NULL, OUTPUT_TEXT, NULL},
    {"expires_at", NULL, OUTPUT_TIME, NULL},
    {"next_try", NULL, OUTPUT_TIME, NULL},
    {"lanes_left", NULL, OUTPUT_INT, NULL},
    {"lanes_due", NULL, OUTPUT_INT, NULL},
    {"lanes_from", NULL, OUTPUT_TIME, NULL},
    {0},
};

static const struct output_column lane_columns[] = {
    {"issue", "ISSUE", OUTPUT_INT, NULL},
    {"zone", "ZONE", OUTPUT_TEXT, NULL},
    {"provider", "PROVIDER", OUTPUT_TEXT, NULL},
    {"not_before", "NOT BEFORE", OUTPUT_TIME, NULL},
    {0},
};

static const struct output_column window_columns[] = {
    {"engine", "ENGINE", OUTPUT_INT, NULL},
    {"host", "HOST", OUTPUT_TEXT, NULL},
    {"alive", "ALIVE", OUTPUT_BOOL, NULL},
    {"kind", "KIND", OUTPUT_TEXT, NULL},
    {"issue", "ISSUE", OUTPUT_INT, NULL},
    {"windows", "WINDOWS", OUTPUT_INT, NULL},
    {"readers", "READERS", OUTPUT_INT, NULL},
    {"oldest", NULL, OUTPUT_TIME, NULL},
    {0},
};

static const struct output_column deferral_columns[] = {
    {"issue", "ISSUE", OUTPUT_INT, NULL},     {"provider", "PROVIDER", OUTPUT_TEXT, NULL},
    {"readers", "READERS", OUTPUT_INT, NULL}, {"next_try", "NEXT TRY", OUTPUT_TIME, NULL},
    {"cause", "CAUSE", OUTPUT_TEXT, NULL},    {"held", NULL, OUTPUT_INT, NULL},
    {"reply", NULL, OUTPUT_TEXT, NULL},       {0},
};

static const struct output_column letter_columns[] = {
    {"kind", "LETTERS", OUTPUT_TEXT, NULL},      {"letters", "WAITING", OUTPUT_INT, NULL},
    {"held", "BEING SENT", OUTPUT_INT, NULL},    {"due", "NEXT", OUTPUT_TIME, NULL},
    {"reason", "LAST REPLY", OUTPUT_TEXT, NULL}, {0},
};

static const struct output_column breaker_columns[] = {
    {"relay", "RELAY", OUTPUT_TEXT, NULL},
    {"provider", "PROVIDER", OUTPUT_TEXT, NULL},
    {"open_until", "RESTS UNTIL", OUTPUT_TIME, NULL},
    {"failures", NULL, OUTPUT_INT, NULL},
    {"reason", "REASON", OUTPUT_TEXT, NULL},
    {0},
};

enum { OF_ISSUE = 1, AT_NOW = 2 }; /* parameters of a statement */

static const struct section {
	const char *key, *title, *sql;
	const struct output_column *columns;
	int params;
	bool letters; /* has nothing to do with one issue */
} sections[] = {
    {"issues", "Issues", sql_ctl_queue_issues, issue_columns, OF_ISSUE | AT_NOW, false},
    {"lanes", "Lanes that aren't due yet", sql_ctl_queue_lanes, lane_columns, OF_ISSUE | AT_NOW,
     false},
    {"windows", "Taken by engines", sql_ctl_queue_windows, window_columns, OF_ISSUE, false},
    {"deferrals", "Put off", sql_ctl_queue_deferrals, deferral_columns, OF_ISSUE, false},
    {"letters", "Letters", sql_ctl_queue_letters, letter_columns, 0, true},
    {"breakers", "Relays that rest after trouble", sql_ctl_queue_breakers, breaker_columns, AT_NOW,
     false},
};

static int ask(struct ctl *ctl, const struct section *section, int64_t issue, json_t *object)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	if ((section->params & OF_ISSUE) && issue)
		params_int64(&p, issue);
	else if (section->params & OF_ISSUE)
		params_null(&p);
	if (section->params & AT_NOW)
		params_usec(&p, ctl->now);
	int r = ctl_query(ctl, section->sql, &p, &res);
	if (r != CTL_OK)
		return r;
	return json_object_set_new(object, section->key, output_rows(res, section->columns)) < 0
		   ? ctl_no_memory()
		   : CTL_OK;
}

static int show(struct ctl *ctl, const json_t *object)
{
	int r = CTL_OK, shown = 0;
	for (size_t i = 0; r == CTL_OK && i < ELEMENTS(sections); i++) {
		json_t *rows = json_object_get(object, sections[i].key);
		if (json_array_size(rows) == 0)
			continue;
		printf("%s%s:\n", shown++ ? "\n" : "", sections[i].title);
		r = output_table(ctl, sections[i].columns, json_incref(rows), "");
	}
	if (!shown)
		puts("nothing waits");
	return r;
}

static int run(struct ctl *ctl)
{
	static const struct output_column all[] = {{0}};
	json_auto_t *object = json_object();
	const char *text = ctl_value(ctl, "issue");
	int64_t issue = 0;
	int r = text ? check_number("issue", text, &issue) : CTL_OK;
	if (r == CTL_OK && issue) {
		_cleanup_result_ struct pg_result *res = NULL;
		r = issue_numbers(ctl, issue, &res);
	}
	for (size_t i = 0; r == CTL_OK && i < ELEMENTS(sections); i++)
		if (!issue || !sections[i].letters)
			r = ask(ctl, &sections[i], issue, object);
	if (r != CTL_OK)
		return r;
	return ctl->json ? output_record(ctl, all, json_incref(object)) : show(ctl, object);
}

static const struct ctl_option options[] = {
    {"issue", "ISSUE", "of one issue only"},
    {0},
};

static const struct ctl_verb verbs[] = {
    {NULL, "", "Show what waits, and why.", run, 0, 0, options, NULL, false},
    {0},
};

const struct ctl_noun noun_queue = {"queue", "what waits, and why", verbs};
