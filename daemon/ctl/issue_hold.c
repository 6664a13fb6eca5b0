/* issue pause, resume, cancel, settle: what an operator may do to an issue that is open. */
#include <inttypes.h>
#include <string.h>

#include "ctl/find.h"
#include "ctl/issue.h"
#include "ctl/output.h"
#include "queries.h"

struct change {
	const char *to;
	struct str from[2];
	size_t from_count;
	const char *done; /* "issue N is ..." */
};

static int find_state(struct ctl *ctl, int64_t issue, struct pg_result **ret)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, issue);
	return ctl_find(ctl, sql_ctl_issue_state, &p, ret, "there is no issue %" PRId64, issue);
}

static int tell(const struct ctl *ctl, int64_t issue, const char *state, const char *words)
{
	return output_done(ctl, json_pack("{sI ss}", "issue", (json_int_t)issue, "state", state),
			   "issue %" PRId64 " %s", issue, words);
}

/* It wasn't in a state that can be left for this one. */
static int refuse(struct ctl *ctl, int64_t issue, const struct change *change)
{
	_cleanup_result_ struct pg_result *res = NULL;
	int r = find_state(ctl, issue, &res);
	if (r != CTL_OK)
		return r;
	const char *state = db_text(res, 0, 0);
	if (strcmp(state, change->to) == 0)
		return tell(ctl, issue, state, change->done);
	return ctl_fail(CTL_FAILED, "issue %" PRId64 " is %s", issue, state);
}

static int apply(struct ctl *ctl, int64_t issue, const struct change *change)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, issue);
	params_texts(&p, change->from, change->from_count);
	params_text(&p, change->to);
	params_usec(&p, ctl->now);
	int r = ctl_query(ctl, sql_ctl_issue_set_state, &p, &res);
	if (r != CTL_OK)
		return r;
	return db_rows(res) ? tell(ctl, issue, change->to, change->done)
			    : refuse(ctl, issue, change);
}

int issue_run_pause(struct ctl *ctl)
{
	static const struct change pause = {"paused", {{"open", 4}}, 1, "is paused"};
	int64_t issue;
	int r = check_number("issue", ctl_arg(ctl, 0), &issue);
	return r != CTL_OK ? r : apply(ctl, issue, &pause);
}

int issue_run_resume(struct ctl *ctl)
{
	static const struct change resume = {"open", {{"paused", 6}}, 1, "is open"};
	int64_t issue;
	int r = check_number("issue", ctl_arg(ctl, 0), &issue);
	return r != CTL_OK ? r : apply(ctl, issue, &resume);
}

int issue_run_cancel(struct ctl *ctl)
{
	static const struct change cancel = {
	    "cancelled", {{"open", 4}, {"paused", 6}}, 2, "is cancelled"};
	_cleanup_result_ struct pg_result *res = NULL, *counted = NULL;
	int64_t issue;
	int r = check_number("issue", ctl_arg(ctl, 0), &issue);
	if (r == CTL_OK)
		r = find_state(ctl, issue, &res);
	if (r == CTL_OK && !db_bool(res, 0, 2))
		r = issue_numbers(ctl, issue, &counted);
	if (r == CTL_OK && counted)
		r = ctl_ask(ctl,
			    "Issue %" PRId64 " of %s: %" PRId64
			    " have it, nobody else will get it. Cancel it for ever?",
			    issue, db_text(res, 0, 1),
			    db_int64(counted, 0, db_column(counted, "delivered")));
	return r != CTL_OK ? r : apply(ctl, issue, &cancel);
}

/* ---- doubts -----------------------------------------------------------------------------------
 */

static int count_doubts(struct ctl *ctl, int64_t issue, int64_t *ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, issue);
	int r = ctl_query(ctl, sql_ctl_issue_doubts, &p, &res);
	if (r == CTL_OK)
		*ret = db_int64(res, 0, 0);
	return r;
}

static int settle(struct ctl *ctl, int64_t issue, const char *decision)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, issue);
	params_text(&p, decision);
	params_usec(&p, ctl->now);
	int r = ctl_query(ctl, sql_ctl_issue_doubts_settle, &p, &res);
	if (r != CTL_OK)
		return r;
	int64_t count = db_int64(res, 0, 0);
	return output_done(ctl,
			   json_pack("{sI ss sI}", "issue", (json_int_t)issue, "decision", decision,
				     "settled", (json_int_t)count),
			   strcmp(decision, "resend") == 0
			       ? "%" PRId64 " in doubt will be sent to once more"
			       : "%" PRId64 " in doubt stay so, and aren't sent to again",
			   count);
}

int issue_run_settle(struct ctl *ctl)
{
	_cleanup_result_ struct pg_result *res = NULL;
	int64_t issue, undecided = 0;
	const char *decision = ctl_value(ctl, "doubt");
	if (!decision || (strcmp(decision, "resend") != 0 && strcmp(decision, "skip") != 0))
		return ctl_fail(CTL_USAGE, "say --doubt resend or --doubt skip");
	bool resend = strcmp(decision, "resend") == 0;
	int r = check_number("issue", ctl_arg(ctl, 0), &issue);
	if (r == CTL_OK)
		r = find_state(ctl, issue, &res);
	if (r == CTL_OK)
		r = count_doubts(ctl, issue, &undecided);
	if (r != CTL_OK)
		return r;
	if (undecided && resend && db_bool(res, 0, 2))
		return ctl_fail(CTL_FAILED,
				"issue %" PRId64 " is %s: nothing of it can be sent again", issue,
				db_text(res, 0, 0));
	if (undecided)
		r = ctl_ask(ctl, "%" PRId64 " readers may have it or not. %s?", undecided,
			    resend ? "Send it to them once more" : "Leave it at that");
	return r != CTL_OK ? r : settle(ctl, issue, decision);
}
