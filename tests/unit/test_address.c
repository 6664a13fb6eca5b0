/* Addresses: the isemail corpus, the policy that mail/address.h states, and what is unique. */
#include "unit.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "mail/address.h"
#include "testfile.h"

static int parse(const char *text, struct address *ret)
{
	struct why why = {{0}};
	int r = address_parse(str_of(text), ret, &why);
	assert_true((r < 0) == (why.text[0] != '\0'));
	return r;
}

static void accepted_addresses_are_normalised(void **state)
{
	(void)state;
	struct address a;
	assert_int_equal(parse(" Ada.Lovelace+News@Example.ORG\t", &a), 0);
	assert_string_equal(a.display, "Ada.Lovelace+News@Example.ORG");
	assert_string_equal(a.local, "Ada.Lovelace+News");
	assert_string_equal(a.domain, "example.org");
	assert_string_equal(a.wire, "Ada.Lovelace+News@example.org");
	assert_string_equal(a.norm, "ada.lovelace+news@example.org");
	assert_false(a.needs_smtputf8);
}

static void a_domain_beyond_ascii_becomes_punycode(void **state)
{
	(void)state;
	struct address a;
	assert_int_equal(parse("info@BÜCHER.example", &a), 0);
	assert_string_equal(a.wire, "info@xn--bcher-kva.example");
	assert_string_equal(a.norm, "info@xn--bcher-kva.example");
	assert_string_equal(a.display, "info@BÜCHER.example");
	assert_false(a.needs_smtputf8);
	assert_int_equal(parse("info@例え.テスト", &a), 0);
	assert_string_equal(a.domain, "xn--r8jz45g.xn--zckzah");
	assert_int_equal(parse("info@example。org", &a), 0);
	assert_string_equal(a.domain, "example.org");
	assert_int_equal(parse("info@straße.example", &a), 0);
	assert_string_equal(a.domain, "xn--strae-oqa.example");
}

static void a_local_part_beyond_ascii_is_flagged_and_folded(void **state)
{
	(void)state;
	struct address a, b;
	assert_int_equal(parse("ÉLODIE@example.org", &a), 0);
	assert_true(a.needs_smtputf8);
	assert_string_equal(a.wire, "ÉLODIE@example.org");
	assert_int_equal(parse("e\xcc\x81lodie@example.org", &b), 0); /* e and a combining acute */
	assert_string_equal(a.norm, b.norm);
	assert_string_equal(a.norm, "\xc3\xa9lodie@example.org");
	assert_int_equal(parse("قاری@مثال.example", &a), 0);
	assert_true(a.needs_smtputf8);
	/* 32 times U+023A: two bytes that become three in lower case. */
	char text[128] = "";
	for (int i = 0; i < 32; i++)
		strcat(text, "Ⱥ");
	strcat(text, "@example.org");
	assert_int_equal(parse(text, &a), 0);
	assert_int_equal(strlen(a.norm), 32 * 3 + strlen("@example.org"));
}

static void what_nobody_has_is_refused(void **state)
{
	(void)state;
	static const char *const refused[] = {
	    "",
	    "@",
	    "a",
	    "a@",
	    "@b.example",
	    "a b@c.example",
	    "a@b c.example",
	    "a@b.example\r\n",
	    "a@b.example\r\nBcc: x@y.example",
	    "a\r\n@b.example",
	    "a\x01@b.example",
	    "a@b.example\x7f",
	    "a@b..example",
	    "a@b.example.",
	    "a@-b.example",
	    "a@127.0.0.1",
	    "a@[127.0.0.1]",
	    "\"a\"@b.example",
	    "Ada <a@b.example>",
	    "<a@b.example>",
	    "a@b.example,c@d.example",
	    "a@b_c.example",
	    "a@b.example>",
	    "a@é\nb.example",
	    "a@b\xe2\x80\xae.example", /* right-to-left override */
	    "a\xe2\x80\x8b@b.example", /* zero width space */
	    "a\xc2\xa0@b.example",     /* no-break space */
	    "a\xc2\x85@b.example",     /* next line, a C1 control */
	    "a\xe2\x80\xa8@b.example", /* line separator */
	    "a\xcd\xbe@b.example",     /* a Greek question mark, which is a semicolon */
	    "a\xff@b.example",         /* not UTF-8 */
	    "a\xed\xa0\x80@b.example", /* a surrogate */
	    "a@b\xff.example",
	};
	for (size_t i = 0; i < ELEMENTS(refused); i++) {
		struct address a = {.domain = "kept"};
		if (parse(refused[i], &a) != -EINVAL)
			fail_msg("accepted: '%s'", refused[i]);
		assert_string_equal(a.domain, "kept");
	}
	struct address a;
	assert_int_equal(address_parse(STR("a\0b@c.example"), &a, NULL), -EINVAL);
	assert_int_equal(address_parse(STR("a@c\0é.example"), &a, NULL), -EINVAL);
}

