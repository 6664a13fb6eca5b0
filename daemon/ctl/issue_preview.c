/* issue preview, issue test: an issue before anybody gets it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/find.h"
#include "ctl/issue.h"
#include "ctl/output.h"
#include "mail/jsontext.h"
#include "mail/message.h"
#include "queries.h"

enum { TOPICS = 1000 };

/* ---- which variant ----------------------------------------------------------------------------
 */

/* --topics a,b and --lang: in the arena. */
static int read_variant(struct ctl *ctl, struct digest_variant *ret)
{
	char **topics;
	size_t count;
	int r = ctl_words(ctl, "topics", TOPICS, &topics, &count);
	if (r == CTL_OK)
		*ret = (struct digest_variant){(const char *const *)topics, count,
					       ctl_value(ctl, "lang")};
	return r;
}

static int check_lang(json_t *content, const char *lang)
{
	json_t *texts = json_object_get(content, "texts");
	struct str base, rest, list = jsontext_of(json_object_get(content, "list"), "lang");
	if (!lang || str_is(list, lang) || json_object_get(texts, lang))
		return CTL_OK;
	if (str_cut(str_of(lang), '-', &base, &rest) && json_object_getn(texts, base.p, base.n))
		return CTL_OK;
	return ctl_fail(CTL_FAILED, "there are no words for \"%s\": its readers get %.*s", lang,
			(int)list.n, list.p);
}

static int load(struct ctl *ctl, struct digest_variant *variant, json_t **ret)
{
	_cleanup_draft_ struct issue_draft draft = {0};
	json_auto_t *content = NULL;
	struct issue_target target;
	int64_t issue;
	const char *what = ctl_arg(ctl, 0);
	int r = read_variant(ctl, variant);
	if (r == CTL_OK && issue_is_number(what)) {
		if (ctl_has(ctl, "articles") || ctl_has(ctl, "subject"))
			return ctl_fail(CTL_USAGE, "what an opened issue holds can't be changed");
		r = check_number("issue", what, &issue);
		if (r == CTL_OK)
			r = issue_load(ctl, issue, &content);
	} else if (r == CTL_OK) {
		r = issue_find_target(ctl, what, &target);
		if (r == CTL_OK)
			r = issue_draft(ctl, &target, "preview", &draft);
		content = steal(draft.content);
	}
	if (r == CTL_OK)
		r = check_lang(content, variant->lang);
	if (r == CTL_OK)
		*ret = steal(content);
	return r;
}

/* ---- preview ----------------------------------------------------------------------------------
 */

/* To a file, or to standard output when it is called "-". */
static int write_file(const char *path, const struct buf *bytes)
{
	if (strcmp(path, "-") == 0)
		return fwrite(buf_text(bytes), 1, bytes->len, stdout) == bytes->len ? CTL_OK
										    : CTL_FAILED;
	_cleanup_fclose_ FILE *file = fopen(path, "we");
	if (!file || fwrite(buf_text(bytes), 1, bytes->len, file) != bytes->len ||
	    fflush(file) != 0)
		return ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
	return CTL_OK;
}

static json_t *titles_of(json_t *content, const struct digest_variant *variant)
{
	int err = 0;
	size_t i;
	json_t *article, *titles = json_array();
	json_auto_t *data = digest_data(content, variant, &err);
	bool all = data != NULL;
	json_array_foreach(json_object_get(data, "articles"), i, article) all =
	    json_array_append(titles, json_object_get(article, "title")) == 0 && all;
	if (all)
		return titles;
	json_decref(titles);
	return NULL;
}

static int tell(struct ctl *ctl, json_t *content, const struct digest_variant *variant,
		const struct issue_view *view, size_t html_size)
{
	static const struct output_column columns[] = {
	    {"subject", "Subject", OUTPUT_TEXT, NULL},
	    {"preheader", "Preheader", OUTPUT_TEXT, NULL},
	    {"articles", "Articles", OUTPUT_TEXTS, NULL},
	    {"html_text", "HTML", OUTPUT_TEXT, NULL},
	    {"text_size", "Text bytes", OUTPUT_INT, NULL},
	    {0},
	};
	const char *size =
	    arena_printf(&ctl->arena, "%.1f kB%s", (double)html_size / 1024,
			 html_size > MESSAGE_CLIPPED ? ": Gmail cuts it beyond 102 kB" : "");
	if (!size)
		return ctl_no_memory();
	return output_record(
	    ctl, columns,
	    json_pack("{ss ss so sI ss sI sb}", "subject", view->subject, "preheader",
		      view->preheader, "articles", titles_of(content, variant), "html_size",
		      (json_int_t)html_size, "html_text", size, "text_size",
		      (json_int_t)view->text.len, "clipped", html_size > MESSAGE_CLIPPED));
}

