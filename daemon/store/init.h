/*
 * The first day of a database: what `digestctl db init` does. Everything is done only when it is
 * absent, so that it can be said again at any time.
 *
 * 1. The roles digestd_owner, digestd_engine, digestd_web and digestd_operator. They may log in;
 *    how they prove who they are (peer, password) is the server's affair.
 * 2. The database, owned by digestd_owner, in UTF8; nobody else may connect or create in it.
 * 3. pgcrypto, the migrations as digestd_owner, the first key of links.
 */
#pragma once

#include "base/embed.h"
#include "base/why.h"
#include "store/migrate.h"
#include "store/sync.h"

struct init_options {
	/* A superuser, or a role with CREATEROLE and CREATEDB; its dbname is any that exists. */
	struct db_config admin;
	const char *database; /* to be made; NULL: the one that admin names */
	const struct embedded_file *files;
	migrate_say_fn *say; /* after each migration; may be NULL */
	void *user;
};

#define INIT_OWNER "digestd_owner"

/* 0, or a negative errno as sync.h and migrate.h tell. */
int init_database(const struct init_options *options, struct why *why);
