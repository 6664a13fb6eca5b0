#include "send/smtp_mail.h"

#include <inttypes.h>
#include <string.h>

enum { ADDRESS = 320 }; /* bytes: a local part of 64, @, a domain of 255 (RFC 5321, 4.5.3.1) */

static bool beyond_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

/* What would end the command or the path; a quoted local part may hold blanks and more. */
static bool is_path(struct str s)
{
	bool quoted = false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 0x20 || c == 0x7f)
			return false;
		if (quoted && c == '\\' && i + 1 < s.n)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '<' || c == '>' || c == ' '))
			return false;
	}
	return !quoted && s.n <= ADDRESS;
}

static bool needs_utf8(const struct smtp_mail *mail)
{
	return mail->utf8 || beyond_ascii(mail->to) || beyond_ascii(mail->from);
}

static bool has_bare_ends(struct str s)
{
	const char *end = s.p + s.n;
	for (const char *at = s.p; (at = memchr(at, '\n', (size_t)(end - at))); at++)
		if (at == s.p || at[-1] != '\r')
			return true;
	for (const char *at = s.p; (at = memchr(at, '\r', (size_t)(end - at))); at++)
		if (at + 1 == end || at[1] != '\n')
			return true;
	return false;
}

bool smtp_mail_fits(const struct smtp_mail *mail, const struct smtp_features *features,
		    struct smtp_reply *ret)
{
	if (features->size_limit && mail->bytes.n > features->size_limit)
		smtp_reply_make(ret, SMTP_MAIL, 552, "5.3.4",
				"Message of %zu bytes exceeds the relay's limit of %" PRIu64,
				mail->bytes.n, features->size_limit);
	else if (!mail->to.n || !is_path(mail->to) || !is_path(mail->from))
		smtp_reply_make(ret, SMTP_RCPT, 553, "5.1.3", "Not an address");
	else if (needs_utf8(mail) && !features->smtputf8)
		smtp_reply_make(ret, SMTP_RCPT, 553, "5.6.7",
				"The address needs SMTPUTF8, which the relay doesn't offer");
	else if (has_bare_ends(mail->bytes))
		smtp_reply_make(ret, SMTP_DATA, 554, "5.6.0",
				"The message has a bare CR or LF and wasn't sent");
	else
		return true;
	return false;
}

void smtp_mail_command(const struct smtp_mail *mail, const struct smtp_features *features,
		       enum smtp_stage stage, struct buf *to)
{
	switch (stage) {
	case SMTP_MAIL:
		buf_adds(to, "MAIL FROM:<");
		buf_addstr(to, mail->from);
		buf_addc(to, '>');
		if (features->size)
			buf_printf(to, " SIZE=%zu", mail->bytes.n);
		if (features->eightbit)
			buf_adds(to, " BODY=8BITMIME");
		if (needs_utf8(mail))
			buf_adds(to, " SMTPUTF8");
		break;
	case SMTP_RCPT:
		buf_adds(to, "RCPT TO:<");
		buf_addstr(to, mail->to);
		buf_addc(to, '>');
		break;
	case SMTP_DATA: buf_adds(to, "DATA"); break;
	default: buf_adds(to, "RSET"); break;
	}
	buf_adds(to, "\r\n");
}

bool smtp_mail_has_dots(struct str bytes)
{
	return bytes.n && (bytes.p[0] == '.' || memmem(bytes.p, bytes.n, "\n.", 2));
}

void smtp_mail_stuff(struct str bytes, struct buf *to)
{
	bool line_begins = true;
	while (bytes.n) {
		const char *end = memchr(bytes.p, '\n', bytes.n);
		size_t n = end ? (size_t)(end - bytes.p) + 1 : bytes.n;
		if (line_begins && bytes.p[0] == '.')
			buf_addc(to, '.');
		buf_add(to, bytes.p, n);
		line_begins = end != NULL;
		bytes = str_from(bytes, n);
	}
}
