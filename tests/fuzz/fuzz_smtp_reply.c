/*
 * Replies from any server: the same bytes mean the same however they are cut into packets, and what
 * is kept of them is one line of valid UTF-8 within its bounds, with an enhanced status that fits.
 */
#include <stdint.h>
#include <utf8proc.h>

#include "must.h"
#include "send/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
	while (*at) {
		utf8proc_int32_t rune;
		utf8proc_ssize_t n = utf8proc_iterate(at, -1, &rune);
		must(n > 0, "text isn't UTF-8");
		must(rune >= 0x20 && (rune < 0x7f || rune >= 0xa0), "text has control characters");
		at += n;
	}
}

static void check_reply(struct smtp_reply *reply)
{
	must(reply->code >= 200 && reply->code <= 599, "a code out of range");
	must(strlen(reply->text) < SMTP_TEXT && strlen(reply->queue_id) < SMTP_QUEUE_ID,
	     "too long");
	must(!reply->enhanced[0] || reply->enhanced[0] - '0' == reply->code / 100,
	     "an enhanced status of another class");
	check_text(reply->text);
	check_text(reply->queue_id);
	for (int stage = 0; stage < SMTP_STAGES; stage++) {
		reply->stage = (enum smtp_stage)stage;
		struct verdict v = reply_class(reply);
		must(!v.suppress || reply->code >= 500, "suppressed without a 5xx");
		must(!v.final || v.class == REPLY_ACCEPTED || reply->code >= 500,
		     "given up without a 5xx");
	}
	reply->stage = SMTP_GREETING;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct smtp_parser whole, piecewise;
	memset(&whole, 0, sizeof(whole));
	memset(&piecewise, 0, sizeof(piecewise));
	if (!size)
		return 0;
	size_t piece = data[0] % 7 + 1, at = 0;
	const char *bytes = (const char *)data + 1;
	struct str input = {bytes, size - 1}, rest = {bytes, 0};
	int r;
	while ((r = smtp_parse(&whole, &input)) > 0) {
		check_reply(&whole.reply);
		int again = 0;
		while (!again && at < size - 1) { /* the same bytes in pieces */
			if (!rest.n) {
				rest = (struct str){bytes + at,
						    piece < size - 1 - at ? piece : size - 1 - at};
			}
			size_t before = rest.n;
			again = smtp_parse(&piecewise, &rest);
			at += before - rest.n;
		}
		must(again == 1, "in pieces it is no reply");
		must(piecewise.reply.code == whole.reply.code &&
			 strcmp(piecewise.reply.text, whole.reply.text) == 0 &&
			 strcmp(piecewise.reply.enhanced, whole.reply.enhanced) == 0,
		     "in pieces it is another reply");
	}
	return 0;
}
