/* issue readers: what an issue came to for each of its readers, as CSV; pages of one snapshot. */
#include <errno.h>
#include <string.h>

#include "ctl/csv.h"
#include "ctl/find.h"
#include "ctl/issue.h"
#include "queries.h"

enum { PAGE = 10000 };

static const char *const columns[] = {"subscriber", "email", "outcome",  "at",     "attempt",
				      "relay",      "code",  "enhanced", "reason", "queue_id"};

static int write_page(const struct pg_result *res)
{
	_cleanup_buf_ struct buf lines = {0};
	for (int row = 0; row < db_rows(res); row++) {
		for (size_t i = 0; i < ELEMENTS(columns); i++)
			csv_put(&lines, i == 0, db_str(res, row, db_column(res, columns[i])));
		buf_adds(&lines, "\r\n");
	}
	if (lines.err)
		return ctl_no_memory();
	if (fwrite(lines.data, 1, lines.len, stdout) != lines.len)
		return ctl_fail(CTL_FAILED, "standard output: %s", strerror(errno));
	return CTL_OK;
}

static int write_header(void)
{
	_cleanup_buf_ struct buf line = {0};
	for (size_t i = 0; i < ELEMENTS(columns); i++)
		csv_put(&line, i == 0, str_of(columns[i]));
	if (line.err)
		return ctl_no_memory();
	printf("%.*s\r\n", (int)line.len, line.data);
	return CTL_OK;
}

static int write_all(struct ctl *ctl, int64_t issue)
{
	const char *outcome = ctl_value(ctl, "outcome");
	int64_t last = 0;
	int rows = PAGE, r = ctl_query(ctl, sql_ctl_export_begin, NULL, NULL);
	if (r == CTL_OK)
		r = write_header();
	while (r == CTL_OK && rows == PAGE) {
		_cleanup_params_ struct db_params p = {0};
		_cleanup_result_ struct pg_result *res = NULL;
		params_int64(&p, issue);
		params_int64(&p, last);
		params_text(&p, outcome);
		params_int64(&p, PAGE);
		r = ctl_query(ctl, sql_ctl_issue_readers, &p, &res);
		if (r != CTL_OK)
			return r;
		rows = db_rows(res);
		if (rows)
			last = db_int64(res, rows - 1, 0);
		r = write_page(res);
	}
	return r;
}

int issue_run_readers(struct ctl *ctl)
{
	static const char *const outcomes[] = {"delivered", "refused",  "expired",
					       "skipped",   "in_doubt", "put_off"};
	const char *outcome = ctl_value(ctl, "outcome");
	_cleanup_result_ struct pg_result *found = NULL;
	_cleanup_params_ struct db_params p = {0};
	int64_t issue;
	bool known = !outcome;
	for (size_t i = 0; outcome && i < ELEMENTS(outcomes); i++)
		known = known || strcmp(outcome, outcomes[i]) == 0;
	if (!known)
		return ctl_fail(CTL_USAGE, "an outcome is delivered, refused, expired, skipped, "
					   "in_doubt or put_off");
	if (ctl->json)
		return ctl_fail(CTL_USAGE, "the readers are told as CSV only");
	int r = check_number("issue", ctl_arg(ctl, 0), &issue);
	if (r == CTL_OK) {
		params_int64(&p, issue);
		r = ctl_find(ctl, sql_ctl_issue_state, &p, &found, "there is no issue %lld",
			     (long long)issue);
	}
	if (r == CTL_OK)
		r = ctl_begin(ctl);
	if (r == CTL_OK)
		r = write_all(ctl, issue);
	return r == CTL_OK ? ctl_commit(ctl) : r;
}
