/*
 * Fetching feeds and pages over http and https from the event loop, any number at once: what can't
 * run yet waits its turn. A server may be hostile: the body is bounded after decompression, slow
 * ones and redirects in circles end in an error, and addresses that aren't public are refused at
 * connect time on the real peer, so that neither DNS nor a redirect leads into the own network.
 * Proxies are not used, since they would hide the peer.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/why.h"

enum {
	FETCH_MAX_BYTES = 16 << 20,
	FETCH_MAX_REDIRECTS = 5,
	FETCH_AT_ONCE = 16, /* transfers of one fetcher; the others queue */
};

/* Only url is needed; what is 0 or NULL takes its default. Nothing is kept after fetch_start(). */
struct fetch_request {
	const char *url;
	const char *etag;            /* of the last answer: asks "changed since?" */
	const char *last_modified;   /* the same */
	const char *user_agent;      /* "digestd" */
	const char *accept;          /* feeds first, then anything */
	const char *const *headers;  /* "Name: value" more, ends with NULL */
	size_t max_bytes;            /* FETCH_MAX_BYTES */
	unsigned timeout_ms;         /* in all: 120 s */
	unsigned connect_timeout_ms; /* 20 s */
	unsigned low_speed;          /* slower than these bytes/s (100) ... */
	unsigned low_speed_s;        /* ... for so many seconds (30) is given up */
	bool allow_private;          /* the operator marked this feed as local */
	bool allow_file;             /* file:// too: for an operator's own command only */
};

enum fetch_status {
	FETCH_OK,           /* 2xx, or a file was read */
	FETCH_NOT_MODIFIED, /* 304 */
	FETCH_FAILED,       /* see http_status, err and why */
};

struct fetch_result {
	enum fetch_status status;
	int http_status; /* 0: there was no answer */
	char *url;       /* where the answer came from in the end */
	char *moved_to;  /* the same, when all redirects said "for good" (301, 308); or NULL */
	char *etag, *last_modified, *content_type; /* the answer's; NULL: absent, or not UTF-8 */
	usec_t retry_after; /* how long the server asks to wait; 0: not told */
	struct buf body;
	int err; /* of FETCH_FAILED: -E2BIG, -ETIMEDOUT, -EACCES (address), -ELOOP,
		    -EPROTO (HTTP status), -EIO (anything else), -ENOMEM */
	struct why why;
	struct arena arena; /* holds the strings */
};

void fetch_result_free(struct fetch_result *result);
#define _cleanup_fetch_result_ _cleanup_(fetch_result_free)

struct fetcher;

/*
 * Called once, from the event loop. The result is freed afterwards; buf_steal() takes the body. It
 * may start others, but not close the fetcher.
 */
typedef void fetch_done(struct fetch_result *result, void *user);

int fetcher_open(sd_event *event, struct fetcher **ret); /* -ENOMEM and sd-event's */
void fetcher_close(struct fetcher *fetcher);             /* cancels all, without a word */
DEFINE_CLEANUP(struct fetcher *, fetcher_close);

/* Starts or queues. -EINVAL: no url, or a control character in a header. */
int fetch_start(struct fetcher *fetcher, const struct fetch_request *request, fetch_done *done,
		void *user);

/* Waits for the answer in a loop of its own. 0, whatever the answer is; else as fetch_start(). */
int fetch_now(const struct fetch_request *request, struct fetch_result *ret);
