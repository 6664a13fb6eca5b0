#include "store/init.h"

#include <errno.h>

#include "base/log.h"

static const char *const roles[] = {INIT_OWNER, "digestd_engine", "digestd_web",
				    "digestd_operator"};

static int ask(struct pg *pg, const char *sql, const char *param, bool *ret, struct why *why)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_text(&p, param);
	int r = sync_query(pg, sql, &p, &res, why);
	if (r == 0)
		*ret = db_rows(res) == 1 && db_bool(res, 0, 0);
	return r;
}

/* Runs the statement that `sql` makes: format() with its parameter, a name. */
static int run_made(struct pg *pg, const char *sql, const char *name, struct why *why)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_text(&p, name);
	int r = sync_query(pg, sql, &p, &res, why);
	return r < 0 ? r : sync_script(pg, db_text(res, 0, 0), why);
}

static int make_role(struct pg *pg, const char *role, struct why *why)
{
	bool there;
	int r = ask(pg, "SELECT true FROM pg_roles WHERE rolname = $1", role, &there, why);
	if (r < 0 || there)
		return r;
	return run_made(pg,
			"SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE "
			"NOREPLICATION NOBYPASSRLS', $1::text)",
			role, why);
}

/* An administrator who is no superuser must be a member of the owner to act for it. */
static int join_owner(struct pg *pg, struct why *why)
{
	bool member;
	int r = ask(pg, "SELECT pg_has_role(current_user, $1::name, 'MEMBER')", INIT_OWNER, &member,
		    why);
	if (r < 0 || member)
		return r;
	return run_made(pg, "SELECT format('GRANT %I TO CURRENT_USER', $1::text)", INIT_OWNER, why);
}

static int make_database(struct pg *pg, const char *name, struct why *why)
{
	bool there;
	int r = ask(pg, "SELECT true FROM pg_database WHERE datname = $1", name, &there, why);
	if (r == 0 && !there)
		r = run_made(pg,
			     "SELECT format('CREATE DATABASE %I OWNER " INIT_OWNER
			     " ENCODING ''UTF8'' TEMPLATE template0', $1::text)",
			     name, why);
	return r;
}

/* Who may connect, and how moments are written and read. */
static int close_database(struct pg *pg, const char *name, struct why *why)
{
	return run_made(pg,
			"SELECT format('REVOKE ALL ON DATABASE %1$I FROM PUBLIC;"
			" GRANT CONNECT ON DATABASE %1$I TO digestd_engine, digestd_web,"
			" digestd_operator;"
			" ALTER DATABASE %1$I SET timezone = ''UTC'';"
			" ALTER DATABASE %1$I SET datestyle = ''ISO, MDY''', $1::text)",
			name, why);
}

static int make_key(struct pg *pg, struct why *why)
{
	int r = sync_begin(pg, why);
	if (r == 0)
		r = sync_script(pg,
				"SET LOCAL ROLE " INIT_OWNER ";"
				" LOCK TABLE link_key IN EXCLUSIVE MODE;"
				" INSERT INTO link_key (id, secret) SELECT 1, gen_random_bytes(32)"
				" WHERE NOT EXISTS (SELECT FROM link_key)",
				why);
	if (r == 0)
		r = sync_commit(pg, why);
	sync_rollback(pg);
	return r < 0 ? why_prefix(why, r, "the first link key: ") : 0;
}

static int prepare_server(const struct init_options *options, struct why *why)
{
	_cleanup_sync_ struct pg *pg = NULL;
	int r = sync_open(&options->admin, &pg, why);
	for (size_t i = 0; r == 0 && i < ELEMENTS(roles); i++)
		r = make_role(pg, roles[i], why);
	if (r == 0)
		r = join_owner(pg, why);
	if (r == 0 && options->database)
		r = make_database(pg, options->database, why);
	return r;
}

int init_database(const struct init_options *options, struct why *why)
{
	int r = prepare_server(options, why);
	if (r < 0)
		return r;
	_cleanup_sync_ struct pg *pg = NULL;
	_cleanup_result_ struct pg_result *name = NULL;
	struct db_config config = options->admin;
	config.database = options->database;
	r = sync_open(&config, &pg, why);
	if (r == 0)
		r = sync_query(pg, "SELECT current_database()", NULL, &name, why);
	if (r == 0)
		r = close_database(pg, db_text(name, 0, 0), why);
	if (r == 0)
		r = sync_script(pg,
				"REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
				" CREATE EXTENSION IF NOT EXISTS pgcrypto SCHEMA public",
				why);
	if (r == 0)
		r = migrate_run(pg, options->files, INIT_OWNER, options->say, options->user, NULL,
				why);
	return r < 0 ? r : make_key(pg, why);
}