static void lengths_end_where_smtp_says(void **state)
{
	(void)state;
	struct address a;
	char text[400];
	snprintf(text, sizeof(text), "%064d@example.org", 7);
	assert_int_equal(parse(text, &a), 0);
	snprintf(text, sizeof(text), "%065d@example.org", 7);
	assert_int_equal(parse(text, &a), -EINVAL);
	snprintf(text, sizeof(text), "a@%063d.%063d.%063d.%052d.example", 1, 1, 1, 1);
	assert_int_equal(strlen(text), 254);
	assert_int_equal(parse(text, &a), 0);
	assert_int_equal(strlen(a.wire), 254);
	snprintf(text, sizeof(text), "ab@%063d.%063d.%063d.%052d.example", 1, 1, 1, 1);
	assert_int_equal(parse(text, &a), -EINVAL);
}

/* U+2400 + n stands for the control character n in the corpus. */
static void real_controls(const char *text, struct buf *out)
{
	for (; *text; text++) {
		if (!strncmp(text, "\xe2\x90", 2) && (unsigned char)text[2] < 0xa0) {
			buf_addc(out, (char)((unsigned char)text[2] - 0x80));
			text += 2;
		} else {
			buf_addc(out, *text);
		}
	}
}

static char *child_text(xmlNode *test, const char *name)
{
	for (xmlNode *n = test->children; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE && !strcmp((const char *)n->name, name))
			return (char *)xmlNodeGetContent(n);
	return NULL;
}

/* 1: must be accepted; -1: must be refused by the corpus; -2: refused by our policy. */
static int wanted(const char *id, const char *category)
{
	if (!strcmp(category, "ISEMAIL_VALID_CATEGORY") || !strcmp(category, "ISEMAIL_DNSWARN"))
		return 1;
	/* "test@org", and spaces around the whole: the policy takes these three. */
	if (!strcmp(id, "166") || !strcmp(id, "157") || !strcmp(id, "158"))
		return 1;
	return !strcmp(category, "ISEMAIL_ERR") ? -1 : -2;
}

static void the_isemail_corpus_gets_its_verdicts(void **state)
{
	(void)state;
	char path[1024];
	testfile_corpus("isemail/tests.xml", path);
	xmlDoc *doc = xmlReadFile(path, NULL, XML_PARSE_NONET);
	assert_non_null(doc);
	int count = 0;
	for (xmlNode *n = xmlDocGetRootElement(doc)->children; n; n = n->next) {
		if (n->type != XML_ELEMENT_NODE || strcmp((const char *)n->name, "test") != 0)
			continue;
		char *id = (char *)xmlGetProp(n, (const xmlChar *)"id");
		char *text = child_text(n, "address"), *category = child_text(n, "category");
		_cleanup_buf_ struct buf raw = {0};
		real_controls(text ? text : "", &raw);
		struct address a;
		int r = address_parse(buf_str(&raw), &a, NULL);
		if ((r == 0) != (wanted(id, category) > 0))
			fail_msg("isemail %s: %s: %s gave %d", id, text, category, r);
		count++;
		xmlFree(id);
		xmlFree(text);
		xmlFree(category);
	}
	xmlFreeDoc(doc);
	xmlCleanupParser();
	assert_int_equal(count, 164);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(accepted_addresses_are_normalised),
	    cmocka_unit_test(a_domain_beyond_ascii_becomes_punycode),
	    cmocka_unit_test(a_local_part_beyond_ascii_is_flagged_and_folded),
	    cmocka_unit_test(what_nobody_has_is_refused),
	    cmocka_unit_test(lengths_end_where_smtp_says),
	    cmocka_unit_test(the_isemail_corpus_gets_its_verdicts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
