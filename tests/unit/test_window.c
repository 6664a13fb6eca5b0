/* A window in memory: its rows as libpq brings them, and what becomes of its members. */
#include "failing_alloc.h"

#include <libpq-fe.h>

#include "send/window.h"

enum { READER_COLUMNS = 16, LETTER_COLUMNS = 17, ISSUE = 11, SESSION = 7, N = 3 };

/* In the order of sql/queries/window.sql; NULL is SQL's. */
struct reader_row {
	const char *id;
	const char *topics;
	const char *why_not;
	const char *tries;
	const char *doubts;
	const char *recorded;
	const char *kind;
};

static PGresult *rows_new(int columns)
{
	static char name[] = "column";
	PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc attributes[LETTER_COLUMNS] = {0};
	for (int i = 0; i < columns; i++)
		attributes[i] = (PGresAttDesc){.name = name, .typlen = -1, .atttypmod = -1};
	assert_non_null(rows);
	assert_true(PQsetResultAttrs(rows, columns, attributes));
	return rows;
}

static void put_row(PGresult *rows, int columns, const char *const *values)
{
	int row = PQntuples(rows);
	for (int i = 0; i < columns; i++) {
		char *copy = values[i] ? strdup(values[i]) : NULL;
		assert_true(
		    PQsetvalue(rows, row, i, copy, values[i] ? (int)strlen(values[i]) : -1));
		free(copy);
	}
}

static PGresult *readers(const struct reader_row *given, size_t count)
{
	PGresult *rows = rows_new(READER_COLUMNS);
	for (size_t i = 0; i < count; i++) {
		const struct reader_row *r = &given[i];
		const char *values[READER_COLUMNS] = {
		    "11",
		    r->kind ? r->kind : "fresh",
		    "gmail",
		    r->id,
		    "a@b.c",
		    "2",
		    "Ada",
		    "{\"city\": \"Ulm\"}",
		    "de",
		    r->topics ? r->topics : "{}",
		    "UTC",
		    "5",
		    r->why_not,
		    r->tries ? r->tries : "0",
		    r->doubts ? r->doubts : "0",
		    r->recorded,
		};
		put_row(rows, READER_COLUMNS, values);
	}
	return rows;
}

static struct window *window_of(const struct reader_row *given, size_t count)
{
	PGresult *rows = readers(given, count);
	struct window *w = NULL;
	assert_int_equal(window_read((struct pg_result *)rows, SESSION, N, 1000, &w), 0);
	PQclear(rows);
	window_end_unfit(w);
	return w;
}

static const struct reader_row three[] = {{.id = "30"}, {.id = "10"}, {.id = "20"}};

static void assert_states(const struct window *w, size_t waiting, size_t out, size_t intent,
			  size_t ended, size_t written)
{
	const size_t expected[MEMBER_STATES] = {waiting, out, intent, ended, written};
	assert_memory_equal(w->in_state, expected, sizeof(expected));
}

