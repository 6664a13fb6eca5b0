#include "base/config_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_number.h"
#include "base/file.h"

struct reader { /* of one file */
	struct config_scan *scan;
	struct syntax *syntax;
	const char *file;
	unsigned line;
	struct str in;    /* what remains */
	bool line_begins; /* only blanks stood before it in this line */
	bool may_include;
	unsigned includes; /* depth */
};

static int read_file(struct reader *outer, const char *path, unsigned includes,
		     struct syntax_place from);

static struct syntax_place here(const struct reader *r)
{
	return (struct syntax_place){r->file, r->line};
}

/* Room for one more item; there are fewer of them than bytes in the text, so nothing overflows. */
static int make_room(void **items, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return 0;
	size_t more = *room ? 2 * *room : 8;
	void *grown = realloc(*items, more * size);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*room = more;
	return 0;
}

static int add_span(struct config_scan *s, struct syntax_place place)
{
	int e = make_room((void **)&s->spans, s->n_spans, &s->spans_room, sizeof(*s->spans));
	if (e == 0)
		s->spans[s->n_spans++] = (struct config_span){s->line, place};
	return e;
}

static int add_refused(struct config_scan *s)
{
	int e =
	    make_room((void **)&s->refused, s->n_refused, &s->refused_room, sizeof(*s->refused));
	if (e == 0)
		s->refused[s->n_refused++] = s->line;
	return e;
}

/* Takes n bytes; of those that aren't kept only the ends of lines go on. */
static int take(struct reader *r, size_t n, bool keep)
{
	struct config_scan *s = r->scan;
	for (size_t i = 0; i < n; i++) {
		char c = r->in.p[i];
		if (keep || c == '\n')
			buf_addc(&s->flat, c);
		if (c == '\n') {
			r->line++;
			s->line++;
			r->line_begins = true;
		}
	}
	r->in = str_from(r->in, n);
	return s->flat.err;
}

/* How many bytes from the front are of the set. */
static size_t span(struct str s, const char *set)
{
	size_t n = 0;
	while (n < s.n && strchr(set, s.p[n]))
		n++;
	return n;
}

static size_t span_not(struct str s, const char *set)
{
	size_t n = 0;
	while (n < s.n && !strchr(set, s.p[n]))
		n++;
	return n;
}

#define DIGITS     "0123456789"
#define LETTERS    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_CHARS LETTERS DIGITS "-_*"
#define ENDS       " \t\r\n\f;,{}()[]\"#="

static int block_comment(struct reader *r)
{
	const char *end = r->in.n > 2 ? memmem(r->in.p + 2, r->in.n - 2, "*/", 2) : NULL;
	if (!end)
		syntax_wrong(r->syntax, here(r), "the comment that begins here is never closed");
	return take(r, end ? (size_t)(end + 2 - r->in.p) : r->in.n, false);
}

/* The length of the text in quotes at the front; 0: not closed in its line. */
static size_t quoted(struct str in)
{
	for (size_t i = 1; i < in.n && in.p[i] != '\n'; i++) {
		if (in.p[i] == '"')
			return i + 1;
		if (in.p[i] == '\\' && i + 1 < in.n && in.p[i + 1] != '\n')
			i++;
	}
	return 0;
}

static int text(struct reader *r)
{
	syntax_text(r->syntax, here(r));
	size_t n = quoted(r->in);
	if (n)
		return take(r, n, true);
	syntax_wrong(r->syntax, here(r), "the text that begins here has no \" at its end");
	return take(r, span_not(r->in, "\n"), false);
}

static int word(struct reader *r)
{
	struct str name = str_head(r->in, span(r->in, NAME_CHARS));
	if (memchr(name.p, '*', name.n))
		syntax_wrong(r->syntax, here(r),
			     "a name has letters, digits, \"-\" and \"_\" only");
	syntax_word(r->syntax, name, here(r));
	return take(r, name.n, true);
}

/* "name" becomes "name*7" in the flat text; blanks may follow it there already. */
static int rename_again(struct config_scan *s)
{
	size_t end = s->flat.len;
	while (end && strchr(" \t\r\n\f", s->flat.data[end - 1]))
		end--;
	char *blanks = arena_strdup(&s->arena, s->flat.data + end);
	if (!blanks)
		return -ENOMEM;
	buf_truncate(&s->flat, end);
	buf_printf(&s->flat, "*%zu%s", end, blanks);
	return s->flat.err;
}

