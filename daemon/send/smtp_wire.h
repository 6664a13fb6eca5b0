/*
 * The bytes of a session on libcurl's connection: one write under way at a time, and what it had of
 * the final dot. Nothing blocks; epoll is edge-triggered, so both ways go on until -EAGAIN.
 *
 * TLS: a send that said "again" must be repeated with the same pointer and length, and how much of
 * it went out can't be known. So what is pending may not be touched until it is sent.
 */
#pragma once

#include "base/buf.h"
#include "base/curlloop.h"

struct smtp_wire {
	CURL *easy;
	bool tls;
	struct buf out; /* the session's to fill while nothing is pending */
	struct str pending;
	const char *dot; /* in what was put last: its CRLF.CRLF; NULL: none */
	bool tried;      /* a send call had the dot in its buffer */
};

enum smtp_dot { SMTP_DOT_KEPT, SMTP_DOT_MAYBE, SMTP_DOT_SENT }; /* no byte, some perhaps, all */

enum { SMTP_DOT_BYTES = 5 };

/* Begins to write a view, which must not change until it is sent; dot: CRLF.CRLF in it, or NULL. */
void smtp_wire_put(struct smtp_wire *w, struct str view, const char *dot);

/* Goes on writing. 0: all is sent; -EAGAIN; -EPIPE. *ret_moved: some byte was taken. */
int smtp_wire_send(struct smtp_wire *w, bool *ret_moved);

/* The bytes read, 0 at the end of the connection, -EAGAIN, or -EPIPE. */
ssize_t smtp_wire_recv(struct smtp_wire *w, char *to, size_t room);

enum smtp_dot smtp_wire_dot(const struct smtp_wire *w);
