/* When to try again, how fast, and when to leave a relay alone. */
#include "unit.h"

#include <stdbool.h>

#include "base/cleanup.h"
#include "send/breaker.h"
#include "send/pace.h"
#include "send/retry.h"

#define SEC USEC_PER_SEC

static const struct settings_backoff backoff = {
    .first = 60 * SEC, .factor = 2, .cap = 4 * 3600 * SEC};

static uint64_t fixed(void *user)
{
	return *(const uint64_t *)user;
}

static uint64_t lowest = 0, highest = UINT64_MAX, middle = UINT64_C(1) << 63;
static const struct retry_dice low = {fixed, &lowest}, high = {fixed, &highest},
			       half = {fixed, &middle};

static void waits_double_up_to_the_cap(void **state)
{
	(void)state;
	assert_int_equal(retry_span(&backoff, REPLY_TEMPORARY, 1), 60 * SEC);
	assert_int_equal(retry_span(&backoff, REPLY_TEMPORARY, 2), 120 * SEC);
	assert_int_equal(retry_span(&backoff, REPLY_TEMPORARY, 5), 960 * SEC);
	assert_int_equal(retry_span(&backoff, REPLY_TEMPORARY, 9), 4 * 3600 * SEC);
	assert_int_equal(retry_span(&backoff, REPLY_TEMPORARY, UINT32_MAX), 4 * 3600 * SEC);
}

static void a_full_mailbox_waits_longest(void **state)
{
	(void)state;
	assert_int_equal(retry_span(&backoff, REPLY_FULL, 1), 1800 * SEC);
	assert_int_equal(retry_span(&backoff, REPLY_POLICY, 1), 300 * SEC);
	assert_int_equal(retry_span(&backoff, REPLY_FULL, 99), 4 * 3600 * SEC);
}

static void jitter_spans_all_from_nothing_to_the_whole_wait(void **state)
{
	(void)state;
	assert_int_equal(retry_wait(&backoff, REPLY_TEMPORARY, 1, &low), 0);
	assert_int_equal(retry_wait(&backoff, REPLY_TEMPORARY, 1, &half), 30 * SEC);
	assert_int_equal(retry_wait(&backoff, REPLY_TEMPORARY, 1, &high), 60 * SEC);
	usec_t least = UINT64_MAX, most = 0;
	for (int i = 0; i < 2000; i++) {
		usec_t wait = retry_wait(&backoff, REPLY_TEMPORARY, 1, NULL);
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
	}
	assert_in_range(least, 0, 2 * SEC);
	assert_in_range(most, 58 * SEC, 60 * SEC);
}

static void odd_settings_do_no_harm(void **state)
{
	(void)state;
	struct settings_backoff odd = {.first = UINT64_MAX / 2, .factor = 7, .cap = UINT64_MAX};
	assert_int_equal(retry_span(&odd, REPLY_FULL, 40), UINT64_MAX);
	assert_true(retry_wait(&odd, REPLY_FULL, 40, &high) == UINT64_MAX);
	usec_t at = 1;
	assert_false(retry_next(&odd, REPLY_FULL, 40, 5, UINT64_MAX, &high, &at));
	assert_int_equal(at, 1);
	odd = (struct settings_backoff){.first = 0, .factor = 0, .cap = 9};
	assert_int_equal(retry_span(&odd, REPLY_TEMPORARY, UINT32_MAX), 0);
}

static void no_try_at_or_after_the_expiry(void **state)
{
	(void)state;
	usec_t at = 0, now = 1000 * SEC;
	assert_true(retry_next(&backoff, REPLY_TEMPORARY, 1, now, now + 61 * SEC, &high, &at));
	assert_int_equal(at, now + 60 * SEC);
	assert_false(retry_next(&backoff, REPLY_TEMPORARY, 1, now, now + 60 * SEC, &high, &at));
	assert_false(retry_next(&backoff, REPLY_TEMPORARY, 1, now, now, &low, &at));
}

