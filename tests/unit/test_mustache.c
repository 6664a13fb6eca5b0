/* The Mustache engine beyond the specification: messages, limits, the walk over names. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "mail/mustache.h"

/* Partials out of a table of names and texts. */
struct partial {
	const char *name;
	const char *text;
};

static int load_from(void *ctx, const char *name, struct str *ret, const char **ret_path,
		     struct why *why)
{
	if (strcmp(name, "unreadable") == 0)
		return why_set(why, -EACCES, "unreadable: may not be read");
	for (const struct partial *p = ctx; p && p->name; p++) {
		if (strcmp(p->name, name) != 0)
			continue;
		*ret = str_of(p->text);
		if (strcmp(name, "shown") == 0)
			*ret_path = "theme/shown.html";
		return 0;
	}
	return -ENOENT;
}

struct
try {
	struct arena arena;
	struct mustache *m;
	struct buf out;
	struct why why;
	int r;
};

static void try_done(struct try *t)
{
	arena_free(&t->arena);
	buf_free(&t->out);
}

static void compile(struct try *t, const char *text, const struct partial *table, bool strict)
{
	struct mustache_partials partials = {load_from, (void *)table, strict};
	t->r = mustache_compile(&t->arena, str_of(text), "t.html", &partials, &t->m, &t->why);
}

static void render(struct try *t, const char *json)
{
	json_t *data = json_loads(json, JSON_DECODE_ANY, NULL);
	assert_non_null(data);
	t->r = mustache_render(t->m, data, MUSTACHE_HTML, &t->out, &t->why);
	json_decref(data);
}

static char *repeat(const char *what, size_t times)
{
	struct buf b = {0};
	for (size_t i = 0; i < times; i++)
		buf_adds(&b, what);
	return buf_steal(&b, NULL);
}

static void mistakes_are_told_with_their_place(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
	    {"a\n b{{#articles}}\nc", "t.html:2:3: section {{#articles}} is never closed"},
	    {"{{^a}}{{#b}}{{/b}}", "t.html:1:1: section {{^a}} is never closed"},
	    {"é{{/a}}", "t.html:1:2: {{/a}} closes a section that isn't open"},
	    {"\n{{#a}}\n\n  {{/b}}",
	     "t.html:4:3: {{/b}} stands where section {{#a}} of line 2 is open"},
	    {"{{#a}}{{#b}}{{/a}}{{/b}}",
	     "t.html:1:13: {{/a}} stands where section {{#b}} of line 1 is open"},
	    {"x {{name", "t.html:1:3: the tag {{name is never closed"},
	    {"x {{name\nnext}", "t.html:1:3: the tag {{name is never closed"},
	    {"{{{a}}", "t.html:1:1: the tag {{{a}} is never closed"},
	    {"{{}}", "t.html:1:1: a tag without a name"},
	    {"{{# }}", "t.html:1:1: a tag without a name"},
	    {"{{>}}", "t.html:1:1: a tag without a name"},
	    {"{{a..b}}", "t.html:1:1: \"a..b\" isn't a name"},
	    {"{{.a}}", "t.html:1:1: \".a\" isn't a name"},
	    {"{{a\nb}}", "t.html:1:1: \"a\" isn't a name"},
	    {"{{=<%=}}", "t.html:1:1: \"<%\" isn't two delimiters"},
	    {"{{=a b c=}}", "t.html:1:1: \"a b c\" isn't two delimiters"},
	    {"{{=a= b=}}", "t.html:1:1: \"a= b\" isn't two delimiters"},
	    {"{{= =}}", "t.html:1:1: \"\" isn't two delimiters"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		_cleanup_(try_done)
		struct try t = {0};
		compile(&t, cases[i].text, NULL, false);
		assert_int_equal(t.r, -EINVAL);
		assert_string_equal(t.why.text, cases[i].why);
		assert_null(t.m);
	}
}

