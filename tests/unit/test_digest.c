/*
 * Digests and letters from the built-in templates. With $MESSAGE_OUT each mail is written there
 * beside what should be read out of it, for tests/system/test_message.py.
 */
#include <stdio.h>

#include "mails.h"

#include <errno.h>

#include "mail/digest.h"
#include "mail/letter.h"

static struct message *compile(struct arena *arena, json_t *content, const char *lang,
			       const char *topic)
{
	struct message *m = NULL;
	struct why why = {{0}};
	const char *topics[] = {topic};
	const struct digest_variant variant = {topics, topic ? 1 : 0, lang};
	int r = digest_compile(arena, content, &variant, &m, &why);
	if (r < 0)
		fail_msg("%s", why.text);
	return m;
}

/* A reader's mail, in which soft line breaks are taken out for looking at. */
static char *mail_to(size_t n, const struct message *m)
{
	_cleanup_buf_ struct buf out = {0};
	json_t *late;
	struct message_reader reader = mails_late(n, &late);
	assert_int_equal(message_splice(m, &reader, &out), 0);
	json_decref(late);
	char *body = strstr(out.data, "\r\n\r\n");
	for (char *at; (at = strstr(body, "=\r\n")) != NULL;)
		memmove(at, at + 3, strlen(at + 3) + 1);
	return buf_steal(&out, NULL);
}

static char *mail_of(const struct message *m)
{
	return mail_to(1, m); /* Ada Lovelace */
}

#define assert_has(mail, text)                                                                     \
	do {                                                                                       \
		if (!strstr(mail, text))                                                           \
			fail_msg("no '%s' in:\n%s", text, mail);                                   \
	} while (0)

#define assert_has_not(mail, text)                                                                 \
	do {                                                                                       \
		if (strstr(mail, text))                                                            \
			fail_msg("a '%s' in:\n%s", text, mail);                                    \
	} while (0)

static void a_digest_carries_its_headers(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	json_auto_t *content = mails_content("plain");
	_cleanup_free_ char *mail = mail_of(compile(&arena, content, NULL, NULL));
	static const char *const lines[] = {
	    "From: \"The Harbour, weekly\" <news@xn--hfen-loa.example>\r\n",
	    "\r\nReply-To: <editor@news.example>\r\n",
	    "\r\nList-Id: \"The Harbour, weekly\" <harbour.xn--hfen-loa.example>\r\n",
	    "\r\nList-Archive: <https://news.example/l/harbour>\r\n",
	    "\r\nList-Post: NO\r\n",
	    "\r\nFeedback-ID: harbour.daily.2026-11-24:harbour:digest:xn--hfen-loaexa\r\n",
	    "\r\nCFBL-Address: fbl@news.example; report=arf\r\n",
	    "\r\nContent-Language: en\r\n",
	    "\r\nX-Auto-Response-Suppress: OOF\r\n",
	    "\r\nMessage-ID: <harbour.daily.2026-11-24.1001@xn--hfen-loa.example>\r\n",
	    "\r\nList-Unsubscribe: <https://news.example/u/TOKEN>,\r\n"
	    " <mailto:bounces+x@news.example?subject=unsubscribe>\r\n",
	    "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
	    "\r\nMIME-Version: 1.0\r\n",
	    "\r\nTo: Ada Lovelace <ada@example.org>\r\n",
	};
	for (size_t i = 0; i < ELEMENTS(lines); i++)
		assert_has(mail, lines[i]);
	assert_has_not(mail, "Auto-Submitted");
	assert_has_not(mail, "{{");
}

static void a_variant_has_its_own_articles(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	json_auto_t *content = mails_content("magazine");
	_cleanup_free_ char *all = mail_of(compile(&arena, content, "", NULL));
	_cleanup_free_ char *fish = mail_of(compile(&arena, content, "", "fish"));
	_cleanup_free_ char *none = mail_of(compile(&arena, content, "", "none"));
	assert_has(all, "Ships &amp; sails");
	assert_has(all, "Fish &lt;raw&gt;");
	assert_has(all, "For everybody");
	assert_has(fish, "Fish &lt;raw&gt;");
	assert_has(fish, "For everybody");
	assert_has_not(fish, "Ships");
	assert_has(none, "For everybody");
	assert_has_not(none, "Fish");
	json_array_remove(json_object_get(content, "articles"), 2);
	const char *topics[] = {"none"};
	struct message *m = NULL;
	struct why why;
	assert_int_equal(
	    digest_compile(&arena, content, &(struct digest_variant){topics, 1, ""}, &m, &why),
	    -ENODATA);
	assert_null(m);
}

