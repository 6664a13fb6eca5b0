/*
 * One request, from its path to its answer, with no HTTP server around it. It goes through
 *
 *	visit_route()  which page is it? An error is answered at once.
 *	visit_begin()  with the body: answered at once, or PostgreSQL has to be asked
 *	visit_ask()    adds the statements to a transaction, which fills in what was found
 *	visit_end()    when that was committed, or visit_failed()
 *
 * and has an answer in the end. All that it borrows (`site`, method, path, headers) has to live as
 * long as it; what the site points to may be replaced in between (a reload).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "store/db.h"
#include "store/settings.h"
#include "web/answer.h"
#include "web/client.h"
#include "web/form.h"
#include "web/limits.h"
#include "web/pages.h"

struct site {
	const struct settings *settings;
	struct pages *pages;
	struct limits *limits;
};

struct visit {
	const struct site *site;
	const char *method; /* "GET" for HEAD too */
	const char *path;   /* as it was sent, without the query */
	const char *accept_language;
	const char *agent; /* User-Agent; any bytes */
	struct client client;

	struct arena arena;
	const struct route *route;
	struct str name; /* in the path: of a list or a file, or a link's token */
	struct form form;
	struct joining *joining; /* join.c's */
	bool one_click;          /* RFC 8058: a mail program asks, not a person */

	/* What was found. */
	json_t *list, *editions, *lists;
	const char *word; /* what a function said came of it */
	const char *masked, *status, *lang;

	struct answer answer;
};

enum visit_next { VISIT_ANSWERED, VISIT_ASKS };

enum visit_next visit_route(struct visit *v); /* VISIT_ASKS: go on */
enum visit_next visit_begin(struct visit *v, struct str type, struct str body);
void visit_ask(struct visit *v, struct db_tx *tx);
void visit_end(struct visit *v);
void visit_failed(struct visit *v, bool away);      /* away: it may go well in a moment */
void visit_error(struct visit *v, unsigned status); /* the page of an HTTP status */
void visit_free(struct visit *v);

/* ---- for the pages (join.c, link.c, files.c) ---- */

/* A page of one kind in the reader's language; `data` is taken over. */
void visit_page(struct visit *v, enum page_kind kind, unsigned status, json_t *data);
/* PAGE_MESSAGE: the words NAME.title and NAME.text. `data` as above, or NULL for none. */
void visit_message(struct visit *v, unsigned status, const char *name, json_t *data);
const struct words *visit_words(const struct visit *v);

/* Callbacks for db_tx_query() with the visit: a list and its editions, what a function said. */
int visit_on_list(struct db_tx *tx, const struct pg_result *res, void *visit);
int visit_on_word(struct db_tx *tx, const struct pg_result *res, void *visit);

/* $n: the client's network; its program's name, cleaned and cut. */
void visit_put_client(struct visit *v, struct db_params *params);

struct route {
	const char *path; /* "*" stands for one part that isn't empty */
	const char *method;
	bool of_reader; /* has to do with one reader: nobody may keep it */
	enum visit_next (*begin)(struct visit *v); /* NULL: ask */
	void (*ask)(struct visit *v, struct db_tx *tx);
	void (*end)(struct visit *v);
};

extern const struct route join_routes[], link_routes[], file_routes[]; /* end with a NULL path */
