/* An issue as a reader sees it: a made-up one, whose links lead to no token. */
#include <errno.h>
#include <string.h>

#include "ctl/issue.h"
#include "mail/jsontext.h"
#include "mail/message.h"
#include "mail/mustache.h"
#include "mail/template.h"

static const char reader_address[] = "reader@example.net";
static const char reader_name[] = "Robin Reader";

void issue_view_free(struct issue_view *view)
{
	buf_free(&view->html);
	buf_free(&view->text);
}

static int tell(int err, const struct why *why)
{
	if (err == -ENOMEM)
		return ctl_no_memory();
	return ctl_fail(CTL_FAILED, "%s", why->text[0] ? why->text : strerror(-err));
}

/* Where the unsubscribe link of a real mail would have its token. */
static const char *unsubscribe_url(struct ctl *ctl, const json_t *content)
{
	struct str url = jsontext_of(json_object_get(content, "list"), "url");
	return arena_printf(&ctl->arena, "%.*s/u/preview", (int)url.n, url.p);
}

static json_t *late_values(struct ctl *ctl, const json_t *content)
{
	const char *url = unsubscribe_url(ctl, content);
	return url ? json_pack("{s{ssss}s{ss}}", "reader", "email", reader_address, "name",
			       reader_name, "links", "unsubscribe", url)
		   : NULL;
}

/* ---- texts that are templates -----------------------------------------------------------------
 */

static int render_words(struct str text, const char *name, json_t *data, struct buf *out,
			struct why *why)
{
	_cleanup_arena_ struct arena arena = {0};
	struct mustache *m;
	int r = mustache_compile(&arena, text, name, NULL, &m, why);
	return r < 0 ? r : mustache_render(m, data, MUSTACHE_NONE, out, why);
}

const char *issue_subject(struct ctl *ctl, const char *subject, json_t *words)
{
	struct why why;
	_cleanup_buf_ struct buf out = {0};
	if (render_words(str_of(subject), "subject", words, &out, &why) < 0)
		return subject;
	return arena_copy(&ctl->arena, buf_str(&out));
}

/* Renders issue.KEY of the content and puts it where templates find it. */
static int set_words(struct ctl *ctl, const json_t *content, json_t *data, const char *key,
		     json_t *where, const char **ret, struct why *why)
{
	_cleanup_buf_ struct buf out = {0};
	struct str text = jsontext_of(json_object_get(content, "issue"), key);
	int r = render_words(text, key, data, &out, why);
	if (r == 0 && json_object_set_new(where, key, json_stringn(buf_text(&out), out.len)) < 0)
		r = -ENOMEM;
	if (r == 0 && !(*ret = arena_copy(&ctl->arena, buf_str(&out))))
		r = -ENOMEM;
	return r;
}

static int render_part(const json_t *content, json_t *data, enum template_part part,
		       struct buf *out, struct why *why)
{
	_cleanup_arena_ struct arena arena = {0};
	struct mustache *m;
	int r = template_thaw(json_object_get(content, "templates"), part, &arena, &m, why);
	return r < 0
		   ? r
		   : mustache_render(m, data, part == TEMPLATE_HTML ? MUSTACHE_HTML : MUSTACHE_NONE,
				     out, why);
}

int issue_view(struct ctl *ctl, json_t *content, const struct digest_variant *variant,
	       struct issue_view *ret)
{
	struct why why = {""};
	int r = 0;
	_cleanup_view_ struct issue_view view = {0};
	json_auto_t *data = digest_data(content, variant, &r);
	if (r == -ENODATA)
		return ctl_fail(CTL_FAILED, "no article is for these topics");
	if (!data)
		return ctl_no_memory();
	json_auto_t *late = late_values(ctl, content);
	if (!late || json_object_update(data, late) < 0)
		return ctl_no_memory();
	r = set_words(ctl, content, data, "subject", json_object_get(data, "issue"), &view.subject,
		      &why);
	if (r == 0)
		r = set_words(ctl, content, data, "preheader", data, &view.preheader, &why);
	if (r == 0)
		r = render_part(content, data, TEMPLATE_HTML, &view.html, &why);
	if (r == 0)
		r = render_part(content, data, TEMPLATE_TEXT, &view.text, &why);
	if (r < 0)
		return tell(r, &why);
	*ret = view;
	view = (struct issue_view){0};
	return CTL_OK;
}

int issue_mail(struct ctl *ctl, json_t *content, const struct digest_variant *variant,
	       struct buf *out, size_t *ret_html_size)
{
	struct why why = {""};
	struct message *message;
	int r = digest_compile(&ctl->arena, content, variant, &message, &why);
	if (r < 0)
		return tell(r, &why);
	*ret_html_size = message_html_size(message);
	if (!out)
		return CTL_OK;
	json_auto_t *late = late_values(ctl, content);
	const char *url = unsubscribe_url(ctl, content);
	if (!late || !url)
		return ctl_no_memory();
	const struct message_reader reader = {
	    .address = str_of(reader_address),
	    .name = str_of(reader_name),
	    .id = 1,
	    .date = ctl->now,
	    .unsubscribe = str_of(url),
	    .unsubscribe_mail = STR(""),
	    .late = late,
	};
	r = message_splice(message, &reader, out);
	return r < 0 ? tell(r, &why) : CTL_OK;
}

json_t *issue_articles(const json_t *content)
{
	size_t i;
	json_t *article, *rows = json_array();
	json_array_foreach(json_object_get(content, "articles"), i, article)
	{
		json_t *row = json_pack("{sO sO sO}", "id", json_object_get(article, "id"), "title",
					json_object_get(article, "title"), "url",
					json_object_get(article, "url"));
		if (json_array_append_new(rows, row) < 0) {
			json_decref(rows);
			return NULL;
		}
	}
	return rows;
}
