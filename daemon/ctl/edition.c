/* edition: the rhythms of a list. */
#include <stdio.h>
#include <string.h>

#include "ctl/find.h"
#include "ctl/nouns.h"
#include "ctl/output.h"
#include "queries.h"

static const char more[] = "SCHEDULE is one of\n"
			   "  manual               issues are opened by: digestctl issue open\n"
			   "  instant              each new article at once\n"
			   "  daily 07:00\n"
			   "  weekly mon 08:00     mon, tue, wed, thu, fri, sat, sun\n"
			   "  monthly 1 09:00      a day that a month lacks is its last day\n"
			   "in the list's zone, or with --reader-zones in each reader's own.\n"
			   "A MOMENT is 2026-03-29T07:00:00+02:00; without an offset it is UTC.";

/* The words from `at` on as one schedule. PostgreSQL knows its forms, but of an hour such as 25:00
 * it tells in words of its own. */
static int schedule_of(struct ctl *ctl, int at, const char **ret)
{
	_cleanup_buf_ struct buf b = {0};
	int hour, minute;
	for (int i = at; i < ctl->arg_count; i++)
		buf_printf(&b, "%s%s", i > at ? " " : "", ctl->args[i]);
	const char *text = buf_text(&b), *time = strrchr(text, ' ');
	if (time && sscanf(time, "%d:%d", &hour, &minute) == 2 && (hour > 23 || minute > 59))
		return ctl_fail(CTL_USAGE, "%s: that is no schedule, its time is 00:00 to 23:59",
				text);
	*ret = arena_strdup(&ctl->arena, text);
	return b.err || !*ret ? ctl_no_memory() : CTL_OK;
}

/* since, starts, lifetime, default: what add and set have in common. */
static int add_common(struct ctl *ctl, struct db_params *p)
{
	usec_t lifetime = 0;
	int r = ctl_duration(ctl, "lifetime", &lifetime);
	if (r != CTL_OK)
		return r;
	const char *since = ctl_value(ctl, "since");
	if (since && strcmp(since, "now") == 0)
		params_usec(p, ctl->now);
	else
		params_text(p, since && strcmp(since, "all") == 0 ? "-infinity" : since);
	params_usec(p, ctl->now);
	if (ctl_has(ctl, "lifetime"))
		params_int64(p, (int64_t)lifetime);
	else
		params_null(p);
	params_bool(p, ctl_has(ctl, "default"));
	return CTL_OK;
}

/* There is one default: the old one steps back first. */
static int undefault(struct ctl *ctl, int list, const char *name)
{
	_cleanup_params_ struct db_params p = {0};
	if (!ctl_has(ctl, "default"))
		return CTL_OK;
	params_int64(&p, list);
	params_text(&p, name);
	return ctl_query(ctl, sql_ctl_edition_undefault, &p, NULL);
}

static int add_row(struct ctl *ctl, int list, const char *schedule, bool *ret_default)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	const char *name = ctl_arg(ctl, 1);
	params_int64(&p, list);
	params_text(&p, name);
	params_text(&p, schedule);
	params_text(&p, ctl_has(ctl, "reader-zones") ? "reader" : "list");
	int r = add_common(ctl, &p);
	if (r == CTL_OK)
		r = ctl_query(ctl, sql_ctl_edition_add, &p, &res);
	if (r == CTL_OK && db_rows(res) == 0)
		return ctl_fail(CTL_FAILED, "the list %s has an edition \"%s\" already",
				ctl_arg(ctl, 0), name);
	if (r == CTL_OK)
		*ret_default = db_bool(res, 0, 1);
	return r;
}

static int run_add(struct ctl *ctl)
{
	int list = 0;
	bool is_default = false;
	const char *schedule, *name = ctl_arg(ctl, 1);
	int r = check_name("an edition", name);
	if (r == CTL_OK && (r = schedule_of(ctl, 2, &schedule)) == CTL_OK &&
	    (r = find_list(ctl, ctl_arg(ctl, 0), &list)) == CTL_OK &&
	    (r = ctl_begin(ctl)) == CTL_OK && (r = undefault(ctl, list, name)) == CTL_OK &&
	    (r = add_row(ctl, list, schedule, &is_default)) == CTL_OK)
		r = ctl_commit(ctl);
	if (r != CTL_OK)
		return r;
	return output_done(ctl,
			   json_pack("{s:s, s:s, s:s, s:b}", "list", ctl_arg(ctl, 0), "name", name,
				     "schedule", schedule, "is_default", is_default),
			   "added the edition %s of %s: %s%s", name, ctl_arg(ctl, 0), schedule,
			   is_default ? ", its default" : "");
}

static const char *zones(const struct ctl *ctl)
{
	return ctl_has(ctl, "reader-zones") ? "reader" : ctl_has(ctl, "list-zone") ? "list" : NULL;
}

static int set_row(struct ctl *ctl, int list)
{
	_cleanup_params_ struct db_params p = {0};
	const char *schedule = NULL;
	int r = ctl->arg_count > 2 ? schedule_of(ctl, 2, &schedule) : CTL_OK;
	if (r != CTL_OK)
		return r;
	params_int64(&p, list);
	params_text(&p, ctl_arg(ctl, 1));
	params_text(&p, schedule);
	params_text(&p, zones(ctl));
	r = add_common(ctl, &p);
	params_text(&p, ctl_has(ctl, "release") ? "" : ctl_value(ctl, "hold"));
	return r != CTL_OK ? r
			   : ctl_find(ctl, sql_ctl_edition_set, &p, NULL,
				      "the list %s has no edition \"%s\"", ctl_arg(ctl, 0),
				      ctl_arg(ctl, 1));
}

