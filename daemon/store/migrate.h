/*
 * The schema's migrations: files "sql/migrations/NNNN_name.sql" inside the program, applied in the
 * order of their numbers, each in a transaction of its own together with its row in
 *
 *	schema_migration(number, name, checksum, applied_at)
 *
 * under a lock that lasts as long as the transaction: any number of programs may try at once. The
 * table is locked, too, so that who reads it first in a transaction has the schema to itself. A
 * migration that was applied must never change: a file whose SHA-256 isn't the recorded one is
 * refused, and so is a database that knows migrations which this program doesn't.
 */
#pragma once

#include "base/arena.h"
#include "base/embed.h"
#include "base/sha256.h"
#include "base/why.h"
#include "store/sync.h"

enum migration_state {
	MIGRATION_PENDING,
	MIGRATION_APPLIED,
	MIGRATION_CHANGED, /* applied with another text or name */
	MIGRATION_UNKNOWN, /* applied by a newer program */
	MIGRATION_MISSED,  /* not applied, though a later one was */
};

struct migration {
	int number;
	const char *name;          /* "lists_and_readers" */
	char checksum[SHA256_HEX]; /* of its bytes; of MIGRATION_UNKNOWN as recorded */
	usec_t applied_at;         /* 0: it wasn't */
	struct str sql;            /* empty when MIGRATION_UNKNOWN */
	enum migration_state state;
};

/*
 * All migrations that the program or the database knows, by number, in the arena. `files` is
 * embedded_files, or a test's own. A database without schema_migration has applied none.
 */
int migrate_status(struct pg *pg, const struct embedded_file *files, struct arena *arena,
		   struct migration **ret, size_t *ret_count, struct why *why);

/* The number of the last of these; 0 when there is none. */
int migrate_newest(const struct embedded_file *files);

/*
 * Applies what is pending, as `role` when it isn't NULL (SET LOCAL ROLE); `say` (may be NULL) is
 * called after each. What was applied before a failure stays applied. -EPERM: refused, for the
 * reasons above; else as sync.h tells. *ret_applied (may be NULL) is set in any case.
 */
typedef void migrate_say_fn(void *user, const struct migration *m);
int migrate_run(struct pg *pg, const struct embedded_file *files, const char *role,
		migrate_say_fn *say, void *user, int *ret_applied, struct why *why);