static int assign(struct reader *r)
{
	bool again;
	int e = syntax_assign(r->syntax, here(r), &again);
	if (e == 0 && again)
		e = rename_again(r->scan);
	return e < 0 ? e : take(r, 1, true);
}

static int number(struct reader *r)
{
	struct str n = str_head(r->in, span_not(r->in, ENDS "/"));
	bool fits = true, show = syntax_may_show(r->syntax);
	syntax_number(r->syntax, here(r));
	if (config_is_integer(n, &fits)) {
		if (!fits) {
			report_error(r->syntax->report, r->file, r->line,
				     "%.*s is beyond what a number may be here; sizes are written "
				     "as text, as in \"16 MiB\"",
				     show ? (int)n.n : 3, show ? n.p : "...");
			int e = add_refused(r->scan);
			if (e < 0)
				return e;
		}
	} else if (!config_is_float(n)) {
		syntax_unquoted(r->syntax, n, here(r));
	}
	return take(r, n.n, true);
}

static int odd(struct reader *r)
{
	struct str s = str_head(r->in, span_not(r->in, ENDS));
	if (s.n == 0)
		s = str_head(r->in, 1);
	if (r->syntax->last == SYNTAX_ASSIGN) {
		syntax_unquoted(r->syntax, s, here(r));
	} else {
		syntax_wrong(r->syntax, here(r), "%.*s can't stand here",
			     syntax_may_show(r->syntax) ? (int)s.n : 1, s.p);
	}
	return take(r, s.n, false);
}

/* The path of an included file, by the directory of the one that names it. */
static char *included_path(struct reader *r, struct str name)
{
	const char *slash = strrchr(r->file, '/');
	if (!slash || (name.n && *name.p == '/'))
		return arena_copy(&r->scan->arena, name);
	return arena_printf(&r->scan->arena, "%.*s/%.*s", (int)(slash - r->file), r->file,
			    (int)name.n, name.p);
}

static int include(struct reader *r)
{
	struct str rest = str_from(r->in, strlen("@include"));
	size_t blanks = span(rest, " \t");
	rest = str_from(rest, blanks);
	size_t n = rest.n && *rest.p == '"' ? quoted(rest) : 0;
	if (!str_starts(r->in, "@include") || !r->line_begins || !blanks || !n) {
		syntax_wrong(r->syntax, here(r),
			     "only @include \"FILE\" in a line of its own may begin with \"@\"");
		return take(r, span_not(r->in, "\n"), false);
	}
	struct syntax_place from = here(r);
	int e = take(r, (size_t)(rest.p - r->in.p) + n, false);
	if (e < 0)
		return e;
	if (!r->may_include || r->includes == CONFIG_SCAN_INCLUDES) {
		syntax_wrong(r->syntax, from, "@include can't be followed further from here");
		return 0;
	}
	if (r->scan->files == CONFIG_SCAN_FILES) {
		syntax_wrong(r->syntax, from, "more than %d files are included", CONFIG_SCAN_FILES);
		return 0;
	}
	r->scan->files++;
	char *path = included_path(r, str_head(str_from(rest, 1), n - 2));
	if (!path)
		return -ENOMEM;
	e = read_file(r, path, r->includes + 1, from);
	if (e < 0)
		return e;
	buf_addc(&r->scan->flat, '\n');
	r->scan->line++;
	e = add_span(r->scan, here(r));
	return e < 0 ? e : r->scan->flat.err;
}

static int step(struct reader *r)
{
	struct str in = r->in;
	size_t blanks = span(in, " \t\n\f");
	if (blanks)
		return take(r, blanks, true);
	if (*in.p == '\r')
		return take(r, 1, false);
	if (*in.p == '#' || str_starts(in, "//"))
		return take(r, span_not(in, "\n"), false);
	if (str_starts(in, "/*"))
		return block_comment(r);
	if (*in.p == '@')
		return include(r);
	r->line_begins = false;
	if (*in.p == '"')
		return text(r);
	if (*in.p == '=' || *in.p == ':')
		return assign(r);
	if (strchr("{}()[],;", *in.p)) {
		syntax_mark(r->syntax, *in.p, here(r));
		return take(r, 1, true);
	}
	if (span(str_head(in, 1), LETTERS "*"))
		return word(r);
	if (span(str_head(in, 1), DIGITS "+-."))
		return number(r);
	return odd(r);
}

