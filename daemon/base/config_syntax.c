#include "base/config_syntax.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct syntax_frame *frame(struct syntax *s)
{
	return &s->frames[s->depth];
}

static bool in_group(struct syntax *s)
{
	return frame(s)->open == 0 || frame(s)->open == '{';
}

void syntax_wrong(struct syntax *s, struct syntax_place at, const char *format, ...)
{
	char words[512];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	report_error(s->report, at.file, at.line, "%s", words);
	s->broken = true;
}

/* A name must be followed by "=": told when something else came. */
static void settle_name(struct syntax *s)
{
	if (s->last != SYNTAX_NAME)
		return;
	if (s->name_after_number)
		syntax_wrong(s, s->name_at,
			     "a value with a unit must stand in quotes, as in \"10 %.*s\"",
			     (int)s->name.n, s->name.p);
	else
		syntax_wrong(s, s->name_at, "\"=\" is missing after %.*s", (int)s->name.n,
			     s->name.p);
	s->last = SYNTAX_VALUE;
}

/* Looks whether a value may begin here. */
static void begin_value(struct syntax *s, struct syntax_place at)
{
	settle_name(s);
	if (in_group(s)) {
		if (s->last != SYNTAX_ASSIGN)
			syntax_wrong(s, at, "a value stands here without NAME = before it");
	} else if (s->last != SYNTAX_START && s->last != SYNTAX_COMMA) {
		syntax_wrong(s, at, "a comma is missing before this value");
	}
}

bool syntax_may_show(const struct syntax *s)
{
	return s->name.n == 0 || !memmem(s->name.p, s->name.n, "pass", 4);
}

void syntax_unquoted(struct syntax *s, struct str text, struct syntax_place at)
{
	if (!syntax_may_show(s))
		syntax_wrong(s, at, "the value of %.*s must stand in quotes", (int)s->name.n,
			     s->name.p);
	else
		syntax_wrong(s, at, "text must stand in quotes: \"%.*s\"", (int)text.n, text.p);
	s->last = SYNTAX_VALUE;
}

void syntax_word(struct syntax *s, struct str word, struct syntax_place at)
{
	bool boolean = str_case_is(word, "true") || str_case_is(word, "false");
	if (s->last == SYNTAX_ASSIGN || !in_group(s)) {
		begin_value(s, at);
		if (!boolean)
			syntax_unquoted(s, word, at);
		s->last = SYNTAX_VALUE;
		return;
	}
	bool after_number = s->last == SYNTAX_NUMBER, after_name = s->last == SYNTAX_NAME;
	settle_name(s);
	if (after_name && s->name_at.line == at.line) /* "name value" */
		return;
	s->name = word;
	s->name_at = at;
	s->name_after_number = after_number;
	s->last = SYNTAX_NAME;
}

int syntax_assign(struct syntax *s, struct syntax_place at, bool *ret_again)
{
	*ret_again = false;
	if (s->last != SYNTAX_NAME) {
		syntax_wrong(s, at, "a name is missing before \"=\"");
		s->name = (struct str){0};
		s->last = SYNTAX_ASSIGN;
		return 0;
	}
	s->last = SYNTAX_ASSIGN;
	for (struct syntax_name *n = frame(s)->names; n; n = n->next)
		if (str_eq(n->name, s->name)) {
			if (strcmp(n->at.file, s->name_at.file) == 0)
				report_error(s->report, s->name_at.file, s->name_at.line,
					     "%.*s was set in line %u before", (int)s->name.n,
					     s->name.p, n->at.line);
			else
				report_error(s->report, s->name_at.file, s->name_at.line,
					     "%.*s was set in %s:%u before", (int)s->name.n,
					     s->name.p, n->at.file, n->at.line);
			*ret_again = true;
			return 0;
		}
	struct syntax_name *name = arena_alloc(s->arena, sizeof(*name));
	if (!name)
		return -ENOMEM;
	*name = (struct syntax_name){frame(s)->names, s->name, s->name_at};
	frame(s)->names = name;
	return 0;
}

void syntax_number(struct syntax *s, struct syntax_place at)
{
	begin_value(s, at);
	s->last = SYNTAX_NUMBER;
}

void syntax_text(struct syntax *s, struct syntax_place at)
{
	/* libconfig joins neighbours: welcome in NAME = "long" "text", a trap among others. */
	if (s->last != SYNTAX_TEXT || !in_group(s))
		begin_value(s, at);
	s->last = SYNTAX_TEXT;
}

static void open_bracket(struct syntax *s, char mark, struct syntax_place at)
{
	begin_value(s, at);
	if (s->depth + 1 == SYNTAX_DEPTH) {
		syntax_wrong(s, at, "brackets are nested more than %d deep", SYNTAX_DEPTH - 1);
		s->last = SYNTAX_VALUE;
		return;
	}
	s->depth++;
	*frame(s) = (struct syntax_frame){.open = mark, .at = at};
	s->last = SYNTAX_START;
}

static void missing_value(struct syntax *s)
{
	settle_name(s);
	if (s->last == SYNTAX_ASSIGN && s->name.n)
		syntax_wrong(s, s->name_at, "%.*s has no value", (int)s->name.n, s->name.p);
}

static void close_bracket(struct syntax *s, char mark, struct syntax_place at)
{
	char open = mark == '}' ? '{' : mark == ')' ? '(' : '[';
	missing_value(s);
	if (s->depth == 0) {
		syntax_wrong(s, at, "\"%c\" closes nothing", mark);
		return;
	}
	if (frame(s)->open != open)
		syntax_wrong(s, at, "\"%c\" doesn't close the \"%c\" of line %u", mark,
			     frame(s)->open, frame(s)->at.line);
	else if (open != '{' && s->last == SYNTAX_COMMA)
		syntax_wrong(s, at, "there is a comma too much before \"%c\"", mark);
	s->depth--;
	s->last = SYNTAX_VALUE;
}

void syntax_mark(struct syntax *s, char mark, struct syntax_place at)
{
	switch (mark) {
	case '{':
	case '(':
	case '[': open_bracket(s, mark, at); return;
	case '}':
	case ')':
	case ']': close_bracket(s, mark, at); return;
	default: break;
	}
	missing_value(s);
	if (s->last == SYNTAX_START || s->last == SYNTAX_COMMA || s->last == SYNTAX_SEMICOLON)
		syntax_wrong(s, at, "nothing stands before \"%c\"", mark);
	else if (mark == ';' && !in_group(s))
		syntax_wrong(s, at, "a comma, not \";\", must stand between the values of a list");
	s->last = mark == ',' || !in_group(s) ? SYNTAX_COMMA : SYNTAX_SEMICOLON;
}

void syntax_end(struct syntax *s)
{
	missing_value(s);
	for (; s->depth; s->depth--)
		syntax_wrong(s, frame(s)->at, "\"%c\" is never closed", frame(s)->open);
}
