#include "news/feed_discover.h"

#include <errno.h>
#include <stdbool.h>

#include "base/buf.h"
#include "news/markup.h"
#include "news/url.h"

static bool is_feed_type(struct str type)
{
	static const char *const types[] = {"application/rss+xml", "application/atom+xml",
					    "application/feed+json", "application/rdf+xml"};
	for (size_t i = 0; i < ELEMENTS(types); i++)
		if (str_case_is(str_head(str_trim(type), strlen(types[i])), types[i]))
			return true;
	return false;
}

static bool names_alternate(struct str rel)
{
	for (struct str rest = str_trim(rel); rest.n;)
		if (str_case_is(str_take(&rest, ' '), "alternate"))
			return true;
	return false;
}

/* Takes one attribute off the front, quoted or not; false at the end. */
static bool next_attribute(struct str *s, struct str *ret_name, struct str *ret_value)
{
	struct str rest = str_trim(*s);
	size_t n = 0;
	while (n < rest.n && !strchr("= \t\r\n\f", rest.p[n]))
		n++;
	*ret_name = str_head(rest, n);
	*ret_value = str_from(rest, rest.n);
	rest = str_trim(str_from(rest, n));
	if (rest.n && rest.p[0] == '=') {
		rest = str_trim(str_from(rest, 1));
		bool quoted = rest.n && (rest.p[0] == '"' || rest.p[0] == '\'');
		const char quote[] = {quoted ? rest.p[0] : ' ', '\0'};
		const char *ends = quoted ? quote : " \t\r\n\f";
		rest = str_from(rest, quoted);
		for (n = 0; n < rest.n && !strchr(ends, rest.p[n]);)
			n++;
		*ret_value = str_head(rest, n);
		rest = str_from(rest, n + quoted);
	} else if (!ret_name->n) {
		rest = str_from(rest, 1);
	}
	*s = rest;
	return ret_name->n || rest.n;
}

struct link {
	struct str rel, type, href;
};

static struct link link_of(struct str attributes)
{
	struct link link = {0};
	struct str name, value;
	while (next_attribute(&attributes, &name, &value)) {
		if (str_case_is(name, "rel"))
			link.rel = value;
		else if (str_case_is(name, "type"))
			link.type = value;
		else if (str_case_is(name, "href"))
			link.href = value;
	}
	return link;
}

/* Takes the attributes of the next <link> off the page; false when there is none. */
static bool next_link(struct str *page, struct str *ret)
{
	struct str before, rest = *page, tag;
	while (str_cut(rest, '<', &before, &rest)) {
		if (!str_case_is(str_head(rest, 5), "link "))
			continue;
		if (!str_cut(rest, '>', &tag, &rest))
			return false;
		*ret = str_from(tag, 5);
		*page = rest;
		return true;
	}
	return false;
}

int feed_discover(struct arena *a, struct str page, const char *base_url,
		  char *ret[static FEED_DISCOVER_MAX])
{
	struct str attributes;
	int n = 0;
	while (n < FEED_DISCOVER_MAX && next_link(&page, &attributes)) {
		struct link link = link_of(attributes);
		if (!names_alternate(link.rel) || !is_feed_type(link.type) || !link.href.n)
			continue;
		_cleanup_buf_ struct buf plain = {0}, url = {0};
		int r = markup_unescape(link.href, &plain);
		if (r >= 0)
			r = url_clean(buf_str(&plain), base_url, URL_CONTENT, &url);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			continue;
		ret[n] = arena_copy(a, buf_str(&url));
		if (!ret[n])
			return -ENOMEM;
		n++;
	}
	return n;
}
