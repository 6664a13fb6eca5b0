#include "send/smtp_wire.h"

#include <errno.h>

#include "base/faultpoint.h"

void smtp_wire_put(struct smtp_wire *w, struct str view, const char *dot)
{
	w->pending = view;
	w->dot = dot;
	w->tried = false;
}

int smtp_wire_send(struct smtp_wire *w, bool *ret_moved)
{
	while (w->pending.n) {
		size_t n = 0;
		if (w->dot)
			w->tried = true;
		size_t most = w->pending.n;
		FAULT_POINT_IF(w->dot, "smtp-dot-before");
		if (w->dot && w->pending.p <= w->dot && FAULT_ARMED("smtp-dot-half"))
			most = (size_t)(w->dot + SMTP_DOT_BYTES / 2 - w->pending.p);
		CURLcode code = curl_easy_send(w->easy, w->pending.p, most, &n);
		if (code == CURLE_AGAIN || (code == CURLE_OK && !n))
			return -EAGAIN;
		if (code != CURLE_OK)
			return -EPIPE;
		*ret_moved = true;
		w->pending = str_from(w->pending, n);
		FAULT_POINT_IF(w->dot && smtp_wire_dot(w) == SMTP_DOT_MAYBE, "smtp-dot-half");
		FAULT_POINT_IF(w->dot && smtp_wire_dot(w) == SMTP_DOT_SENT, "smtp-dot-sent");
	}
	return 0;
}

ssize_t smtp_wire_recv(struct smtp_wire *w, char *to, size_t room)
{
	size_t n = 0;
	CURLcode code = curl_easy_recv(w->easy, to, room, &n);
	if (code == CURLE_OK)
		return (ssize_t)n;
	return code == CURLE_AGAIN ? -EAGAIN : -EPIPE;
}

enum smtp_dot smtp_wire_dot(const struct smtp_wire *w)
{
	if (!w->dot)
		return SMTP_DOT_KEPT;
	if (w->pending.p >= w->dot + SMTP_DOT_BYTES)
		return SMTP_DOT_SENT;
	/* Without TLS the kernel took exactly what is no longer pending. */
	bool some = w->tls ? w->tried : w->pending.p > w->dot;
	return some ? SMTP_DOT_MAYBE : SMTP_DOT_KEPT;
}
