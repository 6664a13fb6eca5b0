/* What the journals know of windows that the database doesn't: the last word about each member. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>

#include "send/recall.h"
#include "tempdir.h"

static const int64_t ISSUE = 202611000001;

struct place {
	struct tempdir temp;
	struct identity id;
	struct journal *journal;
};

static int make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	assert_non_null(p);
	tempdir_make(&p->temp);
	p->id.dir = open(p->temp.path, O_RDONLY | O_DIRECTORY);
	assert_true(p->id.dir >= 0);
	snprintf(p->id.engine, UUID_TEXT, "11111111-2222-4333-8444-555555555555");
	snprintf(p->id.boot, UUID_TEXT, "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee");
	struct why why;
	assert_int_equal(journal_open(p->id.dir, p->id.engine, p->id.boot, 7, &p->journal, &why),
			 0);
	assert_int_equal(journal_issue(p->journal, ISSUE, "news.daily.2026-11-24"), 0);
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;
	journal_close(p->journal);
	tempdir_remove(&p->temp);
	close(p->id.dir);
	free(p);
	return 0;
}

static struct journal_key key(int32_t window, int64_t reader)
{
	return (struct journal_key){ISSUE, reader, 7, window, 1};
}

static void intend(struct place *p, int32_t window, int64_t reader, uint32_t variant)
{
	struct journal_intent intent = {
	    .key = key(window, reader), .variant = variant, .address_no = 2, .relay = 5, .at = 10};
	assert_int_equal(journal_intent(p->journal, &intent), 0);
}

static void answer(struct place *p, int32_t window, int64_t reader)
{
	struct journal_reply reply = {.key = key(window, reader),
				      .relay = 5,
				      .code = 250,
				      .at = 20,
				      .queue_id = STR("ABC"),
				      .text = STR("Ok")};
	assert_int_equal(journal_reply(p->journal, &reply), 0);
}

static void withdraw(struct place *p, int32_t window, int64_t reader)
{
	struct journal_key k = key(window, reader);
	assert_int_equal(journal_void(p->journal, &k), 0);
}

static void read_back(struct place *p, struct recall *r, const struct recall_window *known,
		      size_t n)
{
	struct why why;
	assert_int_equal(journal_flush(p->journal), 0);
	assert_int_equal(recall_read(r, &p->id, known, n, &why), 0);
}

static void a_reply_knows_what_its_intent_did(void **state)
{
	struct place *p = *state;
	intend(p, 1, 100, 42);
	intend(p, 1, 99, 43);
	answer(p, 1, 100);
	struct recall r;
	read_back(p, &r, NULL, 0);
	const struct recall_fact *facts;
	assert_int_equal(recall_next(&r, &facts), 2);
	assert_int_equal(facts[0].key.subscriber, 99);
	assert_false(facts[0].answered);
	assert_int_equal(facts[1].key.subscriber, 100);
	assert_true(facts[1].answered);
	assert_int_equal(facts[1].variant, 42);
	assert_int_equal(facts[1].address_no, 2);
	assert_int_equal(facts[1].code, 250);
	assert_int_equal(facts[1].at, 20);
	assert_true(str_is(facts[1].queue_id, "ABC"));
	assert_int_equal(recall_next(&r, &facts), 0);
	assert_string_equal(recall_uid(&r, ISSUE), "news.daily.2026-11-24");
	recall_free(&r);
}

static void what_never_went_is_no_fact(void **state)
{
	struct place *p = *state;
	intend(p, 1, 100, 42);
	withdraw(p, 1, 100);
	intend(p, 1, 101, 42);
	withdraw(p, 1, 101);
	intend(p, 1, 101, 44);
	struct recall r;
	read_back(p, &r, NULL, 0);
	const struct recall_fact *facts;
	assert_int_equal(recall_next(&r, &facts), 1);
	assert_int_equal(facts[0].key.subscriber, 101);
	assert_int_equal(facts[0].variant, 44);
	assert_false(facts[0].answered || facts[0].voided);
	recall_free(&r);
}

static void windows_that_are_known_are_left_out_and_the_others_come_in_order(void **state)
{
	struct place *p = *state;
	for (int32_t window = 4; window > 0; window--) {
		intend(p, window, 100 + window, 1);
		answer(p, window, 100 + window);
	}
	const struct recall_window known[] = {{7, 1}, {7, 3}};
	struct recall r;
	read_back(p, &r, known, ELEMENTS(known));
	const struct recall_fact *facts;
	assert_int_equal(recall_next(&r, &facts), 1);
	assert_int_equal(facts[0].key.window, 2);
	assert_int_equal(recall_next(&r, &facts), 1);
	assert_int_equal(facts[0].key.window, 4);
	assert_int_equal(recall_next(&r, &facts), 0);
	recall_free(&r);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)
	const struct CMUnitTest tests[] = {
	    IN_PLACE(a_reply_knows_what_its_intent_did),
	    IN_PLACE(what_never_went_is_no_fact),
	    IN_PLACE(windows_that_are_known_are_left_out_and_the_others_come_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
