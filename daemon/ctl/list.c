/* list: the publications that people subscribe to. */
#include <jansson.h>
#include <string.h>

#include "ctl/find.h"
#include "ctl/nouns.h"
#include "ctl/output.h"
#include "mail/template.h"
#include "mail/verp.h"
#include "queries.h"
#include "store/settings_check.h"

static const struct ctl_option options[] = {
    {"title", "TEXT", "what readers call it (default: its name)"},
    {"description", "TEXT", "one line for the subscribe page"},
    {"from", "ADDRESS", "who the mail is from; a must for a new list"},
    {"from-name", "TEXT", "the sender's name (default: the title)"},
    {"reply-to", "ADDRESS", "where answers go (\"\": to the sender)"},
    {"return-path", "ADDRESS", "where bounces go (default: the sender's address)"},
    {"base-url", "URL", "where digestweb answers (default: web.base_url)"},
    {"site-url", "URL", "the publication's own site"},
    {"lang", "TAG", "language of its readers by default: en, de, ur ... (default: en)"},
    {"zone", "ZONE", "its clock, such as Europe/Berlin (default: UTC)"},
    {"postal-address", "TEXT", "stands at the foot of each mail"},
    {"theme", "NAME", "plain (the default), magazine, or one of your own"},
    {"doubt", "WORD", "resend (the default) or skip mail whose answer was never seen"},
    {"cfbl-address", "ADDRESS", "where providers send complaints (RFC 9477)"},
    {"set", "KEY=VALUE", "a setting for templates: logo, colors.accent, subject ..."},
    {0},
};

/* What isn't needed may be taken away by "". */
static int check_mailbox(const char *option, const char *value, bool needed)
{
	struct address address;
	struct why why;
	if (value && (*value || needed) && address_parse(str_of(value), &address, &why) < 0)
		return ctl_fail(CTL_USAGE, "--%s %s: %s", option, value, why.text);
	return CTL_OK;
}

static int check_url(const char *option, const char *value)
{
	struct why why;
	if (value && *value && settings_check_url(value, &why) < 0)
		return ctl_fail(CTL_USAGE, "--%s %s: %s", option, value, why.text);
	return CTL_OK;
}

/* Whether there is such a theme, and it can be sent with. */
static int check_theme(struct ctl *ctl, const char *theme)
{
	struct why why;
	json_t *templates;
	int r = ctl_settings(ctl);
	if (r == CTL_OK)
		r = check_name("a theme", theme);
	if (r != CTL_OK)
		return r;
	const char *dir = ctl->settings->templates_dir;
	if (template_collect(*dir ? dir : NULL, theme, &templates, &why) < 0)
		return ctl_fail(CTL_USAGE, "--theme %s: %s", theme, why.text);
	json_decref(templates);
	return CTL_OK;
}

static int check_values(struct ctl *ctl)
{
	static const struct {
		const char *option;
		bool needed;
	} addresses[] = {
	    {"from", true}, {"reply-to", false}, {"return-path", true}, {"cfbl-address", false}};
	static const char *const urls[] = {"base-url", "site-url"};
	struct why why;
	int r = CTL_OK;
	for (size_t i = 0; r == CTL_OK && i < ELEMENTS(addresses); i++)
		r = check_mailbox(addresses[i].option, ctl_value(ctl, addresses[i].option),
				  addresses[i].needed);
	for (size_t i = 0; r == CTL_OK && i < ELEMENTS(urls); i++)
		r = check_url(urls[i], ctl_value(ctl, urls[i]));
	const char *path = ctl_value(ctl, "return-path");
	if (r == CTL_OK && path && verp_check(str_of(path), &why) < 0)
		r = ctl_fail(CTL_USAGE, "--return-path %s: %s", path, why.text);
	const char *doubt = ctl_value(ctl, "doubt");
	if (r == CTL_OK && doubt && strcmp(doubt, "resend") != 0 && strcmp(doubt, "skip") != 0)
		r = ctl_fail(CTL_USAGE, "--doubt %s: either resend or skip", doubt);
	const char *theme = ctl_value(ctl, "theme");
	if (r == CTL_OK && theme)
		r = check_theme(ctl, theme);
	return r;
}

/* ---- --set ------------------------------------------------------------------------------------
 */

/* The value as it was meant: JSON where it is any, a text otherwise; NULL takes the key away. */
static char *setting_value(struct arena *arena, const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
	if (!value)
		value = json_string(text);
	_cleanup_free_ char *dump = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
	json_decref(value);
	return dump ? arena_strdup(arena, dump) : NULL;
}

