/*
 * What every noun of digestctl stands on: the tables of nouns, verbs and options, from which the
 * arguments are read and the help is written, and `struct ctl`, one call of the program.
 *
 * A verb is a function that returns an exit status. Functions here that can fail have told the
 * reason on standard error, in one line, before they return one that isn't CTL_OK: so
 *
 *	int r = ctl_query(ctl, sql_ctl_list_ls, NULL, &res);
 *	if (r != CTL_OK)
 *		return r;
 *
 * Everything that hangs on a struct ctl lives until the program ends, ctl->arena too.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/why.h"
#include "store/params.h"
#include "store/rows.h"
#include "store/settings.h"
#include "store/sync.h"

enum ctl_status {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,     /* the arguments are wrong */
	CTL_NOT_FOUND = 3, /* what they name doesn't exist */
	CTL_REFUSED = 4,   /* the operator said no, or couldn't be asked */
};

struct ctl;

struct ctl_option {
	const char *name;     /* without its dashes */
	const char *argument; /* "FILE"; NULL: a switch */
	const char *help;
};

struct ctl_verb {
	const char *name;      /* NULL: the noun does by itself */
	const char *arguments; /* "LIST NAME [SCHEDULE]", "" */
	const char *help;      /* one line */
	int (*run)(struct ctl *ctl);
	int least, most;                  /* arguments; most -1: any number */
	const struct ctl_option *options; /* ends with a NULL name; NULL: none of its own */
	const char *more;                 /* what else its help tells; may be NULL */
	bool asks;                        /* takes --yes */
};

struct ctl_noun {
	const char *name;
	const char *help;
	const struct ctl_verb *verbs; /* ends with a NULL run */
};

extern const struct ctl_noun *const ctl_nouns[]; /* nouns.c; ends with NULL */

struct ctl_given {
	const char *name;
	const char *value; /* "" of a switch */
};

struct ctl {
	const struct ctl_noun *noun;
	const struct ctl_verb *verb;
	char **args; /* what remains when the options are taken out */
	int arg_count;
	struct ctl_given *given; /* options, in their order */
	size_t given_count;
	const char *config; /* --config, or NULL */
	bool json;
	bool yes;
	usec_t now; /* clock_now() at the beginning */
	struct arena arena;
	struct settings *settings; /* ctl_settings() */
	struct pg *pg;             /* ctl_connect() */
};

/* Runs what the arguments say; returns the exit status. args.c */
int ctl_main(int argc, char **argv);

/* ---- options of the verb; asking for one that its table lacks is a bug and aborts. args.c ---- */
bool ctl_has(const struct ctl *ctl, const char *name);
const char *ctl_value(const struct ctl *ctl, const char *name); /* the last; NULL: not given */
/* One after another: *at is 0 at first; NULL after the last. */
const char *ctl_each(const struct ctl *ctl, const char *name, size_t *at);
/* Numbers and durations ("3 d"): *ret stays as it is when the option isn't given. */
int ctl_number(struct ctl *ctl, const char *name, int64_t min, int64_t max, int64_t *ret);
int ctl_duration(struct ctl *ctl, const char *name, usec_t *ret);
/* Words between commas ("A,B"), trimmed, at most `most`; in the arena. None: not given, or "". */
int ctl_words(struct ctl *ctl, const char *name, size_t most, char ***ret, size_t *ret_count);
const char *ctl_arg(const struct ctl *ctl, int i); /* NULL: not given */
/* CTL_USAGE when both are given, of which each says the contrary of the other. */
int ctl_exclude(const struct ctl *ctl, const char *one, const char *other);
/* CTL_USAGE when no option of the verb is given, of one that changes something. */
int ctl_must_name(const struct ctl *ctl);

/* ---- failures, questions. ctl.c ---------------------------------------------------------------
 */

/* Tells why and returns status. Control characters are shown as \xNN. */
int ctl_fail(enum ctl_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
int ctl_no_memory(void);

/* The words put together and appended, on one line and shown as ctl_fail() does; or -ENOMEM. */
int ctl_line(struct buf *out, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/*
 * "QUESTION [y/N] " on the terminal. CTL_OK: yes, or --yes was given. CTL_REFUSED: no, or nobody
 * is there to be asked.
 */
int ctl_ask(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- settings and database. ctl.c -------------------------------------------------------------
 */

int ctl_settings(struct ctl *ctl);                         /* loads them once */
int ctl_connect(struct ctl *ctl);                          /* as the operator; once */
int ctl_connect_owner(struct ctl *ctl);                    /* in its place: as the owner */
int ctl_pg_failed(struct ctl *ctl, const struct why *why); /* after a sync_ function failed */

/* One statement, on a connection that is opened when there is none. ret may be NULL. */
int ctl_query(struct ctl *ctl, const char *sql, struct db_params *params, struct pg_result **ret);

/* The same; without a row in the answer the words are told, and it is CTL_NOT_FOUND. */
int ctl_find(struct ctl *ctl, const char *sql, struct db_params *params, struct pg_result **ret,
	     const char *format, ...) __attribute__((format(printf, 5, 6)));

int ctl_begin(struct ctl *ctl);
int ctl_commit(struct ctl *ctl);