static int check_set(const struct ctl *ctl)
{
	const char *hold = ctl_value(ctl, "hold");
	int r = ctl->arg_count > 2 ? CTL_OK : ctl_must_name(ctl);
	if (r == CTL_OK)
		r = ctl_exclude(ctl, "hold", "release");
	if (r == CTL_OK)
		r = ctl_exclude(ctl, "reader-zones", "list-zone");
	if (r == CTL_OK && hold && !*hold)
		r = ctl_fail(CTL_USAGE, "--hold: a reason is wanted, which others will read");
	return r;
}

static int run_set(struct ctl *ctl)
{
	int list = 0, r = check_set(ctl);
	if (r == CTL_OK)
		r = find_list(ctl, ctl_arg(ctl, 0), &list);
	if (r == CTL_OK && (r = ctl_begin(ctl)) == CTL_OK &&
	    (r = undefault(ctl, list, ctl_arg(ctl, 1))) == CTL_OK &&
	    (r = set_row(ctl, list)) == CTL_OK)
		r = ctl_commit(ctl);
	if (r != CTL_OK)
		return r;
	return output_done(
	    ctl, json_pack("{s:s, s:s}", "list", ctl_arg(ctl, 0), "name", ctl_arg(ctl, 1)),
	    "changed the edition %s of %s", ctl_arg(ctl, 1), ctl_arg(ctl, 0));
}

static int run_ls(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"list", "LIST", OUTPUT_TEXT, NULL},
	    {"name", "NAME", OUTPUT_TEXT, NULL},
	    {"schedule", "SCHEDULE", OUTPUT_TEXT, NULL},
	    {"zone_of", "CLOCK OF", OUTPUT_TEXT, NULL},
	    {"is_default", "DEFAULT", OUTPUT_BOOL, NULL},
	    {"since", "ARTICLES SINCE", OUTPUT_TIME, "since_local"},
	    {"next", "NEXT", OUTPUT_TIME, "next_local"},
	    {"held", "HELD", OUTPUT_TEXT, NULL},
	    {"starts", NULL, OUTPUT_TIME, NULL},
	    {"last_occurrence", NULL, OUTPUT_TEXT, NULL},
	    {"lifetime_seconds", NULL, OUTPUT_INT, NULL},
	    {0},
	};
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	int r = find_list_if_named(ctl, ctl_arg(ctl, 0));
	if (r != CTL_OK)
		return r;
	params_text(&p, ctl_arg(ctl, 0));
	params_usec(&p, ctl->now);
	r = ctl_query(ctl, sql_ctl_edition_ls, &p, &res);
	return r != CTL_OK ? r
			   : output_table(ctl, columns, output_rows(res, columns),
					  "there are no editions; see: digestctl help edition add");
}

static int run_next(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"edition", "EDITION", OUTPUT_TEXT, NULL},
	    {"schedule", "SCHEDULE", OUTPUT_TEXT, NULL},
	    {"occurrence", "OCCURRENCE", OUTPUT_TEXT, NULL},
	    {"at", "OPENS", OUTPUT_TIME, "at_local"},
	    {"zone", NULL, OUTPUT_TEXT, NULL},
	    {0},
	};
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	const char *name = ctl_arg(ctl, 1);
	int64_t count = 1;
	int list = 0, edition, r = ctl_number(ctl, "count", 1, 1000, &count);
	if (r == CTL_OK)
		r = find_list(ctl, ctl_arg(ctl, 0), &list);
	if (r == CTL_OK && name)
		r = find_edition(ctl, list, ctl_arg(ctl, 0), name, &edition);
	if (r != CTL_OK)
		return r;
	params_int64(&p, list);
	params_text(&p, name);
	params_usec(&p, ctl->now);
	params_int64(&p, count);
	r = ctl_query(ctl, sql_ctl_edition_next, &p, &res);
	return r != CTL_OK ? r
			   : output_table(ctl, columns, output_rows(res, columns),
					  "nothing opens by itself here");
}

static const struct ctl_option add_options[] = {
    {"reader-zones", NULL, "go by each reader's clock, not the list's"},
    {"default", NULL, "where joiners go who name none (the first edition always is)"},
    {"since", "WHEN", "articles count from: now, all, or a MOMENT (default: now; manual: all)"},
    {"lifetime", "DURATION", "an issue's tries end after it (default: 3 d)"},
    {0},
};

static const struct ctl_option set_options[] = {
    {"reader-zones", NULL, "go by each reader's clock"},
    {"list-zone", NULL, "go by the list's clock"},
    {"default", NULL, "where joiners go who name none"},
    {"since", "WHEN", "articles count from: now, all, or a MOMENT"},
    {"lifetime", "DURATION", "an issue's tries end after it"},
    {"hold", "REASON", "open nothing by itself"},
    {"release", NULL, "... until this is said"},
    {0},
};

static const struct ctl_option next_options[] = {
    {"count", "N", "so many of each edition (default: 1)"},
    {0},
};

static const struct ctl_verb verbs[] = {
    {"add", "LIST NAME SCHEDULE", "Add an edition to a list.", run_add, 3, 5, add_options, more,
     false},
    {"set", "LIST NAME [SCHEDULE]", "Change an edition.", run_set, 2, 5, set_options, more, false},
    {"ls", "[LIST]", "Show the editions, and when each opens next.", run_ls, 0, 1, NULL, NULL,
     false},
    {"next", "LIST [NAME]", "Show when its next issues open, in local time.", run_next, 1, 2,
     next_options, NULL, false},
    {0},
};

const struct ctl_noun noun_edition = {"edition", "the rhythms of a list", verbs};