static void a_missing_partial_is_told_when_strict(void **state)
{
	(void)state;
	static const struct partial table[] = {{"card", "\n {{> picture}}"}, {NULL, NULL}};
	_cleanup_(try_done)
	struct try t = {0};
	compile(&t, "x{{> card}}", table, true);
	assert_int_equal(t.r, -ENOENT);
	assert_string_equal(t.why.text, "card:2:2: there is no partial {{> picture}}");
	compile(&t, "x{{> card}}", table, false);
	assert_int_equal(t.r, 0);
	render(&t, "{}");
	assert_string_equal(buf_text(&t.out), "x\n");
	compile(&t, "x{{> unreadable}}", table, false);
	assert_int_equal(t.r, -EACCES);
	assert_string_equal(t.why.text, "t.html:1:2: unreadable: may not be read");
}

static void a_partial_is_called_by_its_path(void **state)
{
	(void)state;
	static const struct partial table[] = {{"shown", "{{#a}}"}, {NULL, NULL}};
	_cleanup_(try_done)
	struct try t = {0};
	compile(&t, "{{> shown}}", table, true);
	assert_string_equal(t.why.text, "theme/shown.html:1:1: section {{#a}} is never closed");
}

static void deep_nesting_is_refused(void **state)
{
	(void)state;
	_cleanup_free_ char *opening = repeat("{{#a}}", 10000), *closing = repeat("{{/a}}", 10000);
	_cleanup_buf_ struct buf text = {0};
	buf_printf(&text, "%s%s", opening, closing);
	_cleanup_(try_done)
	struct try t = {0};
	compile(&t, buf_text(&text), NULL, false);
	assert_int_equal(t.r, -EINVAL);
	assert_string_equal(t.why.text,
			    "t.html:1:601: section {{#a}} is nested too deep, in 100 others");
}

static void hundred_sections_may_nest(void **state)
{
	(void)state;
	_cleanup_free_ char *opening = repeat("{{#a}}", 100), *closing = repeat("{{/a}}", 100);
	_cleanup_buf_ struct buf text = {0};
	buf_printf(&text, "%sx%s", opening, closing);
	_cleanup_(try_done)
	struct try t = {0};
	compile(&t, buf_text(&text), NULL, false);
	assert_int_equal(t.r, 0);
	render(&t, "{\"a\":true}");
	assert_string_equal(buf_text(&t.out), "x");
}

static void an_endless_partial_is_stopped(void **state)
{
	(void)state;
	static const struct partial table[] = {{"loop", "{{> loop}}"},
					       {"ping", "\n  {{> pong}}"},
					       {"pong", " {{#a}}{{> ping}}{{/a}}"},
					       {"indent", "x\n \t {{> indent}}\n"},
					       {NULL, NULL}};
	_cleanup_(try_done)
	struct try t = {.out = {.limit = 1 << 20}};
	buf_adds(&t.out, "before");
	compile(&t, "{{> loop}}", table, true);
	render(&t, "{}");
	assert_int_equal(t.r, -ELOOP);
	assert_string_equal(t.why.text,
			    "loop:1:1: {{> loop}} is nested too deep, in 255 other sections "
			    "and partials: does a partial include itself for ever?");
	compile(&t, "{{> ping}}", table, true);
	render(&t, "{\"a\":[{}]}");
	assert_int_equal(t.r, -ELOOP);
	compile(&t, "{{> indent}}", table, true);
	render(&t, "{\"a\":[{}]}");
	assert_int_equal(t.r, -ELOOP);
	assert_string_equal(buf_text(&t.out), "before");
}

static void too_many_partials_are_refused(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf text = {0};
	for (int i = 0; i <= MUSTACHE_PARTIALS; i++)
		buf_printf(&text, "{{> p%d}}", i);
	_cleanup_(try_done)
	struct try t = {0};
	compile(&t, buf_text(&text), NULL, false);
	assert_int_equal(t.r, -E2BIG);
	assert_non_null(strstr(t.why.text, "{{> p256}} is one partial too many, after 256"));
}

