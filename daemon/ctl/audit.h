/*
 * The proof of an issue: that each of its readers has one place in its sums, and that what its
 * windows count is what its rows say. As everywhere in ctl/, functions return an exit status and
 * have told the reason when it isn't CTL_OK.
 */
#pragma once

#include <jansson.h>

#include "ctl/ctl.h"

/* Begins a transaction that sees one moment of the store and changes nothing. */
int audit_begin(struct ctl *ctl);

/* The sums alone: whether each reader has one place in them. As audit_issue() otherwise. */
int audit_readers(struct ctl *ctl, int64_t issue, int64_t most, json_t **ret, bool *ret_holds);

/*
 * Audits an issue; *ret_holds: all of it adds up. The object is for programs and for audit_show();
 * it names `most` of the readers who are wrong at most (0: all).
 */
int audit_issue(struct ctl *ctl, int64_t issue, int64_t most, json_t **ret, bool *ret_holds);

/* The sums for people, and what is wrong with them. */
int audit_show(const json_t *audit);
