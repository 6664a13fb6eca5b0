/*
 * The pages behind the links of mails: confirm, leave, come back. A GET only shows what a button
 * would do, since scanners follow links; PostgreSQL decides whether a token is ours.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "mail/token.h"
#include "queries.h"
#include "web/visit.h"

static const char ONE_CLICK[] = "List-Unsubscribe";

enum { CONFIRM = TOKEN_CONFIRM, LEAVE = TOKEN_UNSUBSCRIBE };

static int digit(char c)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (digit(s.p[i]) < 0)
			return false;
	return s.n == TOKEN_TEXT - 1;
}

/*
 * Whether a token that isn't taken says that its time is over (bytes 18 to 21, which begin at
 * character 24). Nobody has vouched for that, so it decides about words only.
 */
static bool says_ended(struct str token)
{
	uint64_t bits = 0;
	for (size_t i = 24; i < 30; i++)
		bits = bits << 6 | (unsigned)digit(token.p[i]);
	uint64_t minute = bits >> 4 & UINT32_MAX;
	return minute && minute * 60 < clock_now() / USEC_PER_SEC;
}

/* What RFC 8058, 3.1, has a mail program send. */
static bool is_one_click(const struct form *form)
{
	return str_case_is(str_trim(form_get(form, ONE_CLICK)), "One-Click");
}

static void no_link(struct visit *v)
{
	bool ended = is_token(v->name) && says_ended(v->name);
	if (v->one_click)
		answer_plain(&v->answer, ended ? 410 : 404, "This link is not valid.");
	else if (v->list) /* it is one of ours, whose time was over */
		visit_message(v, 410, "late", json_pack("{s:b}", "again", true));
	else
		visit_message(v, ended ? 410 : 404, ended ? "late" : "link",
			      json_pack("{s:b}", "home", true));
}

static enum visit_next begin(struct visit *v)
{
	v->one_click = strncmp(v->path, "/u/", 3) == 0 && is_one_click(&v->form);
	if (is_token(v->name))
		return VISIT_ASKS;
	no_link(v);
	return VISIT_ANSWERED;
}

/* ---- asking ------------------------------------------------------------------------------- */

enum { LOOK_CONTENT, LOOK_MASKED, LOOK_STATUS, LOOK_LANG };

static int on_look(struct db_tx *tx, const struct pg_result *res, void *visit)
{
	(void)tx;
	struct visit *v = visit;
	json_decref(steal(v->list));
	v->masked = v->status = v->lang = NULL;
	if (db_rows(res) != 1)
		return 0;
	struct str content = db_str(res, 0, LOOK_CONTENT);
	v->list = json_loadb(content.p, content.n, 0, NULL);
	v->masked = arena_copy(&v->arena, db_str(res, 0, LOOK_MASKED));
	v->status = arena_copy(&v->arena, db_str(res, 0, LOOK_STATUS));
	v->lang = arena_copy(&v->arena, db_str(res, 0, LOOK_LANG));
	return v->list && v->masked && v->status && v->lang ? 0 : -ENOMEM;
}

static void look(struct visit *v, struct db_tx *tx, char purpose)
{
	_cleanup_params_ struct db_params params = {0};
	params_str(&params, v->name);
	params_str(&params, (struct str){&purpose, 1});
	params_usec(&params, clock_now());
	db_tx_query(tx, sql_web_look, &params, on_look, v);
}

/* A function that does something by the token; `way` only where it takes one. */
static void act(struct visit *v, struct db_tx *tx, const char *sql, const char *way, char purpose)
{
	_cleanup_params_ struct db_params params = {0};
	params_str(&params, v->name);
	if (way)
		params_text(&params, way);
	visit_put_client(v, &params);
	params_usec(&params, clock_now());
	db_tx_query(tx, sql, &params, visit_on_word, v);
	look(v, tx, purpose);
}

static json_t *reader(const struct visit *v)
{
	return json_pack("{s:s}", "masked", v->masked ? v->masked : "");
}

/* ---- confirm ------------------------------------------------------------------------------ */

static void confirm_look(struct visit *v, struct db_tx *tx)
{
	look(v, tx, CONFIRM);
}

static void confirm_show(struct visit *v)
{
	if (!v->list || strcmp(v->status, "unsubscribed") == 0)
		no_link(v);
	else if (strcmp(v->status, "active") == 0)
		visit_message(v, 200, "already", reader(v));
	else
		visit_page(v, PAGE_CONFIRM, 200, reader(v));
}

static void confirm_act(struct visit *v, struct db_tx *tx)
{
	act(v, tx, sql_web_confirm, NULL, CONFIRM);
}

static void confirm_end(struct visit *v)
{
	if (strcmp(v->word, "confirmed") == 0)
		visit_message(v, 200, "confirmed", reader(v));
	else if (strcmp(v->word, "already") == 0)
		visit_message(v, 200, "already", reader(v));
	else
		no_link(v);
}

/* ---- leave, and come back ----------------------------------------------------------------- */

static void leave_look(struct visit *v, struct db_tx *tx)
{
	look(v, tx, LEAVE);
}

/* What was left, with a way back: relative to /u/TOKEN. */
static void show_left(struct visit *v, bool already)
{
	const char *undo = arena_printf(&v->arena, "%.*s/undo", (int)v->name.n, v->name.p);
	visit_page(v, PAGE_LEFT, 200,
		   json_pack("{s:s*, s:s, s:b}", "undo", undo, "masked", v->masked ? v->masked : "",
			     "already", already));
}

static void leave_show(struct visit *v)
{
	if (!v->list)
		no_link(v);
	else if (strcmp(v->status, "unsubscribed") == 0)
		show_left(v, true);
	else
		visit_page(v, PAGE_LEAVE, 200, reader(v));
}

static void leave_act(struct visit *v, struct db_tx *tx)
{
	act(v, tx, sql_web_unsubscribe, v->one_click ? "one-click" : "page", LEAVE);
}

static void leave_end(struct visit *v)
{
	bool left = strcmp(v->word, "left") == 0;
	if (!left && strcmp(v->word, "already") != 0)
		no_link(v);
	else if (v->one_click)
		answer_plain(&v->answer, 200, "You are unsubscribed.");
	else
		show_left(v, !left);
}

static void undo_act(struct visit *v, struct db_tx *tx)
{
	act(v, tx, sql_web_undo, NULL, LEAVE);
}

static void undo_end(struct visit *v)
{
	if (strcmp(v->word, "back") == 0 || strcmp(v->word, "already") == 0)
		visit_message(v, 200, "back", reader(v));
	else
		no_link(v);
}

const struct route link_routes[] = {
    {"/c/*", "GET", true, begin, confirm_look, confirm_show},
    {"/c/*", "POST", true, begin, confirm_act, confirm_end},
    {"/u/*", "GET", true, begin, leave_look, leave_show},
    {"/u/*", "POST", true, begin, leave_act, leave_end},
    {"/u/*/undo", "POST", true, begin, undo_act, undo_end},
    {0},
};
