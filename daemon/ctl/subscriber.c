/* subscriber: the people who read the lists. */
#include <string.h>

#include "base/text.h"
#include "ctl/find.h"
#include "ctl/import.h"
#include "ctl/nouns.h"
#include "ctl/output.h"
#include "queries.h"

enum { TOPICS = 50 };

/* The subscriber of an address, 0 when there is none. */
static int find(struct ctl *ctl, const struct address *address, int64_t *ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_text(&p, address->norm);
	int r = ctl_query(ctl, sql_ctl_subscriber_find, &p, &res);
	if (r == CTL_OK)
		*ret = db_rows(res) ? db_int64(res, 0, 0) : 0;
	return r;
}

static int status_of(struct ctl *ctl, int list, int64_t subscriber, char ret[static 16])
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, list);
	params_int64(&p, subscriber);
	int r = ctl_query(ctl, sql_ctl_subscriber_status, &p, &res);
	if (r == CTL_OK)
		snprintf(ret, 16, "%s", db_rows(res) ? db_text(res, 0, 0) : "");
	return r;
}

/* ---- add --------------------------------------------------------------------------------------
 */

static const struct ctl_option add_options[] = {
    {"name", "TEXT", "the reader's name"},
    {"lang", "TAG", "their language (default: the list's)"},
    {"zone", "ZONE", "their clock, such as Asia/Karachi (default: the list's)"},
    {"topics", "A,B", "only articles of these topics (default: all)"},
    {"edition", "NAME", "default: the list's default edition"},
    {"attr", "KEY=VALUE", "what templates see as {{reader.KEY}}; several times"},
    {"consent", "TEXT", "how they agreed"},
    {"confirm", NULL, "mail them a link; they join when they follow it"},
    {"again", NULL, "though they unsubscribed once: it's their own wish"},
    {0},
};

static int add_attribute(struct ctl *ctl, const char *pair, json_t *attrs)
{
	struct str key, value;
	if (!str_cut(str_of(pair), '=', &key, &value) || !key.n)
		return ctl_fail(CTL_USAGE, "--attr %s: KEY=VALUE is wanted", pair);
	if (!text_valid(str_of(pair)))
		return ctl_fail(CTL_USAGE, "--attr %s: this isn't UTF-8", pair);
	char *name = arena_copy(&ctl->arena, key);
	return !name || json_object_set_new(attrs, name, json_stringn(value.p, value.n)) < 0
		   ? ctl_no_memory()
		   : CTL_OK;
}

/* Takes the value over; NULL: no memory. */
static char *dump(struct arena *arena, json_t *value)
{
	_cleanup_free_ char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
	json_decref(value);
	return text ? arena_strdup(arena, text) : NULL;
}

static int put_person(struct ctl *ctl, const struct address *address, int64_t *ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	json_auto_t *attrs = json_object();
	const char *pair;
	size_t at = 0;
	int r = CTL_OK;
	while (r == CTL_OK && (pair = ctl_each(ctl, "attr", &at)))
		r = add_attribute(ctl, pair, attrs);
	const char *text = r == CTL_OK ? dump(&ctl->arena, json_incref(attrs)) : NULL;
	if (r != CTL_OK || !text)
		return r != CTL_OK ? r : ctl_no_memory();
	params_text(&p, address->display);
	params_text(&p, address->norm);
	params_text(&p, address->domain);
	params_text(&p, ctl_value(ctl, "name"));
	params_text(&p, text);
	params_text(&p, ctl_value(ctl, "lang"));
	params_usec(&p, ctl->now);
	r = ctl_query(ctl, sql_ctl_subscriber_put, &p, &res);
	if (r == CTL_OK)
		*ret = db_int64(res, 0, 0);
	return r;
}

static int add_topics(struct ctl *ctl, struct db_params *p)
{
	struct str topics[TOPICS];
	char **words;
	size_t count;
	if (!ctl_has(ctl, "topics")) {
		params_null(p);
		return CTL_OK;
	}
	int r = ctl_words(ctl, "topics", TOPICS, &words, &count);
	for (size_t i = 0; r == CTL_OK && i < count; i++)
		topics[i] = str_of(words[i]);
	if (r == CTL_OK)
		params_texts(p, topics, count);
	return r;
}

