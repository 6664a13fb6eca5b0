/*
 * Rendering: a machine that goes through the nodes with a stack of frames, one for each section
 * and partial that it is in. It renders in full and reduces alike; when nothing is late, no hole
 * is ever left. Text gathers in `out`; before a hole, what has gathered since the last becomes a
 * literal piece.
 */
#include <errno.h>

#include "mail/mustache_tree.h"

enum frame_kind {
	FRAME_ROOT,
	FRAME_PARTIAL,
	FRAME_SECTION,
	FRAME_INVERTED,
	FRAME_LATE,          /* a section whose value isn't known yet */
	FRAME_LATE_INVERTED, /* it gives no value, but its pieces are a list of their own */
};

struct frame {
	enum frame_kind kind;
	const struct mustache_template *template; /* PARTIAL: where to go on behind it */
	uint32_t pc;                              /* PARTIAL: the same; SECTION: its first node */
	json_t *value;                            /* ROOT, SECTION: what names are looked up in */
	json_t *list;                             /* SECTION over a list */
	size_t element;
	size_t indent, indents; /* PARTIAL: what to restore */
	struct piece **tail;    /* LATE*: where the pieces behind it go */
};

struct machine {
	const struct mustache *set;
	const struct mustache_template *template;
	uint32_t pc;
	json_t *data;
	enum mustache_escape escape;
	struct buf *out;
	struct why *why;
	size_t steps;

	struct frame frames[MUSTACHE_DEPTH];
	size_t depth;
	struct buf indents; /* each partial's own behind that of the one around it */
	size_t indent;      /* where the one that holds now begins */

	const char *const *late; /* NULL: nothing is late */
	struct arena *arena;
	struct piece **tail;
	size_t flushed; /* how much of `out` is in pieces already */
	size_t holes;
};

enum found { FOUND_KNOWN, FOUND_LATE, FOUND_LOCAL };

enum { INDENT_LIMIT = 4096 };

/* ---- the frames --------------------------------------------------------------------------- */

static int push(struct machine *m, enum frame_kind kind, struct frame **ret)
{
	if (m->depth == MUSTACHE_DEPTH)
		return -ELOOP;
	struct frame *frame = &m->frames[m->depth++];
	*frame = (struct frame){.kind = kind};
	*ret = frame;
	return 0;
}

static bool is_late(const struct machine *m, const struct mustache_name *name)
{
	if (!m->late || !name->count)
		return false;
	for (const char *const *late = m->late; *late; late++)
		if (str_is(name->part[0], *late))
			return true;
	return false;
}

/* What a name stands for here; *ret is its value (NULL: none) when it is known. */
static enum found look_up(struct machine *m, const struct mustache_name *name, json_t **ret)
{
	bool late = is_late(m, name), local = false;
	*ret = NULL;
	for (size_t i = m->depth; i-- > 0; m->steps++) {
		const struct frame *frame = &m->frames[i];
		if (frame->kind == FRAME_LATE) {
			if (!name->count)
				return FOUND_LOCAL;
			local = true;
		}
		if (!frame->value || (late && frame->value == m->data))
			continue;
		json_t *value =
		    name->count ? mustache_member(frame->value, name->part[0]) : frame->value;
		if (value) {
			*ret = mustache_follow(value, name, 1);
			return FOUND_KNOWN;
		}
	}
	if (late)
		return FOUND_LATE;
	return local ? FOUND_LOCAL : FOUND_KNOWN;
}

/* ---- pieces ------------------------------------------------------------------------------- */

static int add_piece(struct machine *m, struct piece piece, struct piece **ret)
{
	struct piece *added = arena_alloc(m->arena, sizeof(*added));
	if (!added)
		return -ENOMEM;
	*added = piece;
	*m->tail = added;
	m->tail = &added->next;
	*ret = added;
	return 0;
}

static int flush(struct machine *m)
{
	size_t n = m->out->len - m->flushed;
	if (!n)
		return 0;
	char *copy = arena_strndup(m->arena, m->out->data + m->flushed, n);
	if (!copy)
		return -ENOMEM;
	m->flushed = m->out->len;
	struct piece *piece;
	return add_piece(m, (struct piece){.kind = PIECE_LITERAL, .text = {copy, n}}, &piece);
}

