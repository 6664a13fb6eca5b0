/* article: what digests are made of. */
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "ctl/find.h"
#include "ctl/nouns.h"
#include "ctl/output.h"
#include "news/article.h"
#include "news/date.h"
#include "news/fetch.h"
#include "news/page.h"
#include "news/stored.h"
#include "queries.h"

enum { ARTICLE_TOPIC_MOST = 50 };

static const struct ctl_option add_options[] = {
    {"feed", "NAME", "the source that it belongs to; a must"},
    {"kind", "WORD", "markdown, html or text (default: by its name, else its look)"},
    {"topics", "A,B", "in place of its own"},
    {"title", "TEXT", "in place of its own, as with what follows"},
    {"author", "TEXT", "who wrote it"},
    {"summary", "TEXT", "what cards show of it"},
    {"url", "URL", "where readers find it"},
    {"image", "URL", "its picture"},
    {"lang", "TAG", "its language"},
    {"date", "DATE", "when it was published (default: as it says, else now)"},
    {0},
};

struct source {
	int feed;
	bool local;
	struct drop drop;
};

/* ---- reading ----------------------------------------------------------------------------------
 */

static int find_source(struct ctl *ctl, struct source *ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	struct str *lines;
	size_t n;
	const char *name = ctl_value(ctl, "feed");
	if (!name)
		return ctl_fail(CTL_USAGE, "--feed NAME is missing; see: digestctl feed ls");
	params_text(&p, name);
	int r = ctl_find(ctl, sql_ctl_article_feed, &p, &res, "there is no feed \"%s\"", name);
	if (r != CTL_OK)
		return r;
	if (db_texts(res, 0, 1, &ctl->arena, &lines, &n) < 0)
		return ctl_no_memory();
	const char **patterns = arena_array(&ctl->arena, n + 1, sizeof(*patterns));
	if (!patterns)
		return ctl_no_memory();
	for (size_t i = 0; i < n; i++)
		patterns[i] = lines[i].p;
	*ret = (struct source){db_int(res, 0, 0), db_bool(res, 0, 2), {patterns, n}};
	return CTL_OK;
}

static int kind_of(struct ctl *ctl, enum article_kind *ret)
{
	static const struct {
		const char *word;
		enum article_kind kind;
	} kinds[] = {
	    {"markdown", ARTICLE_MARKDOWN}, {"html", ARTICLE_HTML}, {"text", ARTICLE_TEXT}};
	const char *word = ctl_value(ctl, "kind");
	*ret = ARTICLE_GUESS;
	for (size_t i = 0; word && i < ELEMENTS(kinds); i++)
		if (strcmp(word, kinds[i].word) == 0)
			*ret = kinds[i].kind;
	if (word && *ret == ARTICLE_GUESS)
		return ctl_fail(CTL_USAGE, "--kind %s: markdown, html or text", word);
	return CTL_OK;
}

static bool is_url(const char *text)
{
	return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0 ||
	       strncasecmp(text, "file://", 7) == 0;
}

static int fetch_page(struct ctl *ctl, const char *url, const struct source *source,
		      enum article_kind kind, struct article *a)
{
	_cleanup_fetch_result_ struct fetch_result result = {0};
	const struct settings_feeds *feeds = &ctl->settings->feeds;
	struct fetch_request request = {
	    .url = url,
	    .user_agent = feeds->user_agent,
	    .accept = "text/html,application/xhtml+xml,text/markdown,text/plain;q=0.8,*/*;q=0.5",
	    .max_bytes = (size_t)feeds->max_size,
	    .timeout_ms = (unsigned)(feeds->timeout / USEC_PER_MSEC),
	    .allow_private = source->local,
	    .allow_file = true,
	};
	struct why why = {""};
	int r = fetch_now(&request, &result);
	if (r < 0)
		return ctl_fail(CTL_FAILED, "%s: %s", url, strerror(-r));
	if (result.status != FETCH_OK)
		return ctl_fail(CTL_FAILED, "%s: %s", url, result.why.text);
	struct str body = buf_str(&result.body);
	const char *type = result.content_type;
	bool plain = type && (strncasecmp(type, "text/plain", 10) == 0 ||
			      strncasecmp(type, "text/markdown", 13) == 0);
	if (kind == ARTICLE_MARKDOWN || kind == ARTICLE_TEXT || plain ||
	    !strncasecmp(url, "file:", 5))
		r = article_read(&ctl->arena, body, url, kind, a, &why);
	else
		r = page_read(&ctl->arena, body, type, result.url, a, &why);
	return r < 0 ? ctl_fail(CTL_FAILED, "%s: %s", url, *why.text ? why.text : strerror(-r))
		     : CTL_OK;
}