static int put_subscription(struct ctl *ctl, int list, int64_t subscriber, int edition)
{
	_cleanup_params_ struct db_params p = {0};
	const char *consent = ctl_value(ctl, "consent");
	if (!text_valid(str_of(consent)))
		return ctl_fail(CTL_USAGE, "--consent isn't UTF-8");
	char *detail =
	    dump(&ctl->arena, json_pack("{s:s, s:s*}", "way", "operator", "consent", consent));
	if (!detail)
		return ctl_no_memory();
	params_int64(&p, list);
	params_int64(&p, subscriber);
	params_text(&p, "join");
	params_int64(&p, edition);
	params_text(&p, ctl_has(ctl, "confirm") ? "pending" : "active");
	params_text(&p, ctl_value(ctl, "zone"));
	int r = add_topics(ctl, &p);
	params_text(&p, detail);
	params_usec(&p, ctl->now);
	return r != CTL_OK ? r : ctl_query(ctl, sql_ctl_subscription_put, &p, NULL);
}

static int send_confirm(struct ctl *ctl, int list, int64_t subscriber)
{
	_cleanup_params_ struct db_params p = {0};
	int r = ctl_settings(ctl);
	if (r != CTL_OK)
		return r;
	params_int64(&p, list);
	params_int64(&p, subscriber);
	params_int64(&p, (int64_t)ctl->settings->letters.confirm_expires);
	params_usec(&p, ctl->now);
	return ctl_query(ctl, sql_ctl_subscriber_confirm, &p, NULL);
}

/* Nobody comes back by somebody else's word. */
static int may_join(struct ctl *ctl, int list, const struct address *address)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	char status[16] = "";
	int64_t subscriber = 0;
	params_text(&p, address->norm);
	int r = ctl_query(ctl, sql_ctl_subscriber_suppressed, &p, &res);
	if (r == CTL_OK && db_rows(res))
		return ctl_fail(CTL_FAILED, "%s is suppressed: never to be mailed again",
				address->display);
	if (r == CTL_OK)
		r = find(ctl, address, &subscriber);
	if (r == CTL_OK && subscriber)
		r = status_of(ctl, list, subscriber, status);
	if (r == CTL_OK && strcmp(status, "active") == 0)
		return ctl_fail(CTL_FAILED, "%s is on the list already", address->display);
	if (r == CTL_OK && strcmp(status, "unsubscribed") == 0 && !ctl_has(ctl, "again"))
		return ctl_fail(CTL_FAILED,
				"%s unsubscribed from this list; say --again when they ask for it",
				address->display);
	return r;
}

static int run_add(struct ctl *ctl)
{
	struct address address;
	int list = 0, edition = 0;
	int64_t subscriber = 0;
	const char *name = ctl_arg(ctl, 0);
	int r = check_address(ctl_arg(ctl, 1), &address);
	if (r == CTL_OK && ctl_has(ctl, "lang") && !is_language(str_of(ctl_value(ctl, "lang"))))
		r = ctl_fail(CTL_USAGE, "--lang %s: en, de, pt-BR, ur ... are language tags",
			     ctl_value(ctl, "lang"));
	if (r == CTL_OK && (r = find_list(ctl, name, &list)) == CTL_OK &&
	    (r = find_edition(ctl, list, name, ctl_value(ctl, "edition"), &edition)) == CTL_OK &&
	    (r = ctl_begin(ctl)) == CTL_OK && (r = may_join(ctl, list, &address)) == CTL_OK &&
	    (r = put_person(ctl, &address, &subscriber)) == CTL_OK)
		r = put_subscription(ctl, list, subscriber, edition);
	if (r == CTL_OK && ctl_has(ctl, "confirm"))
		r = send_confirm(ctl, list, subscriber);
	if (r == CTL_OK)
		r = ctl_commit(ctl);
	if (r != CTL_OK)
		return r;
	return output_done(ctl,
			   json_pack("{s:s, s:s, s:I, s:s}", "list", name, "email", address.display,
				     "id", (json_int_t)subscriber, "status",
				     ctl_has(ctl, "confirm") ? "pending" : "active"),
			   ctl_has(ctl, "confirm") ? "%s gets a letter to confirm"
						   : "%s is a reader now",
			   address.display);
}

/* ---- show, ls ---------------------------------------------------------------------------------
 */

