/*
 * The Mustache engine on anything: the input is a template, a partial "p", JSON data and late JSON
 * data, each ended by a NUL. Nothing crashes or goes on for ever; pieces with nothing late give
 * what rendering gives; a rendering that fails leaves nothing behind.
 */
#include <errno.h>
#include <stdint.h>

#include "mail/mustache.h"
#include "must.h"

enum { LIMIT = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int load(void *ctx, const char *name, struct str *ret, const char **ret_path,
		struct why *why)
{
	(void)ret_path;
	(void)why;
	if (strcmp(name, "p") != 0)
		return -ENOENT;
	*ret = *(struct str *)ctx;
	return 0;
}

static int look(void *ctx, const struct mustache_use *use)
{
	size_t *depth = ctx;
	*depth = 0;
	for (const struct mustache_use *in = use->inside; in; in = in->inside)
		++*depth;
	must(*depth < MUSTACHE_DEPTH, "the walk is too deep");
	must(use->line > 0 && use->column > 0 && use->name[0], "a use without its place");
	return 0;
}

static void reduce_and_fill(const struct mustache *m, json_t *data, json_t *late)
{
	static const char *const names[] = {"reader", "links", NULL};
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf out = {.limit = LIMIT};
	struct piece *pieces;
	struct why why;
	if (mustache_reduce(m, data, MUSTACHE_HTML, names, LIMIT, &arena, &pieces, &why) == 0)
		piece_render(pieces, late, &out);
}

static void render_both_ways(const struct mustache *m, json_t *data)
{
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf once = {.limit = LIMIT}, twice = {.limit = LIMIT};
	struct piece *pieces;
	struct why why;
	int r = mustache_render(m, data, MUSTACHE_HTML, &once, &why);
	must(r == 0 || once.len == 0, "a failed rendering left something");
	int s = mustache_reduce(m, data, MUSTACHE_HTML, NULL, LIMIT, &arena, &pieces, &why);
	must(r == s, "only one way failed");
	if (s < 0)
		return;
	must(!pieces || (pieces->kind == PIECE_LITERAL && !pieces->next), "more than one literal");
	must(piece_render(pieces, NULL, &twice) == 0, "filling in failed");
	must(str_eq(buf_str(&once), buf_str(&twice)), "two ways, two results");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct str input = {(const char *)bytes, size};
	struct str text = str_take(&input, '\0'), partial = str_take(&input, '\0');
	struct str data_text = str_take(&input, '\0'), late_text = str_take(&input, '\0');
	json_auto_t *data = json_loadb(data_text.p, data_text.n, JSON_DECODE_ANY, NULL);
	json_auto_t *late = json_loadb(late_text.p, late_text.n, 0, NULL);
	_cleanup_arena_ struct arena arena = {0};
	const struct mustache_partials partials = {load, &partial, false};
	struct why why;
	struct mustache *m;
	size_t depth;
	if (mustache_compile(&arena, text, "t", &partials, &m, &why) < 0) {
		must(why.text[0] == 't' || why.text[0] == 'p', "a mistake without its place");
		return 0;
	}
	mustache_walk(m, look, &depth);
	render_both_ways(m, data);
	reduce_and_fill(m, data, late);
	return 0;
}
