#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/find.h"
#include "ctl/issue.h"
#include "mail/theme.h"
#include "queries.h"

void issue_draft_free(struct issue_draft *draft)
{
	json_decref(draft->content);
}

bool issue_is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

/* ---- the edition ------------------------------------------------------------------------------
 */

static const char *kept(struct ctl *ctl, const struct pg_result *res, const char *column)
{
	return arena_strdup(&ctl->arena, db_text(res, 0, db_column(res, column)));
}

int issue_find_target(struct ctl *ctl, const char *text, struct issue_target *ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	const char *slash = strchrnul(text, '/');
	const char *name = arena_strndup(&ctl->arena, text, (size_t)(slash - text));
	int list = 0, edition = 0;
	if (!name)
		return ctl_no_memory();
	int r = find_list(ctl, name, &list);
	if (r == CTL_OK)
		r = find_edition(ctl, list, name, *slash ? slash + 1 : NULL, &edition);
	params_int64(&p, edition);
	if (r == CTL_OK)
		r = ctl_find(ctl, sql_ctl_issue_target, &p, &res, "the edition %s is gone", text);
	if (r != CTL_OK)
		return r;
	*ret = (struct issue_target){
	    .edition = edition,
	    .list = list,
	    .name = kept(ctl, res, "name"),
	    .list_name = kept(ctl, res, "list_name"),
	    .theme = kept(ctl, res, "theme"),
	    .lang = kept(ctl, res, "lang"),
	    .base_url = kept(ctl, res, "base_url"),
	    .postal_address = kept(ctl, res, "postal_address"),
	    .held = kept(ctl, res, "held"),
	};
	return ret->name && ret->list_name && ret->theme && ret->lang && ret->base_url &&
		       ret->postal_address
		   ? CTL_OK
		   : ctl_no_memory();
}

/* ---- its articles -----------------------------------------------------------------------------
 */

/* Numbers between commas or blanks. */
static int read_ids(struct ctl *ctl, const char *text, int64_t **ret, size_t *ret_count)
{
	int64_t *ids = arena_array(&ctl->arena, strlen(text) / 2 + 1, sizeof(*ids));
	size_t count = 0;
	if (!ids)
		return ctl_no_memory();
	for (const char *at = text; *(at += strspn(at, ", "));) {
		char *end;
		errno = 0;
		long long id = strtoll(at, &end, 10);
		if (errno || end == at || id <= 0 || !strchr(", ", *end))
			return ctl_fail(CTL_USAGE, "--articles %s: numbers are wanted, as in 3,8,5",
					text);
		ids[count++] = id;
		at = end;
	}
	if (count == 0)
		return ctl_fail(CTL_USAGE, "--articles: numbers are wanted, as in 3,8,5");
	*ret = ids;
	*ret_count = count;
	return CTL_OK;
}

static int refuse_unfit(struct ctl *ctl, const struct issue_draft *draft, const int64_t *wanted,
			size_t count)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, draft->target.edition);
	params_int64s(&p, wanted, count);
	params_usec(&p, ctl->now);
	int r = ctl_query(ctl, sql_ctl_issue_article_unfit, &p, &res);
	if (r != CTL_OK || db_rows(res) == 0)
		return r;
	return ctl_fail(CTL_FAILED, "article %lld can't go out with %s: %s",
			(long long)db_int64(res, 0, 0), draft->target.name, db_text(res, 0, 1));
}

/* Says so, and what an operator who expected more may have overlooked. */
static int nothing_new(struct ctl *ctl, const struct issue_draft *draft)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, draft->target.edition);
	int r = ctl_query(ctl, sql_ctl_issue_backlog, &p, &res);
	if (r != CTL_OK)
		return r;
	long long backlog = (long long)db_int64(res, 0, 0);
	if (backlog == 0)
		return ctl_fail(CTL_FAILED, "there is nothing new for %s", draft->target.name);
	return ctl_fail(CTL_FAILED,
			"there is nothing new for %s; %lld that stood in a feed before its first "
			"poll go out only by --articles (see: digestctl article ls)",
			draft->target.name, backlog);
}

static int choose_articles(struct ctl *ctl, struct issue_draft *draft)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	const char *text = ctl_value(ctl, "articles");
	int64_t *wanted = NULL;
	size_t count = 0;
	int r = text ? read_ids(ctl, text, &wanted, &count) : CTL_OK;
	if (r == CTL_OK && wanted)
		r = refuse_unfit(ctl, draft, wanted, count);
	if (r != CTL_OK)
		return r;
	params_int64(&p, draft->target.edition);
	if (wanted)
		params_int64s(&p, wanted, count);
	else
		params_null(&p);
	params_usec(&p, ctl->now);
	r = ctl_query(ctl, sql_ctl_issue_articles, &p, &res);
	if (r != CTL_OK)
		return r;
	if (db_int64s(res, 0, 0, &ctl->arena, &draft->articles, &draft->count) < 0)
		return ctl_no_memory();
	return draft->count ? CTL_OK : nothing_new(ctl, draft);
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static int freeze_theme(struct ctl *ctl, struct issue_draft *draft)
{
	struct why why = {""};
	_cleanup_free_ char *theme = NULL;
	const struct issue_target *target = &draft->target;
	int r =
	    theme_freeze(ctl->settings->templates_dir, target->theme, target->lang, &theme, &why);
	if (r < 0)
		return ctl_fail(CTL_FAILED, "%s", why.text[0] ? why.text : strerror(-r));
	draft->theme = arena_strdup(&ctl->arena, theme);
	return draft->theme ? CTL_OK : ctl_no_memory();
}

static int parse_content(struct ctl *ctl, const struct pg_result *res, json_t **ret)
{
	(void)ctl;
	json_error_t error;
	struct str text = db_str(res, 0, 0);
	json_t *content = json_loadb(text.p, text.n, 0, &error);
	if (!content)
		return ctl_fail(CTL_FAILED, "the issue's content is no JSON: %s", error.text);
	*ret = content;
	return CTL_OK;
}

static int fill_content(struct ctl *ctl, struct issue_draft *draft)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	const char *uid = arena_printf(&ctl->arena, "%s.%s", draft->target.name, draft->occurrence);
	if (!uid)
		return ctl_no_memory();
	*strchr(uid, '/') = '.';
	params_int64(&p, draft->target.edition);
	params_text(&p, uid);
	params_text(&p, draft->occurrence);
	params_int64s(&p, draft->articles, draft->count);
	params_text(&p, draft->subject);
	params_text(&p, draft->theme);
	params_usec(&p, ctl->now);
	int r = ctl_query(ctl, sql_ctl_issue_content, &p, &res);
	return r != CTL_OK ? r : parse_content(ctl, res, &draft->content);
}

int issue_draft(struct ctl *ctl, const struct issue_target *target, const char *occurrence,
		struct issue_draft *ret)
{
	_cleanup_draft_ struct issue_draft draft = {
	    .target = *target, .occurrence = occurrence, .subject = ctl_value(ctl, "subject")};
	int r = choose_articles(ctl, &draft);
	if (r == CTL_OK)
		r = freeze_theme(ctl, &draft);
	if (r == CTL_OK)
		r = fill_content(ctl, &draft);
	if (r != CTL_OK)
		return r;
	*ret = draft;
	draft.content = NULL;
	return CTL_OK;
}

int issue_load(struct ctl *ctl, int64_t issue, json_t **ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, issue);
	int r =
	    ctl_find(ctl, sql_ctl_issue_load, &p, &res, "there is no issue %lld", (long long)issue);
	return r != CTL_OK ? r : parse_content(ctl, res, ret);
}
