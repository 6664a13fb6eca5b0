#include "send/recall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_window(const void *a, const void *b)
{
	const struct recall_window *x = a, *y = b;
	if (x->session != y->session)
		return x->session < y->session ? -1 : 1;
	return x->n < y->n ? -1 : x->n > y->n;
}

static bool is_known(const struct recall *r, const struct journal_key *key)
{
	const struct recall_window w = {key->session, key->window};
	return r->known_count &&
	       bsearch(&w, r->known, r->known_count, sizeof(*r->known), by_window);
}

static struct recall_fact *add(struct recall *r, const struct journal_key *key)
{
	if (r->count == r->room) {
		size_t room = r->room ? 2 * r->room : 256;
		struct recall_fact *facts = reallocarray(r->facts, room, sizeof(*facts));
		if (!facts)
			return NULL;
		r->facts = facts;
		r->room = room;
	}
	struct recall_fact *f = &r->facts[r->count];
	*f = (struct recall_fact){.key = *key, .order = r->count++};
	return f;
}

static int on_issue(void *user, int64_t issue, struct str uid)
{
	struct recall *r = user;
	for (size_t i = 0; i < r->uid_count; i++)
		if (r->uids[i].issue == issue && str_is(uid, r->uids[i].uid))
			return 0;
	struct recall_uid *uids = reallocarray(r->uids, r->uid_count + 1, sizeof(*uids));
	const char *copy = uids ? arena_copy(&r->arena, uid) : NULL;
	if (uids)
		r->uids = uids;
	if (!copy)
		return -ENOMEM;
	r->uids[r->uid_count++] = (struct recall_uid){issue, copy};
	return 0;
}

static int on_intent(void *user, const struct journal_intent *intent)
{
	struct recall *r = user;
	if (is_known(r, &intent->key))
		return 0;
	struct recall_fact *f = add(r, &intent->key);
	if (!f)
		return -ENOMEM;
	f->variant = intent->variant;
	f->address_no = intent->address_no;
	f->relay = intent->relay;
	f->at = intent->at;
	return 0;
}

static int keep(struct recall *r, struct str *s)
{
	const char *copy = arena_copy(&r->arena, *s);
	s->p = copy;
	return copy ? 0 : -ENOMEM;
}

static int on_reply(void *user, const struct journal_reply *reply)
{
	struct recall *r = user;
	if (is_known(r, &reply->key))
		return 0;
	struct recall_fact *f = add(r, &reply->key);
	if (!f)
		return -ENOMEM;
	f->answered = true;
	f->relay = reply->relay;
	f->at = reply->at;
	f->code = reply->code;
	f->stage = reply->stage;
	f->enhanced = reply->enhanced;
	f->queue_id = reply->queue_id;
	f->text = reply->text;
	int e = keep(r, &f->enhanced);
	if (e == 0)
		e = keep(r, &f->queue_id);
	return e == 0 ? keep(r, &f->text) : e;
}

static int on_void(void *user, const struct journal_key *key)
{
	struct recall *r = user;
	if (is_known(r, key))
		return 0;
	struct recall_fact *f = add(r, key);
	if (!f)
		return -ENOMEM;
	f->voided = true;
	return 0;
}

static int by_member(const void *a, const void *b)
{
	const struct recall_fact *x = a, *y = b;
	int w = by_window(&(struct recall_window){x->key.session, x->key.window},
			  &(struct recall_window){y->key.session, y->key.window});
	if (w)
		return w;
	if (x->key.subscriber != y->key.subscriber)
		return x->key.subscriber < y->key.subscriber ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Of all records about a member of a window the last one counts; a reply knows what its intent did.
 */
static void fold(struct recall *r)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->count;) {
		struct recall_fact *last = &r->facts[i];
		uint32_t variant = last->variant;
		int32_t address_no = last->address_no;
		size_t next = i + 1;
		for (; next < r->count && r->facts[next].key.session == last->key.session &&
		       r->facts[next].key.window == last->key.window &&
		       r->facts[next].key.subscriber == last->key.subscriber;
		     next++) {
			last = &r->facts[next];
			if (last->answered || last->voided)
				continue;
			variant = last->variant;
			address_no = last->address_no;
		}
		i = next;
		if (last->voided)
			continue;
		struct recall_fact fact = *last;
		fact.variant = variant;
		fact.address_no = address_no;
		r->facts[kept++] = fact;
	}
	r->count = kept;
}

int recall_read(struct recall *r, const struct identity *id, const struct recall_window *known,
		size_t known_count, struct why *why)
{
	*r = (struct recall){.known = known, .known_count = known_count};
	const struct journal_reader reader = {.user = r,
					      .issue = on_issue,
					      .intent = on_intent,
					      .reply = on_reply,
					      .voided = on_void};
	struct journal_state state;
	int e = journal_replay(id->dir, id->engine, id->boot, 0, &reader, &state, why);
	if (e < 0)
		return e;
	if (r->count)
		qsort(r->facts, r->count, sizeof(*r->facts), by_member);
	fold(r);
	return 0;
}

size_t recall_next(struct recall *r, const struct recall_fact **ret)
{
	size_t n = 0;
	const struct recall_fact *first = r->facts + r->at;
	while (r->at + n < r->count && first[n].key.session == first->key.session &&
	       first[n].key.window == first->key.window)
		n++;
	*ret = first;
	r->at += n;
	return n;
}

const char *recall_uid(const struct recall *r, int64_t issue)
{
	for (size_t i = r->uid_count; i > 0; i--)
		if (r->uids[i - 1].issue == issue)
			return r->uids[i - 1].uid;
	return NULL;
}

void recall_free(struct recall *r)
{
	arena_free(&r->arena);
	free(r->facts);
	free(r->uids);
	*r = (struct recall){0};
}
