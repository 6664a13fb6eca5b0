/* issue show: one issue, its numbers, articles, who is put off, and lanes that are left. */
#include <stdio.h>

#include "ctl/find.h"
#include "ctl/issue.h"
#include "ctl/output.h"
#include "mail/jsontext.h"
#include "queries.h"

static const struct output_column lane_columns[] = {
    {"zone", "ZONE", OUTPUT_TEXT, NULL},
    {"provider", "PROVIDER", OUTPUT_TEXT, NULL},
    {"not_before", "NOT BEFORE", OUTPUT_TIME, NULL},
    {"eaten", NULL, OUTPUT_BOOL, NULL},
    {"taken_at", NULL, OUTPUT_TIME, NULL},
    {"cursor", NULL, OUTPUT_INT, NULL},
    {0},
};

static const struct output_column deferral_columns[] = {
    {"provider", "PROVIDER", OUTPUT_TEXT, NULL},
    {"cause", "CAUSE", OUTPUT_TEXT, NULL},
    {"readers", "READERS", OUTPUT_INT, NULL},
    {"next_try", "NEXT TRY", OUTPUT_TIME, NULL},
    {"most_tries", "TRIES", OUTPUT_INT, NULL},
    {"reply", "LAST REPLY", OUTPUT_TEXT, NULL},
    {0},
};

static const struct output_column article_columns[] = {
    {"id", "ARTICLE", OUTPUT_INT, NULL},
    {"title", "TITLE", OUTPUT_TEXT, NULL},
    {"url", NULL, OUTPUT_TEXT, NULL},
    {0},
};

static const struct output_column issue_columns[] = {
    {"issue", "issue", OUTPUT_INT, NULL},     {"edition", "edition", OUTPUT_TEXT, NULL},
    {"schedule", NULL, OUTPUT_TEXT, NULL},    {"occurrence", "occurrence", OUTPUT_TEXT, NULL},
    {"gen", NULL, OUTPUT_INT, NULL},          {"uid", NULL, OUTPUT_TEXT, NULL},
    {"topics", "topics", OUTPUT_TEXTS, NULL}, {"for_all", NULL, OUTPUT_BOOL, NULL},
    {"doubt", "doubt is", OUTPUT_TEXT, NULL}, {0},
};

/* In the order in which people read them; the rest is added by issue_numbers_row(). */
static const struct output_column shown[] = {
    {"issue", "Issue", OUTPUT_INT, NULL},          {"edition", "Edition", OUTPUT_TEXT, NULL},
    {"subject", "Subject", OUTPUT_TEXT, NULL},     {"state", "State", OUTPUT_TEXT, NULL},
    {"opened_at", "Opened", OUTPUT_TIME, NULL},    {"ended_at", "Ended", OUTPUT_TIME, NULL},
    {"expires_at", "Expires", OUTPUT_TIME, NULL},  {"topics", "Topics", OUTPUT_TEXTS, NULL},
    {"delivered", "Delivered", OUTPUT_INT, NULL},  {"refused", "Refused", OUTPUT_INT, NULL},
    {"skipped", "Skipped", OUTPUT_INT, NULL},      {"expired", "Not in time", OUTPUT_INT, NULL},
    {"in_doubt", "In doubt", OUTPUT_INT, NULL},    {"in_flight", "Being sent", OUTPUT_INT, NULL},
    {"deferred", "Put off now", OUTPUT_INT, NULL}, {"put_off", "Times put off", OUTPUT_INT, NULL},
    {"next_try", "Next try", OUTPUT_TIME, NULL},   {0},
};

static json_t *list_of(struct ctl *ctl, const char *sql, int64_t issue,
		       const struct output_column *columns, int *ret_status)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, issue);
	*ret_status = ctl_query(ctl, sql, &p, &res);
	json_t *rows = *ret_status == CTL_OK ? output_rows(res, columns) : NULL;
	if (*ret_status == CTL_OK && !rows)
		*ret_status = ctl_no_memory();
	return rows;
}

