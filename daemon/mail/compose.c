#include "mail/compose.h"

#include <errno.h>

#include "mail/jsontext.h"

static const char *const late_names[] = {"reader", "links", NULL};

/* ---- texts with late values within other templates ---- */

/*
 * A text that is a template of its own, and shown by others. As long as it has no late value it's
 * a string in their data like any other. Else the data holds a mark, and where the mark comes to
 * stand, the text's pieces are put. Marks are made of noncharacters, which no stored text holds.
 */
struct woven {
	const char *name;
	const char *mark;
	struct piece *pieces; /* as text, not escaped */
	bool late;
};

enum { SUBJECT, PREHEADER, WOVEN };

#define MARK(letter) "\xef\xb7\x90" letter "\xef\xb7\x91" /* U+FDD0, U+FDD1 */

static struct piece *new_literal(struct arena *arena, const struct piece *like, struct str text)
{
	struct piece *piece = arena_alloc(arena, sizeof(*piece));
	if (!piece)
		return NULL;
	*piece = *like;
	piece->text = text;
	piece->next = NULL;
	return piece;
}

static int escape_literal(struct arena *arena, enum mustache_escape escape, struct str *text)
{
	_cleanup_buf_ struct buf escaped = {0};
	int r = mustache_escape(&escaped, *text, escape);
	char *copy = r < 0 ? NULL : arena_copy(arena, buf_str(&escaped));
	if (!copy)
		return -ENOMEM;
	*text = (struct str){copy, escaped.len};
	return 0;
}

/*
 * Copies the pieces of a text to where it's shown. The whole of it is escaped, the template's own
 * words too: in it they are text, not HTML. *ret_end leads to the place behind the copy.
 */
static int copy_text(struct arena *arena, const struct piece *from, enum mustache_escape escape,
		     struct piece **to, struct piece ***ret_end)
{
	int r = 0;
	*to = NULL;
	for (; from && r >= 0; from = from->next, to = &(*to)->next) {
		struct piece **end, *piece = *to = arena_alloc(arena, sizeof(*piece));
		if (!piece)
			return -ENOMEM;
		*piece = *from;
		piece->next = NULL;
		piece->escape = escape;
		if (piece->kind == PIECE_LITERAL)
			r = escape_literal(arena, escape, &piece->text);
		else if (piece->kind != PIECE_VALUE)
			r = copy_text(arena, from->children, escape, &piece->children, &end);
	}
	*ret_end = to;
	return r;
}

/* Puts the text in the place of each of its marks in a literal; *link leads to it. */
static int weave_literal(struct arena *arena, struct piece **link, const struct woven *woven,
			 enum mustache_escape escape)
{
	struct piece *piece = *link, *after = piece->next;
	struct str rest = piece->text;
	size_t size = strlen(woven->mark);
	for (const char *at; (at = memmem(rest.p, rest.n, woven->mark, size)) != NULL;) {
		struct str before = str_head(rest, (size_t)(at - rest.p));
		if (before.n) {
			*link = new_literal(arena, piece, before);
			if (!*link)
				return -ENOMEM;
			link = &(*link)->next;
		}
		int r = copy_text(arena, woven->pieces, escape, link, &link);
		if (r < 0)
			return r;
		rest = str_from(rest, before.n + size);
	}
	piece->text = rest;
	*link = rest.n ? piece : after;
	return 0;
}

static int weave(struct arena *arena, struct piece **link, const struct woven *woven,
		 enum mustache_escape escape)
{
	int r = 0;
	while (*link && r >= 0) {
		struct piece *next = (*link)->next;
		if ((*link)->kind == PIECE_LITERAL)
			r = weave_literal(arena, link, woven, escape);
		else
			r = weave(arena, &(*link)->children, woven, escape);
		while (r >= 0 && *link != next)
			link = &(*link)->next;
	}
	return r;
}

/* ---- composing ---- */

struct composer {
	struct arena *arena;
	const struct compose_spec *spec;
	struct woven woven[WOVEN];
	struct why *why;
};

