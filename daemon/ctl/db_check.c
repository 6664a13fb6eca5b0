/* db check: whether every invariant of the store holds. */
#include "ctl/db_check.h"

#include <stdio.h>

#include "ctl/audit.h"
#include "ctl/check.h"
#include "ctl/output.h"
#include "queries.h"

enum { ISSUES = 20 }; /* the newest ones whose sums are proven */

struct run {
	struct ctl *ctl;
	int64_t most;
	json_t *invariants, *issues; /* their results */
	int broken;
};

static int run_checks(struct run *run)
{
	json_auto_t *sizes = NULL;
	int r = check_sizes(run->ctl, 0, &sizes);
	for (const struct check *c = checks; r == CTL_OK && c->name; c++) {
		json_t *result = NULL;
		r = check_run(run->ctl, c, 0, sizes, run->most, &result);
		if (r != CTL_OK)
			return r;
		run->broken += !json_is_true(json_object_get(result, "holds"));
		if (json_array_append_new(run->invariants, result) < 0)
			return ctl_no_memory();
		if (!run->ctl->json) {
			r = check_show(result);
			fflush(stdout);
		}
	}
	return r;
}

static int show_audit(const json_t *audit, bool holds)
{
	_cleanup_buf_ struct buf words = {0};
	long long wrong = (long long)json_integer_value(json_object_get(audit, "wrong_readers"));
	long long issue = (long long)json_integer_value(json_object_get(audit, "issue"));
	char name[24];
	snprintf(name, sizeof(name), "%lld", issue);
	if (buf_printf(&words, "its readers have each one place in its sums (%lld readers)",
		       (long long)json_integer_value(json_object_get(audit, "audience"))) < 0)
		return ctl_no_memory();
	check_line(holds ? "held" : "BROKEN", name, &words);
	if (!holds)
		printf("          wrong: %lld; name them: digestctl issue audit %lld\n", wrong,
		       issue);
	return CTL_OK;
}

static int run_audit(struct run *run, int64_t issue)
{
	json_t *audit = NULL;
	bool holds = false;
	int r = audit_readers(run->ctl, issue, run->most, &audit, &holds);
	if (r != CTL_OK)
		return r;
	run->broken += !holds;
	if (!run->ctl->json) {
		r = show_audit(audit, holds);
		fflush(stdout);
	}
	if (json_array_append_new(run->issues, audit) < 0)
		return ctl_no_memory();
	return r;
}

static int run_audits(struct run *run)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	int64_t newest = ISSUES;
	int r = ctl_number(run->ctl, "issues", 0, INT32_MAX, &newest);
	params_int64(&p, newest);
	if (r == CTL_OK)
		r = ctl_query(run->ctl, sql_check_issues, &p, &res);
	for (int row = 0; r == CTL_OK && row < db_rows(res); row++)
		r = run_audit(run, db_int64(res, row, 0));
	return r;
}

static int finish(struct run *run)
{
	static const struct output_column all[] = {{0}};
	json_auto_t *object =
	    json_pack("{sb si sO sO}", "holds", run->broken == 0, "broken", run->broken,
		      "invariants", run->invariants, "issues", run->issues);
	int r = ctl_commit(run->ctl);
	if (r == CTL_OK && !object)
		r = ctl_no_memory();
	if (r == CTL_OK && run->ctl->json)
		r = output_record(run->ctl, all, json_incref(object));
	if (r != CTL_OK || !run->broken)
		return r;
	return ctl_fail(CTL_FAILED, "%d %s broken", run->broken,
			run->broken == 1 ? "invariant is" : "invariants are");
}

int db_run_check(struct ctl *ctl)
{
	json_auto_t *invariants = json_array(), *issues = json_array();
	struct run run = {
	    .ctl = ctl,
	    .most = ctl->json || ctl_has(ctl, "all") ? 0 : CHECK_SHOWN,
	    .invariants = invariants,
	    .issues = issues,
	};
	int r = audit_begin(ctl);
	if (r == CTL_OK)
		r = run_checks(&run);
	if (r == CTL_OK)
		r = run_audits(&run);
	return r != CTL_OK ? r : finish(&run);
}