static int run_show(struct ctl *ctl)
{
	static const struct output_column person[] = {
	    {"id", "number", OUTPUT_INT, NULL},
	    {"email", "address", OUTPUT_TEXT, NULL},
	    {"name", "name", OUTPUT_TEXT, NULL},
	    {"lang", "language", OUTPUT_TEXT, NULL},
	    {"attrs", "attributes", OUTPUT_JSON, NULL},
	    {"suppressed_at", "suppressed", OUTPUT_TIME, NULL},
	    {"created_at", "known since", OUTPUT_TIME, NULL},
	    {0},
	};
	static const struct output_column subscriptions[] = {
	    {"list", "LIST", OUTPUT_TEXT, NULL},
	    {"edition", "EDITION", OUTPUT_TEXT, NULL},
	    {"status", "STATUS", OUTPUT_TEXT, NULL},
	    {"status_at", "SINCE", OUTPUT_TIME, NULL},
	    {"zone", "ZONE", OUTPUT_TEXT, NULL},
	    {"provider", NULL, OUTPUT_TEXT, NULL},
	    {"topics", "TOPICS", OUTPUT_TEXTS, NULL},
	    {"paused_until", "PAUSED UNTIL", OUTPUT_TIME, NULL},
	    {"created_at", NULL, OUTPUT_TIME, NULL},
	    {"consent", NULL, OUTPUT_JSON, NULL},
	    {0},
	};
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL, *ties = NULL;
	struct address address;
	int r = check_address(ctl_arg(ctl, 0), &address);
	if (r != CTL_OK)
		return r;
	params_text(&p, address.norm);
	r = ctl_find(ctl, sql_ctl_subscriber_show, &p, &res, "nobody has the address %s",
		     address.display);
	if (r != CTL_OK)
		return r;
	params_int64(&p, db_int64(res, 0, 0));
	r = ctl_query(ctl, sql_ctl_subscriber_subscriptions, &p, &ties);
	if (r != CTL_OK)
		return r;
	json_t *object = output_row(res, 0, person), *rows = output_rows(ties, subscriptions);
	if (ctl->json) {
		if (json_object_set_new(object, "subscriptions", rows) < 0)
			json_decref(steal(object));
		return output_record(ctl, person, object);
	}
	r = output_record(ctl, person, object);
	putchar('\n');
	return output_table(ctl, subscriptions, rows, "on no list") == CTL_OK ? r : CTL_FAILED;
}

static const struct ctl_option ls_options[] = {
    {"status", "WORD", "only those: active, pending or unsubscribed"},
    {"edition", "NAME", "only the readers of this edition"},
    {"limit", "N", "so many at most (default: 100)"},
    {"after", "NUMBER", "go on behind this one"},
    {0},
};

static int run_ls(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"id", "NUMBER", OUTPUT_INT, NULL},
	    {"email", "ADDRESS", OUTPUT_TEXT, NULL},
	    {"name", "NAME", OUTPUT_TEXT, NULL},
	    {"lang", "LANG", OUTPUT_TEXT, NULL},
	    {"edition", "EDITION", OUTPUT_TEXT, NULL},
	    {"status", "STATUS", OUTPUT_TEXT, NULL},
	    {"zone", "ZONE", OUTPUT_TEXT, NULL},
	    {"topics", "TOPICS", OUTPUT_TEXTS, NULL},
	    {"suppressed_at", "SUPPRESSED", OUTPUT_TIME, NULL},
	    {"since", NULL, OUTPUT_TIME, NULL},
	    {0},
	};
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	const char *list_name = ctl_arg(ctl, 0), *edition_name = ctl_value(ctl, "edition");
	const char *status = ctl_value(ctl, "status");
	int64_t limit = 100, after = 0;
	int list = 0, edition = 0;
	int r = ctl_number(ctl, "limit", 1, 1000000, &limit);
	if (r == CTL_OK)
		r = ctl_number(ctl, "after", 0, INT64_MAX, &after);
	if (r == CTL_OK && status && strcmp(status, "active") != 0 &&
	    strcmp(status, "pending") != 0 && strcmp(status, "unsubscribed") != 0)
		r = ctl_fail(CTL_USAGE, "--status %s: active, pending or unsubscribed", status);
	if (r == CTL_OK)
		r = find_list(ctl, list_name, &list);
	if (r == CTL_OK && edition_name)
		r = find_edition(ctl, list, list_name, edition_name, &edition);
	if (r != CTL_OK)
		return r;
	params_int64(&p, list);
	params_int64(&p, after);
	params_text(&p, status);
	if (edition_name)
		params_int64(&p, edition);
	else
		params_null(&p);
	params_int64(&p, limit);
	r = ctl_query(ctl, sql_ctl_subscriber_ls, &p, &res);
	return r != CTL_OK ? r
			   : output_table(ctl, columns, output_rows(res, columns),
					  "there are no such readers");
}

