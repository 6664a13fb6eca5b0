#include "send/smtp_reply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "base/cleanup.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "c.s.d" with one digit, then up to three twice (RFC 3463, 2): its length, or 0. */
static size_t enhanced_length(struct str s)
{
	size_t at = 0;
	for (int part = 0; part < 3; part++) {
		size_t digits = 0, most = part == 0 ? 1 : 3;
		while (at < s.n && digits < most && is_digit(s.p[at])) {
			at++;
			digits++;
		}
		if (!digits)
			return 0;
		if (part < 2 && (at >= s.n || s.p[at++] != '.'))
			return 0;
	}
	return at == s.n || s.p[at] == ' ' || s.p[at] == '\t' ? at : 0;
}

/* Takes the enhanced status off the front of a line's text and keeps the reply's first one. */
static struct str take_enhanced(struct smtp_reply *reply, struct str text)
{
	size_t n = enhanced_length(text);
	if (!n || text.p[0] - '0' != reply->code / 100)
		return text;
	if (!reply->enhanced[0]) {
		memcpy(reply->enhanced, text.p, n);
		reply->enhanced[n] = '\0';
	}
	return str_trim(str_from(text, n));
}

static void append(struct smtp_parser *p, const char *bytes, size_t n)
{
	if (p->text_len + n >= sizeof(p->reply.text)) {
		p->text_len = sizeof(p->reply.text) - 1; /* full: no shorter character slips in */
		return;
	}
	memcpy(p->reply.text + p->text_len, bytes, n);
	p->text_len += n;
	p->reply.text[p->text_len] = '\0';
}

/* Appends foreign text: control characters become blanks, what isn't UTF-8 becomes U+FFFD. */
static void append_foreign(struct smtp_parser *p, struct str text)
{
	while (text.n) {
		utf8proc_int32_t rune;
		utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text.p,
						      (utf8proc_ssize_t)text.n, &rune);
		if (n <= 0) {
			append(p, "\xef\xbf\xbd", 3);
			n = 1;
		} else if (rune < 0x20 || (rune >= 0x7f && rune < 0xa0)) {
			append(p, " ", 1);
		} else {
			append(p, text.p, (size_t)n);
		}
		text = str_from(text, (size_t)n);
	}
}

static void keep_id(struct smtp_reply *reply, const char *from)
{
	size_t n = 0;
	while (*from == ' ' || *from == '<')
		from++;
	while (from[n] > ' ' && from[n] < 0x7f && !strchr("<>()[];,\"", from[n]) &&
	       n + 1 < sizeof(reply->queue_id))
		n++;
	memcpy(reply->queue_id, from, n);
	reply->queue_id[n] = '\0';
}

/* The id under which the server queued it, in the words of the usual servers. */
static void find_queue_id(struct smtp_reply *reply)
{
	static const char *const marks[] = {
	    "queued as ",  /* Postfix */
	    "InternalId=", /* Exchange */
	    "ids=",        /* KumoMTA */
	    "id=",         /* Exim */
	};
	for (size_t i = 0; i < ELEMENTS(marks); i++) {
		const char *found = strcasestr(reply->text, marks[i]);
		if (found) {
			keep_id(reply, found + strlen(marks[i]));
			return;
		}
	}
	const char *blank = strchr(reply->text, ' ');
	if (!blank)
		return;
	if (strncasecmp(blank, " Message accepted", 17) == 0) /* Sendmail */
		keep_id(reply, reply->text);
	else if (strncasecmp(reply->text, "Ok ", 3) == 0 && !strchr(blank + 1, ' ')) /* SES */
		keep_id(reply, blank + 1);
}

/* Takes a line without its end. 1: the reply's last; 0: more follow; -EBADMSG. */
static int take_line(struct smtp_parser *p)
{
	struct str line = {p->line, p->line_len};
	p->line_len = 0;
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !is_digit(line.p[1]) ||
	    !is_digit(line.p[2]) || (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-') ||
	    ++p->lines > SMTP_LINES)
		return -EBADMSG;

	/* Should the codes of its lines differ, the last one's counts. */
	p->reply.code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
	struct str text = take_enhanced(&p->reply, str_trim(str_from(line, 4)));
	if (p->text_len && text.n)
		append(p, " ", 1);
	append_foreign(p, text);
	if (line.n > 3 && line.p[3] == '-')
		return 0;

	if (p->reply.enhanced[0] - '0' != p->reply.code / 100)
		p->reply.enhanced[0] = '\0';
	if (p->reply.code / 100 == 2)
		find_queue_id(&p->reply);
	return 1;
}

static void begin(struct smtp_parser *p)
{
	p->reply.code = 0;
	p->reply.enhanced[0] = p->reply.text[0] = p->reply.queue_id[0] = '\0';
	p->text_len = p->line_len = 0;
	p->lines = 0;
	p->done = false;
}

int smtp_parse(struct smtp_parser *p, struct str *input)
{
	if (p->done && input->n)
		begin(p);
	while (input->n) {
		const char *end = memchr(input->p, '\n', input->n);
		size_t n = end ? (size_t)(end - input->p) : input->n;
		size_t room = sizeof(p->line) - p->line_len, kept = n < room ? n : room;
		memcpy(p->line + p->line_len, input->p, kept);
		p->line_len += kept;
		*input = str_from(*input, end ? n + 1 : n);
		if (!end)
			continue;
		int r = take_line(p);
		if (r != 0) {
			p->done = true;
			return r;
		}
	}
	return 0;
}

bool smtp_parse_pending(const struct smtp_parser *p)
{
	return !p->done && (p->lines || p->line_len);
}

void smtp_reply_make(struct smtp_reply *ret, enum smtp_stage stage, int code, const char *enhanced,
		     const char *format, ...)
{
	*ret = (struct smtp_reply){.stage = stage, .code = code};
	snprintf(ret->enhanced, sizeof(ret->enhanced), "%s", enhanced);
	va_list args;
	va_start(args, format);
	vsnprintf(ret->text, sizeof(ret->text), format, args);
	va_end(args);
}

bool smtp_reply_good(enum smtp_stage stage, int code)
{
	return stage == SMTP_DATA ? code == 354 : code / 100 == 2;
}

const char *smtp_stage_name(enum smtp_stage stage)
{
	static const char *const names[SMTP_STAGES] = {
	    [SMTP_GREETING] = "greeting", [SMTP_EHLO] = "EHLO", [SMTP_STARTTLS] = "STARTTLS",
	    [SMTP_AUTH] = "AUTH",         [SMTP_MAIL] = "MAIL", [SMTP_RCPT] = "RCPT",
	    [SMTP_DATA] = "DATA",         [SMTP_DOT] = "dot",   [SMTP_RSET] = "RSET",
	    [SMTP_QUIT] = "QUIT",
	};
	return names[stage];
}
