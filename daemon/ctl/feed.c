/* feed: where articles come from. */
#include <string.h>

#include "base/file.h"
#include "ctl/find.h"
#include "ctl/nouns.h"
#include "ctl/output.h"
#include "queries.h"

enum { DROP_FILE = 1 << 20, DROPS = 1000 };

/* ---- what add and set have in common ----------------------------------------------------------
 */

struct words {
	struct str items[DROPS];
	size_t count;
};

static int add_word(struct words *words, struct str word)
{
	if (words->count == DROPS)
		return ctl_fail(CTL_USAGE, "a feed has at most %d patterns", DROPS);
	words->items[words->count++] = word;
	return CTL_OK;
}

/* One pattern a line; empty lines count for nothing. */
static int read_drop_file(struct ctl *ctl, const char *path, struct words *words)
{
	_cleanup_buf_ struct buf b = {0};
	struct why why;
	if (file_read_any(path, DROP_FILE, &b, &why) < 0)
		return ctl_fail(CTL_FAILED, "%s", why.text);
	char *text = arena_copy(&ctl->arena, buf_str(&b));
	if (!text)
		return ctl_no_memory();
	struct str rest = str_of(text);
	int r = CTL_OK;
	while (r == CTL_OK && rest.n) {
		struct str line = str_trim(str_take(&rest, '\n'));
		if (line.n)
			r = add_word(words, line);
	}
	return r;
}

static int read_drops(struct ctl *ctl, struct words *words)
{
	size_t at = 0;
	const char *value;
	int r = CTL_OK;
	while (r == CTL_OK && (value = ctl_each(ctl, "drop", &at)))
		r = add_word(words, str_of(value));
	at = 0;
	while (r == CTL_OK && (value = ctl_each(ctl, "drop-file", &at)))
		r = read_drop_file(ctl, value, words);
	return r;
}

static int check_url(const char *url, bool local)
{
	if (!url || strncasecmp(url, "https://", 8) == 0 || strncasecmp(url, "http://", 7) == 0)
		return CTL_OK;
	if (strncasecmp(url, "file://", 7) != 0)
		return ctl_fail(CTL_USAGE,
				"%s: a feed's address begins with http://, https:// or file://",
				url);
	return local ? CTL_OK : ctl_fail(CTL_USAGE, "%s: a file is read only with --local", url);
}

/* Each --list or --not-list: `sql` with the ids of list and feed. */
static int each_list(struct ctl *ctl, const char *option, const char *sql, int feed)
{
	size_t at = 0;
	const char *name;
	int r = CTL_OK;
	while (r == CTL_OK && (name = ctl_each(ctl, option, &at))) {
		_cleanup_params_ struct db_params p = {0};
		int list = 0;
		r = find_list(ctl, name, &list);
		params_int64(&p, list);
		params_int64(&p, feed);
		if (r == CTL_OK)
			r = ctl_query(ctl, sql, &p, NULL);
	}
	return r;
}

/* ---- verbs ------------------------------------------------------------------------------------
 */

static int add_row(struct ctl *ctl, const struct words *drops, int *ret_feed)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	int64_t backfill = 0;
	usec_t every = ctl->settings->feeds.poll_interval;
	int r = ctl_number(ctl, "backfill", 0, 10000, &backfill);
	if (r == CTL_OK)
		r = ctl_duration(ctl, "every", &every);
	if (r != CTL_OK)
		return r;
	params_text(&p, ctl_arg(ctl, 0));
	params_text(&p, ctl_arg(ctl, 1));
	params_text(&p, ctl_value(ctl, "title"));
	params_bool(&p, ctl_has(ctl, "local"));
	params_texts(&p, drops->items, drops->count);
	params_int64(&p, (int64_t)every);
	params_int64(&p, backfill);
	params_usec(&p, ctl->now);
	r = ctl_query(ctl, sql_ctl_feed_add, &p, &res);
	if (r == CTL_OK && db_rows(res) == 0)
		return ctl_fail(CTL_FAILED, "there is a feed \"%s\" already", ctl_arg(ctl, 0));
	if (r == CTL_OK)
		*ret_feed = db_int(res, 0, 0);
	return r;
}

static int poll(struct ctl *ctl, int feed)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, feed);
	params_usec(&p, ctl->now);
	return ctl_query(ctl, sql_ctl_feed_poll, &p, NULL);
}

static int run_add(struct ctl *ctl)
{
	struct words drops = {0};
	const char *name = ctl_arg(ctl, 0), *url = ctl_arg(ctl, 1);
	int feed = 0, r = check_name("a feed", name);
	if (r == CTL_OK)
		r = check_url(url, ctl_has(ctl, "local"));
	if (r == CTL_OK && !ctl_has(ctl, "list"))
		r = ctl_fail(CTL_USAGE, "--list LIST is missing: who gets its articles?");
	if (r == CTL_OK && (r = ctl_settings(ctl)) == CTL_OK &&
	    (r = read_drops(ctl, &drops)) == CTL_OK && (r = ctl_begin(ctl)) == CTL_OK &&
	    (r = add_row(ctl, &drops, &feed)) == CTL_OK &&
	    (r = each_list(ctl, "list", sql_ctl_feed_list, feed)) == CTL_OK)
		r = ctl_commit(ctl);
	if (r != CTL_OK)
		return r;
	return output_done(ctl, json_pack("{s:s, s:i, s:s?}", "name", name, "id", feed, "url", url),
			   url ? "added the feed %s; an engine polls it soon"
			       : "added the feed %s, for articles by hand",
			   name);
}

