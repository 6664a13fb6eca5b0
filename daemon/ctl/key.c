/* key: what links in mails are signed with. The keys themselves are never shown. */
#include "ctl/nouns.h"
#include "ctl/output.h"
#include "queries.h"

static int run_ls(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"id", "ID", OUTPUT_INT, NULL},
	    {"state", "STATE", OUTPUT_TEXT, NULL},
	    {"created_at", "MADE", OUTPUT_TIME, NULL},
	    {"retired_at", "RETIRED", OUTPUT_TIME, NULL},
	    {0},
	};
	_cleanup_result_ struct pg_result *res = NULL;
	int r = ctl_query(ctl, sql_ctl_key_ls, NULL, &res);
	return r != CTL_OK ? r
			   : output_table(ctl, columns, output_rows(res, columns),
					  "there are no keys; see: digestctl help db init");
}

/* Engines read the keys again. */
static int tell_engines(struct ctl *ctl)
{
	_cleanup_params_ struct db_params p = {0};
	params_text(&p, "key");
	return ctl_query(ctl, sql_ctl_notify, &p, NULL);
}

static int add_key(struct ctl *ctl)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_usec(&p, ctl->now);
	int r = ctl_begin(ctl);
	if (r == CTL_OK)
		r = ctl_query(ctl, sql_ctl_key_lock, NULL, NULL);
	if (r == CTL_OK)
		r = ctl_query(ctl, sql_ctl_key_add, &p, &res);
	if (r == CTL_OK && db_rows(res) == 0)
		r = ctl_fail(CTL_FAILED, "all 255 keys that can be were made");
	if (r == CTL_OK)
		r = tell_engines(ctl);
	if (r == CTL_OK)
		r = ctl_commit(ctl);
	if (r != CTL_OK)
		return r;
	return output_done(ctl, json_pack("{s:i}", "id", db_int(res, 0, 0)),
			   "key %d signs from now on; the ones before go on verifying",
			   db_int(res, 0, 0));
}

static int retire_key(struct ctl *ctl, int64_t id)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, id);
	int r = ctl_find(ctl, sql_ctl_key_find, &p, &res,
			 "there is no key %lld; see: digestctl key ls", (long long)id);
	if (r != CTL_OK)
		return r;
	if (!db_is_null(res, 0, 0))
		return ctl_fail(CTL_FAILED, "key %lld is retired already", (long long)id);
	if (db_bool(res, 0, 1))
		return ctl_fail(CTL_FAILED, "key %lld is the one that signs: rotate first",
				(long long)id);
	r = ctl_ask(ctl, "Links in mails that key %lld signed will no longer work. Retire it?",
		    (long long)id);
	if (r != CTL_OK)
		return r;
	params_int64(&p, id);
	params_usec(&p, ctl->now);
	if ((r = ctl_begin(ctl)) == CTL_OK &&
	    (r = ctl_query(ctl, sql_ctl_key_retire, &p, NULL)) == CTL_OK &&
	    (r = tell_engines(ctl)) == CTL_OK)
		r = ctl_commit(ctl);
	return r != CTL_OK
		   ? r
		   : output_done(ctl, json_pack("{s:I, s:b}", "id", (json_int_t)id, "retired", 1),
				 "key %lld is retired", (long long)id);
}

static int run_rotate(struct ctl *ctl)
{
	int64_t id = 0;
	int r = ctl_number(ctl, "retire", 1, 255, &id);
	if (r != CTL_OK)
		return r;
	return id ? retire_key(ctl, id) : add_key(ctl);
}

static const struct ctl_option rotate_options[] = {
    {"retire", "ID", "no new key: links signed by this one no longer count"},
    {0},
};

static const struct ctl_verb verbs[] = {
    {"ls", "", "Show the keys that links are signed with, not their secrets.", run_ls, 0, 0, NULL,
     NULL, false},
    {"rotate", "", "Make a new key, which signs from now on; old ones go on verifying.", run_rotate,
     0, 0, rotate_options, NULL, true},
    {0},
};

const struct ctl_noun noun_key = {"key", "what links in mails are signed with", verbs};
