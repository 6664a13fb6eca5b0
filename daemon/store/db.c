#include "store/db_private.h"

#include <errno.h>

#include "base/log.h"

static void step_free(struct db_step *step)
{
	params_free(&step->params);
	buf_free(&step->rows);
	free(step);
}

static void steps_free(struct db_step *step)
{
	while (step) {
		struct db_step *next = step->next;
		step_free(step);
		step = next;
	}
}

void db_tx_drop(struct db_tx *tx)
{
	if (!tx)
		return;
	steps_free(tx->steps);
	free(tx);
}

struct db_tx *db_tx_new(struct db *db, const char *name)
{
	if (db->closing)
		return NULL;
	struct db_tx *tx = calloc(1, sizeof(*tx));
	if (!tx)
		return NULL;
	tx->db = db;
	tx->name = name;
	tx->limit = db->answer_limit;
	return tx;
}

static struct db_step *step_add(struct db_tx *tx, const char *sql, db_rows_fn *fn, void *user)
{
	struct db_step *step = calloc(1, sizeof(*step));
	if (!step) {
		tx->err = -ENOMEM;
		return NULL;
	}
	step->sql = sql;
	step->fn = fn;
	step->user = user;
	if (tx->last)
		tx->last->next = step;
	else
		tx->steps = step;
	tx->last = step;
	return step;
}

void db_tx_query(struct db_tx *tx, const char *sql, struct db_params *params, db_rows_fn *on_rows,
		 void *user)
{
	_cleanup_params_ struct db_params taken = params_take(params);
	if (!tx || tx->err)
		return;
	struct db_step *step = step_add(tx, sql, on_rows, user);
	if (!step)
		return;
	tx->err = taken.err;
	step->params = params_take(&taken);
}

void db_tx_copy(struct db_tx *tx, const char *sql, struct buf *rows, db_rows_fn *on_done,
		void *user)
{
	_cleanup_buf_ struct buf taken = *rows;
	*rows = (struct buf){.limit = taken.limit};
	if (!tx || tx->err)
		return;
	struct db_step *step = step_add(tx, sql, on_done, user);
	if (!step)
		return;
	tx->err = taken.err;
	step->copy = true;
	step->rows = taken;
	taken = (struct buf){0};
}

void db_tx_call(struct db_tx *tx, db_rows_fn *fn, void *user)
{
	if (tx && !tx->err)
		step_add(tx, NULL, fn, user);
}

void db_tx_set(struct db_tx *tx, const char *setting, const char *value)
{
	if (!tx || tx->err)
		return;
	if (tx->setting_count == DB_SETTINGS) {
		tx->err = -E2BIG;
		return;
	}
	tx->settings[tx->setting_count][0] = setting;
	tx->settings[tx->setting_count++][1] = value;
}

void db_tx_limit(struct db_tx *tx, usec_t limit)
{
	if (tx && limit)
		tx->limit = limit;
}

void db_tx_replayable(struct db_tx *tx, void (*on_restart)(void *user), void *user)
{
	if (!tx)
		return;
	tx->replayable = true;
	tx->on_restart = on_restart;
	tx->restart_user = user;
}

int db_tx_submit(struct db_tx *tx, db_end_fn *on_end, void *user)
{
	if (!tx)
		return -ENOMEM;
	struct db *db = tx->db;
	int err = db->closing ? -ESHUTDOWN : tx->err;
	if (err) {
		db_tx_drop(tx);
		return err;
	}
	tx->on_end = on_end;
	tx->user = user;
	tx->last_own = tx->last;
	if (db->queue_last)
		db->queue_last->next = tx;
	else
		db->queue = tx;
	db->queue_last = tx;
	db->queued++;
	db_link_kick(db);
	return 0;
}

int db_query(struct db *db, const char *sql, struct db_params *params, db_rows_fn *on_rows,
	     db_end_fn *on_end, void *user)
{
	struct db_tx *tx = db_tx_new(db, sql);
	if (tx)
		tx->single = true;
	db_tx_query(tx, sql, params, on_rows, user);
	return db_tx_submit(tx, on_end, user);
}

void db_tx_forget(struct db_tx *tx)
{
	tx->forgotten = true;
}

