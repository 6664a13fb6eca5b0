/* From a member to the bytes of their mail: with real templates, and what they sign checked. */
#include "failing_alloc.h"

#include <stdio.h>

#include "mail/digest.h"
#include "mail/verp.h"
#include "mails.h"
#include "send/rendering.h"

enum { ISSUE = 9, LIST = 3 };

static const struct token_key key = {
    .id = 7, .len = 32, .bytes = "0123456789abcdef0123456789abcdef"};

struct given {
	struct rendering *r;
	struct window w;
	struct rendered out;
	struct why why;
};

static int add(struct rendering *r, int64_t id, json_t *content, struct why *why)
{
	char *text = json_dumps(content, 0);
	assert_non_null(text);
	int e = rendering_add_issue(
	    r, &(struct rendering_issue){.id = id, .list = LIST, .uid = "harbour.daily.2026-11-24"},
	    str_of(text), why);
	free(text);
	return e;
}

static int set_up(void **state)
{
	struct given *g = calloc(1, sizeof(*g));
	assert_non_null(g);
	assert_int_equal(rendering_new(&g->r), 0);
	assert_false(rendering_has_key(g->r));
	rendering_set_key(g->r, &key);
	assert_true(rendering_has_key(g->r));
	json_t *content = mails_content("plain");
	assert_int_equal(add(g->r, ISSUE, content, &g->why), 0);
	json_decref(content);
	g->w = (struct window){
	    .issue = ISSUE, .kind = WINDOW_FRESH, .date = 1795557667 * USEC_PER_SEC};
	*state = g;
	return 0;
}

static int tear_down(void **state)
{
	struct given *g = *state;
	rendering_free(g->r);
	buf_free(&g->out.bytes);
	free(g);
	return 0;
}

static struct member reader(int64_t id)
{
	return (struct member){.id = id,
			       .subscriber = id,
			       .email = "ada@example.org",
			       .name = "Ada Lovelace",
			       .attrs = "{\"city\": \"Ulm\", \"email\": \"not@this.example\"}",
			       .lang = "en",
			       .token_gen = 4};
}

static int digit(char c)
{
	return c >= 'A' ? c - 'A' + 10 : c - '0';
}

/* The mail with its quoted-printable undone: good enough to look for words in it. */
static const char *plain(const struct rendered *mail)
{
	static char text[1 << 20];
	size_t n = 0;
	const char *p = buf_text(&mail->bytes);
	assert_true(mail->bytes.len < sizeof(text));
	while (*p)
		if (strncmp(p, "=\r\n", 3) == 0) {
			p += 3;
		} else if (*p == '=' && strchr("0123456789ABCDEF", p[1]) &&
			   strchr("0123456789ABCDEF", p[2])) {
			text[n++] = (char)(digit(p[1]) * 16 + digit(p[2]));
			p += 3;
		} else {
			text[n++] = *p++;
		}
	text[n] = '\0';
	return text;
}

static void must_render(struct given *g, struct member *m)
{
	int e = rendering_mail(g->r, &g->w, m, &g->out, &g->why);
	if (e < 0)
		fail_msg("%d: %s", e, g->why.text);
}

static void assert_says(const struct given *g, const char *what)
{
	if (!strstr(plain(&g->out), what))
		fail_msg("\"%s\" isn't in the mail:\n%s", what, plain(&g->out));
}

static void assert_says_not(const struct given *g, const char *what)
{
	if (strstr(plain(&g->out), what))
		fail_msg("\"%s\" is in the mail:\n%s", what, plain(&g->out));
}

/* The claim of the link that follows `lead` in the mail. */
static struct token_claim claim_of(const struct given *g, const char *lead, usec_t now)
{
	struct token_claim claim = {0};
	const char *at = strstr(plain(&g->out), lead);
	assert_non_null(at);
	struct str token = {at + strlen(lead), TOKEN_TEXT - 1};
	assert_int_equal(token_check(&key, 1, token, now, &claim), 0);
	return claim;
}

