/*
 * What operators name, found in the database; and what they write, checked in the ways that
 * several nouns share. As everywhere in ctl/, the reason was told when it isn't CTL_OK.
 */
#pragma once

#include "ctl/ctl.h"
#include "mail/address.h"

int find_list(struct ctl *ctl, const char *name, int *ret);
/* name NULL: the list's default edition. */
int find_edition(struct ctl *ctl, int list, const char *list_name, const char *name, int *ret);
int find_feed(struct ctl *ctl, const char *name, int *ret);
/* Whether there is such a list, where one may be named: NULL is all of them. */
int find_list_if_named(struct ctl *ctl, const char *name);

/* A name of a list, an edition, a feed or a theme, by str_is_name(). */
int check_name(const char *what, const char *name);

/* The number of an article or an issue (`noun`), which nobody has looked up yet. */
int check_number(const char *noun, const char *text, int64_t *ret);

/* A language tag as list.lang has it: two or three letters, then parts of two to eight. */
bool is_language(struct str s);

int check_address(const char *text, struct address *ret);