/* Adds subject (as readers see it) and articles from the frozen content. */
static int add_content(struct ctl *ctl, json_t *object, const struct pg_result *res)
{
	json_auto_t *content = json_loads(db_text(res, 0, db_column(res, "content")), 0, NULL);
	json_t *lead = json_array_get(json_object_get(content, "articles"), 0);
	if (!content || json_object_set(content, "lead", lead ? lead : json_null()) < 0)
		return ctl_no_memory();
	const char *subject =
	    issue_subject(ctl, db_text(res, 0, db_column(res, "subject")), content);
	if (!subject || json_object_set_new(object, "subject", json_string(subject)) < 0 ||
	    json_object_set_new(object, "articles", issue_articles(content)) < 0)
		return ctl_no_memory();
	return CTL_OK;
}

static int gather(struct ctl *ctl, int64_t issue, json_t **ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL, *counted = NULL;
	params_int64(&p, issue);
	int r =
	    ctl_find(ctl, sql_ctl_issue_show, &p, &res, "there is no issue %lld", (long long)issue);
	if (r == CTL_OK)
		r = issue_numbers(ctl, issue, &counted);
	if (r != CTL_OK)
		return r;
	json_auto_t *object = output_row(res, 0, issue_columns);
	json_auto_t *numbers = issue_numbers_row(counted);
	if (!object || !numbers || json_object_update(object, numbers) < 0)
		return ctl_no_memory();
	r = add_content(ctl, object, res);
	json_t *lanes =
	    r == CTL_OK ? list_of(ctl, sql_ctl_issue_lanes, issue, lane_columns, &r) : NULL;
	if (r == CTL_OK && json_object_set_new(object, "lane_list", lanes) < 0)
		r = ctl_no_memory();
	json_t *deferrals =
	    r == CTL_OK ? list_of(ctl, sql_ctl_issue_deferrals, issue, deferral_columns, &r) : NULL;
	if (r == CTL_OK && json_object_set_new(object, "deferral_list", deferrals) < 0)
		r = ctl_no_memory();
	if (r == CTL_OK)
		*ret = json_incref(object);
	return r;
}

static int show_list(struct ctl *ctl, const json_t *object, const char *key,
		     const struct output_column *columns)
{
	json_t *rows = json_object_get(object, key);
	if (json_array_size(rows) == 0)
		return CTL_OK;
	putchar('\n');
	return output_table(ctl, columns, json_incref(rows), "");
}

/* Those that aren't all taken: an issue may have hundreds. */
static int show_lanes(struct ctl *ctl, const json_t *object)
{
	json_t *all = json_object_get(object, "lane_list"), *lane;
	json_auto_t *left = json_array();
	size_t i;
	json_array_foreach(all, i, lane)
	{
		if (!json_is_true(json_object_get(lane, "eaten")) &&
		    json_array_append(left, lane) < 0)
			return ctl_no_memory();
	}
	if (json_array_size(left) == 0)
		return CTL_OK;
	printf("\n%zu of %zu lanes are left:\n", json_array_size(left), json_array_size(all));
	return output_table(ctl, lane_columns, json_incref(left), "");
}

int issue_run_show(struct ctl *ctl)
{
	int64_t issue = 0;
	json_auto_t *object = NULL;
	int r = check_number("issue", ctl_arg(ctl, 0), &issue);
	if (r == CTL_OK)
		r = gather(ctl, issue, &object);
	if (r == CTL_OK)
		r = output_record(ctl, shown, json_incref(object));
	if (r != CTL_OK || ctl->json)
		return r;
	r = show_list(ctl, object, "articles", article_columns);
	if (r == CTL_OK)
		r = show_list(ctl, object, "deferral_list", deferral_columns);
	return r != CTL_OK ? r : show_lanes(ctl, object);
}