static void a_template_has_a_largest_size(void **state)
{
	(void)state;
	_cleanup_free_ char *text = repeat("0123456789abcdef", (MUSTACHE_TEXT / 16) + 1);
	_cleanup_(try_done)
	struct try t = {0};
	compile(&t, text, NULL, false);
	assert_int_equal(t.r, -E2BIG);
	assert_string_equal(t.why.text, "t.html: a template of more than 4 MiB");
	text[MUSTACHE_TEXT] = '\0';
	compile(&t, text, NULL, false);
	assert_int_equal(t.r, 0);
}

static void output_stops_at_its_limit(void **state)
{
	(void)state;
	_cleanup_(try_done)
	struct try t = {.out = {.limit = 100}};
	compile(&t, "{{#a}}{{#a}}{{#a}}0123456789{{/a}}{{/a}}{{/a}}", NULL, false);
	render(&t, "{\"a\":[1,2,3]}");
	assert_int_equal(t.r, -EOVERFLOW);
	assert_string_equal(t.why.text, "t.html: gives more than 100 bytes");
	assert_int_equal(t.out.len, 0);
}

/* 10^20 rounds that give nothing must end too. */
static void work_without_output_is_stopped(void **state)
{
	(void)state;
	_cleanup_free_ char *opening = repeat("{{#a}}", 20), *closing = repeat("{{/a}}", 20);
	_cleanup_buf_ struct buf text = {0};
	buf_printf(&text, "%s%s", opening, closing);
	_cleanup_(try_done)
	struct try t = {0};
	compile(&t, buf_text(&text), NULL, false);
	render(&t, "{\"a\":[1,2,3,4,5,6,7,8,9,10]}");
	assert_int_equal(t.r, -E2BIG);
	assert_non_null(strstr(t.why.text, "t.html: too much to do"));
}

static void text_is_not_escaped_when_not_html(void **state)
{
	(void)state;
	_cleanup_(try_done)
	struct try t = {0};
	json_t *data = json_pack("{s:s}", "a", "<&'\">");
	compile(&t, "{{a}}", NULL, false);
	assert_int_equal(mustache_render(t.m, data, MUSTACHE_NONE, &t.out, NULL), 0);
	assert_string_equal(buf_text(&t.out), "<&'\">");
	buf_reset(&t.out);
	assert_int_equal(mustache_render(t.m, data, MUSTACHE_HTML, &t.out, NULL), 0);
	assert_string_equal(buf_text(&t.out), "&lt;&amp;&#39;&quot;&gt;");
	json_decref(data);
}

/* A NUL can come from JSON (as \u0000): it is a character like others, not an end. */
static void a_nul_in_data_ends_nothing(void **state)
{
	(void)state;
	_cleanup_(try_done)
	struct try t = {0};
	json_t *data = json_loads("{\"a\":\"x\\u0000y\"}", JSON_ALLOW_NUL, NULL);
	compile(&t, "({{a}})", NULL, false);
	assert_int_equal(mustache_render(t.m, data, MUSTACHE_HTML, &t.out, NULL), 0);
	assert_int_equal(t.out.len, 5);
	assert_memory_equal(t.out.data, "(x\0y)", 5);
	json_decref(data);
}

static int note(void *ctx, const struct mustache_use *use)
{
	static const char sigils[] = {[MUSTACHE_VALUE] = ' ',
				      [MUSTACHE_RAW] = '&',
				      [MUSTACHE_SECTION] = '#',
				      [MUSTACHE_INVERTED] = '^',
				      [MUSTACHE_PARTIAL] = '>'};
	struct buf *b = ctx;
	buf_printf(b, "%s:%u:%u %c%s", use->file, use->line, use->column, sigils[use->kind],
		   use->name);
	for (const struct mustache_use *in = use->inside; in; in = in->inside)
		buf_printf(b, " in %s", in->name);
	return buf_adds(b, use->missing ? " missing\n" : "\n");
}