static void rows_become_members_in_the_order_of_their_ids(void **state)
{
	(void)state;
	struct window *w = window_of(three, 3);
	assert_int_equal(w->session, SESSION);
	assert_int_equal(w->n, N);
	assert_int_equal(w->issue, ISSUE);
	assert_int_equal(w->kind, WINDOW_FRESH);
	assert_string_equal(w->provider, "gmail");
	assert_int_equal(w->taken, 1000);
	assert_int_equal(w->looked, 1000);
	assert_int_equal(w->count, 3);
	assert_states(w, 3, 0, 0, 0, 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(w->members[i].id, 10 * (i + 1));
	struct member *m = window_next(w);
	assert_int_equal(m->subscriber, 10);
	assert_string_equal(m->email, "a@b.c");
	assert_string_equal(m->name, "Ada");
	assert_string_equal(m->attrs, "{\"city\": \"Ulm\"}");
	assert_string_equal(m->lang, "de");
	assert_int_equal(m->address_no, 2);
	assert_int_equal(m->token_gen, 5);
	assert_int_equal(m->topic_count, 0);
	window_free(w);
}

static void tries_topics_and_kind_are_read(void **state)
{
	(void)state;
	const struct reader_row row = {.id = "9223372036854775807",
				       .topics = "{a,\"b c\"}",
				       .tries = "4",
				       .doubts = "1",
				       .kind = "sweep"};
	struct window *w = window_of(&row, 1);
	assert_int_equal(w->kind, WINDOW_SWEEP);
	assert_true(w->members[0].id == INT64_MAX);
	assert_int_equal(w->members[0].tries, 4);
	assert_int_equal(w->members[0].doubts, 1);
	assert_int_equal(w->members[0].topic_count, 2);
	assert_true(str_is(w->members[0].topics[1], "b c"));
	window_free(w);
}

static void a_take_that_found_nobody_is_told(void **state)
{
	(void)state;
	struct window *w = NULL;
	PGresult *rows = rows_new(READER_COLUMNS);
	assert_int_equal(window_read((struct pg_result *)rows, 1, 1, 0, &w), -ENODATA);
	assert_int_equal(window_read_letters((struct pg_result *)rows, 1, 1, 0, &w), -ENODATA);
	const char *moved_on[READER_COLUMNS] = {"11", "fresh", "gmail"};
	put_row(rows, READER_COLUMNS, moved_on);
	assert_int_equal(window_read((struct pg_result *)rows, 1, 1, 0, &w), -ENODATA);
	assert_null(w);
	PQclear(rows);
}

static void an_array_that_is_none_is_refused(void **state)
{
	(void)state;
	const struct reader_row bad[] = {{.id = "1"}, {.id = "2", .topics = "{a"}};
	PGresult *rows = readers(bad, 2);
	struct window *w = NULL;
	assert_int_equal(window_read((struct pg_result *)rows, 1, 1, 0, &w), -EINVAL);
	assert_null(w);
	PQclear(rows);
}

static void who_may_not_be_sent_to_ends_before_anything_starts(void **state)
{
	(void)state;
	const struct reader_row rows[] = {
	    {.id = "1", .why_not = "unsubscribed"}, {.id = "2", .why_not = "expired"}, {.id = "3"}};
	struct window *w = window_of(rows, 3);
	assert_states(w, 1, 0, 0, 2, 0);
	assert_int_equal(w->ended[END_SKIPPED], 1);
	assert_int_equal(w->ended[END_EXPIRED], 1);
	assert_string_equal(window_find(w, 1)->result.reason, "unsubscribed");
	assert_int_equal(window_find(w, 1)->result.ending, END_SKIPPED);
	assert_int_equal(window_find(w, 2)->result.ending, END_EXPIRED);
	assert_false(window_find(w, 1)->result.spent);
	assert_true(window_find(w, 1)->result.at > 0);
	assert_int_equal(window_next(w)->id, 3);
	window_free(w);
}

/* After a crash: what the database has is not written again, whatever may be said of the reader. */
static void what_was_recorded_is_written_and_counted(void **state)
{
	(void)state;
	struct reader_row rows[ENDINGS + 1] = {{.id = "100"}};
	char ids[ENDINGS][8];
	for (int e = 0; e < ENDINGS; e++) {
		snprintf(ids[e], sizeof(ids[e]), "%d", e + 1);
		rows[e + 1] = (struct reader_row){.id = ids[e],
						  .why_not = "unsubscribed",
						  .recorded = ending_name((enum ending)e)};
	}
	struct window *w = window_of(rows, ENDINGS + 1);
	assert_states(w, 1, 0, 0, 0, ENDINGS);
	for (int e = 0; e < ENDINGS; e++) {
		assert_int_equal(w->ended[e], 1);
		assert_int_equal(window_find(w, e + 1)->result.ending, e);
	}
	struct member *m = window_next(w);
	assert_int_equal(m->id, 100);
	window_end(w, window_find(w, 1), &(struct result){.ending = END_REFUSED});
	assert_int_equal(w->ended[END_REFUSED], 1);
	window_enter(w, m, MEMBER_WRITTEN);
	assert_true(window_is_settled(w));
	window_free(w);
}

static void states_are_counted_and_a_member_that_returns_is_next_again(void **state)
{
	(void)state;
	struct window *w = window_of(three, 3);
	struct member *first = window_next(w);
	window_enter(w, first, MEMBER_OUT);
	struct member *second = window_next(w);
	assert_int_equal(second->id, 20);
	window_enter(w, second, MEMBER_OUT);
	window_enter(w, second, MEMBER_INTENT);
	struct member *third = window_next(w);
	assert_int_equal(third->id, 30);
	window_enter(w, third, MEMBER_OUT);
	assert_null(window_next(w));
	assert_states(w, 0, 2, 1, 0, 0);
	window_enter(w, second, MEMBER_WAITING);
	assert_ptr_equal(window_next(w), second);
	window_enter(w, third, MEMBER_WAITING);
	assert_ptr_equal(window_next(w), second);
	window_enter(w, first, MEMBER_WAITING);
	assert_ptr_equal(window_next(w), first);
	assert_states(w, 3, 0, 0, 0, 0);
	window_free(w);
}

static void a_second_end_of_the_same_try_changes_nothing(void **state)
{
	(void)state;
	struct window *w = window_of(three, 3);
	struct member *m = window_next(w);
	char reply[] = "2.0.0 Ok";
	window_enter(w, m, MEMBER_OUT);
	window_end(w, m, &(struct result){.ending = END_DELIVERED, .code = 250, .reply = reply});
	memset(reply, 'x', sizeof(reply) - 1);
	window_end(w, m, &(struct result){.ending = END_IN_DOUBT, .reason = "cut"});
	assert_int_equal(m->result.ending, END_DELIVERED);
	assert_int_equal(m->result.code, 250);
	assert_string_equal(m->result.reply, "2.0.0 Ok");
	assert_null(m->result.reason);
	assert_int_equal(w->ended[END_DELIVERED], 1);
	assert_int_equal(w->ended[END_IN_DOUBT], 0);
	assert_states(w, 2, 0, 0, 1, 0);
	window_enter(w, m, MEMBER_WRITTEN);
	window_end(w, m, &(struct result){.ending = END_REFUSED});
	assert_states(w, 2, 0, 0, 0, 1);
	assert_int_equal(w->ended[END_REFUSED], 0);
	window_free(w);
}

static void a_window_is_settled_when_the_last_is_written(void **state)
{
	(void)state;
	struct window *w = window_of(three, 3);
	for (size_t i = 0; i < w->count; i++) {
		assert_false(window_is_settled(w));
		assert_false(window_has_ended(w));
		window_end(w, &w->members[i], &(struct result){.ending = END_DEFERRED});
		assert_int_equal(window_has_ended(w), i + 1 == w->count);
		assert_false(window_is_settled(w));
		window_enter(w, &w->members[i], MEMBER_WRITTEN);
	}
	assert_true(window_is_settled(w));
	assert_int_equal(w->ended[END_DEFERRED], 3);
	window_free(w);
}

static void members_are_found_by_id_alone(void **state)
{
	(void)state;
	struct window *w = window_of(three, 3);
	assert_int_equal(window_find(w, 20)->id, 20);
	assert_null(window_find(w, 15));
	assert_null(window_find(w, 0));
	assert_null(window_find(w, INT64_MAX));
	window_free(w);
}

/* ---- letters --------------------------------------------------------------------------------- */

static PGresult *letters(void)
{
	PGresult *rows = rows_new(LETTER_COLUMNS);
	const char *confirm[LETTER_COLUMNS] = {"5",     "confirm", "2",
					       "77",    "ada@b.c", "{\"a\": 1}",
					       "1",     "0",       "2026-11-25 00:00:00+00",
					       "Ada",   "{}",      "ur",
					       "plain", "4",       "{\"name\": \"l\"}",
					       NULL,    NULL};
	const char *test[LETTER_COLUMNS] = {
	    "4", "test", "2",  NULL,    "me@b.c", "{}", "0",       "0", "2026-11-25 00:00:00+00",
	    "",  "{}",   "en", "plain", "0",      "{}", "expired", NULL};
	const char *sent[LETTER_COLUMNS] = {"6",     "welcome",  "2",
					    "78",    "z@b.c",    "{}",
					    "0",     "0",        "2026-11-25 00:00:00+00",
					    "",      "{}",       "en",
					    "plain", "1",        "{}",
					    NULL,    "delivered"};
	put_row(rows, LETTER_COLUMNS, confirm);
	put_row(rows, LETTER_COLUMNS, test);
	put_row(rows, LETTER_COLUMNS, sent);
	return rows;
}

static void letters_are_read_with_what_they_are_rendered_from(void **state)
{
	(void)state;
	PGresult *rows = letters();
	struct window *w = NULL;
	assert_int_equal(window_read_letters((struct pg_result *)rows, SESSION, N, 9, &w), 0);
	PQclear(rows);
	assert_states(w, 2, 0, 0, 0, 1);
	window_end_unfit(w);
	assert_int_equal(w->kind, WINDOW_LETTER);
	assert_int_equal(w->issue, 0);
	assert_string_equal(w->provider, "");
	assert_states(w, 1, 0, 0, 1, 1);
	const struct member *m = window_find(w, 5);
	assert_int_equal(m->subscriber, 77);
	assert_int_equal(m->list, 2);
	assert_int_equal(m->tries, 1);
	assert_int_equal(m->token_gen, 4);
	assert_string_equal(m->letter_kind, "confirm");
	assert_string_equal(m->email, "ada@b.c");
	assert_string_equal(m->lang, "ur");
	assert_string_equal(m->theme, "plain");
	assert_string_equal(m->params, "{\"a\": 1}");
	assert_string_equal(m->content, "{\"name\": \"l\"}");
	assert_true(m->expires_at == 1795564800 * USEC_PER_SEC);
	assert_int_equal(window_find(w, 4)->subscriber, 0);
	assert_int_equal(window_find(w, 4)->result.ending, END_EXPIRED);
	assert_int_equal(window_find(w, 6)->result.ending, END_DELIVERED);
	window_free(w);
}

/* ---- without memory -------------------------------------------------------------------------- */

static int read_readers(void *rows)
{
	struct window *w = NULL;
	int r = window_read(rows, SESSION, N, 0, &w);
	assert_true((r == 0) == (w != NULL));
	window_free(w);
	return r;
}

static int read_letters(void *rows)
{
	struct window *w = NULL;
	int r = window_read_letters(rows, SESSION, N, 0, &w);
	assert_true((r == 0) == (w != NULL));
	window_free(w);
	return r;
}

static void each_allocation_of_a_take_may_fail(void **state)
{
	(void)state;
	struct reader_row many[200];
	for (size_t i = 0; i < ELEMENTS(many); i++)
		many[i] = (struct reader_row){.id = "1", .topics = "{ships,fish}"};
	PGresult *rows = readers(many, ELEMENTS(many));
	assert_true(failing_alloc_sweep(read_readers, rows) > 3);
	PQclear(rows);
	rows = rows_new(LETTER_COLUMNS);
	_cleanup_free_ char *content = malloc(10001);
	memset(content, 'x', 10000);
	content[10000] = '\0';
	const char *letter[LETTER_COLUMNS] = {
	    "5", "confirm", "2",  "77",    "a@b.c", "{}",    "1",  "0", "2026-11-25 00:00:00+00",
	    "",  "{}",      "en", "plain", "4",     content, NULL, NULL};
	put_row(rows, LETTER_COLUMNS, letter);
	assert_true(failing_alloc_sweep(read_letters, rows) > 2);
	PQclear(rows);
}

/* The texts of an outcome may be lost for want of memory; the outcome is not. */
static void an_outcome_needs_no_memory(void **state)
{
	(void)state;
	struct window *w = window_of(three, 1);
	_cleanup_free_ char *reply = malloc(100001);
	memset(reply, 'x', 100000);
	reply[100000] = '\0';
	failing_alloc.seen = 0;
	failing_alloc.at = 1;
	failing_alloc.after = true;
	window_end(w, &w->members[0],
		   &(struct result){.ending = END_REFUSED, .code = 550, .reply = reply});
	failing_alloc.at = 0;
	assert_int_equal(w->members[0].result.ending, END_REFUSED);
	assert_int_equal(w->members[0].result.code, 550);
	assert_null(w->members[0].result.reply);
	assert_states(w, 0, 0, 0, 1, 0);
	window_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_become_members_in_the_order_of_their_ids),
	    cmocka_unit_test(tries_topics_and_kind_are_read),
	    cmocka_unit_test(a_take_that_found_nobody_is_told),
	    cmocka_unit_test(an_array_that_is_none_is_refused),
	    cmocka_unit_test(who_may_not_be_sent_to_ends_before_anything_starts),
	    cmocka_unit_test(what_was_recorded_is_written_and_counted),
	    cmocka_unit_test(states_are_counted_and_a_member_that_returns_is_next_again),
	    cmocka_unit_test(a_second_end_of_the_same_try_changes_nothing),
	    cmocka_unit_test(a_window_is_settled_when_the_last_is_written),
	    cmocka_unit_test(members_are_found_by_id_alone),
	    cmocka_unit_test(letters_are_read_with_what_they_are_rendered_from),
	    cmocka_unit_test(each_allocation_of_a_take_may_fail),
	    cmocka_unit_test(an_outcome_needs_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