static void a_mail_is_its_readers_own(void **state)
{
	struct given *g = *state;
	struct member m = reader(1234567890123);
	must_render(g, &m);
	assert_string_equal(g->out.to, "ada@example.org");
	assert_false(g->out.utf8);
	assert_says(g, "To: Ada Lovelace <ada@example.org>\r\n");
	struct token_claim claim = claim_of(g, "List-Unsubscribe: <https://news.example/u/", 0);
	assert_int_equal(claim.purpose, TOKEN_UNSUBSCRIBE);
	assert_int_equal(claim.list, LIST);
	assert_true(claim.subscriber == m.id);
	assert_int_equal(claim.expires, 0);
	const char *body = strstr(plain(&g->out), "\r\n\r\n");
	assert_non_null(strstr(body, "https://news.example/u/"));

	struct verp verp;
	assert_int_equal(verp_parse(&key, 1, str_of(g->out.from), &verp), 0);
	assert_true(verp.issue == ISSUE && verp.subscriber == m.id);
	char mailto[320];
	snprintf(mailto, sizeof(mailto), "<mailto:%s?subject=unsubscribe>", g->out.from);
	assert_says(g, mailto);
	assert_int_equal(strncmp(g->out.from, "bounces+", 8), 0);
}

/* Nobody is shown a link that leads nowhere: what the engine doesn't make isn't there at all. */
static void no_link_is_empty(void **state)
{
	struct given *g = *state;
	struct member m = reader(5);
	must_render(g, &m);
	assert_says_not(g, "href=\"\"");
	assert_says_not(g, "Change what you get");
	assert_says_not(g, "View in your browser");
}

static void variants_are_shared_by_topics_and_language(void **state)
{
	struct given *g = *state;
	struct str ships[] = {STR("ships")}, fish[] = {STR("fish")};
	struct str both[] = {STR("fish"), STR("unknown"), STR("ships")};
	struct member all = reader(1), sailor = reader(2), fisher = reader(3), other = reader(4);
	sailor.topics = ships, sailor.topic_count = 1;
	fisher.topics = fish, fisher.topic_count = 1;
	must_render(g, &all);
	assert_says(g, "Ships & sails");
	assert_says(g, "Fish <raw>");
	must_render(g, &sailor);
	assert_says(g, "Ships & sails");
	assert_says(g, "For everybody");
	assert_says_not(g, "Fish <raw>");
	must_render(g, &fisher);
	assert_says(g, "Fish <raw>");
	assert_says_not(g, "Ships & sails");
	assert_int_not_equal(all.variant, sailor.variant);
	assert_int_not_equal(fisher.variant, sailor.variant);

	other.topics = both, other.topic_count = 3;
	must_render(g, &other);
	uint32_t variant = other.variant;
	struct str turned[] = {STR("ships"), STR("fish")};
	other.topics = turned, other.topic_count = 2;
	must_render(g, &other);
	assert_int_equal(other.variant, variant);
	other.lang = "de";
	must_render(g, &other);
	assert_int_not_equal(other.variant, variant);
	assert_says(g, "Abmelden");
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Two topics whose variants have the same number, in English. */
static void find_collision(char one[static 16], char other[static 16])
{
	enum { TRIED = 300000 };
	uint64_t *ids = calloc(TRIED, sizeof(*ids));
	assert_non_null(ids);
	for (uint64_t i = 0; i < TRIED; i++) {
		char name[16];
		snprintf(name, sizeof(name), "t%llu", (unsigned long long)i);
		const char *topics[] = {name};
		const struct digest_variant variant = {topics, 1, "en"};
		ids[i] = (uint64_t)digest_variant_id(&variant) << 32 | i;
	}
	qsort(ids, TRIED, sizeof(*ids), by_id);
	size_t at = 1;
	while (at < TRIED && ids[at] >> 32 != ids[at - 1] >> 32)
		at++;
	assert_true(at < TRIED);
	snprintf(one, 16, "t%u", (unsigned)(uint32_t)ids[at - 1]);
	snprintf(other, 16, "t%u", (unsigned)(uint32_t)ids[at]);
	free(ids);
}

static void two_variants_of_the_same_number_are_not_mixed_up(void **state)
{
	struct given *g = *state;
	char one[16], other[16];
	find_collision(one, other);
	json_t *content = mails_content("plain");
	json_t *articles = json_pack("[o,o]", mails_article("Of the one", one, "en"),
				     mails_article("Of the other", other, "en"));
	json_object_set_new(content, "articles", articles);
	assert_int_equal(add(g->r, 10, content, &g->why), 0);
	json_decref(content);
	g->w.issue = 10;
	struct str topics[] = {str_of(one), str_of(other)};
	struct member m = reader(1), n = reader(2);
	m.topics = &topics[0], m.topic_count = 1;
	n.topics = &topics[1], n.topic_count = 1;
	must_render(g, &m);
	assert_says(g, "Of the one");
	must_render(g, &n);
	assert_int_equal(m.variant, n.variant);
	assert_says(g, "Of the other");
	assert_says_not(g, "Of the one");
}

static void a_reader_with_none_of_the_topics_gets_what_is_for_all_or_nothing(void **state)
{
	struct given *g = *state;
	struct str rocks[] = {STR("rocks")};
	struct member m = reader(1);
	m.topics = rocks, m.topic_count = 1;
	must_render(g, &m);
	assert_says(g, "For everybody");
	assert_says_not(g, "Ships & sails");
	json_t *content = mails_content("plain");
	json_array_remove(json_object_get(content, "articles"), 2);
	assert_int_equal(add(g->r, 10, content, &g->why), 0);
	json_decref(content);
	g->w.issue = 10;
	assert_int_equal(rendering_mail(g->r, &g->w, &m, &g->out, &g->why), -ENODATA);
}

static void addresses_beyond_ascii(void **state)
{
	struct given *g = *state;
	struct member m = reader(1);
	m.email = "ada@häfen.example";
	must_render(g, &m);
	assert_string_equal(g->out.to, "ada@xn--hfen-loa.example");
	assert_false(g->out.utf8);
	m.email = "قاری@example.org";
	must_render(g, &m);
	assert_string_equal(g->out.to, "قاری@example.org");
	assert_true(g->out.utf8);
	static const char *const none[] = {"", "ada", "ada@", "a b@c.example",
					   "ada@example.org\r\nBcc: x@y.example"};
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		m.email = none[i];
		assert_int_equal(rendering_mail(g->r, &g->w, &m, &g->out, &g->why), -EBADMSG);
		assert_true(g->why.text[0] != '\0');
	}
}

