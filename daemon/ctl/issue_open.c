/* issue open: shows what is going to happen, asks, opens, and may follow. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "ctl/issue.h"
#include "ctl/output.h"
#include "queries.h"

/* A version 4 UUID (RFC 4122). */
static const char *make_uuid(struct ctl *ctl)
{
	unsigned char b[16];
	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return NULL;
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	return arena_printf(&ctl->arena,
			    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
			    b[11], b[12], b[13], b[14], b[15]);
}

static int check_uuid(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i = 0;
	while (form[i] &&
	       (form[i] == '-' ? text[i] == '-' : text[i] && strchr("0123456789abcdef", text[i])))
		i++;
	if (form[i] || text[i])
		return ctl_fail(CTL_USAGE, "--occurrence %s: a UUID in small letters is wanted",
				text);
	return CTL_OK;
}

/* *ret 0: nobody has opened this occurrence. */
static int find_opened(struct ctl *ctl, const struct issue_target *target, const char *occurrence,
		       int64_t *ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, target->edition);
	params_text(&p, occurrence);
	int r = ctl_query(ctl, sql_ctl_issue_of_occurrence, &p, &res);
	if (r == CTL_OK)
		*ret = db_rows(res) ? db_int64(res, 0, 0) : 0;
	return r;
}

static int open_now(struct ctl *ctl, const struct issue_draft *draft, int64_t *ret, bool *ret_new)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, draft->target.edition);
	params_text(&p, draft->occurrence);
	params_int64s(&p, draft->articles, draft->count);
	params_text(&p, draft->subject);
	params_text(&p, draft->theme);
	params_usec(&p, ctl->now);
	int r = ctl_query(ctl, sql_issue_open, &p, &res);
	if (r != CTL_OK)
		return r;
	*ret_new = !db_is_null(res, 0, 0);
	*ret = db_int64(res, 0, 0);
	if (!*ret_new)
		r = find_opened(ctl, &draft->target, draft->occurrence, ret);
	if (r == CTL_OK && *ret == 0)
		return ctl_fail(CTL_FAILED,
				"its articles went out with another issue of %s meanwhile",
				draft->target.name);
	return r;
}

/* ---- afterwards -------------------------------------------------------------------------------
 */

static void show_numbers(const json_t *numbers)
{
	static const struct {
		const char *key, *words;
	} counts[] = {
	    {"delivered", "delivered"},
	    {"refused", "refused for good"},
	    {"skipped", "no longer to be sent to"},
	    {"expired", "not in time"},
	    {"in_doubt", "in doubt"},
	};
	bool any = false;
	for (size_t i = 0; i < ELEMENTS(counts); i++) {
		int64_t n = json_integer_value(json_object_get(numbers, counts[i].key));
		if (n == 0 && i > 0)
			continue;
		printf("%s%" PRId64 " %s", any ? ", " : "", n, counts[i].words);
		any = true;
	}
	putchar('\n');
}

/* The end of it, shown; the exit status says whether it is done. */
static int finish(struct ctl *ctl, int64_t issue, const char *state, json_t *object)
{
	_cleanup_result_ struct pg_result *res = NULL;
	int r = issue_numbers(ctl, issue, &res);
	json_auto_t *numbers = r == CTL_OK ? issue_numbers_row(res) : NULL;
	if (r == CTL_OK && (!numbers || json_object_update(object, numbers) < 0))
		r = ctl_no_memory();
	if (r != CTL_OK) {
		json_decref(object);
		return r;
	}
	bool done = strcmp(state, "done") == 0;
	json_incref(numbers);
	r = output_done(ctl, object, "issue %" PRId64 " is %s", issue, state);
	if (r == CTL_OK && !ctl->json)
		show_numbers(numbers);
	json_decref(numbers);
	return r == CTL_OK && !done ? CTL_FAILED : r;
}

/* Takes object over. */
static int tell(struct ctl *ctl, int64_t issue, bool is_new, json_t *object)
{
	const char *state = NULL;
	if (!object || json_object_set_new(object, "issue", json_integer(issue)) < 0 ||
	    json_object_set_new(object, "opened", json_boolean(is_new)) < 0) {
		json_decref(object);
		return ctl_no_memory();
	}
	if (!ctl_has(ctl, "wait"))
		return output_done(ctl, object,
				   is_new ? "issue %" PRId64 " is open"
					  : "issue %" PRId64 " was opened before",
				   issue);
	if (!ctl->json) {
		printf("issue %" PRId64 " %s\n", issue, is_new ? "is open" : "was opened before");
		fflush(stdout);
	}
	int r = issue_follow(ctl, issue, &state);
	if (r == CTL_OK)
		return finish(ctl, issue, state, object);
	json_decref(object);
	return r;
}

int issue_run_open(struct ctl *ctl)
{
	struct issue_target target;
	_cleanup_draft_ struct issue_draft draft = {0};
	json_auto_t *object = NULL;
	int64_t issue = 0;
	bool is_new = false;
	const char *given = ctl_value(ctl, "occurrence");
	const char *occurrence = given ? given : make_uuid(ctl);
	if (!occurrence)
		return ctl_fail(CTL_FAILED, "no random bytes to be had: %m");
	int r = check_uuid(occurrence);
	if (r == CTL_OK)
		r = issue_find_target(ctl, ctl_arg(ctl, 0), &target);
	if (r == CTL_OK)
		r = find_opened(ctl, &target, occurrence, &issue);
	if (r == CTL_OK && issue)
		return tell(ctl, issue, false,
			    json_pack("{ss ss}", "edition", target.name, "occurrence", occurrence));
	if (r == CTL_OK)
		r = issue_draft(ctl, &target, occurrence, &draft);
	if (r == CTL_OK)
		r = issue_plan(ctl, &draft, &object);
	if (r == CTL_OK && !ctl->json)
		issue_plan_show(object);
	if (r == CTL_OK)
		r = ctl_ask(ctl, "Open it?");
	if (r == CTL_OK)
		r = open_now(ctl, &draft, &issue, &is_new);
	return r != CTL_OK ? r : tell(ctl, issue, is_new, json_incref(object));
}