static int add_hole(struct machine *m, enum piece_kind kind, const struct mustache_node *node,
		    enum found found, struct piece **ret)
{
	if (m->holes++ == MUSTACHE_HOLES)
		return -E2BIG;
	struct piece piece = {
	    .kind = kind,
	    .local = found == FOUND_LOCAL,
	    .escape = node->kind == NODE_RAW ? MUSTACHE_NONE : m->escape,
	};
	int r = flush(m);
	if (r == 0)
		r = mustache_name_split(m->arena, str_of(node->name->text), &piece.path);
	if (r < 0)
		return r;
	piece.name = piece.path->text;
	return add_piece(m, piece, ret);
}

/* ---- the nodes ---------------------------------------------------------------------------- */

static int put_text(struct machine *m, const struct mustache_node *node)
{
	struct str indent = str_from(buf_str(&m->indents), m->indent), line, rest = node->text;
	m->pc++;
	if (!indent.n)
		return buf_addstr(m->out, rest);
	if (node->bol)
		buf_addstr(m->out, indent);
	while (rest.n && str_cut(rest, '\n', &line, &rest)) {
		buf_add(m->out, line.p, line.n + 1);
		if (rest.n)
			buf_addstr(m->out, indent);
	}
	return buf_addstr(m->out, rest);
}

static int put_value(struct machine *m, const struct mustache_node *node)
{
	json_t *value;
	struct piece *piece;
	enum found found = look_up(m, node->name, &value);
	m->pc++;
	if (found != FOUND_KNOWN)
		return add_hole(m, PIECE_VALUE, node, found, &piece);
	return mustache_put(m->out, value, node->kind == NODE_RAW ? MUSTACHE_NONE : m->escape);
}

static int enter_late(struct machine *m, const struct mustache_node *node, enum found found)
{
	bool inverted = node->kind == NODE_INVERTED;
	struct frame *frame;
	struct piece *piece;
	int r = push(m, inverted ? FRAME_LATE_INVERTED : FRAME_LATE, &frame);
	if (r == 0)
		r = add_hole(m, inverted ? PIECE_INVERTED : PIECE_SECTION, node, found, &piece);
	if (r < 0)
		return r;
	frame->tail = m->tail;
	m->tail = &piece->children;
	m->pc++;
	return 0;
}

static int enter_section(struct machine *m, const struct mustache_node *node)
{
	json_t *value;
	bool inverted = node->kind == NODE_INVERTED;
	enum found found = look_up(m, node->name, &value);
	if (found != FOUND_KNOWN)
		return enter_late(m, node, found);
	if (mustache_is_true(value) == inverted) {
		m->pc = node->other + 1;
		return 0;
	}
	struct frame *frame;
	int r = push(m, inverted ? FRAME_INVERTED : FRAME_SECTION, &frame);
	if (r < 0)
		return r;
	frame->pc = ++m->pc;
	if (inverted)
		return 0;
	frame->list = json_is_array(value) ? value : NULL;
	frame->value = frame->list ? json_array_get(value, 0) : value;
	return 0;
}

static int leave_section(struct machine *m)
{
	struct frame *frame = &m->frames[m->depth - 1];
	if (frame->list && ++frame->element < json_array_size(frame->list)) {
		frame->value = json_array_get(frame->list, frame->element);
		m->pc = frame->pc;
		return 0;
	}
	if (frame->tail) {
		int r = flush(m);
		if (r < 0)
			return r;
		m->tail = frame->tail;
	}
	m->depth--;
	m->pc++;
	return 0;
}

static int enter_partial(struct machine *m, const struct mustache_node *node)
{
	struct frame *frame;
	int r = push(m, FRAME_PARTIAL, &frame);
	if (r < 0)
		return r;
	frame->template = m->template;
	frame->pc = m->pc + 1;
	frame->indent = m->indent;
	frame->indents = m->indents.len;
	if (node->standalone)
		r = buf_addstr(&m->indents, node->text);
	else
		m->indent = m->indents.len;
	m->template = node->partial;
	m->pc = 0;
	return r == -EOVERFLOW ? -ELOOP : r;
}