static void attributes_are_seen_by_templates(void **state)
{
	struct given *g = *state;
	json_t *content = mails_content("plain");
	json_object_set_new(json_object_get(content, "issue"), "subject",
			    json_string("{{reader.name}} in {{reader.city}}, {{reader.email}}"));
	assert_int_equal(add(g->r, 10, content, &g->why), 0);
	json_decref(content);
	g->w.issue = 10;
	struct member m = reader(1);
	must_render(g, &m);
	assert_says(g, "Subject: Ada Lovelace in Ulm, ada@example.org\r\n");
	m.attrs = NULL;
	must_render(g, &m);
	assert_says(g, "Subject: Ada Lovelace in , ada@example.org\r\n");
	m.attrs = "{";
	assert_int_equal(rendering_mail(g->r, &g->w, &m, &g->out, &g->why), -EINVAL);
	assert_non_null(strstr(g->why.text, "attributes"));
}

static void content_that_is_none_is_told_and_not_kept(void **state)
{
	struct given *g = *state;
	const struct rendering_issue issue = {.id = 10, .list = LIST, .uid = "u"};
	assert_int_equal(rendering_add_issue(g->r, &issue, STR("{"), &g->why), -EINVAL);
	assert_non_null(strstr(g->why.text, "JSON"));
	assert_null(rendering_find_issue(g->r, 10));
	assert_int_equal(rendering_add_issue(g->r, &issue, STR("{}"), &g->why), 0);
	g->w.issue = 10;
	struct member m = reader(1);
	g->why.text[0] = '\0';
	assert_true(rendering_mail(g->r, &g->w, &m, &g->out, &g->why) < 0);
	assert_true(g->why.text[0] != '\0');
	g->w.issue = 11;
	assert_int_equal(rendering_mail(g->r, &g->w, &m, &g->out, &g->why), -ENOENT);
}

static void an_issue_goes_with_all_its_variants(void **state)
{
	struct given *g = *state;
	struct member m = reader(1);
	static char langs[50][8];
	for (int i = 0; i < 50; i++) {
		snprintf(langs[i], sizeof(langs[i]), "q%c%c", 'a' + i / 26, 'a' + i % 26);
		m.lang = langs[i];
		must_render(g, &m);
	}
	assert_string_equal(rendering_find_issue(g->r, ISSUE)->uid, "harbour.daily.2026-11-24");
	rendering_drop_issue(g->r, 999);
	rendering_drop_issue(g->r, ISSUE);
	assert_null(rendering_find_issue(g->r, ISSUE));
	assert_int_equal(rendering_mail(g->r, &g->w, &m, &g->out, &g->why), -ENOENT);
}

/* ---- letters --------------------------------------------------------------------------------- */

static struct member letter(const char *kind, const char *list_text, const char *params)
{
	struct member m = reader(77);
	m.subscriber = 5;
	m.letter_kind = kind;
	m.list = LIST;
	m.theme = "plain";
	m.params = params;
	m.content = list_text;
	m.expires_at = 1795564800 * USEC_PER_SEC;
	return m;
}

