/* The help of digestctl, written from the tables of nouns and verbs. */
#pragma once

#include <stdio.h>

#include "ctl/ctl.h"

/* Of a verb, of a noun (verb NULL), or of the whole program (both NULL). */
void help_show(FILE *out, const struct ctl_noun *noun, const struct ctl_verb *verb);

void help_usage(FILE *out, const struct ctl_noun *noun, const struct ctl_verb *verb); /* one line */