static json_t *data_of(json_t *content, const char *lang)
{
	int r = 0;
	json_t *data = digest_data(content, &(struct digest_variant){NULL, 0, lang}, &r);
	assert_non_null(data);
	return data;
}

static const char *string_at(json_t *data, const char *format, const char *a, const char *b)
{
	const char *ret = NULL;
	json_error_t error;
	if (json_unpack_ex(data, &error, 0, format, a, b, &ret) < 0)
		fail_msg("%s", error.text);
	return ret;
}

static void templates_see_numbers_and_dates(void **state)
{
	(void)state;
	json_auto_t *content = mails_content("plain");
	json_auto_t *before = json_deep_copy(content);
	json_auto_t *data = data_of(content, "en");
	/* The occurrence is the day in the list's zone; the moment was still the day before. */
	assert_string_equal(string_at(data, "{s:{s:s}}", "issue", "date_text"),
			    "Tuesday, 24 November 2026");
	assert_string_equal(string_at(data, "{s:{s:s}}", "lead", "title"), "Ships & sails");
	assert_string_equal(string_at(data, "{s:{s:s}}", "lead", "date_text"), "20 November 2026");
	json_t *articles = json_object_get(data, "articles");
	assert_int_equal(json_array_size(articles), 4);
	assert_int_equal(json_array_size(json_object_get(data, "others")), 3);
	assert_int_equal(json_integer_value(json_object_get(data, "more")), 3);
	for (size_t i = 0; i < 4; i++) {
		json_t *article = json_array_get(articles, i);
		assert_int_equal(json_integer_value(json_object_get(article, "number")), i + 1);
		assert_int_equal(json_is_true(json_object_get(article, "first")), i == 0);
		assert_int_equal(json_is_true(json_object_get(article, "last")), i == 3);
		assert_true(json_is_true(json_object_get(article, "has_image")));
	}
	static const char *const no_days[] = {"uuid", "2026-11-24 and more", "2026-02-30"};
	for (size_t i = 0; i < ELEMENTS(no_days); i++) {
		json_object_set_new(json_object_get(content, "issue"), "occurrence",
				    json_string(no_days[i]));
		json_auto_t *manual = data_of(content, "en");
		assert_string_equal(string_at(manual, "{s:{s:s}}", "issue", "date_text"),
				    "Monday, 23 November 2026");
	}
	json_object_set_new(json_object_get(content, "issue"), "occurrence",
			    json_string("2026-11-24"));
	assert_true(json_equal(content, before));
}

static void a_variant_speaks_its_language(void **state)
{
	(void)state;
	json_auto_t *content = mails_content("plain");
	json_auto_t *ur = data_of(content, "ur"), *de = data_of(content, "de-AT"),
		    *xx = data_of(content, "xx");
	assert_string_equal(string_at(ur, "{s:{s:s}}", "list", "lang"), "ur");
	assert_string_equal(string_at(ur, "{s:{s:s}}", "list", "dir"), "rtl");
	assert_string_equal(string_at(ur, "{s:{s:s}}", "lead", "dir"), "ltr");
	assert_string_equal(string_at(de, "{s:{s:s}}", "list", "lang"), "de-AT");
	assert_string_equal(string_at(de, "{s:{s:s}}", "list", "dir"), "ltr");
	assert_non_null(strstr(string_at(de, "{s:{s:s}}", "issue", "date_text"), "Dienstag"));
	assert_string_equal(string_at(xx, "{s:{s:s}}", "list", "lang"), "en");
}

static void subject_and_preheader_may_name_the_reader(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	json_auto_t *content = mails_content("plain");
	json_t *issue = json_object_get(content, "issue");
	json_object_set_new(issue, "subject", json_string("{{reader.name}}: {{lead.title}}"));
	json_object_set_new(
	    issue, "preheader",
	    json_string("{{#reader.name}}<{{.}}>{{/reader.name}} {{issue.subject}}"));
	struct message *m = compile(&arena, content, NULL, NULL);
	_cleanup_free_ char *mail = mail_of(m), *special = mail_to(2, m);
	assert_has(mail, "\r\nSubject: Ada Lovelace: Ships & sails\r\n");
	assert_has(mail, "<title>Ada Lovelace: Ships &amp; sails</title>");
	assert_has(mail, "&lt;Ada Lovelace&gt;=20Ada Lovelace: Ships &amp; sails");
	/* Her name is in both templates, and stays text in the HTML. */
	assert_has(special,
		   "<title>Ada &quot;the&quot; Lovelace, Countess (of) &lt;L&gt;; \\: Ships");
	assert_has_not(strstr(special, "text/html"), "<L>");
	assert_has_not(mail, "=EF=B7=90");
	assert_has_not(mail, "{{");
}