/* Takes the head of the queue out of it. */
struct db_tx *db_pop(struct db *db)
{
	struct db_tx *tx = db->queue;
	if (!tx)
		return NULL;
	db->queue = tx->next;
	if (!db->queue)
		db->queue_last = NULL;
	db->queued--;
	return tx;
}

void db_tx_restart(struct db_tx *tx)
{
	if (tx->last_own) {
		steps_free(tx->last_own->next);
		tx->last_own->next = NULL;
	} else {
		steps_free(tx->steps);
		tx->steps = NULL;
	}
	tx->last = tx->last_own;
	tx->at = NULL;
	tx->err = 0;
	if (tx->told && tx->on_restart && !tx->forgotten)
		tx->on_restart(tx->restart_user);
	tx->told = false;
}

void db_tx_end(struct db_tx *tx)
{
	static const char *const words[] = {
	    [DB_DONE] = "done",
	    [DB_FAILED] = "failed",
	    [DB_UNKNOWN] = "unknown",
	    [DB_LOST] = "lost",
	};
	tx->end.name = tx->name;
	tx->end.closing = tx->db->closing;
	log_debug("%.60s: %s after %.1f ms%s%s", tx->name, words[tx->end.outcome],
		  tx->began ? (double)(clock_mono() - tx->began) / 1e3 : 0.0,
		  tx->end.error.message[0] ? ": " : "", tx->end.error.message);
	if (tx->on_end && !tx->forgotten)
		tx->on_end(tx->user, &tx->end);
	db_tx_drop(tx);
}

bool db_is_up(const struct db *db)
{
	return db->state >= DB_IDLE;
}

size_t db_queued(const struct db *db)
{
	return db->queued;
}

void db_on_state(struct db *db, void (*fn)(void *user, bool up), void *user)
{
	db->on_state = fn;
	db->state_user = user;
}

void db_admit(struct db *db, const char *sql, db_admit_fn *fn, void *user)
{
	db->admit_sql = sql;
	db->admit = fn;
	db->admit_user = user;
}

void db_admit_again(struct db *db)
{
	db->admit_wanted = db_is_up(db);
	db_link_kick(db);
}

static void channel_free(struct db_channel *channel)
{
	free(channel->name);
	free(channel);
}

int db_listen(struct db *db, const char *channel, db_notify_fn *fn, void *user)
{
	struct db_channel *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->name = strdup(channel);
	if (!c->name) {
		free(c);
		return -ENOMEM;
	}
	c->fn = fn;
	c->user = user;
	struct db_channel **end = &db->channels;
	while (*end)
		end = &(*end)->next;
	*end = c;
	db->listen_wanted = true;
	db_link_kick(db);
	return 0;
}

int db_open(struct sd_event *event, const struct db_config *config, struct db **ret,
	    struct why *why)
{
	_cleanup_db_ struct db *db = calloc(1, sizeof(*db));
	if (!db)
		return why_set(why, -ENOMEM, "no memory for a connection");
	int r = conninfo_read(config, &db->info, why);
	if (r < 0)
		return r;
	db->answer_limit = config->answer_limit ? config->answer_limit : 60 * USEC_PER_SEC;
	db->retry_first = config->retry_first ? config->retry_first : 100 * USEC_PER_MSEC;
	db->retry_most = config->retry_most ? config->retry_most : 5 * USEC_PER_SEC;
	db->event = sd_event_ref(event);
	r = db_link_start(db);
	if (r < 0)
		return why_set(why, r, "the database can't be watched: %s", strerror(-r));
	*ret = steal(db);
	return 0;
}

void db_free(struct db *db)
{
	if (!db)
		return;
	db->closing = true;
	db_link_close(db);
	struct db_tx *tx;
	while ((tx = db_pop(db))) {
		tx->end = (struct db_end){.outcome = DB_LOST, .err = -ESHUTDOWN};
		db_tx_end(tx);
	}
	while (db->channels) {
		struct db_channel *next = db->channels->next;
		channel_free(db->channels);
		db->channels = next;
	}
	sd_event_unref(db->event);
	conninfo_free(&db->info);
	free(db);
}
