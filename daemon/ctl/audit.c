#include "ctl/audit.h"

#include <stdio.h>
#include <string.h>

#include "ctl/check.h"
#include "ctl/output.h"
#include "queries.h"

static const struct output_column issue_columns[] = {
    {"issue", NULL, OUTPUT_INT, NULL},
    {"uid", NULL, OUTPUT_TEXT, NULL},
    {"edition", NULL, OUTPUT_TEXT, NULL},
    {"gen", NULL, OUTPUT_INT, NULL},
    {"state", NULL, OUTPUT_TEXT, NULL},
    {"opened_at", NULL, OUTPUT_TIME, NULL},
    {"expires_at", NULL, OUTPUT_TIME, NULL},
    {"ended_at", NULL, OUTPUT_TIME, NULL},
    {0},
};

enum { WRONG_INDENT = 2 };

static const struct output_column wrong_columns[] = {
    {"subscriber", NULL, OUTPUT_INT, NULL}, {"email", NULL, OUTPUT_TEXT, NULL},
    {"reason", NULL, OUTPUT_TEXT, NULL},    {"expected", NULL, OUTPUT_TEXT, NULL},
    {"found", NULL, OUTPUT_TEXT, NULL},     {0},
};

/* The sum, in the order in which people read it. */
static const struct part {
	const char *class, *title;
	const char *why; /* key of its reasons, or NULL */
} parts[] = {
    {"delivered", "delivered", NULL},
    {"refused", "refused for good", NULL},
    {"expired", "not in time", NULL},
    {"skipped", "skipped", "skipped_for"},
    {"left", "left before their turn", NULL},
    {"in_doubt", "in doubt", NULL},
    {"deferred", "put off", NULL},
    {"window", "in an open window", NULL},
    {"waiting", "not taken yet", "waiting_for"},
    {"cancelled", "cancelled", NULL},
    {"wrong", "wrong", NULL},
};

int audit_begin(struct ctl *ctl)
{
	int r = ctl_begin(ctl);
	if (r == CTL_OK)
		r = ctl_query(ctl, sql_audit_begin, NULL, NULL);
	return r != CTL_OK ? r : ctl_query(ctl, sql_audit_plan, NULL, NULL);
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static int add_to(json_t *object, const char *key, json_int_t n)
{
	json_int_t before = json_integer_value(json_object_get(object, key));
	return json_object_set_new(object, key, json_integer(before + n));
}

/* One class of readers, by its reason. */
static int add_class(json_t *audit, const struct pg_result *res, int row)
{
	const char *class = db_text(res, row, db_column(res, "class"));
	const char *reason = db_text(res, row, db_column(res, "reason"));
	json_int_t n = db_int64(res, row, db_column(res, "readers"));
	bool audience = db_bool(res, row, db_column(res, "audience"));
	int r = audience ? add_to(audit, "audience", n) | add_to(audit, class, n) : 0;
	if (strcmp(class, "wrong") == 0)
		r |= add_to(audit, "wrong_readers", n);
	for (size_t i = 0; reason && i < ELEMENTS(parts); i++)
		if (parts[i].why && strcmp(parts[i].class, class) == 0)
			r |= add_to(json_object_get(audit, parts[i].why), reason, n);
	return r;
}

static int read_readers(json_t *audit, const struct pg_result *res)
{
	int r = add_to(audit, "audience", 0) | add_to(audit, "wrong_readers", 0);
	for (size_t i = 0; i < ELEMENTS(parts); i++) {
		r |= add_to(audit, parts[i].class, 0);
		if (parts[i].why)
			r |= json_object_set_new(audit, parts[i].why, json_object());
	}
	json_t *wrong = json_array();
	r |= json_object_set_new(audit, "wrong_list", wrong);
	for (int row = 0; r == 0 && row < db_rows(res); row++)
		r = db_is_null(res, row, db_column(res, "subscriber"))
			? add_class(audit, res, row)
			: json_array_append_new(wrong, output_row(res, row, wrong_columns));
	return r == 0 ? CTL_OK : ctl_no_memory();
}

static int ask_readers(struct ctl *ctl, int64_t issue, int64_t most, json_t *audit)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, issue);
	params_usec(&p, ctl->now);
	if (most)
		params_int64(&p, most);
	else
		params_null(&p);
	int r = ctl_query(ctl, sql_audit_issue, &p, &res);
	return r != CTL_OK ? r : read_readers(audit, res);
}

static int ask_checks(struct ctl *ctl, int64_t issue, int64_t most, json_t *audit, int *ret_broken)
{
	json_auto_t *sizes = NULL;
	json_t *list = json_array();
	int r = check_sizes(ctl, issue, &sizes);
	if (json_object_set_new(audit, "invariants", list) < 0)
		return ctl_no_memory();
	*ret_broken = 0;
	for (const struct check *c = checks; r == CTL_OK && c->name; c++) {
		json_t *result = NULL;
		if (!(c->params & CHECK_ISSUE))
			continue;
		r = check_run(ctl, c, issue, sizes, most, &result);
		if (r != CTL_OK)
			return r;
		*ret_broken += !json_is_true(json_object_get(result, "holds"));
		if (json_array_append_new(list, result) < 0)
			return ctl_no_memory();
	}
	return r;
}

