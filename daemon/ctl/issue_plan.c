/* What an issue is going to do when it opens, and what one would regret afterwards. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/issue.h"
#include "ctl/output.h"
#include "mail/jsontext.h"
#include "mail/message.h"
#include "queries.h"

static int add_warning(json_t *warnings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int add_warning(json_t *warnings, const char *format, ...)
{
	_cleanup_buf_ struct buf words = {0};
	va_list args;
	va_start(args, format);
	buf_vprintf(&words, format, args);
	va_end(args);
	json_t *text = words.err ? NULL : json_stringn(buf_text(&words), words.len);
	return json_array_append_new(warnings, text) < 0 ? ctl_no_memory() : CTL_OK;
}

static size_t count_text(struct str text, const char *word)
{
	size_t count = 0, n = strlen(word);
	for (const char *at; (at = memmem(text.p, text.n, word, n)); count++)
		text = str_from(text, (size_t)(at - text.p) + n);
	return count;
}

/* Links that anybody on the way can read and change. */
static int warn_links(const struct issue_draft *draft, json_t *warnings)
{
	size_t i, bare = 0;
	json_t *article;
	json_array_foreach(json_object_get(draft->content, "articles"), i, article) bare +=
	    str_starts(jsontext_of(article, "url"), "http://") +
	    count_text(jsontext_of(article, "body_html"), "href=\"http://");
	int r = bare ? add_warning(warnings, "%zu link%s to http://, without https", bare,
				   bare == 1 ? " leads" : "s lead")
		     : CTL_OK;
	if (r == CTL_OK && strncmp(draft->target.base_url, "https://", 8) != 0)
		r = add_warning(warnings,
				"readers unsubscribe at %s: mail programs show their own button "
				"for https only (RFC 8058)",
				draft->target.base_url);
	return r;
}

static int warn_database(struct ctl *ctl, const struct issue_draft *draft, json_t *warnings)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, draft->target.list);
	params_usec(&p, ctl->now);
	int r = ctl_query(ctl, sql_ctl_issue_warnings, &p, &res);
	for (int row = 0; r == CTL_OK && row < db_rows(res); row++)
		r = add_warning(warnings, "%s", db_text(res, row, 0));
	return r;
}

static int warn(struct ctl *ctl, const struct issue_draft *draft, int64_t audience,
		size_t html_size, json_t *warnings)
{
	int r = CTL_OK;
	if (audience == 0)
		r = add_warning(warnings, "nobody would get it: %s has no active reader",
				draft->target.name);
	if (r == CTL_OK && !*draft->target.postal_address)
		r = add_warning(warnings, "the list has no postal address, which the law demands in"
					  " many places; see: digestctl help list set");
	if (r == CTL_OK && html_size > MESSAGE_CLIPPED)
		r = add_warning(warnings, "Gmail cuts HTML beyond %d kB", MESSAGE_CLIPPED / 1024);
	if (r == CTL_OK && draft->target.held)
		r = add_warning(warnings, "the edition is held: %s", draft->target.held);
	if (r == CTL_OK && ctl->settings->relays.n == 0)
		r = add_warning(warnings, "the configuration names no relay");
	if (r == CTL_OK)
		r = warn_links(draft, warnings);
	return r != CTL_OK ? r : warn_database(ctl, draft, warnings);
}

static int count_audience(struct ctl *ctl, const struct issue_draft *draft, int64_t *ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, draft->target.edition);
	params_int64s(&p, draft->articles, draft->count);
	params_usec(&p, ctl->now);
	int r = ctl_query(ctl, sql_ctl_issue_audience, &p, &res);
	if (r == CTL_OK)
		*ret = db_int64(res, 0, 0);
	return r;
}

static json_t *relays_of(const struct ctl *ctl)
{
	json_t *names = json_array();
	for (size_t i = 0; i < ctl->settings->relays.n; i++)
		if (json_array_append_new(names, json_string(ctl->settings->relays.items[i].name)) <
		    0) {
			json_decref(names);
			return NULL;
		}
	return names;
}

int issue_plan(struct ctl *ctl, const struct issue_draft *draft, json_t **ret)
{
	const struct digest_variant all = {0};
	_cleanup_view_ struct issue_view view = {0};
	json_auto_t *warnings = json_array();
	int64_t audience = 0;
	size_t html_size = 0;
	int r = issue_view(ctl, draft->content, &all, &view);
	if (r == CTL_OK)
		r = issue_mail(ctl, draft->content, &all, NULL, &html_size);
	if (r == CTL_OK)
		r = count_audience(ctl, draft, &audience);
	if (r == CTL_OK)
		r = warn(ctl, draft, audience, html_size, warnings);
	if (r != CTL_OK)
		return r;
	json_t *list = json_object_get(draft->content, "list");
	json_t *object = json_pack(
	    "{ss ss sO sO ss ss so sI so sI sO}", "edition", draft->target.name, "occurrence",
	    draft->occurrence, "from_name", json_object_get(list, "from_name"), "from_addr",
	    json_object_get(list, "from_addr"), "subject", view.subject, "preheader",
	    view.preheader, "articles", issue_articles(draft->content), "audience",
	    (json_int_t)audience, "relays", relays_of(ctl), "html_size", (json_int_t)html_size,
	    "warnings", warnings);
	if (!object)
		return ctl_no_memory();
	*ret = object;
	return CTL_OK;
}

static void show_text(const char *title, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void show_text(const char *title, const char *format, ...)
{
	_cleanup_buf_ struct buf line = {0};
	va_list args;
	va_start(args, format);
	int r = ctl_line(&line, format, args);
	va_end(args);
	if (r < 0) {
		ctl_no_memory();
		return;
	}
	printf("%-10s ", title);
	output_wrapped(11, buf_str(&line));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

void issue_plan_show(const json_t *plan)
{
	size_t i;
	json_t *item;
	int64_t audience = json_integer_value(json_object_get(plan, "audience"));
	_cleanup_buf_ struct buf relays = {0};
	show_text("Edition:", "%s", text_of(plan, "edition"));
	show_text("From:", "%s <%s>", text_of(plan, "from_name"), text_of(plan, "from_addr"));
	show_text("Subject:", "%s", text_of(plan, "subject"));
	json_array_foreach(json_object_get(plan, "articles"), i, item)
	    show_text(i ? "" : "Articles:", "%zu. %s", i + 1, text_of(item, "title"));
	show_text("Readers:", "%" PRId64, audience);
	json_array_foreach(json_object_get(plan, "relays"), i, item)
	    buf_printf(&relays, "%s%s", i ? ", " : "", json_string_value(item));
	show_text("Relays:", "%s", buf_text(&relays));
	show_text("HTML:", "%.1f kB",
		  (double)json_integer_value(json_object_get(plan, "html_size")) / 1024);
	json_array_foreach(json_object_get(plan, "warnings"), i, item)
	    show_text("Warning:", "%s", json_string_value(item));
}
