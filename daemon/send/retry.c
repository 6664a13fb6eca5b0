#include "send/retry.h"

#include <errno.h>
#include <sys/random.h>

#include "base/clock.h"

/* How much longer than usual the first wait is. */
static const unsigned bases[REPLY_CLASSES] = {
    [REPLY_ACCEPTED] = 1, [REPLY_GONE] = 1,      [REPLY_REFUSED] = 1,   [REPLY_FULL] = 30,
    [REPLY_POLICY] = 5,   [REPLY_THROTTLED] = 2, [REPLY_TEMPORARY] = 1, [REPLY_RELAY] = 1,
};

static usec_t times(usec_t a, usec_t b, usec_t cap)
{
	usec_t product;
	return __builtin_mul_overflow(a, b, &product) || product > cap ? cap : product;
}

usec_t retry_span(const struct settings_backoff *backoff, enum reply_class class, unsigned tries)
{
	usec_t cap = backoff->cap;
	usec_t span = times(backoff->first, bases[class], cap);
	usec_t factor = backoff->factor > 1 ? (usec_t)backoff->factor : 1;
	for (unsigned i = 1; i < tries && span < cap && factor > 1 && span; i++)
		span = times(span, factor, cap);
	return span;
}

/* Without random bits the clock's low ones must do: jitter needs no secrecy. */
static uint64_t draw(const struct retry_dice *dice)
{
	uint64_t bits;
	if (dice)
		return dice->draw(dice->user);
	while (getrandom(&bits, sizeof(bits), 0) != sizeof(bits))
		if (errno != EINTR)
			return clock_mono() * UINT64_C(0x9e3779b97f4a7c15);
	return bits;
}

usec_t retry_wait(const struct settings_backoff *backoff, enum reply_class class, unsigned tries,
		  const struct retry_dice *dice)
{
	usec_t span = retry_span(backoff, class, tries);
	__extension__ typedef unsigned __int128 wide;
	return (usec_t)(((wide)draw(dice) * ((wide)span + 1)) >> 64);
}

bool retry_next(const struct settings_backoff *backoff, enum reply_class class, unsigned tries,
		usec_t now, usec_t expires_at, const struct retry_dice *dice, usec_t *ret_at)
{
	usec_t at;
	if (__builtin_add_overflow(now, retry_wait(backoff, class, tries, dice), &at) ||
	    at >= expires_at)
		return false;
	*ret_at = at;
	return true;
}
