#include "send/breaker.h"

bool breaker_would(const struct breaker *b, usec_t now)
{
	switch (b->state) {
	case BREAKER_CLOSED: return true;
	case BREAKER_OPEN: return now >= b->open_until;
	case BREAKER_HALF_OPEN: return !b->probing;
	}
	return false;
}

bool breaker_try(struct breaker *b, usec_t now)
{
	if (!breaker_would(b, now))
		return false;
	if (b->state != BREAKER_CLOSED) {
		b->state = BREAKER_HALF_OPEN;
		b->probing = true;
	}
	return true;
}

bool breaker_fault(struct breaker *b, const struct settings_backoff *backoff, usec_t now,
		   const struct retry_dice *dice)
{
	if (b->state == BREAKER_OPEN)
		return false;
	b->faults++;
	b->state = BREAKER_OPEN;
	b->probing = false;
	b->open_until = now + retry_wait(backoff, REPLY_RELAY, b->faults, dice);
	return true;
}

bool breaker_ok(struct breaker *b)
{
	bool was_closed = b->state == BREAKER_CLOSED;
	/* What began before the trouble and ends well now says nothing about a relay that is out.
	 */
	if (b->state == BREAKER_OPEN)
		return false;
	breaker_close(b);
	return !was_closed;
}

void breaker_open(struct breaker *b, unsigned faults, usec_t until)
{
	*b = (struct breaker){.state = BREAKER_OPEN, .faults = faults, .open_until = until};
}

void breaker_half_open(struct breaker *b)
{
	b->state = BREAKER_HALF_OPEN;
	b->probing = false;
}

void breaker_close(struct breaker *b)
{
	*b = (struct breaker){.state = BREAKER_CLOSED};
}

void breaker_unused(struct breaker *b)
{
	if (b->state == BREAKER_HALF_OPEN)
		b->probing = false;
}

const char *breaker_state_name(enum breaker_state state)
{
	static const char *const names[] = {"closed", "open", "half open"};
	return names[state];
}
