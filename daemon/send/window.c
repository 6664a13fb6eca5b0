#include "send/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/rows.h"

static const char *const kind_names[] = {"fresh", "retry", "sweep", "letter"};
static const char *const ending_names[] = {"delivered", "refused",  "expired",
					   "skipped",   "in_doubt", "deferred"};

const char *window_kind_name(enum window_kind kind)
{
	return kind_names[kind];
}

const char *ending_name(enum ending ending)
{
	return ending_names[ending];
}

static enum window_kind kind_of(const char *name)
{
	for (int i = 0; i < (int)ELEMENTS(kind_names); i++)
		if (name && strcmp(name, kind_names[i]) == 0)
			return (enum window_kind)i;
	return WINDOW_FRESH;
}

/* A column's text in the arena; NULL for SQL's NULL, and on a lack of memory (*failed). */
static const char *keep(struct window *w, const struct pg_result *rows, int row, int column,
			bool *failed)
{
	if (db_is_null(rows, row, column))
		return NULL;
	const char *copy = arena_copy(&w->arena, db_str(rows, row, column));
	if (!copy)
		*failed = true;
	return copy;
}

static struct window *window_new(int32_t session, int32_t n, usec_t now, int rows)
{
	struct window *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	*w = (struct window){
	    .session = session, .n = n, .taken = now, .looked = now, .date = clock_now()};
	w->members = arena_array(&w->arena, (size_t)rows + 1, sizeof(*w->members));
	if (!w->members) {
		window_free(w);
		return NULL;
	}
	return w;
}

static void end_recorded(struct window *w, struct member *m, const char *recorded)
{
	for (int e = 0; recorded && e < ENDINGS; e++)
		if (strcmp(recorded, ending_names[e]) == 0) {
			w->ended[e]++;
			m->result.ending = (enum ending)e;
			window_enter(w, m, MEMBER_WRITTEN);
			return;
		}
}

void window_end_unfit(struct window *w)
{
	for (size_t i = 0; i < w->count; i++) {
		struct member *m = &w->members[i];
		if (m->state != MEMBER_WAITING || !m->withdrawn)
			continue;
		window_end(
		    w, m,
		    &(struct result){
			.ending = strcmp(m->withdrawn, "expired") == 0 ? END_EXPIRED : END_SKIPPED,
			.at = clock_now(),
			.reason = m->withdrawn,
		    });
	}
}

static int by_id(const void *a, const void *b)
{
	int64_t x = ((const struct member *)a)->id, y = ((const struct member *)b)->id;
	return x < y ? -1 : x > y;
}

/* All members wait, but for those that were recorded already; then they can be found by id. */
static void admit(struct window *w, const struct pg_result *rows, int recorded)
{
	w->count = w->in_state[MEMBER_WAITING] = (size_t)db_rows(rows);
	for (int row = 0; row < db_rows(rows); row++)
		end_recorded(w, &w->members[row], db_text(rows, row, recorded));
	qsort(w->members, w->count, sizeof(*w->members), by_id);
}

/* The columns of a take, in the order in which the statements name them. */
enum {
	R_ISSUE,
	R_KIND,
	R_PROVIDER,
	R_ID,
	R_EMAIL,
	R_ADDRESS_NO,
	R_NAME,
	R_ATTRS,
	R_LANG,
	R_TOPICS,
	R_ZONE,
	R_TOKEN_GEN,
	R_WHY_NOT,
	R_TRIES,
	R_DOUBTS,
	R_RECORDED
};

static int read_reader(struct window *w, const struct pg_result *rows, int row, struct member *m)
{
	bool failed = false;
	*m = (struct member){
	    .id = db_int64(rows, row, R_ID),
	    .subscriber = db_int64(rows, row, R_ID),
	    .email = keep(w, rows, row, R_EMAIL, &failed),
	    .name = keep(w, rows, row, R_NAME, &failed),
	    .attrs = keep(w, rows, row, R_ATTRS, &failed),
	    .lang = keep(w, rows, row, R_LANG, &failed),
	    .address_no = db_int(rows, row, R_ADDRESS_NO),
	    .token_gen = db_int(rows, row, R_TOKEN_GEN),
	    .withdrawn = keep(w, rows, row, R_WHY_NOT, &failed),
	    .tries = db_int(rows, row, R_TRIES),
	    .doubts = db_int(rows, row, R_DOUBTS),
	};
	int r = db_texts(rows, row, R_TOPICS, &w->arena, &m->topics, &m->topic_count);
	return r < 0 ? r : failed ? -ENOMEM : 0;
}