static void letters_of_each_kind(void **state)
{
	struct given *g = *state;
	json_t *list = mails_list("plain");
	char *text = json_dumps(list, 0);
	static const char *const kinds[] = {"confirm", "welcome", "goodbye", "test"};
	g->w = (struct window){.kind = WINDOW_LETTER, .date = 1795557667 * USEC_PER_SEC};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct member m = letter(kinds[i], text, "{}");
		must_render(g, &m);
		assert_says(g, "Auto-Submitted: auto-generated\r\n");
		assert_says_not(g, "href=\"\"");
		bool confirm = strcmp(kinds[i], "confirm") == 0;
		assert_true(confirm == (strstr(plain(&g->out), "https://news.example/c/") != NULL));
		bool leave = strcmp(kinds[i], "welcome") == 0;
		assert_true(leave == (strstr(plain(&g->out), "\r\nList-Unsubscribe: <") != NULL));
		struct verp verp;
		assert_int_equal(verp_parse(&key, 1, str_of(g->out.from), &verp), 0);
		assert_true(verp.issue == 0 && verp.subscriber == 77);
	}
	free(text);
	json_decref(list);
}

static void a_confirm_link_is_bound_and_ends(void **state)
{
	struct given *g = *state;
	json_t *list = mails_list("plain");
	char *text = json_dumps(list, 0);
	g->w = (struct window){.kind = WINDOW_LETTER};
	struct member m = letter("confirm", text, "{}");
	must_render(g, &m);
	struct token_claim claim = claim_of(g, "https://news.example/c/", m.expires_at - 1);
	assert_int_equal(claim.purpose, TOKEN_CONFIRM);
	assert_int_equal(claim.list, LIST);
	assert_int_equal(claim.subscriber, 5);
	assert_int_equal(claim.gen, 4);
	assert_int_equal(claim.expires, 1795564800 / 60);
	free(text);
	json_decref(list);
}

static void a_letter_is_in_its_readers_language_and_follows_its_list(void **state)
{
	struct given *g = *state;
	json_t *list = mails_list("plain");
	char *text = json_dumps(list, 0);
	g->w = (struct window){.kind = WINDOW_LETTER};
	struct member m = letter("goodbye", text, "{}");
	must_render(g, &m);
	assert_says(g, "The Harbour, weekly");
	char subject[200];
	snprintf(subject, sizeof(subject), "%.190s", strstr(plain(&g->out), "Subject: "));
	m.lang = "de";
	must_render(g, &m);
	*strchr(subject, '\r') = '\0';
	assert_says_not(g, subject);
	json_object_set_new(list, "title", json_string("A new name"));
	char *changed = json_dumps(list, 0);
	m.content = changed;
	must_render(g, &m);
	assert_says(g, "A new name");
	assert_says_not(g, "The Harbour, weekly <");
	free(changed);
	free(text);
	json_decref(list);
}

/* As many kinds of letters as one likes: only some are kept, and each is the right one. */
static void more_letters_than_are_kept(void **state)
{
	struct given *g = *state;
	g->w = (struct window){.kind = WINDOW_LETTER};
	for (int i = 0; i < 150; i++) {
		json_t *list = mails_list("plain");
		char title[32];
		snprintf(title, sizeof(title), "The list no. %d.", i);
		json_object_set_new(list, "title", json_string(title));
		char *text = json_dumps(list, 0);
		struct member m = letter("goodbye", text, "{}");
		must_render(g, &m);
		assert_says(g, title);
		free(text);
		json_decref(list);
	}
}

static void a_test_letter_shows_the_issue_to_an_address_that_is_nobodys(void **state)
{
	struct given *g = *state;
	json_t *list = mails_list("plain");
	char *text = json_dumps(list, 0);
	json_t *params = json_pack("{s:o}", "content", mails_content("magazine"));
	char *params_text = json_dumps(params, 0);
	g->w = (struct window){.kind = WINDOW_LETTER, .date = 1795557667 * USEC_PER_SEC};
	struct member m = letter("test", text, params_text);
	m.subscriber = 0;
	m.email = "me@example.org";
	must_render(g, &m);
	assert_says(g, "Ships & sails");
	assert_says(g, "Fish <raw>");
	assert_says_not(g, "href=\"\"");
	free(params_text);
	free(text);
	json_decref(params);
	json_decref(list);
}

