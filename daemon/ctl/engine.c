/* engine: the digestd that work on this database, each known by its state directory. */
#include "ctl/nouns.h"
#include "ctl/output.h"
#include "queries.h"

static int run_ls(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"id", "ID", OUTPUT_INT, NULL},
	    {"host", "HOST", OUTPUT_TEXT, NULL},
	    {"uuid", NULL, OUTPUT_TEXT, NULL},
	    {"state", "STATE", OUTPUT_TEXT, NULL},
	    {"session", NULL, OUTPUT_TEXT, NULL},
	    {"beat", "BEAT", OUTPUT_INT, NULL},
	    {"version", "VERSION", OUTPUT_TEXT, NULL},
	    {"since", "SINCE", OUTPUT_TIME, NULL},
	    {"first_seen", NULL, OUTPUT_TIME, NULL},
	    {"retired_at", NULL, OUTPUT_TIME, NULL},
	    {"open_windows", "OPEN WINDOWS", OUTPUT_INT, NULL},
	    {0},
	};
	_cleanup_result_ struct pg_result *res = NULL;
	int r = ctl_query(ctl, sql_ctl_engine_ls, NULL, &res);
	return r != CTL_OK ? r
			   : output_table(ctl, columns, output_rows(res, columns),
					  "no engine ever ran here");
}

/* Closes what it holds, too; *ret_doubts: how many readers have no answer. */
static int retire(struct ctl *ctl, int id, int *ret_doubts)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, id);
	params_usec(&p, ctl->now);
	int r = ctl_query(ctl, sql_ctl_engine_retire, &p, &res);
	if (r == CTL_OK)
		*ret_doubts = db_int(res, 0, 0);
	return r;
}

static int run_retire(struct ctl *ctl)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_text(&p, ctl_arg(ctl, 0));
	int r = ctl_find(ctl, sql_ctl_engine_find, &p, &res,
			 "there is no engine %s; see: digestctl engine ls", ctl_arg(ctl, 0));
	if (r != CTL_OK)
		return r;
	int id = db_int(res, 0, 0);
	const char *host = db_text(res, 0, 1);
	if (!db_is_null(res, 0, 2))
		return ctl_fail(CTL_FAILED, "engine %d is retired already", id);
	if (!db_is_null(res, 0, 3) && !ctl_has(ctl, "force"))
		return ctl_fail(CTL_FAILED,
				"engine %d on %s is alive: stop it first, or say --force; one that "
				"was killed counts so for a minute",
				id, host);
	r = ctl_ask(ctl, "Engine %d on %s will not be waited for any more. Retire it?", id, host);
	int doubts = 0;
	if (r == CTL_OK)
		r = retire(ctl, id, &doubts);
	return r != CTL_OK
		   ? r
		   : output_done(
			 ctl,
			 json_pack("{s:i, s:b, s:i}", "id", id, "retired", 1, "in_doubt", doubts),
			 "engine %d on %s is retired, %d readers of its windows are in doubt%s", id,
			 host, doubts, doubts ? "; see: digestctl issue settle" : "");
}

static const struct ctl_option retire_options[] = {
    {"force", NULL, "though a session of it is alive: it takes nothing more"},
    {0},
};

static const struct ctl_verb verbs[] = {
    {"ls", "", "Show the engines, their sessions and what they hold.", run_ls, 0, 0, NULL, NULL,
     false},
    {"retire", "ENGINE", "Say that an engine, by number or uuid, won't come back.", run_retire, 1,
     1, retire_options, NULL, true},
    {0},
};

const struct ctl_noun noun_engine = {"engine", "the daemons that work on this database", verbs};
