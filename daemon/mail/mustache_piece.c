/*
 * Filling in what a reduced template left open. Pieces are nested at most MUSTACHE_DEPTH deep, as
 * the machine that made them was, so recursion is safe here.
 */
#include <errno.h>

#include "mail/mustache_tree.h"

/* A late section's value, and the one around it. */
struct scope {
	json_t *value;
	const struct scope *outer;
};

struct filling {
	json_t *late;
	const struct piece_sink *sink;
	struct buf text; /* the value that is told now */
	size_t steps;
};

static json_t *look_up(const struct filling *f, const struct piece *piece,
		       const struct scope *scope)
{
	const struct mustache_name *name = piece->path;
	if (!piece->local)
		return mustache_follow(f->late, name, 0);
	if (!name->count)
		return scope ? scope->value : NULL;
	for (; scope; scope = scope->outer) {
		json_t *value = mustache_member(scope->value, name->part[0]);
		if (value)
			return mustache_follow(value, name, 1);
	}
	return NULL;
}

static int tell_value(struct filling *f, const struct piece *piece, const json_t *value)
{
	buf_reset(&f->text);
	int r = mustache_put(&f->text, value, piece->escape);
	return r < 0 ? r : f->sink->value(f->sink->ctx, buf_str(&f->text));
}

static int each(struct filling *f, const struct piece *pieces, const struct scope *scope);

static int each_element(struct filling *f, const struct piece *piece, json_t *value,
			const struct scope *scope)
{
	if (!mustache_is_true(value))
		return 0;
	if (!json_is_array(value))
		return each(f, piece->children, &(struct scope){value, scope});
	int r = 0;
	for (size_t i = 0; r >= 0 && i < json_array_size(value); i++)
		r = each(f, piece->children, &(struct scope){json_array_get(value, i), scope});
	return r;
}

static int each(struct filling *f, const struct piece *pieces, const struct scope *scope)
{
	int r = 0;
	if (f->steps++ >= MUSTACHE_STEPS)
		return -E2BIG;
	for (const struct piece *piece = pieces; r >= 0 && piece; piece = piece->next) {
		if (f->steps++ >= MUSTACHE_STEPS)
			return -E2BIG;
		if (piece->kind == PIECE_LITERAL) {
			r = f->sink->literal(f->sink->ctx, piece);
			continue;
		}
		json_t *value = look_up(f, piece, scope);
		if (piece->kind == PIECE_VALUE)
			r = tell_value(f, piece, value);
		else if (piece->kind == PIECE_SECTION)
			r = each_element(f, piece, value, scope);
		else if (!mustache_is_true(value))
			r = each(f, piece->children, scope);
	}
	return r < 0 ? r : 0;
}

int piece_each(const struct piece *pieces, json_t *late, const struct piece_sink *sink)
{
	struct filling f = {.late = late, .sink = sink};
	int r = each(&f, pieces, NULL);
	buf_free(&f.text);
	return r;
}

static int add_literal(void *ctx, const struct piece *piece)
{
	return buf_addstr(ctx, piece->text);
}

static int add_value(void *ctx, struct str text)
{
	return buf_addstr(ctx, text);
}

int piece_render(const struct piece *pieces, json_t *late, struct buf *out)
{
	const struct piece_sink sink = {add_literal, add_value, out};
	size_t before = out->len;
	int r = piece_each(pieces, late, &sink);
	if (r < 0)
		buf_truncate(out, before);
	return r;
}