static int set_one(struct ctl *ctl, int list, const char *pair)
{
	_cleanup_params_ struct db_params p = {0};
	struct str key, value, part, keys[2];
	size_t count = 0;
	if (!str_cut(str_of(pair), '=', &key, &value) || key.n == 0)
		return ctl_fail(CTL_USAGE, "--set %s: KEY=VALUE is wanted", pair);
	if (str_cut(key, '.', &part, &keys[1])) {
		keys[count++] = part;
		count++;
	} else {
		keys[count++] = key;
	}
	if (keys[0].n == 0 || (count == 2 && (keys[1].n == 0 || memchr(keys[1].p, '.', keys[1].n))))
		return ctl_fail(CTL_USAGE, "--set %s: a key is NAME or NAME.NAME", pair);
	char *json = value.n ? setting_value(&ctl->arena, value.p) : NULL;
	if (value.n && !json)
		return ctl_fail(CTL_USAGE, "--set %s: this is no text in UTF-8", pair);
	params_int64(&p, list);
	params_texts(&p, keys, count);
	params_text(&p, json);
	return ctl_query(ctl, sql_ctl_list_setting, &p, NULL);
}

static int set_all(struct ctl *ctl, int list)
{
	size_t at = 0;
	const char *pair;
	int r = CTL_OK;
	while (r == CTL_OK && (pair = ctl_each(ctl, "set", &at)))
		r = set_one(ctl, list, pair);
	return r;
}

/* ---- verbs ------------------------------------------------------------------------------------
 */

static const char *or_else(const char *value, const char *other)
{
	return value ? value : other;
}

static int add_row(struct ctl *ctl, const char *return_path, const char *base_url, int *ret_list)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	const char *name = ctl_arg(ctl, 0);
	params_text(&p, name);
	params_text(&p, or_else(ctl_value(ctl, "title"), name));
	params_text(&p, or_else(ctl_value(ctl, "description"), ""));
	params_text(&p, or_else(ctl_value(ctl, "from-name"), ""));
	params_text(&p, ctl_value(ctl, "from"));
	params_text(&p, ctl_value(ctl, "reply-to"));
	params_text(&p, return_path);
	params_text(&p, ctl_value(ctl, "cfbl-address"));
	params_text(&p, base_url);
	params_text(&p, or_else(ctl_value(ctl, "site-url"), ""));
	params_text(&p, or_else(ctl_value(ctl, "lang"), "en"));
	params_text(&p, or_else(ctl_value(ctl, "zone"), "UTC"));
	params_text(&p, or_else(ctl_value(ctl, "postal-address"), ""));
	params_text(&p, or_else(ctl_value(ctl, "theme"), "plain"));
	params_text(&p, or_else(ctl_value(ctl, "doubt"), "resend"));
	params_usec(&p, ctl->now);
	int r = ctl_query(ctl, sql_ctl_list_add, &p, &res);
	if (r == CTL_OK && db_rows(res) == 0)
		return ctl_fail(CTL_FAILED, "there is a list \"%s\" already", name);
	if (r == CTL_OK)
		*ret_list = db_int(res, 0, 0);
	return r;
}

static int run_add(struct ctl *ctl)
{
	struct why why;
	int list = 0;
	const char *name = ctl_arg(ctl, 0), *from = ctl_value(ctl, "from");
	int r = check_name("a list", name);
	if (r == CTL_OK && (!from || !*from))
		r = ctl_fail(CTL_USAGE, "--from ADDRESS is missing");
	if (r == CTL_OK)
		r = check_values(ctl);
	if (r == CTL_OK)
		r = ctl_settings(ctl);
	if (r != CTL_OK)
		return r;
	const char *path = or_else(ctl_value(ctl, "return-path"), from);
	if (verp_check(str_of(path), &why) < 0)
		return ctl_fail(CTL_USAGE,
				"%s can't be the return path too (%s): name one by "
				"--return-path",
				path, why.text);
	const char *url = or_else(ctl_value(ctl, "base-url"), ctl->settings->web.base_url);
	if (!*url)
		return ctl_fail(CTL_USAGE, "--base-url URL is missing, and web.base_url isn't set");
	if ((r = ctl_begin(ctl)) == CTL_OK && (r = add_row(ctl, path, url, &list)) == CTL_OK &&
	    (r = set_all(ctl, list)) == CTL_OK)
		r = ctl_commit(ctl);
	if (r != CTL_OK)
		return r;
	return output_done(ctl, json_pack("{s:s}", "name", name),
			   "added the list %s; next: digestctl edition add %s NAME SCHEDULE", name,
			   name);
}

