#include "send/reply.h"

#include <string.h>

#include "base/cleanup.h"

enum {
	LOGIN = 1 << SMTP_GREETING | 1 << SMTP_EHLO | 1 << SMTP_STARTTLS | 1 << SMTP_AUTH,
	MAIL = 1 << SMTP_MAIL,
	RCPT = 1 << SMTP_RCPT,
	DATA = 1 << SMTP_DATA,
	DOT = 1 << SMTP_DOT,
	RSET = 1 << SMTP_RSET,
	READER = RCPT | DATA | DOT, /* what answers these speaks of the reader */
	ANY = -1,

	ALL = 999 /* any detail of an enhanced status */
};

enum final { AGAIN, NEVER, BY_CODE /* never when it is 5xx */ };

/*
 * Read from the top, the first row that fits decides. `subject` 0 means: whatever the enhanced
 * status is, or none.
 */
static const struct row {
	int stages;
	int code, code_to;
	int subject, detail, detail_to;
	enum reply_class class;
	enum final final;
	const char *why;
} table[] = {
    /* Before a mail was named nothing speaks of a reader. */
    {LOGIN, 200, 599, 0, 0, 0, REPLY_RELAY, AGAIN, "no session"},
    {RSET, 300, 599, 0, 0, 0, REPLY_RELAY, AGAIN, "RSET never fails with a sane server"},

    /* Not logged in, no TLS, commands that it doesn't know or out of their order. */
    {ANY, 454, 454, 0, 0, 0, REPLY_RELAY, AGAIN, "TLS or authentication fails for now"},
    {ANY, 530, 530, 0, 0, 0, REPLY_RELAY, AGAIN, "authentication or STARTTLS wanted"},
    {ANY, 534, 535, 0, 0, 0, REPLY_RELAY, AGAIN, "authentication refused"},
    {ANY, 538, 538, 0, 0, 0, REPLY_RELAY, AGAIN, "encryption wanted"},
    {MAIL | RCPT | DATA, 500, 500, 0, 0, 0, REPLY_RELAY, AGAIN, "command not understood"},
    {MAIL | RCPT | DATA, 502, 504, 0, 0, 0, REPLY_RELAY, AGAIN, "command not taken here"},
    {MAIL | RCPT | DATA, 555, 555, 0, 0, 0, REPLY_RELAY, AGAIN, "parameter not taken"},

    /* Enhanced status, where it tells more than the code. */
    {READER, 500, 599, 1, 1, 1, REPLY_GONE, NEVER, "no such mailbox"},
    {READER, 500, 599, 1, 2, 2, REPLY_GONE, NEVER, "no such domain"},
    {READER, 500, 599, 1, 3, 3, REPLY_GONE, NEVER, "no valid address"},
    {READER, 500, 599, 1, 6, 6, REPLY_GONE, NEVER, "mailbox moved, no forwarding"},
    {READER, 500, 599, 1, 10, 10, REPLY_GONE, NEVER, "the domain takes no mail (null MX)"},
    {READER, 500, 599, 2, 1, 1, REPLY_GONE, NEVER, "mailbox disabled"},
    {READER, 400, 599, 2, 2, 2, REPLY_FULL, BY_CODE, "mailbox full"},
    {MAIL | READER, 500, 599, 2, 3, 3, REPLY_REFUSED, NEVER, "too big for this mailbox"},
    {MAIL | READER, 500, 599, 3, 4, 4, REPLY_REFUSED, NEVER, "too big for this system"},
    {MAIL | RCPT | DATA, 400, 499, 3, 2, 2, REPLY_RELAY, AGAIN, "relay takes no mail now"},
    {MAIL | DATA, 400, 499, 3, 0, ALL, REPLY_RELAY, AGAIN, "trouble of the relay's system"},
    {MAIL | READER, 400, 499, 4, 5, 5, REPLY_THROTTLED, AGAIN, "congestion"},
    {MAIL | READER, 400, 499, 5, 3, 3, REPLY_THROTTLED, AGAIN, "too many recipients"},
    {MAIL | READER, 500, 599, 6, 0, ALL, REPLY_REFUSED, NEVER, "content or its conversion"},
    {MAIL | READER, 421, 421, 7, 0, ALL, REPLY_THROTTLED, AGAIN, "sent away by policy"},
    {MAIL | READER, 400, 499, 7, 28, 28, REPLY_THROTTLED, AGAIN, "mail flood"},
    {MAIL | READER, 400, 499, 7, 500, 699, REPLY_THROTTLED, AGAIN, "Microsoft's limits"},
    {MAIL, 500, 599, 7, 0, ALL, REPLY_POLICY, AGAIN, "sender refused: once mended it goes on"},
    {MAIL | READER, 400, 599, 7, 0, ALL, REPLY_POLICY, BY_CODE, "policy"},
    {RCPT, 421, 421, 1, 0, ALL, REPLY_TEMPORARY, AGAIN, "sent away because of this address"},
    {RCPT, 421, 421, 2, 0, ALL, REPLY_TEMPORARY, AGAIN, "sent away because of this mailbox"},

    /* Code and stage. */
    {ANY, 421, 421, 0, 0, 0, REPLY_RELAY, AGAIN, "the relay closes the connection"},
    {MAIL, 452, 452, 0, 0, 0, REPLY_RELAY, AGAIN, "no room at the relay"},
    {MAIL, 521, 521, 0, 0, 0, REPLY_RELAY, AGAIN, "the relay takes no mail at all"},
    {READER, 556, 556, 0, 0, 0, REPLY_GONE, NEVER, "the domain takes no mail"},
    {RCPT, 552, 552, 0, 0, 0, REPLY_FULL, NEVER, "storage exceeded"},
    {MAIL | DATA | DOT, 552, 552, 0, 0, 0, REPLY_REFUSED, NEVER, "too big"},
    {MAIL, 500, 599, 0, 0, 0, REPLY_POLICY, AGAIN, "sender refused: once mended it goes on"},
    {READER, 500, 599, 0, 0, 0, REPLY_REFUSED, NEVER, "refused"},
    {MAIL | READER, 400, 499, 0, 0, 0, REPLY_TEMPORARY, AGAIN, "put off"},
    {ANY, 0, 999, 0, 0, 0, REPLY_RELAY, AGAIN, "not a reply that fits here"},
};

