/* What the tests of whole mails share: a list, an issue of it, and readers of many kinds. */
#pragma once

#include "unit.h"

#include <jansson.h>

#include "base/embed.h"
#include "mail/message.h"
#include "mail/template.h"

static inline json_t *mails_locale(const char *lang)
{
	char name[64];
	snprintf(name, sizeof(name), "templates/locale/%s.json", lang);
	const struct embedded_file *file = embed_find(name);
	assert_non_null(file);
	struct str bytes = embed_bytes(file);
	json_t *text = json_loadb(bytes.p, bytes.n, 0, NULL);
	assert_non_null(text);
	return text;
}

static inline json_t *mails_list(const char *theme)
{
	json_t *list = json_pack(
	    "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "name", "harbour", "title",
	    "The Harbour, weekly", "description", "News from the quay", "url",
	    "https://news.example", "lang", "en", "dir", "ltr", "from_name", "The Harbour, weekly",
	    "from_addr", "news@häfen.example", "reply_to", "editor@news.example", "return_path",
	    "bounces@news.example", "theme", theme, "archive_url", "https://news.example/l/harbour",
	    "cfbl_address", "fbl@news.example");
	assert_non_null(list);
	return list;
}

static inline json_t *mails_article(const char *title, const char *topic, const char *lang)
{
	json_t *article =
	    json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:[],s:s,s:s}", "id", 1, "title",
		      title, "url", "https://site.example/a?b=c&d=e", "author", "Ada", "summary",
		      "A summary of it, <b>so</b> short.", "body_html",
		      "<p>One</p>\n<p>.\n..two é 文字</p>", "body_text", "One\n.\n..two é 文字",
		      "image", "https://site.example/i.png", "image_alt", "A picture \"of\" it",
		      "published", "2026-11-20T08:00:00Z", "topics", "lang", lang, "dir", "ltr");
	assert_non_null(article);
	if (*topic)
		json_array_append_new(json_object_get(article, "topics"), json_string(topic));
	return article;
}

/* Four articles: one on ships, one on fish, one on nothing, one in Urdu on ships. */
static inline json_t *mails_content(const char *theme)
{
	json_t *templates = NULL;
	struct why why = {{0}};
	if (template_collect(NULL, theme, &templates, &why) < 0)
		fail_msg("%s", why.text);
	json_t *articles = json_pack("[o,o,o,o]", mails_article("Ships & sails", "ships", "en"),
				     mails_article("Fish <raw>", "fish", "en"),
				     mails_article("For everybody", "", "en"),
				     mails_article("بندرگاہ کی خبریں", "ships", "ur"));
	json_t *content = json_pack(
	    "{s:o,s:{s:s,s:s},s:{s:s,s:s,s:s,s:s,s:s},s:o,s:o,s:o,s:{s:o,s:o}}", "list",
	    mails_list(theme), "edition", "name", "daily", "schedule", "daily 07:00", "issue",
	    "uid", "harbour.daily.2026-11-24", "occurrence", "2026-11-24", "date",
	    "2026-11-23T18:00:00Z", "subject", "{{lead.title}} – and {{more}} more", "preheader",
	    "{{lead.summary}}", "templates", templates, "text", mails_locale("en"), "articles",
	    articles, "texts", "ur", mails_locale("ur"), "de", mails_locale("de"));
	assert_non_null(content);
	return content;
}

struct mails_reader {
	const char *name;
	const char *address; /* on the wire */
};

static const struct mails_reader mails_readers[] = {
    {"", "nobody@example.org"},
    {"Ada Lovelace", "ada@example.org"},
    {"Ada \"the\" Lovelace, Countess (of) <L>; \\", "ada.lovelace+x@example.org"},
    {"قارئ الأخبار", "reader1@example.org"},
    {"مستقل قاری", "قاری@example.org"},
    {"王小明", "wang@xn--fiq228c.example"},
    {"👩‍👩‍👧‍👦 The 🚢 family", "family@example.org"},
    {"=?utf-8?q?=0D=0ABcc:_x@y.example?=", "coded@example.org"},
    {"Ada\r\nBcc: evil@example.org\r\n\r\n.\r\nMAIL FROM:<x@y.example>", "inject@example.org"},
    {".", "dot@example.org"},
    {"LlanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogochLlanfairpwllgwyngyllgogerychwyrn",
     "long@example.org"},
    {"Pablo Diego José Francisco de Paula Juan Nepomuceno María de los Remedios Cipriano de la "
     "Santísima Trinidad Ruiz y Picasso",
     "a123456789012345678901234567890123456789012345678901234567890123@example.org"},
    {"Wolfeschlegelsteinhausenbergerdorff the First, of a long line of people who have, as one "
     "says, all been called the same; and who are, for once, ASCII",
     "wolfe@example.org"},
};

/* Late values and the reader, as the engine would make them; *ret_late is the caller's. */
static inline struct message_reader mails_late(size_t n, json_t **ret_late)
{
	const struct mails_reader *who = &mails_readers[n];
	*ret_late = json_pack(
	    "{s:{s:s,s:s,s:s},s:{s:s,s:s,s:s,s:s}}", "reader", "name", who->name, "email",
	    who->address, "city", "Nowhere", "links", "unsubscribe", "https://news.example/u/TOKEN",
	    "preferences", "https://news.example/p/TOKEN", "view", "https://news.example/v/TOKEN",
	    "confirm", "https://news.example/c/TOKEN");
	assert_non_null(*ret_late);
	return (struct message_reader){
	    .address = str_of(who->address),
	    .name = str_of(who->name),
	    .id = 1000 + (int64_t)n,
	    .date = 1795557667 * USEC_PER_SEC,
	    .unsubscribe = STR("https://news.example/u/TOKEN"),
	    .unsubscribe_mail = STR("mailto:bounces+x@news.example?subject=unsubscribe"),
	    .late = *ret_late,
	};
}
