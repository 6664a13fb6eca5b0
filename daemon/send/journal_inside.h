/*
 * The form of the journal's files, which journal.c writes and journal_read.c reads; nobody else
 * includes this. journal.h tells of the layout.
 */
#pragma once

#include <stddef.h>

enum {
	HEAD = 96, /* magic, engine at 8, boot at 48, session */
	HEAD_SESSION = 84,
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
