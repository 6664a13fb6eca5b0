/*
 * What of a mail can be judged and written without asking a server: its commands by what the server
 * offers, and whether it can go to this server at all.
 */
#pragma once

#include "base/buf.h"
#include "send/smtp.h"

/*
 * May it be begun? If not, *ret tells it as the server would have: too big (552 5.3.4), an address
 * that needs SMTPUTF8 (553 5.6.7) or can't be an address (553 5.1.3), a bare CR or LF in the
 * message (554 5.6.0: servers differ about what ends a line, so it could smuggle a second mail).
 */
bool smtp_mail_fits(const struct smtp_mail *mail, const struct smtp_features *features,
		    struct smtp_reply *ret);

void smtp_mail_command(const struct smtp_mail *mail, const struct smtp_features *features,
		       enum smtp_stage stage, struct buf *to); /* MAIL, RCPT, DATA or RSET */

/* Does a line begin with a dot? Our encoder makes none such. */
bool smtp_mail_has_dots(struct str bytes);

/* Appends it with such dots doubled (RFC 5321, 4.5.2). */
void smtp_mail_stuff(struct str bytes, struct buf *to);
