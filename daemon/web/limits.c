#include "web/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/sha256.h"

/*
 * A count-min sketch: each key has one counter in each row, by a keyed hash, and its count is the
 * least of them. Two sketches stand for the running span and for the one before it, of which the
 * part is counted that lies within the last whole span.
 */
enum { ROWS = 4, COLUMNS = 1 << 14 };

enum what { CLIENT, NETWORK, ALL, WHATS };

struct sketch {
	uint32_t counts[WHATS][ROWS][COLUMNS];
};

struct limits {
	uint8_t key[32];
	usec_t started; /* of the running span */
	struct sketch *now, *before;
};

int limits_new(struct limits **ret)
{
	struct limits *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->now = calloc(1, sizeof(*l->now));
	l->before = calloc(1, sizeof(*l->before));
	int r = !l->now || !l->before ? -ENOMEM : 0;
	if (r == 0 && getrandom(l->key, sizeof(l->key), 0) != sizeof(l->key))
		r = -errno;
	if (r < 0)
		limits_free(l);
	else
		*ret = l;
	return r;
}

void limits_free(struct limits *l)
{
	if (!l)
		return;
	free(l->now);
	free(l->before);
	free(l);
}

static void turn(struct limits *l, usec_t span, usec_t now)
{
	if (l->started && now - l->started < span)
		return;
	bool adjoins = l->started && now - l->started < 2 * span;
	struct sketch *old = l->before;
	l->before = l->now;
	l->now = old;
	memset(l->now, 0, sizeof(*l->now));
	if (!adjoins)
		memset(l->before, 0, sizeof(*l->before));
	l->started = adjoins ? l->started + span : now;
}

/* Counts one more of a kind, unless that makes more than `most`, or there is no memory to count. */
static bool count(struct limits *l, enum what what, const struct client *key, int most,
		  double share_before)
{
	struct {
		uint8_t key[32];
		uint32_t what;
		struct client client;
	} input;
	uint32_t hash[SHA256_BYTES / sizeof(uint32_t)];
	memset(&input, 0, sizeof(input));
	memcpy(input.key, l->key, sizeof(input.key));
	input.what = what;
	input.client = *key;
	const struct str bytes = {(const char *)&input, sizeof(input)};
	if (sha256_bytes(&bytes, 1, (uint8_t *)hash) < 0)
		return false;

	uint32_t least = UINT32_MAX, before = UINT32_MAX;
	for (size_t row = 0; row < ROWS; row++) {
		uint32_t a = l->now->counts[what][row][hash[row] % COLUMNS];
		uint32_t b = l->before->counts[what][row][hash[row] % COLUMNS];
		least = a < least ? a : least;
		before = b < before ? b : before;
	}
	if ((double)least + share_before * (double)before + 1 > (double)most)
		return false;
	for (size_t row = 0; row < ROWS; row++)
		l->now->counts[what][row][hash[row] % COLUMNS]++;
	return true;
}

bool limits_join(struct limits *l, const struct settings_web *web, const struct client *client,
		 usec_t now)
{
	struct client one = *client, network = *client, all = {0};
	bool six = client->family == AF_INET6;
	client_cut(&one, six ? 64 : 128);
	client_cut(&network, six ? 48 : 24);
	turn(l, web->joins_span, now);
	double share = 1 - (double)(now - l->started) / (double)web->joins_span;
	return count(l, CLIENT, &one, web->joins_per_client, share) &&
	       count(l, NETWORK, &network, web->joins_per_network, share) &&
	       count(l, ALL, &all, web->joins_total, share);
}
