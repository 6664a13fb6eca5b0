/* Compiled messages: what a reader's mail looks like to the byte, and that nothing breaks its form.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "mail/message.h"

static const char *const late_names[] = {"reader", "links", NULL};

static struct piece *pieces(struct arena *arena, const char *template, enum mustache_escape escape)
{
	struct mustache *m;
	struct piece *ret = NULL;
	struct why why = {{0}};
	json_auto_t *data = json_object();
	if (mustache_compile(arena, str_of(template), "t", NULL, &m, &why) < 0 ||
	    mustache_reduce(m, data, escape, late_names, 0, arena, &ret, &why) < 0)
		fail_msg("%s", why.text);
	return ret;
}

static struct message *compile(struct arena *arena, const char *subject, const char *text,
			       const char *html)
{
	struct message *m = NULL;
	struct why why = {{0}};
	const struct message_spec spec = {
	    .headers = STR("From: The News <news@news.example>\r\n"),
	    .subject = pieces(arena, subject, MUSTACHE_NONE),
	    .text = pieces(arena, text, MUSTACHE_NONE),
	    .html = pieces(arena, html, MUSTACHE_HTML),
	    .id = STR("news.daily.2026-11-24"),
	    .domain = STR("news.example"),
	    .seed = STR("news.daily.2026-11-24 1"),
	    .unsubscribe = true,
	};
	if (message_compile(arena, &spec, &m, &why) < 0)
		fail_msg("%s", why.text);
	return m;
}

static json_t *late_of(const char *name)
{
	return json_pack("{s{s:s,s:s},s{s:s}}", "reader", "name", name, "email", "ada@example.org",
			 "links", "unsubscribe", "https://news.example/u/TOKEN?a=b");
}

static struct message_reader reader_of(const char *name, json_t *late)
{
	return (struct message_reader){
	    .address = STR("ada@example.org"),
	    .name = str_of(name),
	    .id = 42,
	    .date = 1795557667 * USEC_PER_SEC,
	    .unsubscribe = STR("https://news.example/u/TOKEN"),
	    .unsubscribe_mail = STR("mailto:bounces+x@news.example?subject=unsubscribe"),
	    .late = late,
	};
}

static void splice(const struct message *m, const char *name, struct buf *out)
{
	json_auto_t *late = late_of(name);
	struct message_reader reader = reader_of(name, late);
	buf_reset(out);
	assert_int_equal(message_splice(m, &reader, out), 0);
}

static void a_mail_is_these_bytes(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf out = {0};
	struct message *m =
	    compile(&arena, "News & more", "Dear {{reader.name}},\n.\nbye {{links.unsubscribe}}\n",
		    "<p>Dear {{reader.name}}</p>\n<a href=\"{{links.unsubscribe}}\">é</a>\n");
	splice(m, "Ada & Zoë", &out);
	assert_string_equal(buf_text(&out),
			    "From: The News <news@news.example>\r\n"
			    "Subject: News & more\r\n"
			    "To: =?UTF-8?Q?Ada_=26_Zo=C3=AB?= <ada@example.org>\r\n"
			    "Date: Tue, 24 Nov 2026 22:01:07 +0000\r\n"
			    "Message-ID: <news.daily.2026-11-24.42@news.example>\r\n"
			    "List-Unsubscribe: <https://news.example/u/TOKEN>,\r\n"
			    " <mailto:bounces+x@news.example?subject=unsubscribe>\r\n"
			    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
			    "MIME-Version: 1.0\r\n"
			    "Content-Type: multipart/alternative;\r\n"
			    " boundary=\"=_bebd2f84daf88d0cfb5bf2ab\"\r\n"
			    "\r\n"
			    "--=_bebd2f84daf88d0cfb5bf2ab\r\n"
			    "Content-Type: text/plain; charset=utf-8\r\n"
			    "Content-Transfer-Encoding: quoted-printable\r\n"
			    "\r\n"
			    "Dear=20=\r\n"
			    "Ada & Zo=C3=AB=\r\n"
			    ",\r\n"
			    "=2E\r\n"
			    "bye=20=\r\n"
			    "https://news.example/u/TOKEN?a=3Db=\r\n"
			    "\r\n"
			    "\r\n"
			    "--=_bebd2f84daf88d0cfb5bf2ab\r\n"
			    "Content-Type: text/html; charset=utf-8\r\n"
			    "Content-Transfer-Encoding: quoted-printable\r\n"
			    "\r\n"
			    "<p>Dear=20=\r\n"
			    "Ada &amp; Zo=C3=AB=\r\n"
			    "</p>\r\n"
			    "<a href=3D\"=\r\n"
			    "https://news.example/u/TOKEN?a=3Db=\r\n"
			    "\">=C3=A9</a>\r\n"
			    "--=_bebd2f84daf88d0cfb5bf2ab--\r\n");
}

static void the_same_reader_gets_the_same_bytes(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena one = {0}, two = {0};
	_cleanup_buf_ struct buf a = {0}, b = {0};
	splice(compile(&one, "For {{reader.name}}", "{{reader.name}}", "<p>x"), "Ada", &a);
	struct message *m = compile(&two, "For {{reader.name}}", "{{reader.name}}", "<p>x");
	splice(m, "Somebody else", &b);
	splice(m, "Ada", &b);
	assert_string_equal(buf_text(&a), buf_text(&b));
	assert_true(message_size_hint(m) >= b.len);
	assert_false(message_smtputf8(m));
}

static void a_subject_may_wait_for_its_reader(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf out = {0};
	struct message *m = compile(&arena, "{{reader.name}}: news", "x", "x");
	splice(m, "Ada", &out);
	assert_non_null(strstr(buf_text(&out), "\r\nSubject: Ada: news\r\n"));
	splice(m, "Ada\r\nBcc: evil@example.org\r\n\r\n<b>", &out);
	assert_non_null(
	    strstr(buf_text(&out), "\r\nSubject: Ada Bcc: evil@example.org <b>: news\r\n"));
	assert_null(strstr(buf_text(&out), "\nBcc:"));
	splice(m, "قاری", &out);
	assert_non_null(strstr(buf_text(&out), "\r\nSubject: =?UTF-8?B?"));
}

static void sections_on_a_reader_are_chosen_late(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf out = {0};
	struct message *m = compile(
	    &arena, "s",
	    "{{#reader.name}}Hi {{.}}{{/reader.name}}{{^reader.name}}Hi{{/reader.name}}", "x");
	splice(m, "Ada", &out);
	assert_non_null(strstr(buf_text(&out), "\r\n\r\nHi=20=\r\nAda=\r\n\r\n\r\n--=_"));
	splice(m, "", &out);
	assert_non_null(strstr(buf_text(&out), "\r\n\r\nHi=\r\n\r\n\r\n--=_"));
}

/* Every line of a mail: its end, its length, its start. */
static void check_form(struct str mail)
{
	struct str line, rest = mail;
	bool body = false;
	assert_true(mail.n > 2 && !memcmp(mail.p + mail.n - 2, "\r\n", 2));
	while (str_cut(rest, '\n', &line, &rest)) {
		assert_true(line.n > 0 && line.p[line.n - 1] == '\r');
		line.n--;
		assert_null(memchr(line.p, '\r', line.n));
		assert_null(memchr(line.p, '\0', line.n));
		body |= line.n == 0;
		assert_true(line.n <= (body ? 76 : 998));
		assert_false(str_starts(line, "."));
		assert_false(str_starts(line, "From "));
		assert_false(!body && str_starts(line, "Bcc:"));
	}
	assert_int_equal(rest.n, 0);
}

