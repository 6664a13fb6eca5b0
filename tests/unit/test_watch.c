/* How an engine watches whether another one lives: only what it saw counts. */
#include "unit.h"

#include "send/outbox_inside.h"

enum { GAP = 15 };

static void what_stands_is_timed_from_when_it_was_seen_first(void **state)
{
	(void)state;
	struct watch w = {0};
	outbox_watch(&w, 1, 7, 100, GAP);
	assert_int_equal(w.since, 100);
	outbox_watch(&w, 1, 7, 110, GAP);
	outbox_watch(&w, 1, 7, 125, GAP);
	assert_int_equal(w.since, 100);
	assert_int_equal(w.seen, 125);
	assert_false(w.moved);
}

static void a_beat_begins_the_time_anew(void **state)
{
	(void)state;
	struct watch w = {0};
	outbox_watch(&w, 1, 7, 100, GAP);
	outbox_watch(&w, 1, 8, 110, GAP);
	assert_int_equal(w.since, 110);
	assert_true(w.moved);
	outbox_watch(&w, 1, 8, 120, GAP);
	assert_int_equal(w.since, 110);
	assert_true(w.moved);
}

static void what_happened_while_nobody_could_look_counts_for_nothing(void **state)
{
	(void)state;
	struct watch w = {0};
	outbox_watch(&w, 1, 7, 100, GAP);
	outbox_watch(&w, 1, 7, 116, GAP);
	assert_int_equal(w.since, 116);
	assert_false(w.moved);
}

static void another_one_is_watched_from_the_start(void **state)
{
	(void)state;
	struct watch w = {0};
	outbox_watch(&w, 1, 7, 100, GAP);
	outbox_watch(&w, 1, 8, 105, GAP);
	outbox_watch(&w, 2, 8, 110, GAP);
	assert_int_equal(w.id, 2);
	assert_int_equal(w.since, 110);
	assert_false(w.moved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_stands_is_timed_from_when_it_was_seen_first),
	    cmocka_unit_test(a_beat_begins_the_time_anew),
	    cmocka_unit_test(what_happened_while_nobody_could_look_counts_for_nothing),
	    cmocka_unit_test(another_one_is_watched_from_the_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