static void a_letter_that_cannot_be_rendered_is_told(void **state)
{
	struct given *g = *state;
	json_t *list = mails_list("plain");
	char *text = json_dumps(list, 0);
	g->w = (struct window){.kind = WINDOW_LETTER};
	struct member m = letter("postcard", text, "{}");
	assert_int_equal(rendering_mail(g->r, &g->w, &m, &g->out, &g->why), -EINVAL);
	assert_non_null(strstr(g->why.text, "postcard"));
	m = letter("goodbye", "{", "{}");
	assert_int_equal(rendering_mail(g->r, &g->w, &m, &g->out, &g->why), -EINVAL);
	m = letter("goodbye", text, "[");
	assert_int_equal(rendering_mail(g->r, &g->w, &m, &g->out, &g->why), -EINVAL);
	json_object_set_new(list, "return_path", json_string("no address"));
	char *bad = json_dumps(list, 0);
	m = letter("goodbye", bad, "{}");
	g->why.text[0] = '\0';
	assert_int_equal(rendering_mail(g->r, &g->w, &m, &g->out, &g->why), -EINVAL);
	assert_true(g->why.text[0] != '\0');
	free(bad);
	free(text);
	json_decref(list);
}

/* ---- without memory -------------------------------------------------------------------------- */

/* Jansson's allocations don't fail here: its reader takes no notice of some (lex_save()). */
struct sweep {
	struct str content;
	struct member member;
	bool letter;
};

static int run(void *ctx)
{
	struct sweep *s = ctx;
	struct rendering *r = NULL;
	struct rendered out = {0};
	struct why why = {""};
	struct member m = s->member;
	struct window w = {.issue = ISSUE, .kind = s->letter ? WINDOW_LETTER : WINDOW_FRESH};
	int e = rendering_new(&r);
	if (e == 0) {
		rendering_set_key(r, &key);
		if (!s->letter)
			e = rendering_add_issue(
			    r, &(struct rendering_issue){.id = ISSUE, .list = LIST, .uid = "u"},
			    s->content, &why);
	}
	if (e == 0)
		e = rendering_mail(r, &w, &m, &out, &why);
	rendering_free(r);
	buf_free(&out.bytes);
	return e;
}

static void each_allocation_of_a_digest_may_fail(void **state)
{
	(void)state;
	json_t *content = json_pack(
	    "{s:{s:s,s:s,s:s,s:s,s:s},s:{s:s,s:s},s:{s:s,s:s,s:{}},s:{s:{}},s:[{s:s,s:[s]}]}",
	    "list", "name", "l", "title", "List", "url", "https://l.example", "from_addr",
	    "l@l.example", "return_path", "b@l.example", "issue", "uid", "u", "subject",
	    "{{reader.name}} {{reader.city}}", "templates", "html",
	    "<p>{{#articles}}{{title}}{{/articles}}{{links.unsubscribe}}", "text",
	    "{{lead.title}} {{links.unsubscribe}}", "partials", "text", "mail", "articles", "title",
	    "One", "topics", "a");
	assert_non_null(content);
	char *text = json_dumps(content, 0);
	struct str topics[] = {STR("a")};
	struct sweep s = {.content = str_of(text), .member = reader(1)};
	s.member.topics = topics;
	s.member.topic_count = 1;
	assert_true(failing_alloc_sweep(run, &s) > 10);
	free(text);
	json_decref(content);
}

static void each_allocation_of_a_letter_may_fail(void **state)
{
	(void)state;
	json_t *list = mails_list("plain");
	char *text = json_dumps(list, 0);
	struct sweep s = {.member = letter("confirm", text, "{\"a\": 1}"), .letter = true};
	assert_true(failing_alloc_sweep(run, &s) > 50);
	free(text);
	json_decref(list);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    WITH(a_mail_is_its_readers_own),
	    WITH(no_link_is_empty),
	    WITH(variants_are_shared_by_topics_and_language),
	    WITH(two_variants_of_the_same_number_are_not_mixed_up),
	    WITH(a_reader_with_none_of_the_topics_gets_what_is_for_all_or_nothing),
	    WITH(addresses_beyond_ascii),
	    WITH(attributes_are_seen_by_templates),
	    WITH(content_that_is_none_is_told_and_not_kept),
	    WITH(an_issue_goes_with_all_its_variants),
	    WITH(letters_of_each_kind),
	    WITH(a_confirm_link_is_bound_and_ends),
	    WITH(a_letter_is_in_its_readers_language_and_follows_its_list),
	    WITH(more_letters_than_are_kept),
	    WITH(a_test_letter_shows_the_issue_to_an_address_that_is_nobodys),
	    WITH(a_letter_that_cannot_be_rendered_is_told),
	    cmocka_unit_test(each_allocation_of_a_digest_may_fail),
	    cmocka_unit_test(each_allocation_of_a_letter_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