static const char *const hostile[] = {
    "",
    ".",
    "\r\n.\r\n",
    "\n.\nMAIL FROM:<a@b.example>\n",
    "\r",
    "\n",
    "--=_",
    "From me",
    "a=b",
    "x\r\n\r\nBcc: a@b.example",
    "<script>\"'&",
    "=?UTF-8?Q?=0D=0ABcc:_x?=",
    "قاری",
    "文字化け",
    "👩‍👩‍👧‍👦",
    " trailing \t",
    "O'Neill, \"Jr.\" (x) <y@z.example>; \\",
};

static void no_value_breaks_a_mail(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf out = {0}, large = {0};
	struct message *m =
	    compile(&arena, "{{reader.name}} {{reader.name}}",
		    "{{reader.name}}\n{{reader.name}}.{{reader.name}}\n.{{reader.name}}",
		    "{{reader.name}}{{{reader.name}}}\n{{reader.name}}");
	for (size_t i = 0; i < ELEMENTS(hostile); i++) {
		splice(m, hostile[i], &out);
		check_form(buf_str(&out));
		buf_reset(&large);
		for (int n = 0; n < 300; n++)
			buf_adds(&large, hostile[i]);
		splice(m, buf_text(&large), &out);
		check_form(buf_str(&out));
	}
}

