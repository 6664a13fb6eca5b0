/* From the text of one template to its nodes, in one pass. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "mail/mustache_tree.h"

struct parser {
	struct arena *arena;
	struct mustache *set;
	struct mustache_template *template;
	struct why *why;
	struct buf nodes; /* struct mustache_node, in a row */
	struct str open, close;
	uint32_t around[MUSTACHE_NESTED]; /* the sections that are open, by index */
	size_t nested;

	/* The line and column of `at`, which only moves forward. */
	size_t at;
	uint32_t line, column;
};

struct tag {
	char sigil;         /* of # ^ / > ! = & {, or 0 */
	struct str content; /* without sigil, without blanks around it */
	size_t start, end;  /* in the text, delimiters included */
	bool standalone;
};

static void parser_done(struct parser *p)
{
	buf_free(&p->nodes);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void locate(struct parser *p, size_t to)
{
	const char *text = p->template->text.p;
	for (; p->at < to; p->at++) {
		if (text[p->at] == '\n') {
			p->line++;
			p->column = 1;
		} else if (((unsigned char)text[p->at] & 0xC0) != 0x80) {
			p->column++;
		}
	}
}

/* For "%.*s": the first line of something in the template, not too much of it. */
static int shown(struct str text)
{
	size_t n = 0;
	while (n < text.n && n < 60 && text.p[n] != '\n')
		n++;
	return (int)n;
}

__attribute__((format(printf, 4, 5))) static int complain(struct parser *p, uint32_t line,
							  uint32_t column, const char *format, ...)
{
	char what[400];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return why_set(p->why, -EINVAL, "%s:%u:%u: %s", p->template->path, line, column, what);
}

static struct mustache_node *node_at(struct parser *p, size_t i)
{
	return (struct mustache_node *)(void *)p->nodes.data + i;
}

static size_t node_count(const struct parser *p)
{
	return p->nodes.len / sizeof(struct mustache_node);
}

static int add_node(struct parser *p, const struct mustache_node *node)
{
	return buf_add(&p->nodes, node, sizeof(*node));
}

static bool starts_line(const struct parser *p, size_t at)
{
	return at == 0 || p->template->text.p[at - 1] == '\n';
}

static int add_text(struct parser *p, size_t start, size_t end)
{
	struct mustache_node node = {
	    .kind = NODE_TEXT,
	    .bol = starts_line(p, start),
	    .text = {p->template->text.p + start, end - start},
	};
	return add_node(p, &node);
}

static size_t find(struct str text, size_t from, struct str what)
{
	const char *at = memmem(text.p + from, text.n - from, what.p, what.n);
	return at ? (size_t)(at - text.p) : SIZE_MAX;
}

/* Reads the tag that opens at `start`, to its closing delimiter. */
static int read_tag(struct parser *p, size_t start, struct tag *ret)
{
	struct str text = p->template->text;
	size_t from = start + p->open.n;
	struct tag tag = {.start = start};
	if (from < text.n && strchr("#^/>!=&{", text.p[from]) && text.p[from])
		tag.sigil = text.p[from++];

	char closing[64];
	size_t n = 0;
	if (tag.sigil == '{' || tag.sigil == '=')
		closing[n++] = tag.sigil == '{' ? '}' : '=';
	memcpy(closing + n, p->close.p, p->close.n);
	n += p->close.n;

	size_t end = find(text, from, (struct str){closing, n});
	if (end == SIZE_MAX) {
		struct str rest = str_head(str_from(text, start), 40);
		return complain(p, p->line, p->column, "the tag %.*s is never closed", shown(rest),
				rest.p);
	}
	tag.content = str_trim((struct str){text.p + from, end - from});
	tag.end = end + n;
	*ret = tag;
	return 0;
}

/*
 * Whether the tag stands alone on its line (a tag of several lines: on its lines), of the kinds
 * that may. If so the whole line is its own: *ret_start and *ret_end tell from where to where.
 */
static bool stands_alone(const struct parser *p, const struct tag *tag, size_t *ret_start,
			 size_t *ret_end)
{
	struct str text = p->template->text;
	size_t start = tag->start, end = tag->end;
	if (!tag->sigil || tag->sigil == '&' || tag->sigil == '{')
		return false;
	while (start > 0 && is_blank(text.p[start - 1]))
		start--;
	if (start > 0 && text.p[start - 1] != '\n')
		return false;
	while (end < text.n && is_blank(text.p[end]))
		end++;
	if (end < text.n && text.p[end] == '\r' && end + 1 < text.n && text.p[end + 1] == '\n')
		end++;
	if (end < text.n && text.p[end] != '\n')
		return false;
	*ret_start = start;
	*ret_end = end < text.n ? end + 1 : end;
	return true;
}

static bool is_delimiter(struct str text)
{
	if (!text.n || text.n > 32)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '=' || text.p[i] == '\0' || (unsigned char)text.p[i] <= ' ')
			return false;
	return true;
}

static int set_delimiters(struct parser *p, const struct tag *tag)
{
	size_t n = 0;
	while (n < tag->content.n && (unsigned char)tag->content.p[n] > ' ')
		n++;
	struct str open = str_head(tag->content, n);
	struct str close = str_trim(str_from(tag->content, n));
	if (!is_delimiter(open) || !is_delimiter(close))
		return complain(p, p->line, p->column, "\"%.*s\" isn't two delimiters",
				shown(tag->content), tag->content.p);
	p->open = open;
	p->close = close;
	return 0;
}

