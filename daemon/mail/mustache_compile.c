/*
 * A template with all the partials that it reaches: a set, in which each is parsed once. Parsing
 * one may add more to the end of the set, until the last one is done; nothing recurses.
 */
#include <errno.h>

#include "mail/mustache_tree.h"

static struct mustache_template *add(struct arena *arena, struct mustache *set, const char *name)
{
	struct mustache_template *template = arena_alloc(arena, sizeof(*template));
	if (!template)
		return NULL;
	template->name = name;
	template->path = name;
	template->index = set->count++;
	if (set->last)
		set->last->next = template;
	else
		set->first = template;
	set->last = template;
	return template;
}

int mustache_template_add(struct arena *arena, struct mustache *set, const char *name,
			  struct mustache_template **ret)
{
	for (struct mustache_template *t = set->first->next; t; t = t->next) {
		if (strcmp(t->name, name) == 0) {
			*ret = t;
			return 0;
		}
	}
	if (set->count > MUSTACHE_PARTIALS)
		return -E2BIG;
	struct mustache_template *template = add(arena, set, name);
	if (!template)
		return -ENOMEM;
	*ret = template;
	return 0;
}

/* Where a partial is first included, for messages. */
static const struct mustache_node *first_use(const struct mustache *set,
					     const struct mustache_template *partial,
					     const struct mustache_template **ret_in)
{
	for (const struct mustache_template *t = set->first; t; t = t->next)
		for (uint32_t i = 0; i < t->count; i++)
			if (t->nodes[i].partial == partial) {
				*ret_in = t;
				return &t->nodes[i];
			}
	return NULL;
}

static int no_partial(const struct mustache *set, const struct mustache_template *partial, int err,
		      struct why *why)
{
	const struct mustache_template *in = set->first;
	const struct mustache_node *at = first_use(set, partial, &in);
	if (err == -ENOENT)
		why_set(why, err, "there is no partial {{> %.60s}}", partial->name);
	return why_prefix(why, err, "%s:%u:%u: ", in->path, at ? at->line : 0, at ? at->column : 0);
}

static int set_text(struct arena *arena, struct mustache_template *template, struct str text,
		    struct why *why)
{
	if (text.n > MUSTACHE_TEXT)
		return why_set(why, -E2BIG, "%s: a template of more than %d MiB", template->path,
			       MUSTACHE_TEXT >> 20);
	char *copy = arena_copy(arena, text);
	if (!copy)
		return -ENOMEM;
	template->text = (struct str){copy, text.n};
	return 0;
}

static int load(struct arena *arena, const struct mustache *set,
		const struct mustache_partials *partials, struct mustache_template *partial,
		struct why *why)
{
	struct str text = {"", 0};
	const char *path = NULL;
	int r = -ENOENT;
	if (partials)
		r = partials->load(partials->ctx, partial->name, &text, &path, why);
	partial->missing = r == -ENOENT;
	if (r == -ENOENT && !(partials && partials->strict))
		return 0;
	if (r < 0)
		return no_partial(set, partial, r, why);
	if (path)
		partial->path = path;
	return set_text(arena, partial, text, why);
}

static int compile_all(struct arena *arena, struct mustache *set, struct str text,
		       const struct mustache_partials *partials, struct why *why)
{
	int r = set_text(arena, set->first, text, why);
	for (struct mustache_template *t = set->first; r == 0 && t; t = t->next) {
		if (t != set->first)
			r = load(arena, set, partials, t, why);
		if (r == 0)
			r = mustache_parse(arena, set, t, why);
	}
	return r;
}

int mustache_compile(struct arena *arena, struct str text, const char *name,
		     const struct mustache_partials *partials, struct mustache **ret,
		     struct why *why)
{
	struct mustache *set = arena_alloc(arena, sizeof(*set));
	const char *copy = arena_strdup(arena, name);
	int r = set && copy && add(arena, set, copy) ? 0 : -ENOMEM;
	if (r == 0)
		r = compile_all(arena, set, text, partials, why);
	if (r == -ENOMEM)
		why_set(why, r, "%s: no memory left", name);
	if (r < 0)
		return r;
	*ret = set;
	return 0;
}
