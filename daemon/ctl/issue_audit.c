/* issue audit: proves an issue's sums. */
#include "ctl/audit.h"
#include "ctl/check.h"
#include "ctl/find.h"
#include "ctl/issue.h"
#include "ctl/output.h"
#include "queries.h"

/* An issue by its number, or the newest one of an edition. */
static int find_issue(struct ctl *ctl, int64_t *ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	struct issue_target target;
	const char *text = ctl_arg(ctl, 0);
	if (issue_is_number(text))
		return check_number("issue", text, ret);
	int r = issue_find_target(ctl, text, &target);
	if (r != CTL_OK)
		return r;
	params_int64(&p, target.edition);
	r = ctl_query(ctl, sql_audit_issue_newest, &p, &res);
	if (r != CTL_OK)
		return r;
	if (db_is_null(res, 0, 0))
		return ctl_fail(CTL_NOT_FOUND, "%s has no issue yet", target.name);
	*ret = db_int64(res, 0, 0);
	return CTL_OK;
}

static int tell_wrong(const json_t *audit)
{
	long long readers = (long long)json_integer_value(json_object_get(audit, "wrong_readers"));
	long long broken = (long long)json_integer_value(json_object_get(audit, "broken"));
	return ctl_fail(CTL_FAILED, "issue %lld doesn't add up: %lld %s wrong, %lld %s broken",
			(long long)json_integer_value(json_object_get(audit, "issue")), readers,
			readers == 1 ? "reader is" : "readers are", broken,
			broken == 1 ? "invariant is" : "invariants are");
}

int issue_run_audit(struct ctl *ctl)
{
	static const struct output_column all[] = {{0}};
	json_auto_t *audit = NULL;
	bool holds = false;
	int64_t issue = 0, most = ctl->json || ctl_has(ctl, "all") ? 0 : CHECK_SHOWN;
	int r = find_issue(ctl, &issue);
	if (r == CTL_OK)
		r = audit_begin(ctl);
	if (r == CTL_OK)
		r = audit_issue(ctl, issue, most, &audit, &holds);
	if (r == CTL_OK)
		r = ctl_commit(ctl);
	if (r == CTL_OK)
		r = ctl->json ? output_record(ctl, all, json_incref(audit))
			      : audit_show(audit);
	return r == CTL_OK && !holds ? tell_wrong(audit) : r;
}