static int reduce(struct composer *c, const struct mustache *m, enum mustache_escape escape,
		  struct piece **ret)
{
	return mustache_reduce(m, c->spec->data, escape, late_names, COMPOSE_BODY, c->arena, ret,
			       c->why);
}

/* Puts a text, or its mark, where templates find it. */
static int set_text(struct composer *c, size_t which, struct str text)
{
	json_t *data = c->spec->data;
	if (which == SUBJECT) {
		json_t *issue = json_object_get(data, "issue");
		if (!issue && json_object_set_new(data, "issue", json_object()) < 0)
			return -ENOMEM;
		data = json_object_get(data, "issue");
	}
	return json_object_set_new(data, c->woven[which].name, json_stringn(text.p, text.n)) < 0
		   ? -ENOMEM
		   : 0;
}

static int no_partial(void *ctx, const char *name, struct str *ret_text, const char **ret_path,
		      struct why *why)
{
	(void)ctx, (void)name, (void)ret_text, (void)ret_path, (void)why;
	return -ENOENT;
}

static int set_woven(struct composer *c, size_t which, const char *name, struct str text)
{
	static const char *const marks[] = {MARK("s"), MARK("p")};
	static const struct mustache_partials partials = {no_partial, NULL, true};
	struct woven *woven = &c->woven[which];
	struct mustache *template;
	*woven = (struct woven){.name = name, .mark = marks[which]};
	int r = mustache_compile(c->arena, text, name, &partials, &template, c->why);
	if (r >= 0)
		r = reduce(c, template, MUSTACHE_NONE, &woven->pieces);
	if (r < 0)
		return r;
	const struct piece *first = woven->pieces;
	woven->late = first && (first->kind != PIECE_LITERAL || first->next);
	if (woven->late)
		return set_text(c, which, str_of(woven->mark));
	return set_text(c, which, first ? first->text : STR(""));
}

static int compose_body(struct composer *c, const struct mustache *m, enum mustache_escape escape,
			struct piece **ret)
{
	struct piece *pieces = NULL;
	int r = reduce(c, m, escape, &pieces);
	/* The preheader first: it may show the subject. */
	for (size_t i = WOVEN; i-- > 0 && r >= 0;)
		if (c->woven[i].late)
			r = weave(c->arena, &pieces, &c->woven[i], escape);
	if (r >= 0)
		*ret = pieces;
	return r;
}

static int compose_pieces(struct composer *c, struct piece **ret_text, struct piece **ret_html)
{
	int r = set_woven(c, SUBJECT, "subject", c->spec->subject);
	if (r >= 0)
		r = set_woven(c, PREHEADER, "preheader", c->spec->preheader);
	if (r >= 0)
		r = compose_body(c, c->spec->text, MUSTACHE_NONE, ret_text);
	if (r >= 0)
		r = compose_body(c, c->spec->html, MUSTACHE_HTML, ret_html);
	return r;
}

int compose(struct arena *arena, const struct compose_spec *spec, struct message **ret,
	    struct why *why)
{
	_cleanup_buf_ struct buf headers = {0};
	struct why reason = {{0}};
	struct composer c = {.arena = arena, .spec = spec, .why = &reason};
	struct piece *text = NULL, *html = NULL;
	struct listhead head;
	char id[LISTHEAD_ID];
	int r = compose_pieces(&c, &text, &html);
	if (r >= 0)
		r = listhead_write(&spec->list, &headers, &head, &reason);
	if (r >= 0)
		r = listhead_id(str_of(spec->list.campaign), id);
	if (r >= 0) {
		const struct message_spec message = {
		    .headers = buf_str(&headers),
		    .subject = c.woven[SUBJECT].pieces,
		    .text = text,
		    .html = html,
		    .id = str_of(id),
		    .domain = str_of(head.domain),
		    .seed = str_of(spec->seed),
		    .unsubscribe = spec->unsubscribe,
		    .smtputf8 = head.smtputf8,
		};
		r = message_compile(arena, &message, ret, &reason);
	}
	return r < 0 ? why_set(why, r, "%s", reason.text[0] ? reason.text : strerror(-r)) : 0;
}