static void the_walk_names_each_use_with_its_place(void **state)
{
	(void)state;
	static const struct partial table[] = {{"card", "{{title}}\n{{#more}}{{> card}}{{/more}}"},
					       {NULL, NULL}};
	_cleanup_(try_done)
	struct try t = {0};
	compile(&t,
		"{{list.title}}\n{{#articles}}\n  {{> card}}{{{body}}}\n{{/articles}}{{! no }}\n"
		"{{^articles}}{{text.none}}{{/articles}}{{> card}}{{> none}}",
		table, false);
	assert_int_equal(mustache_walk(t.m, note, &t.out), 0);
	assert_string_equal(buf_text(&t.out), "t.html:1:1  list.title\n"
					      "t.html:2:1 #articles\n"
					      "t.html:3:3 >card in articles\n"
					      "card:1:1  title in articles\n"
					      "card:2:1 #more in articles\n"
					      "card:2:10 >card in more in articles\n"
					      "t.html:3:13 &body in articles\n"
					      "t.html:5:1 ^articles\n"
					      "t.html:5:14  text.none in articles\n"
					      "t.html:5:40 >card\n"
					      "t.html:5:50 >none missing\n");
}

static int refuse(void *ctx, const struct mustache_use *use)
{
	(void)use;
	return --*(int *)ctx ? 0 : -ECANCELED;
}

static void the_walk_ends_when_told(void **state)
{
	(void)state;
	_cleanup_(try_done)
	struct try t = {0};
	compile(&t, "{{a}}{{b}}{{c}}", NULL, false);
	int left = 2;
	assert_int_equal(mustache_walk(t.m, refuse, &left), -ECANCELED);
	assert_int_equal(left, 0);
}

/* Each partial includes the next within fifty sections. */
static void the_walk_has_a_depth(void **state)
{
	(void)state;
	_cleanup_free_ char *opening = repeat("{{#s}}", 50), *closing = repeat("{{/s}}", 50);
	struct partial table[8] = {{NULL, NULL}};
	char names[8][2];
	struct buf texts[7] = {{0}};
	for (int i = 0; i < 7; i++) {
		snprintf(names[i], sizeof(names[i]), "%d", i);
		buf_printf(&texts[i], "%s{{> %d}}%s", opening, i + 1, closing);
		table[i] = (struct partial){names[i], buf_text(&texts[i])};
	}
	_cleanup_(try_done)
	struct try t = {0};
	compile(&t, "{{> 0}}", table, false);
	assert_int_equal(t.r, 0);
	assert_int_equal(mustache_walk(t.m, note, &t.out), -ELOOP);
	for (int i = 0; i < 7; i++)
		buf_free(&texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mistakes_are_told_with_their_place),
	    cmocka_unit_test(a_missing_partial_is_told_when_strict),
	    cmocka_unit_test(a_partial_is_called_by_its_path),
	    cmocka_unit_test(deep_nesting_is_refused),
	    cmocka_unit_test(hundred_sections_may_nest),
	    cmocka_unit_test(an_endless_partial_is_stopped),
	    cmocka_unit_test(too_many_partials_are_refused),
	    cmocka_unit_test(a_template_has_a_largest_size),
	    cmocka_unit_test(output_stops_at_its_limit),
	    cmocka_unit_test(work_without_output_is_stopped),
	    cmocka_unit_test(text_is_not_escaped_when_not_html),
	    cmocka_unit_test(a_nul_in_data_ends_nothing),
	    cmocka_unit_test(the_walk_names_each_use_with_its_place),
	    cmocka_unit_test(the_walk_ends_when_told),
	    cmocka_unit_test(the_walk_has_a_depth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