static int set_row(struct ctl *ctl, int *ret_list)
{
	static const char *const columns[] = {
	    "title",       "description",    "from-name", "from",     "reply-to",
	    "return-path", "cfbl-address",   "base-url",  "site-url", "lang",
	    "zone",        "postal-address", "theme",     "doubt"};
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_text(&p, ctl_arg(ctl, 0));
	for (size_t i = 0; i < ELEMENTS(columns); i++)
		params_text(&p, ctl_value(ctl, columns[i]));
	int r = ctl_find(ctl, sql_ctl_list_set, &p, &res,
			 "there is no list \"%s\"; see: digestctl list ls", ctl_arg(ctl, 0));
	if (r == CTL_OK)
		*ret_list = db_int(res, 0, 0);
	return r;
}

static int run_set(struct ctl *ctl)
{
	int list = 0, r = ctl_must_name(ctl);
	if (r == CTL_OK)
		r = check_values(ctl);
	if (r == CTL_OK && (r = ctl_begin(ctl)) == CTL_OK && (r = set_row(ctl, &list)) == CTL_OK &&
	    (r = set_all(ctl, list)) == CTL_OK)
		r = ctl_commit(ctl);
	if (r != CTL_OK)
		return r;
	return output_done(ctl, json_pack("{s:s}", "name", ctl_arg(ctl, 0)), "changed the list %s",
			   ctl_arg(ctl, 0));
}

static int run_show(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"name", "name", OUTPUT_TEXT, NULL},
	    {"title", "title", OUTPUT_TEXT, NULL},
	    {"description", "description", OUTPUT_TEXT, NULL},
	    {"from_name", "from name", OUTPUT_TEXT, NULL},
	    {"from_addr", "from", OUTPUT_TEXT, NULL},
	    {"reply_to", "reply to", OUTPUT_TEXT, NULL},
	    {"return_path", "return path", OUTPUT_TEXT, NULL},
	    {"cfbl_address", "complaints to", OUTPUT_TEXT, NULL},
	    {"base_url", "base URL", OUTPUT_TEXT, NULL},
	    {"site_url", "site", OUTPUT_TEXT, NULL},
	    {"lang", "language", OUTPUT_TEXT, NULL},
	    {"zone", "zone", OUTPUT_TEXT, NULL},
	    {"postal_address", "postal address", OUTPUT_TEXT, NULL},
	    {"theme", "theme", OUTPUT_TEXT, NULL},
	    {"doubt", "in doubt", OUTPUT_TEXT, NULL},
	    {"settings", "settings", OUTPUT_JSON, NULL},
	    {"editions", "editions", OUTPUT_TEXTS, NULL},
	    {"feeds", "feeds", OUTPUT_TEXTS, NULL},
	    {"active", "active readers", OUTPUT_INT, NULL},
	    {"pending", "pending", OUTPUT_INT, NULL},
	    {"unsubscribed", "unsubscribed", OUTPUT_INT, NULL},
	    {"created_at", "made", OUTPUT_TIME, NULL},
	    {0},
	};
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_text(&p, ctl_arg(ctl, 0));
	int r = ctl_find(ctl, sql_ctl_list_show, &p, &res,
			 "there is no list \"%s\"; see: digestctl list ls", ctl_arg(ctl, 0));
	return r != CTL_OK ? r : output_record(ctl, columns, output_row(res, 0, columns));
}

static int run_ls(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"name", "NAME", OUTPUT_TEXT, NULL},
	    {"title", "TITLE", OUTPUT_TEXT, NULL},
	    {"from_addr", "FROM", OUTPUT_TEXT, NULL},
	    {"lang", "LANG", OUTPUT_TEXT, NULL},
	    {"zone", "ZONE", OUTPUT_TEXT, NULL},
	    {"theme", "THEME", OUTPUT_TEXT, NULL},
	    {"editions", "EDITIONS", OUTPUT_TEXTS, NULL},
	    {"feeds", "FEEDS", OUTPUT_TEXTS, NULL},
	    {0},
	};
	_cleanup_result_ struct pg_result *res = NULL;
	int r = ctl_query(ctl, sql_ctl_list_ls, NULL, &res);
	return r != CTL_OK ? r
			   : output_table(ctl, columns, output_rows(res, columns),
					  "there are no lists; see: digestctl help list add");
}

static const char more[] = "A setting's VALUE may be JSON (true, 3, {...}); empty takes it away.";

static const struct ctl_verb verbs[] = {
    {"add", "LIST", "Add a list.", run_add, 1, 1, options, more, false},
    {"set", "LIST", "Change what is named of a list.", run_set, 1, 1, options, more, false},
    {"show", "LIST", "Show all of a list, and how many readers it has.", run_show, 1, 1, NULL, NULL,
     false},
    {"ls", "", "Show the lists.", run_ls, 0, 0, NULL, NULL, false},
    {0},
};

const struct ctl_noun noun_list = {"list", "publications that people subscribe to", verbs};
