#include "news/stored.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/sha256.h"

/* SHA-256 of title and text, as PostgreSQL reads bytea: "\x...". */
static int text_hash(const struct article *a, char ret[static 2 + SHA256_HEX])
{
	const struct str parts[] = {{a->title, strlen(a->title) + 1}, str_of(a->body_html)};
	memcpy(ret, "\\x", 2);
	return sha256_hex(parts, ELEMENTS(parts), ret + 2);
}

json_t *stored_row(const struct article *a)
{
	char hash[2 + SHA256_HEX], text[CLOCK_TEXT];
	const char *published = a->published ? clock_text(a->published, text) : NULL;
	if (text_hash(a, hash) < 0)
		return NULL;
	json_t *topics = json_array();
	for (size_t i = 0; topics && i < a->n_topics; i++)
		if (json_array_append_new(topics, json_string(a->topics[i])) < 0) {
			json_decref(topics);
			return NULL;
		}
	return json_pack("{ss ss ss ss ss ss ss ss ss ss ss so ss? ss}", "guid", a->guid, "url",
			 a->url, "title", a->title, "author", a->author, "summary", a->summary,
			 "body_html", a->body_html, "body_text", a->body_text, "image", a->image,
			 "image_alt", a->image_alt, "lang", a->lang, "dir", a->dir, "topics",
			 topics, "published_at", published, "text_hash", hash);
}

int stored_rows(const struct feed *feed, const struct drop *drop, json_t **ret)
{
	json_t *rows = json_array();
	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < feed->n; i++) {
		_cleanup_arena_ struct arena arena = {0};
		struct article a;
		struct why why = {""};
		int r = article_from_feed(&arena, &feed->articles[i], &a, &why);
		if (r == 0)
			r = article_settle(&arena, &a, drop, &why);
		if (r == 0)
			r = json_array_append_new(rows, stored_row(&a)) < 0 ? -ENOMEM : 0;
		if (r == -ENOMEM) {
			json_decref(rows);
			return r;
		}
		if (r < 0)
			log_info("article %s is left out: %s", feed->articles[i].guid, why.text);
	}
	*ret = rows;
	return 0;
}
