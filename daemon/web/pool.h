/*
 * A few connections to PostgreSQL, so that one statement that has to wait for a lock doesn't hold
 * up all readers.
 */
#pragma once

#include "store/db.h"
#include "store/settings.h"

struct sd_event;
struct pool;

/* -errno with the reason: the connection string. PostgreSQL itself may be away. */
int pool_open(struct sd_event *event, const struct settings *settings, struct pool **ret,
	      struct why *why);
void pool_free(struct pool *pool);
DEFINE_CLEANUP(struct pool *, pool_free);

struct db *pool_pick(struct pool *pool); /* the least busy one that is up; any when none is */