static void a_bad_list_or_template_is_told(void **state)
{
	(void)state;
	static const struct {
		const char *object, *key, *value, *told;
	} cases[] = {
	    {"list", "from_addr", "nobody", "from_addr: there is no @"},
	    {"list", "from_addr", "", "no from_addr"},
	    {"list", "reply_to", "a@b@c", "reply_to: "},
	    {"list", "cfbl_address", "é@b.example", "cfbl_address: "},
	    {"issue", "uid", "", "no uid"},
	    {"issue", "subject", "{{#a}}", "subject:1:"},
	    {"issue", "preheader", "{{> x}}", "preheader:1:1: there is no partial"},
	    {"templates", "text", "", "the text part is empty"},
	    {"templates", "html", "{{> nothing}}", "nothing"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		_cleanup_arena_ struct arena arena = {0};
		json_auto_t *content = mails_content("plain");
		struct message *m = NULL;
		struct why why = {{0}};
		json_object_set_new(json_object_get(content, cases[i].object), cases[i].key,
				    json_string(cases[i].value));
		int r = digest_compile(&arena, content, &(struct digest_variant){0}, &m, &why);
		assert_null(m);
		if (r >= 0 || !strstr(why.text, cases[i].told))
			fail_msg("%s of %s: %s", cases[i].key, cases[i].object, why.text);
	}
	_cleanup_arena_ struct arena arena = {0};
	json_auto_t *empty = json_object();
	struct message *m;
	assert_int_equal(digest_compile(&arena, empty, &(struct digest_variant){0}, &m, NULL),
			 -ENODATA);
}

static void an_issue_s_ids_are_fit_for_headers(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	json_auto_t *content = mails_content("plain");
	json_object_set_new(json_object_get(content, "issue"), "uid",
			    json_string("odd> uid\r\nBcc: x@y.example:"));
	json_object_set_new(json_object_get(content, "list"), "reply_to",
			    json_string("rédaction@news.example"));
	struct message *m = compile(&arena, content, NULL, NULL);
	_cleanup_free_ char *mail = mail_of(m);
	assert_has_not(mail, "Bcc");
	assert_has(mail, ".1001@xn--hfen-loa.example>\r\n");
	assert_has(mail, "\r\nReply-To: <rédaction@news.example>\r\n");
	assert_true(message_smtputf8(m));
}

/* Gmail takes senders of 5 to 15 characters. */
static void a_short_domain_makes_a_sender_too(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	json_auto_t *content = mails_content("plain");
	json_object_set_new(json_object_get(content, "list"), "from_addr", json_string("a@b.io"));
	_cleanup_free_ char *mail = mail_of(compile(&arena, content, NULL, NULL));
	assert_has(mail, ":harbour:digest:bio00\r\n");
}

static void variant_ids_are_the_same_everywhere(void **state)
{
	(void)state;
	const char *ab[] = {"a", "b"}, *ba[] = {"b", "a"}, *c[] = {"ab"};
	uint32_t id = digest_variant_id(&(struct digest_variant){ab, 2, "en"});
	assert_int_equal(id, 1844166561);
	assert_int_equal(digest_variant_id(&(struct digest_variant){ba, 2, "en"}), id);
	assert_int_not_equal(digest_variant_id(&(struct digest_variant){ab, 1, "en"}), id);
	assert_int_not_equal(digest_variant_id(&(struct digest_variant){c, 1, "en"}), id);
	assert_int_not_equal(digest_variant_id(&(struct digest_variant){ab, 2, "de"}), id);
	assert_int_equal(digest_variant_id(&(struct digest_variant){NULL, 0, NULL}),
			 digest_variant_id(&(struct digest_variant){NULL, 0, ""}));
	for (int i = 0; i < 1000; i++) {
		char topic[16];
		const char *one[] = {topic};
		snprintf(topic, sizeof(topic), "%d", i);
		id = digest_variant_id(&(struct digest_variant){one, 1, ""});
		assert_true(id > 0 && id <= INT32_MAX);
	}
}

static const char *const kinds[] = {"confirm", "welcome", "goodbye", "test"};

static struct message *letter(struct arena *arena, const char *kind, const char *theme,
			      const char *lang)
{
	json_auto_t *list = mails_list(theme), *text = mails_locale(lang);
	const struct letter_spec spec = {.kind = kind, .list = list, .text = text};
	struct message *m = NULL;
	struct why why = {{0}};
	if (letter_compile(arena, &spec, &m, &why) < 0)
		fail_msg("%s", why.text);
	return m;
}

static void letters_say_that_they_are_automatic(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		_cleanup_arena_ struct arena arena = {0};
		_cleanup_free_ char *mail = mail_of(letter(&arena, kinds[i], "plain", "en"));
		char id[100];
		snprintf(id, sizeof(id),
			 "\r\nMessage-ID: <letter.%s.1001@xn--hfen-loa.example>\r\n", kinds[i]);
		assert_has(mail, id);
		assert_has(mail, "\r\nAuto-Submitted: auto-generated\r\n");
		assert_has(mail, "\r\nList-Id: ");
		if (strcmp(kinds[i], "welcome") == 0)
			assert_has(mail, "\r\nList-Unsubscribe-Post: ");
		else
			assert_has_not(mail, "List-Unsubscribe");
		assert_has_not(mail, "{{");
	}
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_free_ char *confirm = mail_of(letter(&arena, "confirm", "magazine", "en"));
	assert_has(confirm, "\r\nSubject: Please confirm your subscription\r\n");
	assert_has(confirm, "href=3D\"https://news.example/c/TOKEN\"");

	json_auto_t *list = mails_list("plain"), *text = mails_locale("en");
	struct message *m;
	struct why why;
	assert_int_equal(
	    letter_compile(&arena, &(struct letter_spec){"none", NULL, list, text, NULL}, &m, &why),
	    -EINVAL);
	assert_non_null(strstr(why.text, "mail.none.subject"));
}