static int open_section(struct parser *p, struct mustache_node *node)
{
	if (p->nested == MUSTACHE_NESTED)
		return complain(
		    p, p->line, p->column, "section {{%s%.60s}} is nested too deep, in %d others",
		    node->kind == NODE_SECTION ? "#" : "^", node->name->text, MUSTACHE_NESTED);
	p->around[p->nested++] = (uint32_t)node_count(p);
	return add_node(p, node);
}

static int close_section(struct parser *p, struct mustache_node *node)
{
	if (!p->nested)
		return complain(p, p->line, p->column,
				"{{/%.60s}} closes a section that isn't open", node->name->text);
	uint32_t start = p->around[--p->nested];
	struct mustache_node *section = node_at(p, start);
	if (strcmp(section->name->text, node->name->text) != 0)
		return complain(p, p->line, p->column,
				"{{/%.60s}} stands where section {{%s%.60s}} of line %u is open",
				node->name->text, section->kind == NODE_SECTION ? "#" : "^",
				section->name->text, section->line);
	section->other = (uint32_t)node_count(p);
	node->other = start;
	return add_node(p, node);
}

/* A partial's name isn't looked up in the data, so it may have any form; it stays in one part. */
static int add_partial(struct parser *p, const struct tag *tag, size_t line_start,
		       struct mustache_node *node)
{
	struct mustache_name *name = arena_alloc(p->arena, sizeof(*name) + sizeof(name->part[0]));
	char *copy = arena_copy(p->arena, tag->content);
	if (!name || !copy)
		return -ENOMEM;
	*name = (struct mustache_name){.text = copy, .count = 1};
	name->part[0] = (struct str){copy, tag->content.n};

	int r = mustache_template_add(p->arena, p->set, copy, &node->partial);
	if (r == -E2BIG)
		complain(p, p->line, p->column, "{{> %.*s}} is one partial too many, after %d",
			 shown(tag->content), tag->content.p, MUSTACHE_PARTIALS);
	if (r < 0)
		return r;
	node->name = name;
	node->standalone = tag->standalone;
	if (tag->standalone)
		node->text =
		    (struct str){p->template->text.p + line_start, tag->start - line_start};
	return add_node(p, node);
}

static int add_named(struct parser *p, const struct tag *tag, size_t line_start)
{
	struct mustache_node node = {.line = p->line, .column = p->column};
	if (!tag->content.n)
		return complain(p, p->line, p->column, "a tag without a name");
	if (tag->sigil == '>') {
		node.kind = NODE_PARTIAL;
		return add_partial(p, tag, line_start, &node);
	}
	int r = mustache_name_split(p->arena, tag->content, &node.name);
	if (r == -EINVAL)
		return complain(p, p->line, p->column, "\"%.*s\" isn't a name", shown(tag->content),
				tag->content.p);
	if (r < 0)
		return r;

	switch (tag->sigil) {
	case '#': node.kind = NODE_SECTION; return open_section(p, &node);
	case '^': node.kind = NODE_INVERTED; return open_section(p, &node);
	case '/': node.kind = NODE_END; return close_section(p, &node);
	case '&':
	case '{': node.kind = NODE_RAW; return add_node(p, &node);
	default: node.kind = NODE_VALUE; return add_node(p, &node);
	}
}

/* Takes the text up to the next tag, and the tag; *at moves on behind them. */
static int step(struct parser *p, size_t *at)
{
	struct str text = p->template->text;
	size_t from = *at, start = find(text, from, p->open);
	if (start == SIZE_MAX) {
		*at = text.n;
		return add_text(p, from, text.n);
	}

	struct tag tag = {0};
	locate(p, start);
	int r = read_tag(p, start, &tag);
	if (r < 0)
		return r;
	size_t line_start = tag.start, line_end = tag.end;
	tag.standalone = stands_alone(p, &tag, &line_start, &line_end);
	if (line_start > from)
		r = add_text(p, from, line_start);
	if (r == 0 && !tag.standalone && starts_line(p, line_start))
		r = add_text(p, line_start, line_start);
	if (r < 0)
		return r;
	*at = line_end;
	if (tag.sigil == '!')
		return 0;
	return tag.sigil == '=' ? set_delimiters(p, &tag) : add_named(p, &tag, line_start);
}

static int parse_all(struct parser *p)
{
	size_t at = 0;
	while (at < p->template->text.n) {
		int r = step(p, &at);
		if (r < 0)
			return r;
	}
	if (!p->nested)
		return 0;
	struct mustache_node *open = node_at(p, p->around[p->nested - 1]);
	return complain(p, open->line, open->column, "section {{%s%.60s}} is never closed",
			open->kind == NODE_SECTION ? "#" : "^", open->name->text);
}

int mustache_parse(struct arena *arena, struct mustache *set, struct mustache_template *template,
		   struct why *why)
{
	_cleanup_(parser_done)
	struct parser p = {
	    .arena = arena,
	    .set = set,
	    .template = template,
	    .why = why,
	    .open = STR("{{"),
	    .close = STR("}}"),
	    .line = 1,
	    .column = 1,
	};
	int r = parse_all(&p);
	if (r < 0)
		return r;
	struct mustache_node *nodes = arena_alloc(arena, p.nodes.len);
	if (!nodes)
		return -ENOMEM;
	if (p.nodes.len)
		memcpy(nodes, p.nodes.data, p.nodes.len);
	template->nodes = nodes;
	template->count = (uint32_t)node_count(&p);
	return 0;
}
