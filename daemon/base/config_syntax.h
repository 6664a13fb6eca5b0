/*
 * The structure of a configuration, watched token by token while config_scan reads it: brackets,
 * what stands on both sides of "=", names given twice in one group. It exists because libconfig
 * stops at its first mistake and calls each of them "syntax error".
 *
 * What it keeps lives in the arena. All functions tell mistakes in the report; only syntax_assign()
 * can fail, with -ENOMEM.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/report.h"
#include "base/str.h"

enum { SYNTAX_DEPTH = 32 };

struct syntax_place {
	const char *file;
	unsigned line;
};

enum syntax_last { /* what was read last */
		   SYNTAX_START,
		   SYNTAX_NAME,
		   SYNTAX_ASSIGN,
		   SYNTAX_NUMBER,
		   SYNTAX_TEXT,
		   SYNTAX_VALUE, /* true, false, or a bracket that was closed */
		   SYNTAX_COMMA,
		   SYNTAX_SEMICOLON,
};

struct syntax_name {
	struct syntax_name *next;
	struct str name;
	struct syntax_place at;
};

struct syntax_frame { /* an open bracket; the first is the file itself, with open = 0 */
	char open;
	struct syntax_place at;
	struct syntax_name *names;
};

struct syntax {
	struct arena *arena;
	struct report *report;
	struct syntax_frame frames[SYNTAX_DEPTH];
	unsigned depth; /* of the innermost frame */
	enum syntax_last last;
	struct str name; /* the last one, and what stood before it */
	struct syntax_place name_at;
	bool name_after_number;
	bool broken; /* libconfig would stop at one of the mistakes told */
};

/* A word: a name or true or false. `word` must live as long as the arena. */
void syntax_word(struct syntax *s, struct str word, struct syntax_place at);
/* False: the last name was a password's, what follows it isn't to be shown. */
bool syntax_may_show(const struct syntax *s);
/* A value that is no number and should stand in quotes. */
void syntax_unquoted(struct syntax *s, struct str text, struct syntax_place at);
/* "=" or ":"; *ret_again: the name before it was given in this group before. */
int syntax_assign(struct syntax *s, struct syntax_place at, bool *ret_again);
void syntax_number(struct syntax *s, struct syntax_place at);
void syntax_text(struct syntax *s, struct syntax_place at);
void syntax_mark(struct syntax *s, char mark, struct syntax_place at); /* one of {}()[],; */
void syntax_end(struct syntax *s);                                     /* of the last file */

/* Tells a mistake that libconfig would stop at. */
void syntax_wrong(struct syntax *s, struct syntax_place at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
