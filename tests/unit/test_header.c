/* Header lines: their bytes, their folds, and that no foreign text gets out of its line. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "mail/header.h"

static const char *text(struct buf *out, struct str value)
{
	buf_reset(out);
	assert_int_equal(header_text(out, "Subject", value), 0);
	return buf_text(out);
}

static const char *mailbox(struct buf *out, struct str display, const char *address)
{
	buf_reset(out);
	assert_int_equal(header_mailbox(out, "To", display, str_of(address)), 0);
	return buf_text(out);
}

static void plain_text_is_left_alone(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_string_equal(text(&out, STR("Hello, world: \"a\" <b>")),
			    "Subject: Hello, world: \"a\" <b>\r\n");
	assert_string_equal(text(&out, STR("")), "Subject: \r\n");
	assert_string_equal(text(&out, STR("Café au lait")),
			    "Subject: =?UTF-8?Q?Caf=C3=A9_au_lait?=\r\n");
	assert_string_equal(text(&out, STR("=?utf-8?q?x?=")),
			    "Subject: =?UTF-8?B?PT91dGYtOD9xP3g/PQ==?=\r\n");
}

static void no_text_starts_a_header(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_string_equal(text(&out, STR("Hi\r\nBcc: a@b.example\r\n\r\n<b>\0\x7f\x1b[1m")),
			    "Subject: Hi Bcc: a@b.example <b> [1m\r\n");
	assert_string_equal(mailbox(&out, STR("Ada\r\nBcc: x@y.example"), "a@b.example"),
			    "To: \"Ada Bcc: x@y.example\" <a@b.example>\r\n");
	static const char *const bad[] = {"",
					  "a@b.example\r\nBcc: x",
					  "a b@c.example",
					  "a@b.example>",
					  "<a@b.example",
					  "a@b.example,c@d.example"};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		size_t before = out.len;
		assert_int_equal(header_mailbox(&out, "To", STR("x"), str_of(bad[i])), -EINVAL);
		assert_int_equal(out.len, before);
	}
	assert_int_equal(header_raw(&out, "X-A", STR("a\r\nb")), -EINVAL);
	assert_int_equal(header_raw(&out, "X-A", STR("\xc3\xa9")), -EINVAL);
	assert_int_equal(header_raw(&out, "X-A", STR("")), -EINVAL);
}

static void display_names_are_quoted_as_they_need(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_string_equal(mailbox(&out, STR("Ada Lovelace"), "a@b.example"),
			    "To: Ada Lovelace <a@b.example>\r\n");
	assert_string_equal(mailbox(&out, STR(""), "a@b.example"), "To: <a@b.example>\r\n");
	assert_string_equal(mailbox(&out, STR("Name, \"Inc.\" \\"), "a@b.example"),
			    "To: \"Name, \\\"Inc.\\\" \\\\\" <a@b.example>\r\n");
	assert_string_equal(mailbox(&out, STR("Zoë"), "a@b.example"),
			    "To: =?UTF-8?Q?Zo=C3=AB?= <a@b.example>\r\n");
	assert_string_equal(mailbox(&out, STR("=?x?="), "a@b.example"),
			    "To: =?UTF-8?B?PT94Pz0=?= <a@b.example>\r\n");
	assert_string_equal(mailbox(&out, STR("Zo"), "zoë@b.example"),
			    "To: Zo <zoë@b.example>\r\n");
}

static void check_lines(struct str all, size_t most)
{
	assert_true(all.n >= 2 && !memcmp(all.p + all.n - 2, "\r\n", 2));
	struct str line, rest = all;
	bool first = true;
	while (rest.n) {
		assert_true(str_cut(rest, '\n', &line, &rest));
		assert_true(line.n > 0 && line.p[line.n - 1] == '\r');
		line.n--;
		assert_null(memchr(line.p, '\r', line.n));
		assert_true(line.n <= most);
		if (!first) {
			assert_true(line.p[0] == ' ');
			assert_true(str_trim(line).n > 0);
		}
		assert_false(first && line.p[line.n - 1] == ':');
		first = false;
	}
}

static void long_values_are_folded(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0}, value = {0};
	static const char *const words[] = {"word ", "a, \"b\" ", "long-word-without-end-",
					    "文字",  "قاری ",     "   \t  "};
	for (size_t w = 0; w < ELEMENTS(words); w++) {
		buf_reset(&value);
		for (int i = 0; i < 500; i++) {
			buf_adds(&value, words[w]);
			buf_reset(&out);
			assert_int_equal(header_text(&out, "Subject", buf_str(&value)), 0);
			check_lines(buf_str(&out), 78 + 8);
			buf_reset(&out);
			assert_int_equal(header_mailbox(&out, "From", buf_str(&value),
							STR("somebody@news.example")),
					 0);
			/* A name without spaces has no place for a fold. */
			check_lines(buf_str(&out), w == 2 ? 998 : 78);
		}
	}
	text(&out,
	     STR("one two three four five six seven eight nine ten eleven twelve thirteen x"));
	assert_string_equal(buf_text(&out), "Subject: one two three four five six seven eight nine "
					    "ten eleven twelve\r\n thirteen x\r\n");
}

