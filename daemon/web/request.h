/*
 * One HTTP request within libmicrohttpd: takes the body in, goes through its visit, waits for
 * PostgreSQL with the connection suspended, and queues the answer with the headers that every
 * answer has. A request that PostgreSQL doesn't answer in time is answered with 503.
 */
#pragma once

#include <microhttpd.h>
#include <systemd/sd-event.h>

#include "web/pool.h"
#include "web/visit.h"

struct request;

struct request_parts {
	sd_event *event;
	struct pool *pool;
	const struct site *site;
	/* Called when a suspended request may go on. */
	void (*resumed)(void *user);
	void *user;
};

struct request *request_new(const struct request_parts *parts, struct MHD_Connection *connection);
void request_free(struct request *r);

/*
 * MHD_AccessHandlerCallback, with the request instead of its closures. *ret_answered is set once
 * an answer was queued.
 */
enum MHD_Result request_handle(struct request *r, const char *url, const char *method,
			       const char *data, size_t *data_size, bool *ret_answered);

/* Whether it waits for PostgreSQL; request_give_up() answers it with 503 now. */
bool request_waits(const struct request *r);
void request_give_up(struct request *r);