static void add_optional(struct db_params *p, bool given, int64_t value)
{
	if (given)
		params_int64(p, value);
	else
		params_null(p);
}

static int set_row(struct ctl *ctl, int feed, const struct words *drops)
{
	_cleanup_params_ struct db_params p = {0};
	int64_t backfill = 0;
	usec_t every = 0;
	int r = ctl_number(ctl, "backfill", 0, 10000, &backfill);
	if (r == CTL_OK)
		r = ctl_duration(ctl, "every", &every);
	if (r != CTL_OK)
		return r;
	params_int64(&p, feed);
	params_text(&p, ctl_value(ctl, "url"));
	params_text(&p, ctl_value(ctl, "title"));
	params_text(&p, ctl_has(ctl, "local") ? "true" : NULL);
	if (drops->count || ctl_has(ctl, "no-drop"))
		params_texts(&p, drops->items, drops->count);
	else
		params_null(&p);
	add_optional(&p, ctl_has(ctl, "every"), (int64_t)every);
	add_optional(&p, ctl_has(ctl, "backfill"), backfill);
	params_text(&p, ctl_has(ctl, "pause")    ? "paused"
			: ctl_has(ctl, "resume") ? "active"
						 : NULL);
	return ctl_query(ctl, sql_ctl_feed_set, &p, NULL);
}

static int settle_flood(struct ctl *ctl, int feed)
{
	_cleanup_params_ struct db_params p = {0};
	if (!ctl_has(ctl, "flood-ok") && !ctl_has(ctl, "flood-drop"))
		return CTL_OK;
	params_int64(&p, feed);
	params_bool(&p, ctl_has(ctl, "flood-ok"));
	return ctl_query(ctl, sql_ctl_feed_flood, &p, NULL);
}

static int run_set(struct ctl *ctl)
{
	struct words drops = {0};
	int feed = 0, r = ctl_must_name(ctl);
	if (r == CTL_OK)
		r = ctl_exclude(ctl, "pause", "resume");
	if (r == CTL_OK)
		r = ctl_exclude(ctl, "flood-ok", "flood-drop");
	if (r == CTL_OK)
		r = ctl_exclude(ctl, "drop", "no-drop");
	if (r == CTL_OK)
		r = ctl_exclude(ctl, "drop-file", "no-drop");
	if (r == CTL_OK)
		r = check_url(ctl_value(ctl, "url"), ctl_has(ctl, "local"));
	if (r == CTL_OK && (r = read_drops(ctl, &drops)) == CTL_OK &&
	    (r = ctl_begin(ctl)) == CTL_OK &&
	    (r = find_feed(ctl, ctl_arg(ctl, 0), &feed)) == CTL_OK &&
	    (r = set_row(ctl, feed, &drops)) == CTL_OK && (r = settle_flood(ctl, feed)) == CTL_OK &&
	    (r = each_list(ctl, "list", sql_ctl_feed_list, feed)) == CTL_OK &&
	    (r = each_list(ctl, "not-list", sql_ctl_feed_unlist, feed)) == CTL_OK)
		r = ctl_commit(ctl);
	return r != CTL_OK ? r
			   : output_done(ctl, json_pack("{s:s}", "name", ctl_arg(ctl, 0)),
					 "changed the feed %s", ctl_arg(ctl, 0));
}

static int run_poll(struct ctl *ctl)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	const char *name = ctl_arg(ctl, 0);
	params_text(&p, name);
	int r = ctl_find(ctl, sql_ctl_feed_id, &p, &res, "there is no feed \"%s\"", name);
	if (r == CTL_OK && !db_bool(res, 0, 1))
		r = ctl_fail(CTL_FAILED, "the feed %s has no address: its articles come by hand",
			     name);
	if (r == CTL_OK)
		r = poll(ctl, db_int(res, 0, 0));
	return r != CTL_OK ? r
			   : output_done(ctl, json_pack("{s:s}", "name", name),
					 "an engine will poll %s now", name);
}