static void list_id_and_urls_have_their_forms(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_int_equal(header_list_id(&out, "List-Id", STR("The News"), STR("news.a.example")),
			 0);
	const struct str urls[] = {
	    STR("https://a.example/u/T?x=<y>\r\nz é"), {"", 0}, STR("mailto:a@b.example")};
	assert_int_equal(header_urls(&out, "List-Unsubscribe", urls, 3), 0);
	assert_int_equal(header_urls(&out, "List-Archive", urls + 1, 1), 0);
	assert_string_equal(
	    buf_text(&out),
	    "List-Id: The News <news.a.example>\r\n"
	    "List-Unsubscribe: <https://a.example/u/T?x=%3Cy%3E%0D%0Az%20%C3%A9>,\r\n"
	    " <mailto:a@b.example>\r\n");
	char large[1000];
	memset(large, 'x', sizeof(large));
	assert_int_equal(header_urls(&out, "X", &(struct str){large, sizeof(large)}, 1), -EINVAL);
	buf_reset(&out);
	assert_int_equal(header_urls(&out, "X", &(struct str){large, 992}, 1), 0);
	check_lines(buf_str(&out), 998);
}

static void dates_are_those_of_rfc_5322(void **state)
{
	(void)state;
	char date[HEADER_DATE];
	assert_string_equal(header_date_text(0, date), "Thu, 01 Jan 1970 00:00:00 +0000");
	assert_string_equal(header_date_text(1795557667 * USEC_PER_SEC + 999999, date),
			    "Tue, 24 Nov 2026 22:01:07 +0000");
	assert_string_equal(header_date_text(1709164799 * USEC_PER_SEC, date),
			    "Wed, 28 Feb 2024 23:59:59 +0000");
}

static void a_full_buffer_leaves_no_half_header(void **state)
{
	(void)state;
	struct str name =
	    STR("A name, that is \"quoted\", and long enough to be folded once at least");
	for (size_t limit = 1; limit < 90; limit++) {
		_cleanup_buf_ struct buf out = {.limit = limit};
		assert_int_equal(header_mailbox(&out, "To", name, STR("a@b.example")), -EOVERFLOW);
		assert_int_equal(out.len, 0);
		buf_reset(&out);
		assert_int_equal(
		    header_text(&out, "Subject",
				STR("Ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé ünïcödé")),
		    -EOVERFLOW);
		assert_int_equal(out.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_text_is_left_alone),
	    cmocka_unit_test(no_text_starts_a_header),
	    cmocka_unit_test(display_names_are_quoted_as_they_need),
	    cmocka_unit_test(long_values_are_folded),
	    cmocka_unit_test(list_id_and_urls_have_their_forms),
	    cmocka_unit_test(dates_are_those_of_rfc_5322),
	    cmocka_unit_test(a_full_buffer_leaves_no_half_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
