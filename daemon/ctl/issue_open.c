/* issue open: shows what is going to happen, asks, opens, and may follow. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "ctl/issue.h"
#include "ctl/output.h"
#include "mail/jsontext.h"
#include "mail/message.h"
#include "queries.h"

/* ---- what is going to happen ------------------------------------------------------------------
 */

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

static json_t *articles_of(const json_t *content)
{
	size_t i;
	json_t *article, *rows = json_array();
	json_array_foreach(json_object_get(content, "articles"), i, article)
	{
		json_t *row = json_pack("{sO sO sO}", "id", json_object_get(article, "id"), "title",
					json_object_get(article, "title"), "url",
					json_object_get(article, "url"));
		if (json_array_append_new(rows, row) < 0) {
			json_decref(rows);
			return NULL;
		}
	}
	return rows;
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

/* All of it as an object, which programs get. */
static int plan(struct ctl *ctl, const struct issue_draft *draft, json_t **ret)
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
	    view.preheader, "articles", articles_of(draft->content), "audience",
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
	_cleanup_buf_ struct buf words = {0}, line = {0};
	va_list args;
	va_start(args, format);
	buf_vprintf(&words, format, args);
	va_end(args);
	output_safe(buf_str(&words), &line);
	printf("%-10s ", title);
	output_wrapped(11, buf_str(&line));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static void show_plan(const json_t *plan)
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

/* ---- opening ----------------------------------------------------------------------------------
 */

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
		r = plan(ctl, &draft, &object);
	if (r == CTL_OK && !ctl->json)
		show_plan(object);
	if (r == CTL_OK)
		r = ctl_ask(ctl, "Open it?");
	if (r == CTL_OK)
		r = open_now(ctl, &draft, &issue, &is_new);
	return r != CTL_OK ? r : tell(ctl, issue, is_new, json_incref(object));
}
