/*
 * What an engine does that learns that its session was taken for dead: it stood still, or was cut
 * off from the database, for longer than its beat allows, and others may have gone on with its
 * lanes.
 *
 * Nothing is handed over from that moment; it hadn't been since `stop_after` either. What is on the
 * wire is waited for, as long as `drain` says, and then cut, which leaves it in doubt. All that was
 * answered is recorded: facts are accepted from anyone. Then the engine begins a new session in the
 * same process, and settles what its windows still have open from its journal, as after a restart:
 * who wasn't handed over is sent to now, unless others closed the window meanwhile.
 */
#include <string.h>

#include "base/log.h"
#include "send/ledger.h"
#include "send/outbox_inside.h"

static size_t count_out(const struct outbox *o)
{
	size_t n = 0;
	for (int kind = 0; kind < WINDOW_KINDS; kind++)
		n += o->out[kind];
	return n;
}

void outbox_fence(struct outbox *o)
{
	if (o->dead)
		return;
	o->dead = true;
	log_error(
	    "this session was taken for dead by another engine: nothing is sent until it has a "
	    "new one");
	if (o->state == OUTBOX_RUNNING)
		outbox_enter(o, OUTBOX_FENCED);
}

void outbox_fence_cut(struct outbox *o)
{
	log_warning("%zu mails are still without an answer and are cut", count_out(o));
	relay_pool_cut(o->relays);
	outbox_turn_soon(o, 0);
}

void outbox_fence_check(struct outbox *o)
{
	if (o->state != OUTBOX_FENCED || o->turning || count_out(o) || ledger_backlog(o->windows))
		return;
	windows_free(&o->windows);
	/* Issues are told to the new journal as they are loaded again. */
	rendering_drop_issues(o->rendering);
	outbox_ask(o);
	outbox_enter(o, OUTBOX_WAITING);
	if (db_is_up(o->parts.db))
		outbox_enter(o, OUTBOX_BEGINNING);
}
