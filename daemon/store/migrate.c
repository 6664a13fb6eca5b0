#include "store/migrate.h"

#include <errno.h>
#include <stdio.h>

static const char folder[] = "sql/migrations/";

/* "digestd" in ASCII, as the key of the advisory lock. */
static const char lock_sql[] = "SELECT pg_advisory_xact_lock(x'64696765737464'::bigint)";

/* Reads "NNNN_name.sql". */
static int read_name(const char *file, struct arena *arena, struct migration *m, struct why *why)
{
	int number, used = 0;
	size_t n = strlen(file);
	if (sscanf(file, "%4d_%n", &number, &used) != 1 || used != 5 || number < 1 || n < 10 ||
	    strcmp(file + n - 4, ".sql") != 0)
		return why_set(why, -EINVAL, "%s%s: not a name like 0001_name.sql", folder, file);
	m->number = number;
	m->name = arena_strndup(arena, file + used, n - (size_t)used - 4);
	return m->name ? 0 : why_set(why, -ENOMEM, "no memory for migrations");
}

/* The program's own migrations go to list; their numbers must rise. */
static int read_files(const struct embedded_file *files, struct arena *arena,
		      struct migration *list, size_t *ret_count, struct why *why)
{
	size_t count = 0;
	for (; files->name; files++) {
		if (strncmp(files->name, folder, strlen(folder)) != 0)
			continue;
		struct migration *m = &list[count];
		int r = read_name(files->name + strlen(folder), arena, m, why);
		if (r < 0)
			return r;
		if (count > 0 && m->number <= list[count - 1].number)
			return why_set(why, -EINVAL, "%s: a second migration %d", files->name,
				       m->number);
		m->sql = embed_bytes(files);
		if (sha256_hex(&m->sql, 1, m->checksum) < 0)
			return why_set(why, -ENOMEM, "no memory for a checksum");
		count++;
	}
	*ret_count = count;
	return 0;
}

int migrate_newest(const struct embedded_file *files)
{
	int newest = 0, number;
	for (; files->name; files++)
		if (strncmp(files->name, folder, strlen(folder)) == 0 &&
		    sscanf(files->name + strlen(folder), "%4d_", &number) == 1 && number > newest)
			newest = number;
	return newest;
}

/* What the database says was applied; NULL when it has no such table. */
static int read_applied(struct pg *pg, struct pg_result **ret, struct why *why)
{
	_cleanup_result_ struct pg_result *table = NULL;
	int r =
	    sync_query(pg, "SELECT to_regclass('schema_migration') IS NOT NULL", NULL, &table, why);
	if (r < 0)
		return r;
	if (!db_bool(table, 0, 0)) {
		*ret = NULL;
		return 0;
	}
	return sync_query(pg,
			  "SELECT number, name, checksum, applied_at FROM schema_migration"
			  " ORDER BY number",
			  NULL, ret, why);
}

static struct migration *find(struct migration *list, size_t count, int number)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].number == number)
			return &list[i];
	return NULL;
}

/* Marks what row `row` of the applied ones says, adding it when the program doesn't know it. */
static int mark_applied(struct migration *list, size_t *count, const struct pg_result *applied,
			int row, struct arena *arena)
{
	struct migration *m = find(list, *count, db_int(applied, row, 0));
	const char *name = db_text(applied, row, 1), *sum = db_text(applied, row, 2);
	if (m) {
		bool same = strcmp(m->name, name) == 0 && strcmp(m->checksum, sum) == 0;
		m->state = same ? MIGRATION_APPLIED : MIGRATION_CHANGED;
	} else {
		m = &list[(*count)++];
		m->number = db_int(applied, row, 0);
		m->state = MIGRATION_UNKNOWN;
		m->name = arena_strdup(arena, name);
		if (!m->name)
			return -ENOMEM;
		snprintf(m->checksum, sizeof(m->checksum), "%s", sum);
	}
	m->applied_at = db_usec(applied, row, 3);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	return ((const struct migration *)a)->number - ((const struct migration *)b)->number;
}

static void mark_missed(struct migration *list, size_t count)
{
	bool later = false;
	for (size_t i = count; i-- > 0;) {
		if (list[i].state != MIGRATION_PENDING)
			later = true;
		else if (later)
			list[i].state = MIGRATION_MISSED;
	}
}