/* At the end of a template: whether there is one that goes on behind it. */
static bool leave_partial(struct machine *m)
{
	const struct frame *frame = &m->frames[m->depth - 1];
	if (frame->kind != FRAME_PARTIAL)
		return false;
	m->template = frame->template;
	m->pc = frame->pc;
	m->indent = frame->indent;
	buf_truncate(&m->indents, frame->indents);
	m->depth--;
	return true;
}

static int do_node(struct machine *m, const struct mustache_node *node)
{
	switch (node->kind) {
	case NODE_TEXT: return put_text(m, node);
	case NODE_VALUE:
	case NODE_RAW: return put_value(m, node);
	case NODE_SECTION:
	case NODE_INVERTED: return enter_section(m, node);
	case NODE_END: return leave_section(m);
	case NODE_PARTIAL: return enter_partial(m, node);
	}
	return -EINVAL;
}

/* ---- from the first node to the last ------------------------------------------------------ */

static int explain(const struct machine *m, int r, const struct mustache_node *node)
{
	const char *path = m->set->first->path;
	switch (r) {
	case -ELOOP:
		return why_set(
		    m->why, r,
		    "%s:%u:%u: {{%s%.60s}} is nested too deep, in %zu other sections and "
		    "partials: does a partial include itself for ever?",
		    m->template->path, node->line, node->column,
		    node->kind == NODE_PARTIAL ? "> " : "#", node->name->text, m->depth - 1);
	case -E2BIG:
		return why_set(m->why, r, "%s: too much to do: more than %d steps or %d late names",
			       path, MUSTACHE_STEPS, MUSTACHE_HOLES);
	case -EOVERFLOW:
		return why_set(m->why, r, "%s: gives more than %zu bytes", path, m->out->limit);
	case -ENOMEM: return why_set(m->why, r, "%s: no memory left", path);
	default: return why_set(m->why, r, "%s: can't be rendered", path);
	}
}

static int run(struct machine *m)
{
	m->template = m->set->first;
	m->frames[0] = (struct frame){.kind = FRAME_ROOT, .value = m->data};
	m->depth = 1;
	for (;;) {
		if (m->pc == m->template->count) {
			if (!leave_partial(m))
				return 0;
			continue;
		}
		const struct mustache_template *template = m->template;
		const struct mustache_node *node = &template->nodes[m->pc];
		int r = m->steps++ < MUSTACHE_STEPS ? do_node(m, node) : -E2BIG;
		if (r < 0) {
			m->template = template;
			return explain(m, r, node);
		}
	}
}

static void machine_done(struct machine *m)
{
	buf_free(&m->indents);
}

int mustache_render(const struct mustache *set, json_t *data, enum mustache_escape escape,
		    struct buf *out, struct why *why)
{
	_cleanup_(machine_done)
	struct machine m = {
	    .set = set,
	    .data = data,
	    .escape = escape,
	    .out = out,
	    .why = why,
	    .indents = {.limit = INDENT_LIMIT},
	};
	size_t before = out->len;
	int r = run(&m);
	if (r < 0)
		buf_truncate(out, before);
	return r;
}

int mustache_reduce(const struct mustache *set, json_t *data, enum mustache_escape escape,
		    const char *const late[], size_t limit, struct arena *arena, struct piece **ret,
		    struct why *why)
{
	_cleanup_buf_ struct buf text = {.limit = limit};
	struct piece *pieces = NULL;
	_cleanup_(machine_done)
	struct machine m = {
	    .set = set,
	    .data = data,
	    .escape = escape,
	    .out = &text,
	    .why = why,
	    .indents = {.limit = INDENT_LIMIT},
	    .late = late,
	    .arena = arena,
	    .tail = &pieces,
	};
	int r = run(&m);
	if (r == 0 && (r = flush(&m)) < 0)
		explain(&m, r, NULL);
	if (r < 0)
		return r;
	*ret = pieces;
	return 0;
}
