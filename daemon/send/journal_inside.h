/*
 * The form of the journal's files, which journal.c writes and journal_read.c reads; nobody else
 * includes this. journal.h tells of the layout.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

enum {
	HEAD = 96, /* magic, then what the next four say */
	HEAD_ENGINE = 8,
	HEAD_BOOT = 48,
	HEAD_SESSION = 84,
	HEAD_BEGAN = 88, /* clock_boot() when the file was begun */
	RECORD_HEAD = 8,
	RECORD_MAX = 1024,       /* no record is longer; what claims to be is damage */
	REPLY_ROOM = RECORD_MAX, /* kept free for each intent without a reply */
};

#define JOURNAL_MAGIC "digestj1"

enum record_type {
	RECORD_ISSUE = 1,
	RECORD_INTENT = 2,
	RECORD_REPLY = 3,
	RECORD_VOID = 4,
	RECORD_SETTLED = 5,
};

/* The numbers of the files that are there, ascending; the caller frees. -errno. */
int journal_files(int dir, unsigned **ret, size_t *ret_count);

void journal_file_name(unsigned number, char name[static 32]);

/* What a file's head tells. */
struct journal_head {
	int32_t session; /* of the life that wrote it */
	usec_t began;
	bool same_boot; /* as the one that is asked for: `began` is of this clock */
};

/* -EBADMSG: the bytes don't begin with a head, or with another engine's. */
int journal_head_of(const char *bytes, size_t n, const char *engine, const char *boot,
		    struct journal_head *ret);

/* Removes what journal_tidy() says of files. -errno: one couldn't be removed, or it is memory. */
int journal_remove_old(int dir, const char *engine, const char *boot, int32_t since, usec_t keep);
