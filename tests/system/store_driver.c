/*
 * Drives daemon/store for the system tests.
 *
 *	store_driver init ADMIN DATABASE
 *	store_driver migrate|status CONNINFO [FILE...]	FILEs in place of the embedded migrations
 *	store_driver waiting CONNINFO		what sync.h offers, once
 *	store_driver loop CONNINFO [LIMIT_MS]	the asynchronous connection, told by standard input
 *
 * The loop reads one command a line:
 *
 *	tx NAME / set SETTING VALUE / limit MS / replayable
 *	step SQL		a query; its rows are printed
 *	quiet SQL		a query without a callback
 *	then SQL		a query that the callback of the last step adds
 *	call			a step without a statement
 *	refuse			the callback of the last step returns an error
 *	copy SQL | ROW | ROW	a COPY of these rows (\t is a tab)
 *	big SQL BYTES		a COPY of that many bytes in rows of 1 kB
 *	submit / forget
 *	query SQL / listen CHANNEL / quit
 *	wait			at the end of input, until all has ended
 *
 * and prints what happens, one line each: "rows NAME a|b", "end NAME OUTCOME SQLSTATE ERR STEP",
 * "state up", "notify CHANNEL PAYLOAD", "restart NAME".
 */
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/log.h"
#include "store/copyrow.h"
#include "store/db.h"
#include "store/init.h"
#include "store/migrate.h"

struct item {
	struct item *next;
	struct loop *loop;
	struct db_tx *tx;
	char *name, *sql, *then;
	bool refuse;
};

struct loop {
	struct db *db;
	sd_event *event;
	struct item *items; /* all that was made, freed at the end */
	struct db_tx *tx;   /* being built */
	struct item *head;  /* of tx: its name */
	struct item *last;  /* step of it */
	struct buf input;
	bool waits; /* for what is queued, when the input ends */
};

/*
 * Every allocation of daemon/ goes through these (see DRIVER_LDFLAGS_store_driver in the Makefile):
 * the one with the number $DRIVER_FAIL_AT fails, when the loop runs. This file's own don't count.
 */
void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *old, size_t n);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *old, size_t n);
char *__wrap_strdup(const char *text);

/*
 * With $DRIVER_LATE_ROOM every other PQflush() says that something remains when all is written, as
 * if the socket had made room right after.
 */
int __real_PQflush(PGconn *conn);
int __wrap_PQflush(PGconn *conn);

static bool late_room;

int __wrap_PQflush(PGconn *conn)
{
	static bool odd;
	int r = __real_PQflush(conn);
	odd = !odd;
	return r == 0 && late_room && odd ? 1 : r;
}

static long allocations, fail_at, spared;