static int run_ls(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"id", NULL, OUTPUT_INT, NULL},
	    {"name", "NAME", OUTPUT_TEXT, NULL},
	    {"state", "STATE", OUTPUT_TEXT, NULL},
	    {"lists", "LISTS", OUTPUT_TEXTS, NULL},
	    {"articles", "ARTICLES", OUTPUT_INT, NULL},
	    {"polled_at", "POLLED", OUTPUT_TIME, NULL},
	    {"next_at", NULL, OUTPUT_TIME, NULL},
	    {"every_seconds", NULL, OUTPUT_INT, NULL},
	    {"failures", "FAILURES", OUTPUT_INT, NULL},
	    {"last_error", "LAST ERROR", OUTPUT_TEXT, NULL},
	    {"flood", "HELD", OUTPUT_TEXT, NULL},
	    {"title", NULL, OUTPUT_TEXT, NULL},
	    {"url", "ADDRESS", OUTPUT_TEXT, NULL},
	    {"is_local", NULL, OUTPUT_BOOL, NULL},
	    {"backfill", NULL, OUTPUT_INT, NULL},
	    {"drop_lines", NULL, OUTPUT_TEXTS, NULL},
	    {0},
	};
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	int r = find_list_if_named(ctl, ctl_arg(ctl, 0));
	params_text(&p, ctl_arg(ctl, 0));
	if (r == CTL_OK)
		r = ctl_query(ctl, sql_ctl_feed_ls, &p, &res);
	return r != CTL_OK ? r
			   : output_table(ctl, columns, output_rows(res, columns),
					  "there are no feeds; see: digestctl help feed add");
}

/* What an issue has used stays, for its history. */
static int remove_feed(struct ctl *ctl, int feed)
{
	static const char *const steps[] = {sql_ctl_feed_rm_articles, sql_ctl_feed_rm_lists,
					    sql_ctl_feed_rm};
	_cleanup_result_ struct pg_result *used = NULL;
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, feed);
	int r = ctl_query(ctl, sql_ctl_feed_articles_used, &p, &used);
	if (r == CTL_OK && db_rows(used) > 0)
		return ctl_fail(
		    CTL_FAILED,
		    "issues hold articles of this feed: pause it (digestctl feed set %s "
		    "--pause), or take its lists away (--not-list)",
		    ctl_arg(ctl, 0));
	for (size_t i = 0; r == CTL_OK && i < ELEMENTS(steps); i++) {
		params_int64(&p, feed);
		r = ctl_query(ctl, steps[i], &p, NULL);
	}
	return r;
}

static int run_rm(struct ctl *ctl)
{
	int feed = 0, r = find_feed(ctl, ctl_arg(ctl, 0), &feed);
	if (r == CTL_OK)
		r = ctl_ask(ctl, "Remove the feed %s and its articles?", ctl_arg(ctl, 0));
	if (r == CTL_OK && (r = ctl_begin(ctl)) == CTL_OK && (r = remove_feed(ctl, feed)) == CTL_OK)
		r = ctl_commit(ctl);
	return r != CTL_OK ? r
			   : output_done(ctl, json_pack("{s:s}", "name", ctl_arg(ctl, 0)),
					 "removed the feed %s", ctl_arg(ctl, 0));
}

static const struct ctl_option add_options[] = {
    {"list", "LIST", "who gets its articles; may be said several times"},
    {"title", "TEXT", "what people call it (default: as it calls itself)"},
    {"local", NULL, "private addresses and file:// are allowed"},
    {"every", "DURATION", "between two polls (default: feeds.poll_interval)"},
    {"backfill", "N", "of what is there at the first poll, so many count as new (default: 0)"},
    {"drop", "PATTERN", "leave out paragraphs like this: \"Sign up for*\"; several times"},
    {"drop-file", "FILE", "a file of such patterns, one a line"},
    {0},
};

static const struct ctl_option set_options[] = {
    {"url", "URL", "another address; its first poll takes a backlog again"},
    {"list", "LIST", "this list gets its articles too"},
    {"not-list", "LIST", "and this one no longer"},
    {"title", "TEXT", "what people call it"},
    {"local", NULL, "private addresses and file:// are allowed"},
    {"every", "DURATION", "between two polls"},
    {"backfill", "N", "of what is there at the first poll, so many count as new"},
    {"drop", "PATTERN", "in place of the patterns that there are; several times"},
    {"drop-file", "FILE", "a file of such patterns, one a line"},
    {"no-drop", NULL, "no patterns"},
    {"pause", NULL, "don't poll it"},
    {"resume", NULL, "poll it again"},
    {"flood-ok", NULL, "its flood of articles was looked at: they are news"},
    {"flood-drop", NULL, "it was looked at: they are old, and nobody gets them"},
    {0},
};

static const struct ctl_verb verbs[] = {
    {"add", "NAME [URL]", "Add a feed; without an address articles are added to it by hand.",
     run_add, 1, 2, add_options, NULL, false},
    {"set", "NAME", "Change what is named of a feed.", run_set, 1, 1, set_options, NULL, false},
    {"poll", "NAME", "Have an engine poll it now.", run_poll, 1, 1, NULL, NULL, false},
    {"ls", "[LIST]", "Show the feeds, of all lists or of one.", run_ls, 0, 1, NULL, NULL, false},
    {"rm", "NAME", "Remove a feed that no issue has used.", run_rm, 1, 1, NULL, NULL, true},
    {0},
};

const struct ctl_noun noun_feed = {"feed", "where articles come from", verbs};
