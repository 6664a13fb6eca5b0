/*
 * An SMTP session: one connection to a relay, from the look-up of its name to QUIT. It hands mails
 * over one after another, a round trip each where the server takes PIPELINING (RFC 2920), and tells
 * its owner what became of each. It knows no queue and no database, only its owner's callbacks.
 *
 * What happens to a mail. `next` gives it to the session, whose it is until exactly one of these:
 *   returned  unstarted: the session ended before it was the mail's turn. Costs the reader nothing.
 *   outcome   a complete reply settled it: accepted, or refused at MAIL, RCPT, DATA or the dot.
 *   voided    after `intent`, but no byte of the dot left: unstarted, without doubt.
 *   doubt     after `intent`, and no complete reply came: it may have been delivered.
 * `intent` is called before the first send call whose buffer holds any byte of the mail's final
 * CRLF.CRLF. voided and doubt only come after it; returned then only if it said no. The dot of one
 * mail and the commands of the next go out in one write.
 *
 * Callbacks may call any function here but smtp_free(), which only `closed` may. The struct
 * smtp_mail and its bytes stay the owner's and must not change while the session has them. The
 * target, its strings and the events must outlive the session. In the steady state no memory is
 * allocated.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/curlloop.h"
#include "base/str.h"
#include "send/smtp_reply.h"

struct smtp;

enum smtp_tls {
	SMTP_TLS_REQUIRED, /* STARTTLS or no session */
	SMTP_TLS_ALLOWED, /* STARTTLS when offered; with a user it is required all the same, so that
			   * nobody between can have the password by hiding the offer */
	SMTP_TLS_NONE,
	SMTP_TLS_IMPLICIT, /* from the first byte */
};

struct smtp_limits {    /* how long things may take; RFC 5321, 4.5.3.2, is smtp_limits_rfc */
	usec_t connect; /* until logged in */
	usec_t reply;   /* to MAIL, RCPT, RSET */
	usec_t data;    /* to DATA */
	usec_t block;   /* a write that doesn't move */
	usec_t dot;     /* to the final dot */
	usec_t idle;    /* without work before QUIT */
	usec_t quit;    /* to QUIT */
	usec_t tcp;     /* TCP_USER_TIMEOUT: data that nobody acknowledges */
};

extern const struct smtp_limits smtp_limits_rfc;

struct smtp_target {
	const char *host; /* a name or an address, IPv6 without brackets */
	int port;
	enum smtp_tls tls;
	bool insecure;        /* certificates are not verified */
	const char *ca_file;  /* NULL or "": the system's */
	const char *user;     /* NULL or "": no AUTH */
	const char *password; /* NULL or "": empty */
	const char *ehlo;     /* NULL or "": the name of this host */
	unsigned messages;    /* a connection at most; 0: no limit */
	struct smtp_limits limits;
};

struct smtp_features { /* of the last EHLO */
	bool pipelining, eightbit, smtputf8, chunking, enhanced, starttls, auth;
	bool size;
	uint64_t size_limit; /* 0: none told */
};

struct smtp_mail {
	struct str from; /* reverse-path without <>; empty for <> */
	struct str to;
	struct str bytes; /* the message: lines end in CRLF, dots not stuffed */
	bool utf8;        /* its header needs SMTPUTF8 (RFC 6531); addresses are looked at here */
	void *user;
};

enum smtp_end {                    /* why a session ended, or a mail was returned or is in doubt */
		SMTP_END_ORDERLY,  /* QUIT, or either side closed what lay idle */
		SMTP_END_MESSAGES, /* as many as one connection may carry */
		SMTP_END_CONNECT,  /* name or connection */
		SMTP_END_TLS,      /* not offered, refused, or a certificate that isn't good */
		SMTP_END_AUTH,     /* not offered or refused */
		SMTP_END_REFUSED,  /* a reply that is the relay's trouble: 421, 554 as greeting ...
				    */
		SMTP_END_CUT,
		SMTP_END_TIMEOUT,
		SMTP_END_PROTOCOL, /* what came is no SMTP, or not in this order */
		SMTP_END_WITHHELD, /* intent() or still() said no */
		SMTP_END_ABORTED,  /* smtp_abort() */
		SMTP_END_MEMORY,
		SMTP_ENDS
};

struct smtp_events {
	/* Connected and logged in; `next` is asked right after. May be NULL. */
	void (*ready)(struct smtp *s);

	/* The mail to begin now, or NULL: then the session waits for smtp_wake(). */
	const struct smtp_mail *(*next)(struct smtp *s);

	/* Negative: don't send it. The connection is cut before the dot, the mail is returned. */
	int (*intent)(struct smtp *s, const struct smtp_mail *mail);

	/*
	 * After intent(), before each write as long as the dot hasn't left whole: the process may
	 * have stood still since. Negative: the connection is cut, the mail is voided, or in doubt
	 * when a part of the dot may have left. May be NULL.
	 */
	int (*still)(struct smtp *s, const struct smtp_mail *mail);

	void (*returned)(struct smtp *s, const struct smtp_mail *mail, enum smtp_end why);
	void (*outcome)(struct smtp *s, const struct smtp_mail *mail,
			const struct smtp_reply *reply);
	void (*voided)(struct smtp *s, const struct smtp_mail *mail, enum smtp_end why);
	void (*doubt)(struct smtp *s, const struct smtp_mail *mail, enum smtp_end why);

	/* Something that should not be; `reply` may be NULL. May be NULL. */
	void (*anomaly)(struct smtp *s, const char *what, const struct smtp_reply *reply);

	/* The last call. `reply` (code 0: none) and `text` tell more. smtp_free() is allowed. */
	void (*closed)(struct smtp *s, enum smtp_end why, const struct smtp_reply *reply,
		       const char *text);
};

/* Begins to connect. -ENOMEM, -EINVAL (host or port can't be), or what sd-event says. */
int smtp_open(struct curl_loop *loop, const struct smtp_target *target,
	      const struct smtp_events *events, void *user, struct smtp **ret);

/* There is work: an idle session asks `next`. */
void smtp_wake(struct smtp *s);

/* No new mails; QUIT after those that it has. While it connects it just ends. */
void smtp_close(struct smtp *s);

/* Cuts the connection now; mails are told of, then `closed`. */
void smtp_abort(struct smtp *s);

/* Ends what hasn't ended (as smtp_abort) and frees. NULL is fine. */
void smtp_free(struct smtp *s);

void *smtp_user(const struct smtp *s);
bool smtp_idle(const struct smtp *s);         /* logged in, and waiting for work */
bool smtp_connecting(const struct smtp *s);   /* not logged in yet */
bool smtp_ahead(const struct smtp *s);        /* what `next` gives waits for another's reply */
bool smtp_secure(const struct smtp *s);       /* TLS is on */
unsigned smtp_messages(const struct smtp *s); /* bodies begun on this connection */
const struct smtp_features *smtp_features(const struct smtp *s);
const char *smtp_end_name(enum smtp_end why); /* "orderly", "TLS", "cut" ... */