int issue_run_preview(struct ctl *ctl)
{
	_cleanup_view_ struct issue_view view = {0};
	_cleanup_buf_ struct buf mail = {0};
	json_auto_t *content = NULL;
	struct digest_variant variant;
	size_t html_size = 0;
	const char *html = ctl_value(ctl, "html"), *eml = ctl_value(ctl, "eml");
	int r = load(ctl, &variant, &content);
	if (r == CTL_OK)
		r = issue_view(ctl, content, &variant, &view);
	if (r == CTL_OK)
		r = issue_mail(ctl, content, &variant, &mail, &html_size);
	if (r == CTL_OK && html)
		r = write_file(html, &view.html);
	if (r == CTL_OK && eml)
		r = write_file(eml, &mail);
	if (r == CTL_OK && ctl_has(ctl, "text"))
		return write_file("-", &view.text);
	if (r != CTL_OK || (html && strcmp(html, "-") == 0) || (eml && strcmp(eml, "-") == 0))
		return r;
	return tell(ctl, content, &variant, &view, html_size);
}

/* ---- test -------------------------------------------------------------------------------------
 */

static int read_address(struct ctl *ctl, const char *text, struct address *ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	int r = check_address(text, ret);
	if (r != CTL_OK)
		return r;
	params_text(&p, ret->norm);
	r = ctl_query(ctl, sql_ctl_issue_suppressed, &p, &res);
	if (r == CTL_OK && db_rows(res))
		return ctl_fail(CTL_FAILED, "%s is never to be mailed again (%s)", text,
				db_text(res, 0, 0));
	return r;
}

static int queue_letter(struct ctl *ctl, int list, const struct address *address,
			const char *content, json_t *letters)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, list);
	params_text(&p, address->display);
	params_text(&p, content);
	params_usec(&p, ctl->now);
	int r = ctl_query(ctl, sql_ctl_issue_test, &p, &res);
	if (r != CTL_OK)
		return r;
	json_t *letter = json_pack("{sI ss}", "letter", (json_int_t)db_int64(res, 0, 0), "address",
				   address->display);
	return json_array_append_new(letters, letter) < 0 ? ctl_no_memory() : CTL_OK;
}

static int queue_letters(struct ctl *ctl, int list, json_t *content, json_t *letters)
{
	_cleanup_free_ char *text = json_dumps(content, JSON_COMPACT);
	if (!text)
		return ctl_no_memory();
	int count = ctl->arg_count - 1;
	struct address *addresses = arena_array(&ctl->arena, (size_t)count, sizeof(*addresses));
	int r = addresses ? CTL_OK : ctl_no_memory();
	for (int i = 0; r == CTL_OK && i < count; i++)
		r = read_address(ctl, ctl_arg(ctl, i + 1), &addresses[i]);
	if (r == CTL_OK)
		r = ctl_begin(ctl);
	for (int i = 0; r == CTL_OK && i < count; i++)
		r = queue_letter(ctl, list, &addresses[i], text, letters);
	return r != CTL_OK ? r : ctl_commit(ctl);
}

int issue_run_test(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"letter", "LETTER", OUTPUT_INT, NULL},
	    {"address", "TEST MAIL TO", OUTPUT_TEXT, NULL},
	    {0},
	};
	_cleanup_draft_ struct issue_draft draft = {0};
	const struct digest_variant all = {0};
	struct issue_target target;
	size_t html_size;
	json_auto_t *letters = json_array();
	int r = issue_find_target(ctl, ctl_arg(ctl, 0), &target);
	if (r == CTL_OK)
		r = issue_draft(ctl, &target, "test", &draft);
	if (r == CTL_OK)
		r = issue_mail(ctl, draft.content, &all, NULL, &html_size);
	if (r == CTL_OK)
		r = queue_letters(ctl, target.list, draft.content, letters);
	return r != CTL_OK ? r : output_table(ctl, columns, json_incref(letters), "");
}
