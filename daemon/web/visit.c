#include "web/visit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { PATH_MOST = 256, AGENT_MOST = 200 };

static const struct route *const tables[] = {join_routes, link_routes, file_routes};

/* ---- answers ------------------------------------------------------------------------------ */

const struct words *visit_words(const struct visit *v)
{
	/* Behind a link the reader is known, so their own language goes first. */
	const char *list_lang = json_string_value(json_object_get(v->list, "lang"));
	return v->lang ? pages_words(v->site->pages, NULL, v->lang)
		       : pages_words(v->site->pages, v->accept_language, list_lang);
}

static struct page page_of(const struct visit *v, unsigned status, json_t *data)
{
	return (struct page){.status = status,
			     .words = visit_words(v),
			     .path = v->path,
			     .list = v->list,
			     .data = data};
}

void visit_page(struct visit *v, enum page_kind kind, unsigned status, json_t *data)
{
	struct page page = page_of(v, status, data);
	page.kind = kind;
	pages_render(v->site->pages, &page, &v->answer);
}

void visit_message(struct visit *v, unsigned status, const char *name, json_t *data)
{
	struct page page = page_of(v, status, data);
	pages_message(v->site->pages, &page, name, &v->answer);
}

void visit_error(struct visit *v, unsigned status)
{
	static const unsigned known[] = {400, 404, 405, 413, 414, 415, 429, 503};
	char name[32];
	unsigned told = 500;
	for (size_t i = 0; i < ELEMENTS(known); i++)
		if (known[i] == status)
			told = status;
	if (v->one_click) { /* a program reads it, if anybody does */
		answer_plain(&v->answer, status, "This did not work.");
		return;
	}
	snprintf(name, sizeof(name), "error.%u", told);
	visit_message(v, status, name, json_pack("{s:b}", "home", told == 404));
}

void visit_failed(struct visit *v, bool away)
{
	visit_error(v, away ? 503 : 500);
	v->answer.retry_after = away ? 10 : 0;
}

/* ---- routes ------------------------------------------------------------------------------- */

/* Whether a path is of the route's form; its part that "*" stands for. */
static bool matches(const struct route *route, const char *path, struct str *ret_name)
{
	const char *star = strchr(route->path, '*');
	struct str name = {path, 0};
	if (!star) {
		*ret_name = name;
		return strcmp(route->path, path) == 0;
	}
	size_t n = (size_t)(star - route->path);
	if (strncmp(path, route->path, n) != 0)
		return false;
	name = (struct str){path + n, strcspn(path + n, "/")};
	*ret_name = name;
	return name.n && strcmp(name.p + name.n, star + 1) == 0;
}

/* "GET, HEAD, POST": the methods of the routes of this path; NULL: there are none. -ENOMEM. */
static int find_allowed(struct visit *v, const char **ret)
{
	struct str name;
	const char *text = NULL;
	for (size_t t = 0; t < ELEMENTS(tables); t++)
		for (const struct route *r = tables[t]; r->path; r++) {
			if (!matches(r, v->path, &name))
				continue;
			const char *method =
			    strcmp(r->method, "GET") == 0 ? "GET, HEAD" : r->method;
			text = text ? arena_printf(&v->arena, "%s, %s", text, method) : method;
			if (!text)
				return -ENOMEM;
		}
	*ret = text;
	return 0;
}

enum visit_next visit_route(struct visit *v)
{
	if (strlen(v->path) > PATH_MOST) {
		visit_error(v, 414);
		return VISIT_ANSWERED;
	}
	for (size_t t = 0; t < ELEMENTS(tables); t++)
		for (const struct route *r = tables[t]; r->path; r++)
			if (strcmp(r->method, v->method) == 0 && matches(r, v->path, &v->name)) {
				v->route = r;
				v->answer.cache = r->of_reader ? CACHE_NEVER : CACHE_ASK;
				v->answer.private = r->of_reader;
				return VISIT_ASKS;
			}
	const char *allow = NULL;
	if (find_allowed(v, &allow) < 0)
		visit_error(v, 500);
	else if (allow && strcmp(v->method, "OPTIONS") == 0)
		answer_plain(&v->answer, 200, allow);
	else
		visit_error(v, allow ? 405 : 404);
	v->answer.allow = allow;
	return VISIT_ANSWERED;
}

enum visit_next visit_begin(struct visit *v, struct str type, struct str body)
{
	if (strcmp(v->method, "POST") == 0) {
		int r = form_parse(type, body, &v->arena, &v->form);
		if (r < 0) {
			visit_error(v, r == -ENOMEM ? 500 : r == -ENOTSUP ? 415 : 400);
			return VISIT_ANSWERED;
		}
	}
	return v->route->begin ? v->route->begin(v) : VISIT_ASKS;
}

void visit_ask(struct visit *v, struct db_tx *tx)
{
	v->route->ask(v, tx);
}

void visit_end(struct visit *v)
{
	v->route->end(v);
}

void visit_free(struct visit *v)
{
	json_decref(v->list);
	json_decref(v->editions);
	json_decref(v->lists);
	answer_free(&v->answer);
	arena_free(&v->arena);
}

/* ---- PostgreSQL's answers ----------------------------------------------------------------- */

int visit_on_list(struct db_tx *tx, const struct pg_result *res, void *visit)
{
	(void)tx;
	struct visit *v = visit;
	json_decref(steal(v->list));
	json_decref(steal(v->editions));
	if (db_rows(res) != 1)
		return 0;
	struct str list = db_str(res, 0, 0), editions = db_str(res, 0, 1);
	v->list = json_loadb(list.p, list.n, 0, NULL);
	v->editions = json_loadb(editions.p, editions.n, 0, NULL);
	return v->list && v->editions ? 0 : -ENOMEM;
}

int visit_on_word(struct db_tx *tx, const struct pg_result *res, void *visit)
{
	(void)tx;
	struct visit *v = visit;
	v->word = db_rows(res) == 1 ? arena_copy(&v->arena, db_str(res, 0, 0)) : "";
	return v->word ? 0 : -ENOMEM;
}

void visit_put_client(struct visit *v, struct db_params *params)
{
	char network[CLIENT_TEXT];
	_cleanup_buf_ struct buf agent = {0};
	params_text(params, client_network(&v->client, network));
	if (text_line(str_head(str_of(v->agent), AGENT_MOST), &agent) < 0)
		params->err = -ENOMEM;
	params_text(params, buf_text(&agent));
}
