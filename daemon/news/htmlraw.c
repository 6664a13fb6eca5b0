#include "news/htmlraw.h"

#include <ctype.h>
#include <errno.h>

/* Elements whose contents are no markup (HTML 13.2.5); of iframe the start tag is kept. */
static const char *const raw_names[] = {"script", "style",   "title",    "textarea", "xmp",
					"iframe", "noembed", "noframes", NULL};

static struct str name_at(struct str s)
{
	size_t n = 0;
	while (n < s.n && (isalnum((unsigned char)s.p[n]) || s.p[n] == '-' || s.p[n] == ':'))
		n++;
	return str_head(s, n);
}

static bool is_raw(struct str name)
{
	for (size_t i = 0; raw_names[i]; i++)
		if (str_case_is(name, raw_names[i]))
			return true;
	return false;
}

/* What follows the first `mark`, or the empty end. */
static struct str after(struct str s, const char *mark)
{
	const char *at = s.n ? memmem(s.p, s.n, mark, strlen(mark)) : NULL;
	return at ? str_from(s, (size_t)(at - s.p) + strlen(mark)) : str_from(s, s.n);
}

/* From the end tag of the raw element on; everything when it has none. */
static struct str after_raw(struct str s, struct str name)
{
	for (struct str rest = s; rest.n;) {
		rest = after(rest, "</");
		if (str_eq(name_at(rest), name) ||
		    (rest.n >= name.n && !strncasecmp(rest.p, name.p, name.n) &&
		     name_at(rest).n == name.n))
			return after(rest, ">");
	}
	return str_from(s, s.n);
}

/* The length of the tag at the front, to its '>' or the end; counts its attributes. */
static size_t tag_length(struct str s, size_t *ret_attributes)
{
	size_t n = 1, count = 0;
	char quote = 0, last = 0; /* last: what was seen that is no space */
	for (; n < s.n; n++) {
		char c = s.p[n];
		bool space = isspace((unsigned char)c);
		if (quote) {
			quote = c == quote ? 0 : quote;
			last = c;
			continue;
		}
		if (c == '>')
			break;
		if ((c == '"' || c == '\'') && last == '=')
			quote = c;
		/* Whatever stands after a space, a slash or a value's end may be an attribute. */
		if (space || c == '/' || c == '"' || c == '\'')
			count++;
		if (!space)
			last = c;
	}
	*ret_attributes = count;
	return n < s.n ? n + 1 : n;
}

/* Markup that isn't a tag: "<!", "<?". */
static struct str strip_declaration(struct str s, struct buf *out)
{
	if (str_starts(s, "<!--")) {
		struct str body = str_from(s, 4);
		if (str_starts(body, ">"))
			return str_from(body, 1);
		if (str_starts(body, "->"))
			return str_from(body, 2);
		struct str rest = after(body, "-->");
		/* An unfinished comment ends at its first '>', so that it doesn't eat the article.
		 */
		return rest.n || (body.n >= 3 && !memcmp(body.p + body.n - 3, "-->", 3))
			   ? rest
			   : after(body, ">");
	}
	if (s.n >= 9 && !strncasecmp(s.p, "<![CDATA[", 9)) {
		struct str body = str_from(s, 9), rest = after(body, "]]>");
		size_t n = body.n - rest.n;
		if (n >= 3 && !memcmp(body.p + n - 3, "]]>", 3))
			n -= 3;
		for (size_t i = 0; i < n; i++) {
			if (body.p[i] == '<')
				buf_adds(out, "&lt;");
			else if (body.p[i] == '&')
				buf_adds(out, "&amp;");
			else
				buf_addc(out, body.p[i]);
		}
		return rest;
	}
	return after(s, ">");
}

static int strip_tag(struct str s, struct buf *out, struct str *ret_rest, struct why *why)
{
	size_t attributes;
	size_t length = tag_length(s, &attributes);
	struct str tag = str_head(s, length), rest = str_from(s, length);
	struct str name = name_at(str_from(s, 1));
	/* Spaces, slashes and quotes were counted: an honest attribute has up to three of them. */
	if (attributes > 4 * HTML_ATTRIBUTES)
		return why_set(why, -EINVAL, "a <%.*s> with more than %d attributes",
			       (int)(name.n < 32 ? name.n : 32), name.p, HTML_ATTRIBUTES);
	if (!is_raw(name)) {
		*ret_rest = rest;
		return buf_addstr(out, tag);
	}
	if (str_case_is(name, "iframe")) {
		buf_addstr(out, tag);
		buf_adds(out, "</iframe>");
		if (length >= 2 && tag.p[length - 2] == '/') {
			*ret_rest = rest;
			return out->err;
		}
	}
	*ret_rest = after_raw(rest, name);
	return out->err;
}

int htmlraw_strip(struct str in, struct buf *out, struct why *why)
{
	while (in.n && !out->err) {
		const char *at = memchr(in.p, '<', in.n);
		size_t n = at ? (size_t)(at - in.p) : in.n;
		buf_addstr(out, str_head(in, n));
		in = str_from(in, n);
		if (in.n < 2) {
			buf_addstr(out, in);
			break;
		}
		if (in.p[1] == '!' || in.p[1] == '?') {
			in = strip_declaration(in, out);
		} else if (isalpha((unsigned char)in.p[1])) {
			int r = strip_tag(in, out, &in, why);
			if (r < 0)
				return r;
		} else {
			buf_addstr(out, str_head(in, 1));
			in = str_from(in, 1);
		}
	}
	return out->err;
}