static void a_reader_that_no_header_holds_is_refused(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf out = {0};
	struct message *m = compile(&arena, "s", "t", "h");
	json_auto_t *late = late_of("Ada");
	struct message_reader reader = reader_of("Ada", late);
	buf_adds(&out, "kept");
	reader.address = STR("a@b.example>\r\nBcc: x");
	assert_int_equal(message_splice(m, &reader, &out), -EINVAL);
	reader = reader_of("Ada", late);
	reader.unsubscribe = STR("javascript:alert(1)");
	assert_int_equal(message_splice(m, &reader, &out), -EINVAL);
	reader.unsubscribe = STR("");
	assert_int_equal(message_splice(m, &reader, &out), -EINVAL);
	assert_string_equal(buf_text(&out), "kept");
}

static void a_message_needs_both_parts_and_an_id(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct why why;
	struct message *m = NULL;
	struct piece *x = pieces(&arena, "x", MUSTACHE_NONE);
	struct message_spec spec = {.text = x, .id = STR("a"), .domain = STR("b.example")};
	assert_int_equal(message_compile(&arena, &spec, &m, &why), -EINVAL);
	assert_non_null(strstr(why.text, "HTML"));
	spec.html = x;
	assert_int_equal(message_compile(&arena, &spec, &m, &why), 0);
	spec.text = NULL;
	assert_int_equal(message_compile(&arena, &spec, &m, &why), -EINVAL);
	assert_non_null(strstr(why.text, "text"));
	spec.text = x;
	spec.id = STR("a b");
	assert_int_equal(message_compile(&arena, &spec, &m, &why), -EINVAL);
	spec.id = STR("a");
	spec.domain = STR("b>\r\n");
	assert_int_equal(message_compile(&arena, &spec, &m, &why), -EINVAL);
}

static void html_size_counts_what_gmail_counts(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	static char html[MESSAGE_CLIPPED + 2];
	memset(html, '=', sizeof(html) - 1);
	struct message *m = compile(&arena, "s", "t", html);
	assert_int_equal(message_html_size(m), MESSAGE_CLIPPED + 1);
	assert_true(message_size_hint(m) > 3 * MESSAGE_CLIPPED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_mail_is_these_bytes),
	    cmocka_unit_test(the_same_reader_gets_the_same_bytes),
	    cmocka_unit_test(a_subject_may_wait_for_its_reader),
	    cmocka_unit_test(sections_on_a_reader_are_chosen_late),
	    cmocka_unit_test(no_value_breaks_a_mail),
	    cmocka_unit_test(a_reader_that_no_header_holds_is_refused),
	    cmocka_unit_test(a_message_needs_both_parts_and_an_id),
	    cmocka_unit_test(html_size_counts_what_gmail_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
