/*
 * Joining: the front page with the lists, a list's page with its form, and what is answered to it.
 * The answer never tells whether an address is known.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "mail/address.h"
#include "queries.h"
#include "web/rhythm.h"
#include "web/visit.h"

enum { NAME_MOST = 100, EMAIL_MOST = 400, LIMITED_RETRY = 900 };

/* What was sent, as far as it can be shown again. */
struct joining {
	struct address address;
	const char *email, *name, *edition;      /* clean, on one line */
	const char *email_wrong, *edition_wrong; /* names of words, or NULL */
	bool trapped;                            /* the field that no person sees was filled in */
};

/* ---- the front page ----------------------------------------------------------------------- */

static int on_lists(struct db_tx *tx, const struct pg_result *res, void *visit)
{
	(void)tx;
	struct visit *v = visit;
	json_decref(v->lists);
	v->lists = json_array();
	for (int row = 0; v->lists && row < db_rows(res); row++) {
		json_t *list = json_pack("{s:s, s:s, s:s}", "name", db_text(res, row, 0), "title",
					 db_text(res, row, 1), "description", db_text(res, row, 2));
		if (json_array_append_new(v->lists, list) < 0)
			json_decref(steal(v->lists));
	}
	return v->lists ? 0 : -ENOMEM;
}

static void lists_ask(struct visit *v, struct db_tx *tx)
{
	db_tx_query(tx, sql_web_lists, NULL, on_lists, v);
}

static void lists_end(struct visit *v)
{
	visit_page(v, PAGE_LISTS, 200, json_pack("{s:O}", "lists", v->lists));
}

/* ---- a list's page ------------------------------------------------------------------------ */

static enum visit_next list_begin(struct visit *v)
{
	if (str_is_name(v->name))
		return VISIT_ASKS;
	visit_error(v, 404);
	return VISIT_ANSWERED;
}

static void list_ask(struct visit *v, struct db_tx *tx)
{
	_cleanup_params_ struct db_params params = {0};
	params_str(&params, v->name);
	db_tx_query(tx, sql_web_list, &params, visit_on_list, v);
}

/* The editions to choose from: only when there is more than one. */
static json_t *editions_data(struct visit *v, struct str chosen)
{
	json_t *data = json_array();
	size_t i;
	json_t *edition;
	json_array_foreach(v->editions, i, edition)
	{
		_cleanup_buf_ struct buf label = {0};
		const char *name = json_string_value(json_object_get(edition, "name"));
		const json_t *schedule = json_object_get(edition, "schedule");
		bool by_default = json_is_true(json_object_get(edition, "is_default"));
		rhythm_text(visit_words(v)->text, str_of(json_string_value(schedule)), &label);
		json_t *one = json_pack("{s:s, s:s, s:b}", "name", name ? name : "", "label",
					buf_text(&label), "checked",
					chosen.n ? str_is(chosen, name ? name : "") : by_default);
		if (!data || label.err || json_array_append_new(data, one) < 0) {
			json_decref(data);
			return NULL;
		}
	}
	return data;
}

/* The page with its form as it was sent (j is NULL: empty). */
static void show_list(struct visit *v, const struct joining *j, unsigned status)
{
	const struct words *words = visit_words(v);
	json_t *editions = editions_data(v, j ? str_of(j->edition) : STR(""));
	const char *email = j && j->email_wrong ? pages_text(words, j->email_wrong) : "";
	const char *edition = j && j->edition_wrong ? pages_text(words, j->edition_wrong) : "";
	json_t *data = json_pack("{s:o, s:b, s:s, s:s, s:s, s:s, s:b}", "editions", editions,
				 "choose", json_array_size(editions) > 1, "email",
				 j ? j->email : "", "name", j ? j->name : "", "email_wrong", email,
				 "edition_wrong", edition, "wrong", *email || *edition);
	visit_page(v, PAGE_LIST, status, data);
}

static void list_end(struct visit *v)
{
	if (!v->list)
		visit_error(v, 404);
	else
		show_list(v, NULL, 200);
}

/* ---- its form ----------------------------------------------------------------------------- */

static const char *clean(struct visit *v, struct str text)
{
	_cleanup_buf_ struct buf line = {0};
	return text_line(text, &line) < 0 ? NULL : arena_copy(&v->arena, buf_str(&line));
}

static int read_form(struct visit *v, struct joining *j)
{
	struct str email = form_get(&v->form, "email");
	j->trapped = str_trim(form_get(&v->form, "website")).n > 0;
	j->email = clean(v, str_head(email, EMAIL_MOST));
	j->name = clean(v, text_head(str_head(form_get(&v->form, "name"), EMAIL_MOST), NAME_MOST));
	j->edition = clean(v, str_head(form_get(&v->form, "edition"), STR_NAME + 1));
	if (!j->email || !j->name || !j->edition)
		return -ENOMEM;
	if (*j->edition && !str_is_name(str_of(j->edition)))
		j->edition_wrong = "join.edition_wrong";
	int r = address_parse(email, &j->address, NULL);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		j->email_wrong = *j->email ? "join.email_wrong" : "join.email_missing";
	return 0;
}

static void limited(struct visit *v)
{
	visit_error(v, 429);
	v->answer.retry_after = LIMITED_RETRY;
}

static enum visit_next join_begin(struct visit *v)
{
	if (list_begin(v) == VISIT_ANSWERED)
		return VISIT_ANSWERED;
	struct joining *j = v->joining = arena_alloc(&v->arena, sizeof(*j));
	if (!j || read_form(v, j) < 0) {
		visit_error(v, 500);
		return VISIT_ANSWERED;
	}
	if (!j->trapped && !j->email_wrong && !j->edition_wrong &&
	    !limits_join(v->site->limits, &v->site->settings->web, &v->client, clock_mono())) {
		limited(v);
		return VISIT_ANSWERED;
	}
	return VISIT_ASKS;
}

static void join_ask(struct visit *v, struct db_tx *tx)
{
	const struct joining *j = v->joining;
	_cleanup_params_ struct db_params params = {0};
	list_ask(v, tx);
	if (j->trapped || j->email_wrong || j->edition_wrong)
		return;
	params_str(&params, v->name);
	params_text(&params, j->address.display);
	params_text(&params, j->address.norm);
	params_text(&params, j->address.domain);
	params_text(&params, j->name);
	params_text(&params, pages_words(v->site->pages, v->accept_language, "")->lang);
	params_text(&params, j->edition);
	visit_put_client(v, &params);
	params_usec(&params, clock_now());
	db_tx_query(tx, sql_web_join, &params, visit_on_word, v);
}

static void join_end(struct visit *v)
{
	struct joining *j = v->joining;
	if (v->word && strcmp(v->word, "no edition") == 0)
		j->edition_wrong = "join.edition_wrong";
	if (!v->list)
		visit_error(v, 404);
	else if (j->trapped)
		visit_message(v, 200, "joined", NULL); /* a robot is told what all are told */
	else if (j->email_wrong || j->edition_wrong)
		show_list(v, j, 422);
	else if (v->word && strcmp(v->word, "limited") == 0)
		limited(v);
	else
		visit_message(v, 200, "joined", NULL);
	v->answer.cache = CACHE_NEVER;
}

const struct route join_routes[] = {
    {"/", "GET", false, NULL, lists_ask, lists_end},
    {"/l/*", "GET", false, list_begin, list_ask, list_end},
    {"/l/*", "POST", false, join_begin, join_ask, join_end},
    {0},
};
