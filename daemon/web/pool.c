#include "web/pool.h"

#include <errno.h>
#include <stdlib.h>

enum { POOL = 4 };

struct pool {
	struct db *items[POOL];
};

int pool_open(struct sd_event *event, const struct settings *settings, struct pool **ret,
	      struct why *why)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return why_set(why, -ENOMEM, "no memory left");
	const struct settings_login *login = settings_login(settings, SETTINGS_WEB);
	struct db_config config = {
	    .conninfo = login->conninfo,
	    .password = login->password.text,
	    .application = "digestweb",
	    .answer_limit = settings->web.timeout,
	    .retry_most = USEC_PER_SEC,
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < POOL; i++)
		r = db_open(event, &config, &pool->items[i], why);
	if (r < 0)
		pool_free(pool);
	else
		*ret = pool;
	return r;
}

void pool_free(struct pool *pool)
{
	for (size_t i = 0; i < POOL; i++)
		if (pool->items[i])
			db_free(pool->items[i]);
	free(pool);
}

struct db *pool_pick(struct pool *pool)
{
	struct db *best = pool->items[0];
	for (size_t i = 1; i < POOL; i++) {
		struct db *db = pool->items[i];
		bool up = db_is_up(db), best_up = db_is_up(best);
		if (up != best_up ? up : db_queued(db) < db_queued(best))
			best = db;
	}
	return best;
}