static int read_file(struct ctl *ctl, const char *path, enum article_kind kind, struct article *a)
{
	_cleanup_buf_ struct buf b = {0};
	struct why why = {""};
	const char *name = strcmp(path, "-") == 0 ? NULL : path;
	int r = file_read_any(path, (size_t)ctl->settings->feeds.max_size, &b, &why);
	if (r < 0)
		return ctl_fail(r == -ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s", why.text);
	r = article_read(&ctl->arena, buf_str(&b), name, kind, a, &why);
	return r < 0 ? ctl_fail(CTL_FAILED, "%s: %s", path, *why.text ? why.text : strerror(-r))
		     : CTL_OK;
}

/* ---- what the operator says of it -------------------------------------------------------------
 */

static int set_fields(struct ctl *ctl, struct article *a)
{
	const struct {
		const char *option;
		char **field;
	} fields[] = {{"title", &a->title}, {"author", &a->author}, {"summary", &a->summary},
		      {"url", &a->url},     {"image", &a->image},   {"lang", &a->lang}};
	for (size_t i = 0; i < ELEMENTS(fields); i++) {
		const char *value = ctl_value(ctl, fields[i].option);
		if (value && !(*fields[i].field = arena_strdup(&ctl->arena, value)))
			return ctl_no_memory();
	}
	const char *date = ctl_value(ctl, "date");
	if (date && !(a->published = date_parse(str_of(date))))
		return ctl_fail(CTL_USAGE,
				"--date %s: that is no date; 2026-03-29T07:00:00+02:00 is", date);
	return ctl_has(ctl, "topics")
		   ? ctl_words(ctl, "topics", ARTICLE_TOPIC_MOST, &a->topics, &a->n_topics)
		   : CTL_OK;
}

/* ---- storing ----------------------------------------------------------------------------------
 */

static char *as_rows(const struct article *a)
{
	json_t *array = json_pack("[o]", stored_row(a));
	char *text = array ? json_dumps(array, JSON_COMPACT) : NULL;
	json_decref(array);
	return text;
}

/* One statement about the article; both take the same. */
static int put(struct ctl *ctl, const char *sql, int feed, const char *rows, struct pg_result **ret)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, feed);
	params_text(&p, rows);
	params_usec(&p, ctl->now);
	return ctl_query(ctl, sql, &p, ret);
}

/* Appends what became of it to `told`. */
static int store(struct ctl *ctl, int feed, const struct article *a, json_t *told)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *first = NULL, *again = NULL, *found = NULL;
	_cleanup_free_ char *rows = as_rows(a);
	if (!rows)
		return ctl_no_memory();
	int r = put(ctl, sql_ctl_article_put, feed, rows, &first);
	if (r == CTL_OK)
		r = put(ctl, sql_ctl_article_retell, feed, rows, &again);
	params_int64(&p, feed);
	params_text(&p, a->guid);
	if (r == CTL_OK)
		r = ctl_find(ctl, sql_ctl_article_by_guid, &p, &found, "the article is gone again");
	if (r != CTL_OK)
		return r;
	const char *word = db_int(first, 0, 0)                         ? "added"
			   : db_int(first, 0, 1) || db_affected(again) ? "updated"
			   : db_bool(found, 0, 2)                      ? "kept: an issue holds it"
								       : "unchanged";
	json_t *row = json_pack("{s:I, s:s, s:s}", "id", (json_int_t)db_int64(found, 0, 0), "title",
				db_text(found, 0, 1), "result", word);
	return json_array_append_new(told, row) < 0 ? ctl_no_memory() : CTL_OK;
}

