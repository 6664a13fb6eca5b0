/* Each allocation of the Mustache engine fails once: an error each time, and nothing is lost. */
#include "failing_alloc.h"

#include "mail/mustache.h"

static int load_from(void *ctx, const char *name, struct str *ret, const char **ret_path,
		     struct why *why)
{
	(void)ctx;
	(void)ret_path;
	(void)why;
	if (strcmp(name, "card") != 0)
		return -ENOENT;
	*ret = STR("{{title}}\n{{#reader.city}}\n{{.}}\n{{/reader.city}}\n");
	return 0;
}

static int ignore(void *ctx, const struct mustache_use *use)
{
	(void)ctx;
	(void)use;
	return 0;
}

struct given {
	json_t *data;
	json_t *late;
	struct str template;
};

static int everything(const struct given *given, struct arena *arena, struct buf *out,
		      struct why *why)
{
	static const char *const late[] = {"reader", NULL};
	const struct mustache_partials partials = {load_from, NULL, false};
	struct mustache *m;
	struct piece *pieces;
	int r = mustache_compile(arena, given->template, "t", &partials, &m, why);
	if (r == 0)
		r = mustache_render(m, given->data, MUSTACHE_HTML, out, why);
	if (r == 0)
		r = mustache_reduce(m, given->data, MUSTACHE_HTML, late, 0, arena, &pieces, why);
	if (r == 0)
		r = piece_render(pieces, given->late, out);
	if (r == 0)
		r = mustache_walk(m, ignore, NULL);
	return r;
}

static int run(void *ctx)
{
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf out = {0};
	struct why why = {""};
	int r = everything(ctx, &arena, &out, &why);
	/* What failed while filling in has no words: the caller knows best what it was doing. */
	if (why.text[0])
		assert_string_equal(why.text, "t: no memory left");
	if (r < 0 && !why.text[0])
		assert_true(out.len > 0);
	return r;
}

static void each_allocation_may_fail(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf text = {0};
	for (int i = 0; i < 40; i++)
		buf_adds(&text,
			 "{{#articles}}\n  {{> card}}\n{{/articles}}{{reader.name}}{{> none}}"
			 "{{articles}}{{^reader.x}}{{#reader.l}}{{.}}{{name}}{{/reader.l}}"
			 "{{/reader.x}}{{number}}<>&");
	struct given given = {.template = buf_str(&text)};
	given.data = json_pack("{s:f, s:[{s:s},{s:s}]}", "number", 1.25, "articles", "title",
			       "One <1>", "title", "Two");
	given.late =
	    json_pack("{s:{s:s,s:s,s:[i,i]}}", "reader", "name", "Ada", "city", "Riga", "l", 1, 2);
	assert_true(failing_alloc_sweep(run, &given) > 50);
	json_decref(given.data);
	json_decref(given.late);
}

int main(void)
{
	json_set_alloc_funcs(malloc, free);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
