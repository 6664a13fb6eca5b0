/*
 * Replies of SMTP servers: put together from bytes as they come (RFC 5321, 4.2), split over packets
 * or not, of one line or many. What a server says is foreign text: it is bounded, becomes one line
 * of valid UTF-8 without control characters, and never makes this code fail.
 *
 * The caller owns the parser ({0} at first); its `reply` is valid until the next feed. No memory is
 * allocated.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum smtp_stage { /* what a reply answers */
		  SMTP_GREETING,
		  SMTP_EHLO,
		  SMTP_STARTTLS,
		  SMTP_AUTH,
		  SMTP_MAIL,
		  SMTP_RCPT,
		  SMTP_DATA,
		  SMTP_DOT,
		  SMTP_RSET,
		  SMTP_QUIT,
		  SMTP_STAGES
};

enum {
	SMTP_ENHANCED = 12, /* "5.123.123" */
	SMTP_TEXT = 512,
	SMTP_QUEUE_ID = 64,
	SMTP_LINE = 1024, /* of a longer reply line the rest is dropped */
	SMTP_LINES = 1000 /* a reply of more lines than that is none */
};

struct smtp_reply {
	enum smtp_stage stage;
	int code;
	char enhanced[SMTP_ENHANCED]; /* RFC 3463: "5.1.1"; "": none, or of another class than code
				       */
	char text[SMTP_TEXT];         /* its lines, joined by blanks, without codes */
	char queue_id[SMTP_QUEUE_ID]; /* picked out of a 2xx text; "": none found */
};

struct smtp_parser {
	struct smtp_reply reply; /* complete after smtp_parse() said 1 */
	size_t text_len;
	size_t line_len;
	int lines;
	bool done; /* the reply was given out: the next byte begins another */
	char line[SMTP_LINE];
};

/*
 * Takes bytes off the front of *input. 1: parser->reply is complete, what follows is left in
 * *input; 0: all was taken, more must come; -EBADMSG: this is no reply (nothing more can be read).
 * The reply's stage is the caller's to set.
 */
int smtp_parse(struct smtp_parser *p, struct str *input);

/* Is part of a reply in it? */
bool smtp_parse_pending(const struct smtp_parser *p);

/* A reply of our own making, for what is refused before a server is asked. */
void smtp_reply_make(struct smtp_reply *ret, enum smtp_stage stage, int code, const char *enhanced,
		     const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Did the command succeed? 354 for DATA, 2xx for others (RFC 5321, 4.3.2). */
bool smtp_reply_good(enum smtp_stage stage, int code);

const char *smtp_stage_name(enum smtp_stage stage); /* "greeting", "MAIL", "dot" ... */
