/* Going through the names that a template uses, for checking it against what there will be. */
#include <errno.h>

#include "mail/mustache_tree.h"

struct frame {
	struct mustache_use use;                  /* a section */
	const struct mustache_template *template; /* a partial: where to go on behind it */
	uint32_t pc;
};

struct walk {
	const struct mustache_template *template;
	uint32_t pc;
	struct frame frames[MUSTACHE_DEPTH];
	size_t depth;
	bool seen[MUSTACHE_PARTIALS + 1];
	const struct mustache_use *inside;
};

static struct mustache_use use_of(const struct walk *w, const struct mustache_node *node,
				  enum mustache_kind kind)
{
	return (struct mustache_use){
	    .kind = kind,
	    .name = node->name->text,
	    .file = w->template->path,
	    .line = node->line,
	    .column = node->column,
	    .missing = node->partial && node->partial->missing,
	    .inside = w->inside,
	};
}

static int enter(struct walk *w, struct frame frame)
{
	if (w->depth == MUSTACHE_DEPTH)
		return -ELOOP;
	w->frames[w->depth++] = frame;
	return 0;
}

static int enter_section(struct walk *w, const struct mustache_use *use)
{
	int r = enter(w, (struct frame){.use = *use});
	if (r == 0)
		w->inside = &w->frames[w->depth - 1].use;
	return r;
}

static int enter_partial(struct walk *w, const struct mustache_template *partial)
{
	if (w->seen[partial->index])
		return 0;
	w->seen[partial->index] = true;
	int r = enter(w, (struct frame){.template = w->template, .pc = w->pc});
	if (r < 0)
		return r;
	w->template = partial;
	w->pc = 0;
	return 0;
}

static int tell(struct walk *w, const struct mustache_node *node,
		int (*use)(void *ctx, const struct mustache_use *), void *ctx)
{
	static const enum mustache_kind kinds[] = {
	    [NODE_VALUE] = MUSTACHE_VALUE,     [NODE_RAW] = MUSTACHE_RAW,
	    [NODE_SECTION] = MUSTACHE_SECTION, [NODE_INVERTED] = MUSTACHE_INVERTED,
	    [NODE_PARTIAL] = MUSTACHE_PARTIAL,
	};
	const struct mustache_use this = use_of(w, node, kinds[node->kind]);
	int r = use(ctx, &this);
	if (r < 0)
		return r;
	switch (node->kind) {
	case NODE_SECTION:
	case NODE_INVERTED: return enter_section(w, &this);
	case NODE_PARTIAL: return enter_partial(w, node->partial);
	default: return 0;
	}
}

int mustache_walk(const struct mustache *set, int (*use)(void *ctx, const struct mustache_use *),
		  void *ctx)
{
	struct walk w = {.template = set->first, .seen = {true}};
	for (;;) {
		if (w.pc == w.template->count) {
			if (!w.depth)
				return 0;
			const struct frame *frame = &w.frames[--w.depth];
			w.template = frame->template;
			w.pc = frame->pc;
			continue;
		}
		const struct mustache_node *node = &w.template->nodes[w.pc++];
		if (node->kind == NODE_TEXT)
			continue;
		if (node->kind == NODE_END) {
			w.inside = w.frames[--w.depth].use.inside;
			continue;
		}
		int r = tell(&w, node, use, ctx);
		if (r < 0)
			return r;
	}
}