int window_read(const struct pg_result *rows, int32_t session, int32_t n, usec_t now,
		struct window **ret)
{
	int count = db_rows(rows);
	if (count == 0 || db_is_null(rows, 0, R_ID))
		return -ENODATA;
	struct window *w = window_new(session, n, now, count);
	if (!w)
		return -ENOMEM;
	bool failed = false;
	w->issue = db_int64(rows, 0, R_ISSUE);
	w->kind = kind_of(db_text(rows, 0, R_KIND));
	w->provider = keep(w, rows, 0, R_PROVIDER, &failed);
	int r = failed ? -ENOMEM : 0;
	for (int row = 0; r == 0 && row < count; row++)
		r = read_reader(w, rows, row, &w->members[row]);
	if (r < 0) {
		window_free(w);
		return r;
	}
	admit(w, rows, R_RECORDED);
	*ret = w;
	return 0;
}

enum {
	L_ID,
	L_KIND,
	L_LIST,
	L_SUBSCRIBER,
	L_ADDRESS,
	L_PARAMS,
	L_TRIES,
	L_DOUBTS,
	L_EXPIRES,
	L_NAME,
	L_ATTRS,
	L_LANG,
	L_THEME,
	L_TOKEN_GEN,
	L_CONTENT,
	L_WHY_NOT,
	L_RECORDED
};

static int read_letter(struct window *w, const struct pg_result *rows, int row, struct member *m)
{
	bool failed = false;
	*m = (struct member){
	    .id = db_int64(rows, row, L_ID),
	    .subscriber = db_int64(rows, row, L_SUBSCRIBER),
	    .email = keep(w, rows, row, L_ADDRESS, &failed),
	    .name = keep(w, rows, row, L_NAME, &failed),
	    .attrs = keep(w, rows, row, L_ATTRS, &failed),
	    .lang = keep(w, rows, row, L_LANG, &failed),
	    .token_gen = db_int(rows, row, L_TOKEN_GEN),
	    .withdrawn = keep(w, rows, row, L_WHY_NOT, &failed),
	    .tries = db_int(rows, row, L_TRIES),
	    .doubts = db_int(rows, row, L_DOUBTS),
	    .letter_kind = keep(w, rows, row, L_KIND, &failed),
	    .list = db_int(rows, row, L_LIST),
	    .theme = keep(w, rows, row, L_THEME, &failed),
	    .params = keep(w, rows, row, L_PARAMS, &failed),
	    .content = keep(w, rows, row, L_CONTENT, &failed),
	    .expires_at = db_usec(rows, row, L_EXPIRES),
	};
	return failed ? -ENOMEM : 0;
}

int window_read_letters(const struct pg_result *rows, int32_t session, int32_t n, usec_t now,
			struct window **ret)
{
	int count = db_rows(rows);
	if (count == 0)
		return -ENODATA;
	struct window *w = window_new(session, n, now, count);
	if (!w)
		return -ENOMEM;
	w->kind = WINDOW_LETTER;
	w->provider = "";
	int r = 0;
	for (int row = 0; r == 0 && row < count; row++)
		r = read_letter(w, rows, row, &w->members[row]);
	if (r < 0) {
		window_free(w);
		return r;
	}
	admit(w, rows, L_RECORDED);
	*ret = w;
	return 0;
}

void window_free(struct window *w)
{
	if (!w)
		return;
	arena_free(&w->arena);
	free(w);
}

void windows_free(struct window **list)
{
	while (*list) {
		struct window *next = (*list)->next;
		window_free(*list);
		*list = next;
	}
}

struct member *window_next(struct window *w)
{
	for (; w->first_waiting < w->count; w->first_waiting++)
		if (w->members[w->first_waiting].state == MEMBER_WAITING)
			return &w->members[w->first_waiting];
	return NULL;
}

void window_enter(struct window *w, struct member *m, enum member_state state)
{
	w->in_state[m->state]--;
	w->in_state[state]++;
	m->state = state;
	size_t at = (size_t)(m - w->members);
	if (state == MEMBER_WAITING && at < w->first_waiting)
		w->first_waiting = at;
}

void window_end(struct window *w, struct member *m, const struct result *result)
{
	if (m->state >= MEMBER_ENDED)
		return;
	m->result = *result;
	/* A text that finds no memory is left out: the outcome itself is never lost. */
	m->result.enhanced = arena_strdup(&w->arena, result->enhanced);
	m->result.reason = arena_strdup(&w->arena, result->reason);
	m->result.reply = arena_strdup(&w->arena, result->reply);
	m->result.queue_id = arena_strdup(&w->arena, result->queue_id);
	w->ended[result->ending]++;
	window_enter(w, m, MEMBER_ENDED);
}

struct member *window_find(struct window *w, int64_t id)
{
	struct member key = {.id = id};
	return bsearch(&key, w->members, w->count, sizeof(*w->members), by_id);
}

bool window_has_ended(const struct window *w)
{
	return w->in_state[MEMBER_ENDED] + w->in_state[MEMBER_WRITTEN] == w->count;
}

bool window_is_settled(const struct window *w)
{
	return w->in_state[MEMBER_WRITTEN] == w->count;
}
