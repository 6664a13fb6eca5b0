#include "news/frontmatter.h"

#include <ctype.h>
#include <errno.h>

#include "base/buf.h"

enum { VALUES = 100 }; /* of one key */

struct reading {
	struct arena *arena;
	struct str rest; /* the head's lines that are still to be read */
	struct frontmatter_entry **end;
};

static struct str take_line(struct str *text)
{
	struct str line = str_take(text, '\n');
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

static bool is_fence(struct str line)
{
	return str_is(str_trim(line), "---") && line.n && line.p[0] == '-';
}

static size_t indent(struct str line)
{
	size_t n = 0;
	while (n < line.n && line.p[n] == ' ')
		n++;
	return n;
}

/* Reads a quoted value at the front of *s; what follows it stays in *s. */
static int take_quoted(struct str *s, struct buf *out)
{
	char quote = s->p[0];
	*s = str_from(*s, 1);
	while (s->n) {
		char c = s->p[0];
		bool twice = s->n > 1 && s->p[1] == '\'';
		*s = str_from(*s, 1);
		if (c == quote && quote == '\'' && twice) {
			*s = str_from(*s, 1);
		} else if (c == quote) {
			break;
		} else if (c == '\\' && quote == '"' && s->n) {
			c = s->p[0] == 'n' ? '\n' : s->p[0] == 't' ? '\t' : s->p[0];
			*s = str_from(*s, 1);
		}
		buf_addc(out, c);
	}
	return out->err;
}

static int add_value(struct reading *r, struct frontmatter_entry *entry, struct str value)
{
	if (!value.n || entry->n == VALUES)
		return 0;
	if (!entry->values)
		entry->values = arena_array(r->arena, VALUES + 1, sizeof(*entry->values));
	char *copy = arena_copy(r->arena, value);
	if (!entry->values || !copy)
		return -ENOMEM;
	entry->values[entry->n++] = copy;
	return 0;
}

/* A value without quotes ends at " #", a comment. */
static struct str without_comment(struct str value)
{
	for (size_t i = 1; i < value.n; i++)
		if (value.p[i] == '#' && isspace((unsigned char)value.p[i - 1]))
			return str_trim(str_head(value, i));
	return str_is(str_head(value, 1), "#") ? str_head(value, 0) : value;
}

static int add_scalar(struct reading *r, struct frontmatter_entry *entry, struct str value)
{
	value = str_trim(value);
	if (!value.n || (value.p[0] != '"' && value.p[0] != '\''))
		return add_value(r, entry, without_comment(value));
	_cleanup_buf_ struct buf plain = {0};
	int err = take_quoted(&value, &plain);
	return err < 0 ? err : add_value(r, entry, buf_str(&plain));
}

/* "[a, "b, c"]" */
static int add_list(struct reading *r, struct frontmatter_entry *entry, struct str list)
{
	list = str_from(list, 1);
	int err = 0;
	while (!err) {
		while (list.n && (isspace((unsigned char)list.p[0]) || list.p[0] == ','))
			list = str_from(list, 1);
		if (!list.n || list.p[0] == ']')
			break;
		if (list.p[0] == '"' || list.p[0] == '\'') {
			_cleanup_buf_ struct buf plain = {0};
			err = take_quoted(&list, &plain);
			if (err >= 0)
				err = add_value(r, entry, buf_str(&plain));
			continue;
		}
		size_t n = 0;
		while (n < list.n && list.p[n] != ',' && list.p[n] != ']')
			n++;
		err = add_value(r, entry, str_trim(str_head(list, n)));
		list = str_from(list, n);
	}
	return err;
}

/* The indented lines below "key: |" or "key: >". */
static int add_block(struct reading *r, struct frontmatter_entry *entry, bool folded)
{
	_cleanup_buf_ struct buf text = {0};
	while (r->rest.n) {
		struct str after = r->rest, line = take_line(&after);
		if (str_trim(line).n && !indent(line))
			break;
		r->rest = after;
		bool empty = !str_trim(line).n;
		if (text.len)
			buf_addc(&text, folded && !empty ? ' ' : '\n');
		buf_addstr(&text, str_trim(line));
	}
	return text.err ? text.err : add_value(r, entry, str_trim(buf_str(&text)));
}

/* The "- a" lines below "key:"; other indented lines are a map, which is passed over. */
static int add_items(struct reading *r, struct frontmatter_entry *entry)
{
	int err = 0;
	while (!err && r->rest.n) {
		struct str after = r->rest, line = take_line(&after), item = str_trim(line);
		bool dash = str_starts(item, "- ") || str_is(item, "-");
		if (item.n && !dash && !indent(line))
			break;
		r->rest = after;
		if (dash)
			err = add_scalar(r, entry, str_from(item, 1));
	}
	return err;
}

static int read_entry(struct reading *r, struct str line)
{
	struct str key, value;
	if (indent(line) || !line.n || line.p[0] == '#' || !str_cut(line, ':', &key, &value))
		return 0;
	struct frontmatter_entry *entry = arena_alloc(r->arena, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->key = arena_copy(r->arena, str_trim(key));
	if (!entry->key)
		return -ENOMEM;
	*r->end = entry;
	r->end = &entry->next;

	value = str_trim(value);
	if (!without_comment(value).n)
		return add_items(r, entry);
	if (value.p[0] == '[') {
		/* It may go on over several lines. */
		_cleanup_buf_ struct buf list = {0};
		buf_addstr(&list, value);
		while (!memchr(buf_text(&list), ']', list.len) && r->rest.n && !list.err) {
			buf_addc(&list, ' ');
			buf_addstr(&list, str_trim(take_line(&r->rest)));
		}
		return list.err ? list.err : add_list(r, entry, buf_str(&list));
	}
	if ((value.p[0] == '|' || value.p[0] == '>') && value.n <= 2)
		return add_block(r, entry, value.p[0] == '>');
	return add_scalar(r, entry, value);
}

int frontmatter_read(struct arena *arena, struct str text, struct frontmatter *ret,
		     struct str *ret_body)
{
	struct str rest = text;
	*ret = (struct frontmatter){0};
	*ret_body = text;
	if (!is_fence(take_line(&rest)))
		return 0;
	struct str head = rest;
	for (;;) {
		if (!rest.n)
			return 0; /* no second fence: it was a rule */
		size_t n = head.n - rest.n;
		if (is_fence(take_line(&rest))) {
			head = str_head(head, n);
			break;
		}
	}
	struct frontmatter found = {0};
	struct reading r = {.arena = arena, .rest = head, .end = &found.first};
	while (r.rest.n) {
		int err = read_entry(&r, take_line(&r.rest));
		if (err < 0)
			return err;
	}
	*ret = found;
	*ret_body = rest;
	return 0;
}

const struct frontmatter_entry *frontmatter_find(const struct frontmatter *f, const char *key)
{
	for (const struct frontmatter_entry *e = f->first; e; e = e->next)
		if (!strcasecmp(e->key, key))
			return e;
	return NULL;
}

const char *frontmatter_value(const struct frontmatter *f, const char *key)
{
	const struct frontmatter_entry *entry = frontmatter_find(f, key);
	return entry && entry->n ? entry->values[0] : NULL;
}