static int scan_bytes(struct reader *r)
{
	int e = add_span(r->scan, here(r));
	if (str_starts(r->in, "\xef\xbb\xbf"))
		r->in = str_from(r->in, 3);
	if (r->in.n && memchr(r->in.p, '\0', r->in.n)) {
		syntax_wrong(r->syntax, (struct syntax_place){r->file, 0}, "holds a NUL byte");
		return e;
	}
	while (e == 0 && r->in.n)
		e = step(r);
	return e;
}

/* The whole file, into the arena: names are views of it. */
static int slurp(struct arena *a, const char *path, struct str *ret, struct why *why)
{
	_cleanup_buf_ struct buf b = {0};
	int e = file_read(path, CONFIG_SCAN_SIZE, &b, why);
	if (e < 0)
		return e;
	ret->p = arena_copy(a, buf_str(&b));
	ret->n = b.len;
	return ret->p ? 0 : -ENOMEM;
}

static int read_file(struct reader *outer, const char *path, unsigned includes,
		     struct syntax_place from)
{
	struct reader r = *outer;
	r.file = path;
	r.line = 1;
	r.line_begins = true;
	r.includes = includes;
	struct why why;
	int e = slurp(&r.scan->arena, path, &r.in, &why);
	if (e == -ENOMEM)
		return e;
	if (e < 0) {
		syntax_wrong(r.syntax, from, "can't be read: %s", why.text);
		return 0;
	}
	return scan_bytes(&r);
}

static int finish(struct config_scan *s, struct syntax *syntax, const char *name, int e)
{
	if (e == 0)
		syntax_end(syntax);
	if (e == -EOVERFLOW) {
		syntax_wrong(syntax, (struct syntax_place){name, 0},
			     "is larger than %d bytes with what it includes", CONFIG_SCAN_SIZE);
		e = 0;
	}
	s->broken = syntax->broken;
	return e;
}

int config_scan_file(struct config_scan *s, const char *path, struct report *report)
{
	struct syntax syntax = {.arena = &s->arena, .report = report};
	struct reader r = {.scan = s, .syntax = &syntax, .may_include = true};
	s->line = 1;
	s->flat.limit = CONFIG_SCAN_SIZE;
	char *name = arena_strdup(&s->arena, path);
	if (!name)
		return -ENOMEM;
	return finish(s, &syntax, name, read_file(&r, name, 0, (struct syntax_place){name, 0}));
}

int config_scan_text(struct config_scan *s, const char *name, struct str text_,
		     struct report *report)
{
	struct syntax syntax = {.arena = &s->arena, .report = report};
	s->line = 1;
	s->flat.limit = CONFIG_SCAN_SIZE;
	struct reader r = {.scan = s,
			   .syntax = &syntax,
			   .file = arena_strdup(&s->arena, name),
			   .line = 1,
			   .line_begins = true};
	r.in = (struct str){arena_copy(&s->arena, text_), text_.n};
	if (!r.file || !r.in.p)
		return -ENOMEM;
	return finish(s, &syntax, r.file, scan_bytes(&r));
}

void config_scan_free(struct config_scan *s)
{
	buf_free(&s->flat);
	free(s->spans);
	free(s->refused);
	arena_free(&s->arena);
	*s = (struct config_scan){0};
}

struct syntax_place config_scan_place(const struct config_scan *s, unsigned line)
{
	struct config_span *last = &s->spans[0];
	for (size_t i = 1; i < s->n_spans && s->spans[i].first <= line; i++)
		last = &s->spans[i];
	return (struct syntax_place){
	    last->place.file, last->place.line + (line > last->first ? line - last->first : 0)};
}

bool config_scan_refused(const struct config_scan *s, unsigned line)
{
	for (size_t i = 0; i < s->n_refused; i++)
		if (s->refused[i] == line)
			return true;
	return false;
}
