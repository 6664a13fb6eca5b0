/* Each allocation on the way from an issue to a reader's mail fails once: -ENOMEM, nothing lost. */
#include "failing_alloc.h"

#include <jansson.h>
#include <stdio.h>

#include "mail/address.h"
#include "mail/digest.h"
#include "mail/letter.h"

struct given {
	json_t *content;
	json_t *late;
	bool letter;
};

static int compile(const struct given *given, struct arena *arena, struct message **ret,
		   struct why *why)
{
	const char *topics[] = {"a"};
	const struct letter_spec letter = {
	    .kind = "goodbye",
	    .list = json_object_get(given->content, "list"),
	    .text = json_object_get(given->content, "text"),
	};
	if (given->letter)
		return letter_compile(arena, &letter, ret, why);
	return digest_compile(arena, given->content, &(struct digest_variant){topics, 1, "ur-PK"},
			      ret, why);
}

static int run(void *ctx)
{
	const struct given *given = ctx;
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf out = {0};
	struct message *m = NULL;
	struct why why = {""};
	const struct message_reader reader = {
	    .address = STR("a@b.example"),
	    .name = STR("Zoë"),
	    .id = 1,
	    .unsubscribe = STR("https://b.example/u/T"),
	    .late = given->late,
	};
	int r = compile(given, &arena, &m, &why);
	assert_true((r < 0) == (why.text[0] != '\0'));
	assert_true((r < 0) == (m == NULL));
	if (r < 0)
		return r;
	r = message_splice(m, &reader, &out);
	if (r < 0)
		assert_int_equal(out.len, 0);
	return r;
}

static void sweep(bool letter, unsigned long least)
{
	json_auto_t *content = json_pack(
	    "{s:{s:s,s:s,s:s,s:s},s:{s:s,s:s,s:s},s:{s:s,s:s,s:{s:s,s:s}},"
	    "s:{s:{s:{s:s,s:s}}},s:{s:{s:{}}},s:[{s:s,s:[s]},{s:s,s:s}]}",
	    "list", "name", "l", "title", "List", "from_addr", "l@é.example", "cfbl_address",
	    "f@b.example", "issue", "uid", "u", "subject", "{{reader.name}} & {{lead.title}}",
	    "preheader", "{{#reader.name}}{{issue.subject}}{{/reader.name}}", "templates", "html",
	    "{{preheader}}{{#articles}}{{> c}}{{/articles}}", "text",
	    "{{#articles}}{{> c}}{{/articles}}{{{issue.subject}}}", "partials", "c.html",
	    "<p>{{title}}{{date_text}}{{reader.name}}", "c.txt", "{{{title}}}", "text", "mail",
	    "goodbye", "subject", "Bye {{reader.name}}", "preheader", "x", "texts", "ur", "mail",
	    "articles", "title", "One", "topics", "a", "title", "Two", "published",
	    "2026-11-24T00:00:00Z");
	json_auto_t *late = json_pack("{s:{s:s}}", "reader", "name", "Zoë");
	struct given given = {content, late, letter};
	assert_non_null(content);
	assert_non_null(late);
	assert_true(failing_alloc_sweep(run, &given) > least);
}

static void each_allocation_of_a_digest_may_fail(void **state)
{
	(void)state;
	sweep(false, 50);
}

static void each_allocation_of_a_letter_may_fail(void **state)
{
	(void)state;
	sweep(true, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_allocation_of_a_digest_may_fail),
	    cmocka_unit_test(each_allocation_of_a_letter_may_fail),
	};
	json_set_alloc_funcs(malloc, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