static bool row_fits(const struct row *row, enum smtp_stage stage, int code, int subject,
		     int detail)
{
	if (!(row->stages & 1 << stage) || code < row->code || code > row->code_to)
		return false;
	return !row->subject ||
	       (subject == row->subject && detail >= row->detail && detail <= row->detail_to);
}

static const struct row *find_row(enum smtp_stage stage, int code, const char *enhanced)
{
	int class = 0, subject = 0, detail = 0;
	if (!enhanced || sscanf(enhanced, "%1d.%3d.%3d", &class, &subject, &detail) != 3 ||
	    class != code / 100)
		subject = detail = 0;
	for (size_t i = 0; i + 1 < ELEMENTS(table); i++)
		if (row_fits(&table[i], stage, code, subject, detail))
			return &table[i];
	return &table[ELEMENTS(table) - 1];
}

struct verdict reply_verdict(enum smtp_stage stage, int code, const char *enhanced)
{
	if (smtp_reply_good(stage, code))
		return (struct verdict){.class = REPLY_ACCEPTED, .final = true, .spends_try = true};
	const struct row *row = find_row(stage, code, enhanced);
	return (struct verdict){
	    .class = row->class,
	    .final = row->final == BY_CODE ? code >= 500 : row->final == NEVER,
	    .suppress = row->class == REPLY_GONE,
	    /* At the final dot the mail itself was judged, and must not be tried for ever. */
	    .spends_try = row->class != REPLY_RELAY || stage == SMTP_DOT,
	    .slow_down = row->class == REPLY_THROTTLED,
	    .breaker = row->class == REPLY_RELAY,
	};
}

const char *reply_class_name(enum reply_class class)
{
	static const char *const names[REPLY_CLASSES] = {
	    [REPLY_ACCEPTED] = "accepted",   [REPLY_GONE] = "gone",
	    [REPLY_REFUSED] = "refused",     [REPLY_FULL] = "mailbox full",
	    [REPLY_POLICY] = "policy",       [REPLY_THROTTLED] = "throttled",
	    [REPLY_TEMPORARY] = "temporary", [REPLY_RELAY] = "relay trouble",
	};
	return names[class];
}

static void print_stages(FILE *to, int stages)
{
	static const struct {
		int mask;
		const char *text;
	} names[] = {
	    {LOGIN, "login"}, {MAIL, "MAIL"}, {RCPT, "RCPT"},
	    {DATA, "DATA"},   {DOT, "dot"},   {RSET, "RSET"},
	};
	char text[64] = "";
	for (size_t i = 0; i < ELEMENTS(names) && stages != ANY; i++) {
		if (!(stages & names[i].mask))
			continue;
		size_t n = strlen(text);
		snprintf(text + n, sizeof(text) - n, "%s%s", n ? " " : "", names[i].text);
	}
	fprintf(to, "%-18s ", stages == ANY ? "any" : text);
}

static void print_status(FILE *to, const struct row *row)
{
	char text[32] = "*";
	if (row->subject && row->detail == 0 && row->detail_to == ALL)
		snprintf(text, sizeof(text), "x.%d.*", row->subject);
	else if (row->subject && row->detail != row->detail_to)
		snprintf(text, sizeof(text), "x.%d.%d-%d", row->subject, row->detail,
			 row->detail_to);
	else if (row->subject)
		snprintf(text, sizeof(text), "x.%d.%d", row->subject, row->detail);
	fprintf(to, "%-11s ", text);
}

void reply_print_table(FILE *to)
{
	static const char *const finals[] = {"again", "never", "5xx: never"};
	fprintf(to, "%-18s %-7s %-11s %-13s %-10s %s\n", "stage", "code", "status", "class", "try",
		"why");
	for (size_t i = 0; i < ELEMENTS(table); i++) {
		const struct row *row = &table[i];
		print_stages(to, row->stages);
		if (row->code == row->code_to)
			fprintf(to, "%-7d ", row->code);
		else
			fprintf(to, "%03d-%03d ", row->code, row->code_to);
		print_status(to, row);
		fprintf(to, "%-13s %-10s %s\n", reply_class_name(row->class), finals[row->final],
			row->why);
	}
}
