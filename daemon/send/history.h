/*
 * What an engine remembers of its database, in the file "history" of its state directory: which
 * server that was (system identifier and timeline), which history of it (its mark, see
 * sql/migrations/0012_servers.sql), and the last turn of its session that was acknowledged. By the
 * first it refuses a returned old primary and a wrong database; by the others it notices that a
 * history has lost something.
 *
 * To make an engine accept another server, remove the file while the engine is stopped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "send/identity.h"

struct history {
	int dir;        /* the state directory */
	int64_t system; /* 0: none is known */
	int32_t timeline;
	char mark[UUID_TEXT];    /* "": none */
	char session[UUID_TEXT]; /* "": none */
	int64_t turn;
	int64_t met_system; /* the newest that a session of this process began in */
	int32_t met_timeline;
	int64_t refused_system; /* what was told to the operator last */
	int32_t refused_timeline;
};

/* Reads the file. One that isn't there or can't be understood is as if nothing were known. */
void history_open(struct history *s, int dir);

/*
 * Whether the engine may work with that server: 0, or -EXDEV with the reason, which is logged once
 * for each server. A higher timeline is fine: a standby was promoted.
 */
int history_admit(struct history *s, int64_t system, int32_t timeline, struct why *why);

/* A session began there, and may have to be told much before it is remembered. */
void history_met(struct history *s, int64_t system, int32_t timeline);

/* From now on it is this server and this history of it; outlives a power loss. -errno. */
int history_remember(struct history *s, int64_t system, int32_t timeline, const char *mark);

/* A session's turn was acknowledged; outlives the process. -errno. */
int history_acknowledged(struct history *s, const char *session, int64_t turn);