/* ---- unsubscribe, suppress --------------------------------------------------------------------
 */

static int leave(struct ctl *ctl, int list, int64_t subscriber)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, list);
	params_int64(&p, subscriber);
	params_text(&p, "unsubscribe");
	params_null(&p);
	params_text(&p, "unsubscribed");
	params_null(&p);
	params_null(&p);
	params_text(&p, "{\"way\":\"operator\"}");
	params_usec(&p, ctl->now);
	return ctl_query(ctl, sql_ctl_subscription_put, &p, NULL);
}

static int run_unsubscribe(struct ctl *ctl)
{
	struct address address;
	char status[16] = "";
	int list = 0;
	int64_t subscriber = 0;
	int r = check_address(ctl_arg(ctl, 1), &address);
	if (r == CTL_OK && (r = find_list(ctl, ctl_arg(ctl, 0), &list)) == CTL_OK &&
	    (r = find(ctl, &address, &subscriber)) == CTL_OK && subscriber)
		r = status_of(ctl, list, subscriber, status);
	if (r != CTL_OK)
		return r;
	if (!*status)
		return ctl_fail(CTL_NOT_FOUND, "%s isn't on the list %s", address.display,
				ctl_arg(ctl, 0));
	bool already = strcmp(status, "unsubscribed") == 0;
	if (!already)
		r = leave(ctl, list, subscriber);
	return r != CTL_OK
		   ? r
		   : output_done(ctl,
				 json_pack("{s:s, s:s, s:b}", "list", ctl_arg(ctl, 0), "email",
					   address.display, "already", already),
				 already ? "%s had left already" : "%s has left", address.display);
}

static int run_suppress(struct ctl *ctl)
{
	_cleanup_params_ struct db_params p = {0};
	struct address address;
	int64_t subscriber = 0;
	int r = check_address(ctl_arg(ctl, 0), &address);
	if (r == CTL_OK)
		r = ctl_ask(ctl, "Never mail %s again, from any list? This can't be undone.",
			    address.display);
	if (r == CTL_OK)
		r = find(ctl, &address, &subscriber);
	if (r != CTL_OK)
		return r;
	if (subscriber)
		params_int64(&p, subscriber);
	else
		params_text(&p, address.norm);
	params_usec(&p, ctl->now);
	r = ctl_query(ctl, subscriber ? sql_ctl_suppress : sql_ctl_suppress_stranger, &p, NULL);
	return r != CTL_OK ? r
			   : output_done(ctl,
					 json_pack("{s:s, s:b}", "email", address.display,
						   "subscriber", subscriber != 0),
					 "%s is never mailed again", address.display);
}

static const struct ctl_verb verbs[] = {
    {"add", "LIST ADDRESS", "Add a reader to a list.", run_add, 2, 2, add_options, NULL, false},
    {"import", "LIST FILE", "Add or update the readers of a CSV file.", import_run, 2, 2,
     import_options, import_more, false},
    {"export", "LIST [FILE]", "Write a list's readers as CSV, as import takes it.", export_run, 1,
     2, NULL, NULL, false},
    {"show", "ADDRESS", "Show a reader and the lists they are on.", run_show, 1, 1, NULL, NULL,
     false},
    {"ls", "LIST", "Show the readers of a list.", run_ls, 1, 1, ls_options, NULL, false},
    {"unsubscribe", "LIST ADDRESS", "Take a reader off a list.", run_unsubscribe, 2, 2, NULL, NULL,
     false},
    {"suppress", "ADDRESS", "Never mail an address again, from any list.", run_suppress, 1, 1, NULL,
     NULL, true},
    {0},
};

const struct ctl_noun noun_subscriber = {"subscriber", "the people who read the lists", verbs};