static int read_one(struct ctl *ctl, const char *path, const struct source *source,
		    enum article_kind kind, struct article *ret)
{
	struct why why = {""};
	int r = is_url(path) ? fetch_page(ctl, path, source, kind, ret)
			     : read_file(ctl, path, kind, ret);
	if (r == CTL_OK)
		r = set_fields(ctl, ret);
	if (r != CTL_OK)
		return r;
	int settled = article_settle(&ctl->arena, ret, &source->drop, &why);
	return settled < 0
		   ? ctl_fail(CTL_FAILED, "%s: %s", path, *why.text ? why.text : strerror(-settled))
		   : CTL_OK;
}

static int store_all(struct ctl *ctl, int feed, const struct article *articles, json_t *told)
{
	int r = ctl_begin(ctl);
	for (int i = 0; r == CTL_OK && i < ctl->arg_count; i++)
		r = store(ctl, feed, &articles[i], told);
	return r == CTL_OK ? ctl_commit(ctl) : r;
}

/* All are read before the first is stored: what can't be read leaves nothing half done. */
static int run_add(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"id", "NUMBER", OUTPUT_INT, NULL},
	    {"title", "TITLE", OUTPUT_TEXT, NULL},
	    {"result", "RESULT", OUTPUT_TEXT, NULL},
	    {0},
	};
	struct source source = {0};
	enum article_kind kind;
	int r = kind_of(ctl, &kind);
	if (r == CTL_OK)
		r = find_source(ctl, &source);
	if (r != CTL_OK)
		return r;
	struct article *articles =
	    arena_array(&ctl->arena, (size_t)ctl->arg_count, sizeof(*articles));
	json_t *told = json_array();
	if (!articles || !told)
		r = ctl_no_memory();
	for (int i = 0; r == CTL_OK && i < ctl->arg_count; i++)
		r = read_one(ctl, ctl->args[i], &source, kind, &articles[i]);
	if (r == CTL_OK)
		r = store_all(ctl, source.feed, articles, told);
	if (r == CTL_OK)
		return output_table(ctl, columns, told, "");
	json_decref(told);
	return r;
}

/* ---- ls, show, rm -----------------------------------------------------------------------------
 */

static const struct ctl_option ls_options[] = {
    {"limit", "N", "so many at most, the newest (default: 100)"},
    {0},
};

static int run_ls(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"id", "NUMBER", OUTPUT_INT, NULL},
	    {"feed", "FEED", OUTPUT_TEXT, NULL},
	    {"published_at", "PUBLISHED", OUTPUT_TIME, NULL},
	    {"title", "TITLE", OUTPUT_TEXT, NULL},
	    {"author", NULL, OUTPUT_TEXT, NULL},
	    {"url", NULL, OUTPUT_TEXT, NULL},
	    {"lang", "LANG", OUTPUT_TEXT, NULL},
	    {"topics", "TOPICS", OUTPUT_TEXTS, NULL},
	    {"backlog", "BACKLOG", OUTPUT_BOOL, NULL},
	    {"revision", NULL, OUTPUT_INT, NULL},
	    {"issues", "ISSUES", OUTPUT_TEXTS, NULL},
	    {0},
	};
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	int64_t limit = 100;
	int feed = 0, r = ctl_number(ctl, "limit", 1, 1000000, &limit);
	if (r == CTL_OK && ctl_arg(ctl, 0))
		r = find_feed(ctl, ctl_arg(ctl, 0), &feed);
	if (r != CTL_OK)
		return r;
	if (feed)
		params_int64(&p, feed);
	else
		params_null(&p);
	params_int64(&p, limit);
	r = ctl_query(ctl, sql_ctl_article_ls, &p, &res);
	return r != CTL_OK ? r
			   : output_table(ctl, columns, output_rows(res, columns),
					  "there are no articles; see: digestctl help article add");
}