int migrate_status(struct pg *pg, const struct embedded_file *files, struct arena *arena,
		   struct migration **ret, size_t *ret_count, struct why *why)
{
	_cleanup_result_ struct pg_result *applied = NULL;
	int r = read_applied(pg, &applied, why);
	if (r < 0)
		return r;
	int rows = applied ? db_rows(applied) : 0;
	size_t most = (size_t)rows + 1, count = 0;
	for (const struct embedded_file *file = files; file->name; file++)
		most++;
	struct migration *list = arena_array(arena, most, sizeof(*list));
	if (!list)
		return why_set(why, -ENOMEM, "no memory for migrations");
	r = read_files(files, arena, list, &count, why);
	for (int row = 0; r == 0 && row < rows; row++)
		if (mark_applied(list, &count, applied, row, arena) < 0)
			r = why_set(why, -ENOMEM, "no memory for migrations");
	if (r < 0)
		return r;
	qsort(list, count, sizeof(*list), by_number);
	mark_missed(list, count);
	*ret = list;
	*ret_count = count;
	return 0;
}

/* Finds the first pending one, NULL when there is none; -EPERM when something is wrong. */
static int choose(struct migration *list, size_t count, struct migration **ret, struct why *why)
{
	*ret = NULL;
	for (size_t i = 0; i < count; i++) {
		struct migration *m = &list[i];
		switch (m->state) {
		case MIGRATION_APPLIED: break;
		case MIGRATION_PENDING:
			if (!*ret)
				*ret = m;
			break;
		case MIGRATION_CHANGED:
			return why_set(why, -EPERM,
				       "migration %04d_%s was applied to this database with "
				       "another text or name; what was applied must not change",
				       m->number, m->name);
		case MIGRATION_UNKNOWN:
			return why_set(why, -EPERM,
				       "this database is newer than this program, which doesn't "
				       "know migration %04d_%s",
				       m->number, m->name);
		case MIGRATION_MISSED:
			return why_set(why, -EPERM,
				       "migration %04d_%s was not applied, though a later one was",
				       m->number, m->name);
		}
	}
	return 0;
}

/* Within its transaction. */
static int apply(struct pg *pg, const struct migration *m, struct why *why)
{
	int r = sync_script(pg,
			    "CREATE TABLE IF NOT EXISTS schema_migration ("
			    "number int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
			    "applied_at timestamptz NOT NULL DEFAULT now());"
			    "LOCK TABLE schema_migration IN ACCESS EXCLUSIVE MODE",
			    why);
	if (r == 0)
		r = sync_script(pg, m->sql.p, why); /* a NUL follows embedded files */
	if (r == 0 && !sync_in_transaction(pg))
		return why_set(why, -EINVAL, "migration %04d_%s ended its own transaction",
			       m->number, m->name);
	if (r < 0)
		return why_prefix(why, r, "migration %04d_%s: ", m->number, m->name);
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, m->number);
	params_text(&p, m->name);
	params_text(&p, m->checksum);
	return sync_query(pg,
			  "INSERT INTO schema_migration (number, name, checksum)"
			  " VALUES ($1, $2, $3)",
			  &p, NULL, why);
}

static int set_role(struct pg *pg, const char *role, struct why *why)
{
	_cleanup_params_ struct db_params p = {0};
	if (!role)
		return 0;
	params_text(&p, role);
	return sync_query(pg, "SELECT set_config('role', $1, true)", &p, NULL, why);
}

/* One migration in one transaction. 1: applied, 0: there was nothing to do. */
static int run_one(struct pg *pg, const struct embedded_file *files, const char *role,
		   migrate_say_fn *say, void *user, struct why *why)
{
	_cleanup_arena_ struct arena arena = {0};
	struct migration *list, *next = NULL;
	size_t count;
	int r = sync_begin(pg, why);
	/* Grants on what an extension owns warn by the dozen; what matters is an error. */
	if (r == 0)
		r = sync_script(pg, "SET LOCAL client_min_messages = error", why);
	if (r == 0)
		r = set_role(pg, role, why);
	if (r == 0)
		r = sync_query(pg, lock_sql, NULL, NULL, why);
	if (r == 0)
		r = migrate_status(pg, files, &arena, &list, &count, why);
	if (r == 0)
		r = choose(list, count, &next, why);
	if (r == 0 && next)
		r = apply(pg, next, why);
	if (r == 0)
		r = sync_commit(pg, why);
	if (r < 0) {
		sync_rollback(pg);
		return r;
	}
	if (next && say)
		say(user, next);
	return next != NULL;
}

int migrate_run(struct pg *pg, const struct embedded_file *files, const char *role,
		migrate_say_fn *say, void *user, int *ret_applied, struct why *why)
{
	int applied = 0, r;
	while ((r = run_one(pg, files, role, say, user, why)) > 0)
		applied++;
	if (ret_applied)
		*ret_applied = applied;
	return r;
}