/* ---- for other eyes ---- */

static void write_file(const char *name, const char *kind, struct str bytes)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s.%s", getenv("MESSAGE_OUT"), name, kind);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes.p, 1, bytes.n, file), bytes.n);
	assert_int_equal(fclose(file), 0);
}

static void write_mails(const char *prefix, const struct message *m)
{
	for (size_t i = 0; i < ELEMENTS(mails_readers); i++) {
		_cleanup_buf_ struct buf out = {0};
		json_t *late;
		struct message_reader reader = mails_late(i, &late);
		char name[64];
		assert_int_equal(message_splice(m, &reader, &out), 0);
		assert_true(out.len <= message_size_hint(m) + 4000);
		json_decref(late);
		if (!getenv("MESSAGE_OUT"))
			continue;
		snprintf(name, sizeof(name), "%s-%zu", prefix, i);
		write_file(name, "eml", buf_str(&out));
		json_auto_t *wanted = json_pack("{s:s,s:s}", "name", mails_readers[i].name,
						"address", mails_readers[i].address);
		_cleanup_free_ char *text = json_dumps(wanted, 0);
		write_file(name, "json", str_of(text));
	}
}

static void every_reader_gets_each_kind_of_mail(void **state)
{
	(void)state;
	static const char *const themes[] = {"plain", "magazine"}, *const langs[] = {"en", "ur"};
	for (size_t t = 0; t < ELEMENTS(themes); t++) {
		for (size_t l = 0; l < ELEMENTS(langs); l++) {
			_cleanup_arena_ struct arena arena = {0};
			json_auto_t *content = mails_content(themes[t]);
			char prefix[64];
			json_object_set_new(json_object_get(content, "issue"), "subject",
					    json_string("For {{reader.name}}: {{lead.title}}"));
			snprintf(prefix, sizeof(prefix), "digest-%s-%s", themes[t], langs[l]);
			write_mails(prefix, compile(&arena, content, langs[l], NULL));
			for (size_t k = 0; k < ELEMENTS(kinds); k++) {
				snprintf(prefix, sizeof(prefix), "letter-%s-%s-%s", kinds[k],
					 themes[t], langs[l]);
				write_mails(prefix, letter(&arena, kinds[k], themes[t], langs[l]));
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_digest_carries_its_headers),
	    cmocka_unit_test(a_variant_has_its_own_articles),
	    cmocka_unit_test(templates_see_numbers_and_dates),
	    cmocka_unit_test(a_variant_speaks_its_language),
	    cmocka_unit_test(subject_and_preheader_may_name_the_reader),
	    cmocka_unit_test(a_bad_list_or_template_is_told),
	    cmocka_unit_test(an_issue_s_ids_are_fit_for_headers),
	    cmocka_unit_test(a_short_domain_makes_a_sender_too),
	    cmocka_unit_test(variant_ids_are_the_same_everywhere),
	    cmocka_unit_test(letters_say_that_they_are_automatic),
	    cmocka_unit_test(every_reader_gets_each_kind_of_mail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