static int run_show(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"id", "number", OUTPUT_INT, NULL},
	    {"feed", "feed", OUTPUT_TEXT, NULL},
	    {"guid", "id", OUTPUT_TEXT, NULL},
	    {"title", "title", OUTPUT_TEXT, NULL},
	    {"author", "author", OUTPUT_TEXT, NULL},
	    {"url", "address", OUTPUT_TEXT, NULL},
	    {"summary", "summary", OUTPUT_TEXT, NULL},
	    {"image", "picture", OUTPUT_TEXT, NULL},
	    {"image_alt", "its text", OUTPUT_TEXT, NULL},
	    {"lang", "language", OUTPUT_TEXT, NULL},
	    {"dir", "direction", OUTPUT_TEXT, NULL},
	    {"topics", "topics", OUTPUT_TEXTS, NULL},
	    {"published_at", "published", OUTPUT_TIME, NULL},
	    {"seen_at", "seen", OUTPUT_TIME, NULL},
	    {"updated_at", "updated", OUTPUT_TIME, NULL},
	    {"revision", "revision", OUTPUT_INT, NULL},
	    {"backlog", "backlog", OUTPUT_BOOL, NULL},
	    {"issues", "issues", OUTPUT_TEXTS, NULL},
	    {"body_html", NULL, OUTPUT_TEXT, NULL},
	    {"body_text", NULL, OUTPUT_TEXT, NULL},
	    {0},
	};
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	int64_t id;
	int r = check_number("article", ctl_arg(ctl, 0), &id);
	params_int64(&p, id);
	if (r == CTL_OK)
		r = ctl_find(ctl, sql_ctl_article_show, &p, &res, "there is no article %s",
			     ctl_arg(ctl, 0));
	if (r == CTL_OK)
		r = output_record(ctl, columns, output_row(res, 0, columns));
	if (r == CTL_OK && !ctl->json)
		printf("\n%s\n", db_text(res, 0, db_column(res, "body_text")));
	return r;
}

static int run_rm(struct ctl *ctl)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL, *gone = NULL;
	int64_t id;
	int r = check_number("article", ctl_arg(ctl, 0), &id);
	params_int64(&p, id);
	if (r == CTL_OK)
		r = ctl_find(ctl, sql_ctl_article_show, &p, &res, "there is no article %s",
			     ctl_arg(ctl, 0));
	if (r != CTL_OK)
		return r;
	const char *title = db_text(res, 0, db_column(res, "title"));
	r = ctl_ask(ctl, "Remove the article \"%s\"?", title);
	params_int64(&p, id);
	if (r == CTL_OK)
		r = ctl_query(ctl, sql_ctl_article_rm, &p, &gone);
	if (r == CTL_OK && db_rows(gone) == 0)
		r = ctl_fail(CTL_FAILED, "an issue holds the article %lld: it stays",
			     (long long)id);
	return r != CTL_OK ? r
			   : output_done(ctl, json_pack("{s:I}", "id", (json_int_t)id),
					 "removed the article \"%s\"", title);
}

static const char add_more[] =
    "A FILE (\"-\": standard input) is Markdown with front matter, HTML, or plain text whose "
    "first\n"
    "line is the title. A URL is fetched and read as the page tells of itself. Adding the same\n"
    "again updates it, until an issue holds it.";

static const struct ctl_verb verbs[] = {
    {"add", "FILE|URL...", "Add articles by hand.", run_add, 1, -1, add_options, add_more, false},
    {"ls", "[FEED]", "Show the articles, newest first.", run_ls, 0, 1, ls_options, NULL, false},
    {"show", "NUMBER", "Show an article and its text.", run_show, 1, 1, NULL, NULL, false},
    {"rm", "NUMBER", "Remove an article that no issue holds.", run_rm, 1, 1, NULL, NULL, true},
    {0},
};

const struct ctl_noun noun_article = {"article", "what digests are made of", verbs};