int audit_readers(struct ctl *ctl, int64_t issue, int64_t most, json_t **ret, bool *ret_holds)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, issue);
	int r = ctl_find(ctl, sql_audit_issue_find, &p, &res, "there is no issue %lld",
			 (long long)issue);
	if (r != CTL_OK)
		return r;
	json_auto_t *audit = output_row(res, 0, issue_columns);
	if (!audit)
		return ctl_no_memory();
	r = ask_readers(ctl, issue, most, audit);
	if (r != CTL_OK)
		return r;
	*ret_holds = json_integer_value(json_object_get(audit, "wrong_readers")) == 0;
	*ret = json_incref(audit);
	return CTL_OK;
}

int audit_issue(struct ctl *ctl, int64_t issue, int64_t most, json_t **ret, bool *ret_holds)
{
	json_auto_t *audit = NULL;
	int broken = 0;
	bool holds = false;
	int r = audit_readers(ctl, issue, most, &audit, &holds);
	if (r == CTL_OK)
		r = ask_checks(ctl, issue, most, audit, &broken);
	if (r != CTL_OK)
		return r;
	holds = holds && broken == 0;
	if (json_object_set_new(audit, "holds", json_boolean(holds)) < 0 ||
	    json_object_set_new(audit, "broken", json_integer(broken)) < 0)
		return ctl_no_memory();
	*ret = json_incref(audit);
	*ret_holds = holds;
	return CTL_OK;
}

/* ---- for people -------------------------------------------------------------------------------
 */

static long long number_of(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static void show_part(const json_t *audit, const struct part *part)
{
	long long n = number_of(audit, part->class);
	json_t *why = part->why ? json_object_get(audit, part->why) : NULL;
	const char *reason, *before = "  (";
	json_t *count;
	if (n == 0 && strcmp(part->class, "wrong") == 0)
		return;
	printf("  %-24s %10lld", part->title, n);
	json_object_foreach(why, reason, count)
	{
		printf("%s%s %lld", before, reason, (long long)json_integer_value(count));
		before = ", ";
	}
	puts(json_object_size(why) ? ")" : "");
}

static int show_wrong_reader(const json_t *reader)
{
	_cleanup_buf_ struct buf line = {0};
	if (json_is_string(json_object_get(reader, "email"))) {
		output_value(json_object_get(reader, "email"), OUTPUT_TEXT, &line);
		buf_adds(&line, ", ");
	}
	buf_printf(&line, "reader %lld: ", number_of(reader, "subscriber"));
	output_value(json_object_get(reader, "reason"), OUTPUT_TEXT, &line);
	buf_adds(&line, "; expected: ");
	output_value(json_object_get(reader, "expected"), OUTPUT_TEXT, &line);
	buf_adds(&line, "; found: ");
	output_value(json_object_get(reader, "found"), OUTPUT_TEXT, &line);
	if (line.err)
		return ctl_no_memory();
	printf("%*s", WRONG_INDENT, "");
	output_wrapped(WRONG_INDENT, buf_str(&line));
	return CTL_OK;
}

static int show_wrong(const json_t *audit)
{
	const json_t *wrong = json_object_get(audit, "wrong_list"), *reader;
	long long n = number_of(audit, "wrong_readers");
	size_t i;
	int r = CTL_OK;
	if (n == 0) {
		puts("Each of them has one place in the sum.");
		return CTL_OK;
	}
	printf("\n%lld %s:\n", n, n == 1 ? "reader is wrong" : "readers are wrong");
	json_array_foreach(wrong, i, reader) if (r == CTL_OK) r = show_wrong_reader(reader);
	if (r == CTL_OK && n > (long long)json_array_size(wrong))
		printf("and %lld more; --all names them\n", n - (long long)json_array_size(wrong));
	return r;
}

static int show_invariants(const json_t *audit)
{
	const json_t *list = json_object_get(audit, "invariants"), *result;
	size_t i, held = 0;
	int r = CTL_OK;
	putchar('\n');
	json_array_foreach(list, i, result)
	{
		if (number_of(result, "broken") && r == CTL_OK)
			r = check_show(result);
		held += json_is_true(json_object_get(result, "holds"));
	}
	printf("%zu of %zu invariants of its windows, deliveries and deferrals hold\n", held,
	       json_array_size(list));
	return r;
}

int audit_show(const json_t *audit)
{
	_cleanup_buf_ struct buf head = {0};
	buf_printf(&head, "Issue %lld of %s is %s: opened ", number_of(audit, "issue"),
		   json_string_value(json_object_get(audit, "edition")),
		   json_string_value(json_object_get(audit, "state")));
	output_value(json_object_get(audit, "opened_at"), OUTPUT_TIME, &head);
	buf_printf(&head, " at gen %lld", number_of(audit, "gen"));
	if (json_is_string(json_object_get(audit, "ended_at"))) {
		buf_adds(&head, ", ended ");
		output_value(json_object_get(audit, "ended_at"), OUTPUT_TIME, &head);
	}
	if (head.err)
		return ctl_no_memory();
	output_wrapped(0, buf_str(&head));
	printf("\nIts readers by their events %9lld\n", number_of(audit, "audience"));
	for (size_t i = 0; i < ELEMENTS(parts); i++)
		show_part(audit, &parts[i]);
	int r = show_wrong(audit);
	return r != CTL_OK ? r : show_invariants(audit);
}
