/*
 * The pages: templates/web, compiled once, and rendered to answers in a reader's language. A page
 * is one HTML document with its style within, which the Content-Security-Policy names by its hash,
 * so that nothing else on it has any effect.
 *
 * What a template sees: lang, dir, root ("../": the way from here to the front page), style, text
 * (the "web" words of the locale), list (as web_list() gives it), and what `page` holds.
 */
#pragma once

#include <jansson.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "web/answer.h"
#include "web/words.h"

enum page_kind {
	PAGE_LISTS,
	PAGE_LIST,
	PAGE_CONFIRM,
	PAGE_LEAVE,
	PAGE_LEFT,
	PAGE_MESSAGE,
	PAGE_KINDS,
};

struct pages;

/* `dir` as in mail/template.h. What is wrong with a template is told with file, line and column. */
int pages_load(const char *dir, struct pages **ret, struct why *why);
void pages_free(struct pages *p);
DEFINE_CLEANUP(struct pages *, pages_free);

const struct words *pages_words(const struct pages *p, const char *accept, const char *fallback);

struct page {
	enum page_kind kind;
	unsigned status;
	const struct words *words;
	const char *path;   /* of the request */
	const json_t *list; /* may be NULL */
	json_t *data;       /* an object of its own, taken over; NULL: there was no memory for it */
};

/* Sets status, type, policy and body; when that fails, a plain text that says so. */
void pages_render(const struct pages *p, struct page *page, struct answer *answer);

/* A text of the "web" words by its dotted name, "error.404.title"; "" when there is none. */
const char *pages_text(const struct words *words, const char *name);

/* PAGE_MESSAGE with "title" and "told" from the words NAME.title and NAME.text. */
void pages_message(const struct pages *p, struct page *page, const char *name,
		   struct answer *answer);