static void a_pace_lets_a_burst_go_and_then_its_rate(void **state)
{
	(void)state;
	struct pace pace = {0};
	pace_set(&pace, 10, 5);
	usec_t now = 77 * SEC;
	int gone = 0;
	while (pace_take(&pace, now))
		gone++;
	assert_int_equal(gone, 5);
	assert_int_equal(pace_due(&pace, now), now + SEC / 10);
	for (int i = 0; i < 1000; i++) {
		now = pace_due(&pace, now);
		assert_true(pace_take(&pace, now));
		assert_false(pace_take(&pace, now));
	}
	assert_in_range(now, 177 * SEC - 2, 177 * SEC + 2000);
}

static void a_rest_saves_up_a_burst_at_most(void **state)
{
	(void)state;
	struct pace pace = {0};
	pace_set(&pace, 10, 3);
	assert_true(pace_take(&pace, SEC));
	int gone = 0;
	while (pace_take(&pace, 1000 * SEC))
		gone++;
	assert_int_equal(gone, 3);
	pace_give_back(&pace);
	assert_true(pace_take(&pace, 1000 * SEC));
	assert_false(pace_take(&pace, 1000 * SEC));
}

static void no_rate_is_no_limit(void **state)
{
	(void)state;
	struct pace pace = {0};
	pace_set(&pace, 0, 0);
	for (int i = 0; i < 1000; i++)
		assert_true(pace_take(&pace, 1));
	assert_int_equal(pace_due(&pace, 1), 1);
	pace_set(&pace, 0.5, 0);
	assert_true(pace_take(&pace, SEC));
	assert_int_equal(pace_due(&pace, SEC), 3 * SEC);
}

static void a_breaker_opens_and_lets_one_probe_through(void **state)
{
	(void)state;
	struct breaker b = {0};
	assert_true(breaker_try(&b, 1));
	assert_true(breaker_fault(&b, &backoff, 10 * SEC, &high));
	assert_int_equal(b.open_until, 70 * SEC);
	assert_false(breaker_fault(&b, &backoff, 11 * SEC, &high)); /* one of the same moment */
	assert_false(breaker_ok(&b)); /* one from before the trouble */
	assert_false(breaker_try(&b, 69 * SEC));
	assert_true(breaker_try(&b, 70 * SEC));
	assert_false(breaker_try(&b, 71 * SEC));
	breaker_unused(&b);
	assert_true(breaker_would(&b, 71 * SEC));
	assert_true(breaker_try(&b, 71 * SEC));
	assert_true(breaker_ok(&b));
	assert_true(breaker_try(&b, 71 * SEC));
	assert_false(breaker_ok(&b));
}

static void a_probe_that_fails_opens_it_for_longer(void **state)
{
	(void)state;
	struct breaker b = {0};
	usec_t now = 0;
	for (unsigned i = 0; i < 4; i++) {
		assert_true(breaker_try(&b, now));
		assert_true(breaker_fault(&b, &backoff, now, &high));
		assert_int_equal(b.open_until - now, 60 * SEC << i);
		now = b.open_until;
	}
	assert_true(breaker_try(&b, now));
	breaker_ok(&b);
	assert_true(breaker_fault(&b, &backoff, now, &high));
	assert_int_equal(b.open_until - now, 60 * SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(waits_double_up_to_the_cap),
	    cmocka_unit_test(a_full_mailbox_waits_longest),
	    cmocka_unit_test(jitter_spans_all_from_nothing_to_the_whole_wait),
	    cmocka_unit_test(odd_settings_do_no_harm),
	    cmocka_unit_test(no_try_at_or_after_the_expiry),
	    cmocka_unit_test(a_pace_lets_a_burst_go_and_then_its_rate),
	    cmocka_unit_test(a_rest_saves_up_a_burst_at_most),
	    cmocka_unit_test(no_rate_is_no_limit),
	    cmocka_unit_test(a_breaker_opens_and_lets_one_probe_through),
	    cmocka_unit_test(a_probe_that_fails_opens_it_for_longer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