static bool fails(void)
{
	return fail_at && !spared && ++allocations == fail_at;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
	return fails() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *old, size_t n)
{
	return fails() ? NULL : __real_realloc(old, n);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

static struct item *item_new(struct loop *loop, const char *name, const char *sql)
{
	spared++;
	struct item *item = calloc(1, sizeof(*item));
	if (!item)
		abort();
	item->loop = loop;
	item->name = strdup(name);
	item->sql = strdup(sql);
	item->next = loop->items;
	loop->items = item;
	spared--;
	return item;
}

static void items_free(struct item *item)
{
	while (item) {
		struct item *next = item->next;
		free(item->name);
		free(item->sql);
		free(item->then);
		free(item);
		item = next;
	}
}

static int on_rows(struct db_tx *tx, const struct pg_result *res, void *user)
{
	struct item *item = user;
	if (!res)
		printf("called %s\n", item->name);
	for (int row = 0; res && row < db_rows(res); row++) {
		printf("rows %s ", item->name);
		for (int column = 0; column < db_columns(res); column++)
			printf("%s%.60s", column ? "|" : "", db_str(res, row, column).p);
		printf("\n");
	}
	if (res && db_columns(res) == 0)
		printf("affected %s %ld\n", item->name, (long)db_affected(res));
	if (item->then)
		db_tx_query(tx, item->then, NULL, on_rows, item_new(item->loop, item->name, ""));
	return item->refuse ? -ENOANO : 0;
}

static void on_end(void *user, const struct db_end *end)
{
	static const char *const words[] = {"done", "failed", "unknown", "lost"};
	struct item *item = user;
	printf("end %s %s %s %s%s%s%s %.40s\n", item->name, words[end->outcome],
	       end->error.sqlstate[0] ? end->error.sqlstate : "-",
	       end->err ? strerrorname_np(-end->err) : "-",
	       end->unreplicated ? " unreplicated" : "", end->left ? " left" : "",
	       end->closing ? " closing" : "", end->step ? end->step : "-");
	if (item->loop->waits && db_queued(item->loop->db) == 0)
		sd_event_exit(item->loop->event, 0);
}

static void on_restart(void *user)
{
	printf("restart %s\n", ((struct item *)user)->name);
}

static void on_state(void *user, bool up)
{
	(void)user;
	printf("state %s\n", up ? "up" : "away");
}

static void on_notify(void *user, const char *channel, const char *payload)
{
	(void)user;
	printf("notify %s %s\n", channel, payload ? payload : "(look)");
}

/* "SQL | ROW | ROW" */
static void copy(struct loop *loop, char *text)
{
	_cleanup_buf_ struct buf rows = {0};
	char *row = strtok(text, "|");
	struct item *item = item_new(loop, loop->head->name, row);
	while ((row = strtok(NULL, "|"))) {
		for (row += *row == ' '; *row; row++) {
			bool tab = row[0] == '\\' && row[1] == 't';
			buf_addc(&rows, tab ? '\t' : *row);
			row += tab;
		}
		while (rows.len && rows.data[rows.len - 1] == ' ')
			buf_truncate(&rows, rows.len - 1);
		buf_addc(&rows, '\n');
	}
	db_tx_copy(loop->tx, item->sql, &rows, on_rows, item);
}

static void big(struct loop *loop, char *text)
{
	_cleanup_buf_ struct buf rows = {0};
	char *bytes = strrchr(text, ' ');
	*bytes++ = '\0';
	for (size_t left = strtoul(bytes, NULL, 10); left >= 1000; left -= 1000) {
		for (int i = 0; i < 999; i++)
			buf_addc(&rows, 'x');
		buf_addc(&rows, '\n');
	}
	struct item *item = item_new(loop, loop->head->name, text);
	db_tx_copy(loop->tx, item->sql, &rows, on_rows, item);
}

static void build(struct loop *loop, const char *word, char *rest)
{
	if (strcmp(word, "tx") == 0) {
		loop->head = item_new(loop, rest, "");
		loop->head->tx = loop->tx = db_tx_new(loop->db, loop->head->name);
	} else if (strcmp(word, "set") == 0) {
		char *value = strchr(rest, ' ');
		*value++ = '\0';
		struct item *item = item_new(loop, rest, value);
		db_tx_set(loop->tx, item->name, item->sql);
	} else if (strcmp(word, "limit") == 0) {
		db_tx_limit(loop->tx, strtoul(rest, NULL, 10) * USEC_PER_MSEC);
	} else if (strcmp(word, "replayable") == 0) {
		db_tx_replayable(loop->tx, on_restart, loop->head);
	} else if (strcmp(word, "step") == 0) {
		loop->last = item_new(loop, loop->head->name, rest);
		db_tx_query(loop->tx, loop->last->sql, NULL, on_rows, loop->last);
	} else if (strcmp(word, "quiet") == 0) {
		struct item *item = item_new(loop, loop->head->name, rest);
		db_tx_query(loop->tx, item->sql, NULL, NULL, NULL);
	} else if (strcmp(word, "call") == 0) {
		loop->last = item_new(loop, loop->head->name, "");
		db_tx_call(loop->tx, on_rows, loop->last);
	} else if (strcmp(word, "then") == 0) {
		loop->last->then = __real_strdup(rest);
	} else if (strcmp(word, "refuse") == 0) {
		loop->last->refuse = true;
	} else if (strcmp(word, "copy") == 0) {
		copy(loop, rest);
	} else if (strcmp(word, "big") == 0) {
		big(loop, rest);
	} else {
		fprintf(stderr, "no command %s\n", word);
		exit(2);
	}
}

static void command(struct loop *loop, char *line)
{
	char *rest = strchr(line, ' ');
	if (rest)
		*rest++ = '\0';
	else
		rest = line + strlen(line);
	int r = 0;
	if (strcmp(line, "submit") == 0) {
		r = db_tx_submit(loop->tx, on_end, loop->head);
		if (r < 0)
			printf("refused %s %s\n", loop->head->name, strerrorname_np(-r));
	} else if (strcmp(line, "forget") == 0) {
		db_tx_forget(loop->tx);
	} else if (strcmp(line, "query") == 0) {
		struct item *item = item_new(loop, "query", rest);
		db_query(loop->db, item->sql, NULL, on_rows, on_end, item);
	} else if (strcmp(line, "listen") == 0) {
		db_listen(loop->db, rest, on_notify, loop);
	} else if (strcmp(line, "queued") == 0) {
		printf("queued %zu\n", db_queued(loop->db));
	} else if (strcmp(line, "wait") == 0) {
		loop->waits = true;
	} else if (strcmp(line, "quit") == 0) {
		sd_event_exit(loop->event, 0);
	} else {
		build(loop, line, rest);
	}
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	(void)revents;
	struct loop *loop = user;
	char bytes[4096];
	ssize_t n = read(fd, bytes, sizeof(bytes));
	if (n <= 0 && loop->waits && db_queued(loop->db))
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	if (n <= 0)
		return sd_event_exit(loop->event, 0);
	spared++;
	buf_add(&loop->input, bytes, (size_t)n);
	spared--;
	char *end;
	while (loop->input.len && (end = memchr(loop->input.data, '\n', loop->input.len))) {
		*end = '\0';
		size_t used = (size_t)(end - loop->input.data) + 1;
		command(loop, loop->input.data);
		buf_drop(&loop->input, used);
	}
	return 0;
}

static int run_loop(int argc, char **argv)
{
	struct loop loop = {0};
	struct why why;
	struct db_config config = {
	    .conninfo = argv[2],
	    .application = "store_driver",
	    .answer_limit = argc > 3 ? strtoul(argv[3], NULL, 10) * USEC_PER_MSEC : 0,
	    .retry_first = 20 * USEC_PER_MSEC,
	    .retry_most = 200 * USEC_PER_MSEC,
	};
	late_room = getenv("DRIVER_LATE_ROOM");
	fail_at = getenv("DRIVER_FAIL_AT") ? strtol(getenv("DRIVER_FAIL_AT"), NULL, 10) : 0;
	if (sd_event_new(&loop.event) < 0)
		return 1;
	if (db_open(loop.event, &config, &loop.db, &why) < 0) {
		fprintf(stderr, "%s\n", why.text);
		sd_event_unref(loop.event);
		return 1;
	}
	db_on_state(loop.db, on_state, NULL);
	sd_event_add_io(loop.event, NULL, STDIN_FILENO, EPOLLIN, on_input, &loop);
	int r = sd_event_loop(loop.event);
	db_free(loop.db);
	items_free(loop.items);
	buf_free(&loop.input);
	sd_event_unref(loop.event);
	if (fail_at)
		printf("allocations %ld\n", allocations);
	printf("bye\n");
	return r;
}

/* Files in place of the embedded ones; they stay for the life of the program. */
static const struct embedded_file *read_files(int argc, char **argv, struct arena *arena)
{
	if (argc <= 3)
		return embedded_files;
	int count = argc - 3;
	struct embedded_file *files = arena_array(arena, (size_t)count + 1, sizeof(*files));
	for (int i = 0; i < count; i++) {
		_cleanup_fclose_ FILE *file = fopen(argv[3 + i], "r");
		if (!file)
			exit(2);
		char *text = arena_alloc(arena, 65536);
		size_t n = fread(text, 1, 65535, file);
		const char *slash = strrchr(argv[3 + i], '/');
		files[i].name =
		    arena_printf(arena, "sql/migrations/%s", slash ? slash + 1 : argv[3 + i]);
		files[i].start = text;
		files[i].end = text + n;
	}
	return files;
}

static void on_migrated(void *user, const struct migration *m)
{
	(void)user;
	printf("applied %04d %s\n", m->number, m->name);
}

static int status(struct pg *pg, const struct embedded_file *files, struct arena *arena,
		  struct why *why)
{
	static const char *const words[] = {"pending", "applied", "changed", "unknown", "missed"};
	struct migration *list;
	size_t count;
	int r = migrate_status(pg, files, arena, &list, &count, why);
	for (size_t i = 0; r == 0 && i < count; i++)
		printf("%s %04d %s %s\n", words[list[i].state], list[i].number, list[i].name,
		       list[i].applied_at ? "dated" : "-");
	return r;
}

struct copying {
	int rows, stop_at;
};

static int produce(void *user, struct buf *rows)
{
	struct copying *c = user;
	for (int i = 0; i < 1000 && c->rows < 2500; i++) {
		copyrow_int64(rows, ++c->rows);
		copyrow_text(rows, "x");
		copyrow_end(rows);
	}
	if (c->stop_at && c->rows >= c->stop_at)
		return -EINTR;
	return c->rows < 2500;
}

static int copy_rows(struct pg *pg, struct why *why)
{
	struct copying in = {0}, stopped = {.stop_at = 2000};
	int64_t count;
	int r = sync_copy_in(pg, "COPY t FROM STDIN", produce, &in, &count, why);
	if (r < 0)
		return r;
	printf("copied in %d\n", (int)count);
	r = sync_copy_in(pg, "COPY t FROM STDIN", produce, &stopped, &count, why);
	printf("stopped %s\n", strerrorname_np(-r));
	r = sync_copy_in(pg, "COPY t TO STDOUT", produce, &in, &count, NULL);
	printf("the wrong way %s\n", strerrorname_np(-r));
	return 0;
}

/* The waiting connection, once through all that it can do. */
static int waiting(struct pg *pg, struct why *why)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL, *left = NULL;
	char text[CLOCK_TEXT];
	params_int64(&p, 7);
	params_texts(&p, (struct str[]){STR("eins"), STR("zwei")}, 2);
	params_usec(&p, UINT64_C(1774746000000001));
	int r = sync_query(pg, "SELECT $1::int, ($2::text[])[2], $3::timestamptz", &p, &res, why);
	if (r < 0)
		return r;
	printf("query %d %s %s\n", db_int(res, 0, 0), db_text(res, 0, 1),
	       clock_text(db_usec(res, 0, 2), text));
	r = sync_script(pg, "CREATE TABLE t (a int, b text); SELECT 1", why);
	if (r == 0)
		r = copy_rows(pg, why);
	if (r == 0)
		r = sync_query(pg, "SELECT count(*) FROM t", NULL, &left, why);
	if (r < 0)
		return r;
	printf("still %d\n", db_int(left, 0, 0));
	sync_query(pg, "SELECT * FROM nothing", NULL, NULL, NULL);
	printf("refused %s\n", sync_error(pg)->sqlstate);
	sync_begin(pg, NULL);
	sync_copy_in(pg, "COPY t FRUM STDIN", produce, NULL, NULL, NULL);
	printf("nested %s\n", sync_error(pg)->sqlstate);
	r = sync_commit(pg, NULL);
	printf("commit of a failed transaction %s\n", strerrorname_np(-r));
	return 0;
}

static int run_sync(int argc, char **argv)
{
	struct why why = {""};
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_sync_ struct pg *pg = NULL;
	struct db_config config = {.conninfo = argv[2], .application = "store_driver"};
	int r;
	if (strcmp(argv[1], "init") == 0) {
		struct init_options options = {
		    .admin = config, .database = argv[3], .files = embedded_files};
		r = init_database(&options, &why);
	} else {
		const struct embedded_file *files = read_files(argc, argv, &arena);
		r = sync_open(&config, &pg, &why);
		if (r == 0 && strcmp(argv[1], "status") == 0)
			r = status(pg, files, &arena, &why);
		else if (r == 0 && strcmp(argv[1], "waiting") == 0)
			r = waiting(pg, &why);
		else if (r == 0)
			r = migrate_run(pg, files, NULL, on_migrated, NULL, NULL, &why);
	}
	if (r < 0)
		fprintf(stderr, "%s: %s\n", strerrorname_np(-r), why.text);
	return r < 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_init("store_driver");
	if (argc < 3)
		return 2;
	return strcmp(argv[1], "loop") == 0 ? run_loop(argc, argv) : run_sync(argc, argv);
}
