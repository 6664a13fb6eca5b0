/*
 * A file of readers, row by row: what its header's columns are, and whether what stands in a row
 * holds. The columns email, name, lang, zone, topics, edition and status are known; any other is
 * an attribute that templates see as {{reader.NAME}}, with the name in lower case and "_" for what
 * isn't a letter or digit.
 */
#pragma once

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/why.h"
#include "ctl/csv.h"
#include "ctl/ctl.h"

enum import_column {
	IMPORT_EMAIL,
	IMPORT_NAME,
	IMPORT_LANG,
	IMPORT_ZONE,
	IMPORT_TOPICS,
	IMPORT_EDITION,
	IMPORT_STATUS,
	IMPORT_COLUMNS,
	IMPORT_ATTRIBUTE = IMPORT_COLUMNS,
};

struct importfile {
	struct csv csv;
	size_t columns;
	enum import_column kinds[CSV_FIELDS];
	const char *names[CSV_FIELDS]; /* of attributes */
	const char **zones;            /* that the server knows, by name without case */
	size_t zone_count;
	const char **editions; /* of the list */
	const int *edition_ids;
	size_t edition_count;
};

/* Reads the header. -EINVAL with the reason, and as csv.h says; the names are in the arena. */
int importfile_begin(struct importfile *f, FILE *in, struct arena *arena, struct why *why);

/*
 * Appends the record that csv_next() gave as a row of sql_ctl_import_stage. -EBADMSG with the
 * reason: something in it is wrong, and nothing was appended. -ENOMEM.
 */
int importfile_row(struct importfile *f, int64_t import, int64_t n, struct buf *rows,
		   struct why *why);

struct str importfile_email(const struct importfile *f); /* of the record, as it stands there */
