/* Replies are put together from bytes in any shape, and classed by the table, row by row. */
#include "unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "send/reply.h"

/* ---- putting together ------------------------------------------------------------------------ */

static struct smtp_parser parser;

static int forget(void **state)
{
	(void)state;
	memset(&parser, 0, sizeof(parser));
	return 0;
}

static const struct smtp_reply *parse(const char *bytes)
{
	struct str input = str_of(bytes);
	assert_int_equal(smtp_parse(&parser, &input), 1);
	assert_int_equal(input.n, 0);
	return &parser.reply;
}

static void a_line_is_taken_apart(void **state)
{
	(void)state;
	const struct smtp_reply *reply = parse("550 5.1.1 <bob@example.org>: no such user\r\n");
	assert_int_equal(reply->code, 550);
	assert_string_equal(reply->enhanced, "5.1.1");
	assert_string_equal(reply->text, "<bob@example.org>: no such user");
}

static void a_bare_code_is_a_reply(void **state)
{
	(void)state;
	assert_int_equal(parse("250\r\n")->code, 250);
	assert_int_equal(parse("354 \r\n")->code, 354);
	assert_string_equal(parse("421\n")->text, "");
}

static void lines_are_joined_and_their_status_taken_off_each(void **state)
{
	(void)state;
	const struct smtp_reply *reply =
	    parse("550-5.7.1 Your mail was\r\n550-5.7.1 refused for\r\n550 5.7.1 reasons\r\n");
	assert_string_equal(reply->enhanced, "5.7.1");
	assert_string_equal(reply->text, "Your mail was refused for reasons");
}

static void a_reply_may_come_byte_by_byte(void **state)
{
	(void)state;
	const char *bytes = "250-first\r\n250 2.0.0 Ok: queued as ABC123\r\n";
	for (size_t i = 0; bytes[i]; i++) {
		struct str one = {bytes + i, 1};
		assert_int_equal(smtp_parse_pending(&parser), i > 0);
		assert_int_equal(smtp_parse(&parser, &one), !bytes[i + 1]);
	}
	assert_false(smtp_parse_pending(&parser));
	assert_string_equal(parser.reply.text, "first Ok: queued as ABC123");
	assert_string_equal(parser.reply.queue_id, "ABC123");
}

static void what_follows_a_reply_is_left(void **state)
{
	(void)state;
	struct str input = STR("250 one\r\n354 two\r\n");
	assert_int_equal(smtp_parse(&parser, &input), 1);
	assert_int_equal(parser.reply.code, 250);
	assert_int_equal(smtp_parse(&parser, &input), 1);
	assert_int_equal(parser.reply.code, 354);
	assert_int_equal(smtp_parse(&parser, &input), 0);
	assert_int_equal(parser.reply.code, 354);
}

static void foreign_bytes_become_utf8_of_one_line(void **state)
{
	(void)state;
	assert_string_equal(parse("550 caf\xe9 \xc3\xa9 a\x01z\xc2\x85.\r\n")->text,
			    "caf\xef\xbf\xbd \xc3\xa9 a z .");
}

static void long_replies_are_bounded_at_a_whole_character(void **state)
{
	(void)state;
	char bytes[20000];
	size_t n = 0;
	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(bytes + n, sizeof(bytes) - n, "550-%0200d\r\n", i);
	snprintf(bytes + n, sizeof(bytes) - n, "550 %01500d\r\n", 7);
	assert_true(strlen(parse(bytes)->text) < SMTP_TEXT);

	char text[1200] = "550 x";
	for (int i = 0; i < 590; i++)
		strcat(text, "\xc3\xa9");
	strcat(text, "\r\n");
	const struct smtp_reply *reply = parse(text);
	assert_int_equal(strlen(reply->text), SMTP_TEXT - 1);
	assert_int_equal((unsigned char)reply->text[SMTP_TEXT - 2], 0xa9);
}

static void what_is_no_reply_is_told(void **state)
{
	static const char *const bad[] = {"HTTP/1.1 400\r\n", "25\r\n",     "\r\n",    "250_x\r\n",
					  "650 x\r\n",        "150 Ok\r\n", "2x0 \r\n"};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		struct str input = str_of(bad[i]);
		forget(state);
		assert_int_equal(smtp_parse(&parser, &input), -EBADMSG);
	}
	forget(state);
	int r = 0;
	for (int i = 0; i <= SMTP_LINES && r == 0; i++) {
		struct str input = STR("250-and on\r\n");
		r = smtp_parse(&parser, &input);
	}
	assert_int_equal(r, -EBADMSG);
}

static void an_enhanced_status_must_be_one_and_fit_its_code(void **state)
{
	static const struct {
		const char *line, *enhanced;
	} rows[] = {
	    {"550 5.1.1 x\r\n", "5.1.1"},
	    {"550 5.7.509 x\r\n", "5.7.509"},
	    {"550 5.1.1\r\n", "5.1.1"},
	    {"550 4.1.1 x\r\n", ""},
	    {"550 5.1 x\r\n", ""},
	    {"550 5.1.1.1 x\r\n", ""},
	    {"550 5.1.1234 x\r\n", ""},
	    {"550 55.1.1 x\r\n", ""},
	    {"450 4.2.0 x\r\n", "4.2.0"},
	    {"550 #5.1.0 x\r\n", ""},
	    {"550-5.1.1 a\r\n450 b\r\n", ""},
	};
	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		forget(state);
		assert_string_equal(parse(rows[i].line)->enhanced, rows[i].enhanced);
	}
}

static void the_queue_id_is_found_in_what_servers_say(void **state)
{
	static const struct {
		const char *line, *id;
	} rows[] = {
	    {"250 2.0.0 Ok: queued as 4Fx9aB\r\n", "4Fx9aB"},
	    {"250 OK id=1rABcd-000123-Xy\r\n", "1rABcd-000123-Xy"},
	    {"250 2.0.0 42L8abc012345 Message accepted for delivery\r\n", "42L8abc012345"},
	    {"250 Ok 0102018f-aaaa-bbbb-000000\r\n", "0102018f-aaaa-bbbb-000000"},
	    {"250 OK ids=d7ef1a2b3c\r\n", "d7ef1a2b3c"},
	    {"250 2.6.0 <a@b> [InternalId=123456, Hostname=X] Queued mail\r\n", "123456"},
	    {"250 2.0.0 Ok\r\n", ""},
	    {"250 Thanks, we have it\r\n", ""},
	    {"554 5.0.0 not queued as ABC\r\n", ""},
	};
	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		forget(state);
		assert_string_equal(parse(rows[i].line)->queue_id, rows[i].id);
	}
}

/* ---- classes --------------------------------------------------------------------------------- */

/* Letters for what a row ends in, so that a whole stage is seen at a glance. */
static char letter(struct verdict v)
{
	static const char letters[REPLY_CLASSES] = {'A', 'G', 'R', 'F', 'P', 'T', 't', '!'};
	return letters[v.class];
}

static const int codes[] = {421, 450, 451, 452, 454, 503, 521, 535, 550, 552, 553, 554};

/* A: accepted G: gone R: refused F: full P: policy T: throttled t: temporary !: relay trouble */
static const struct {
	const char *enhanced;   /* without its class; "": none */
	const char *letters[5]; /* MAIL RCPT DATA dot, then any of the login */
} matrix[] = {
    {"", {"!tt!!!!!PRPP", "!ttt!!R!RFRR", "!ttt!!R!RRRR", "!ttt!RR!RRRR", "!!!!!!!!!!!!"}},
    {"1.1", {"!tt!!!!!PRPP", "tttt!!G!GGGG", "!ttt!!G!GGGG", "!ttt!GG!GGGG", "!!!!!!!!!!!!"}},
    {"1.10", {"!tt!!!!!PRPP", "tttt!!G!GGGG", "!ttt!!G!GGGG", "!ttt!GG!GGGG", "!!!!!!!!!!!!"}},
    {"2.1", {"!tt!!!!!PRPP", "tttt!!G!GGGG", "!ttt!!G!GGGG", "!ttt!GG!GGGG", "!!!!!!!!!!!!"}},
    {"2.2", {"!tt!!!!!PRPP", "FFFF!!F!FFFF", "FFFF!!F!FFFF", "FFFF!FF!FFFF", "!!!!!!!!!!!!"}},
    {"3.0", {"!!!!!!!!PRPP", "!ttt!!R!RFRR", "!!!!!!R!RRRR", "!ttt!RR!RRRR", "!!!!!!!!!!!!"}},
    {"3.2", {"!!!!!!!!PRPP", "!!!!!!R!RFRR", "!!!!!!R!RRRR", "!ttt!RR!RRRR", "!!!!!!!!!!!!"}},
    {"3.4", {"!!!!!!R!RRRR", "!ttt!!R!RRRR", "!!!!!!R!RRRR", "!ttt!RR!RRRR", "!!!!!!!!!!!!"}},
    {"4.5", {"TTTT!!!!PRPP", "TTTT!!R!RFRR", "TTTT!!R!RRRR", "TTTT!RR!RRRR", "!!!!!!!!!!!!"}},
    {"6.7", {"!tt!!!R!RRRR", "!ttt!!R!RRRR", "!ttt!!R!RRRR", "!ttt!RR!RRRR", "!!!!!!!!!!!!"}},
    {"7.1", {"TPPP!!P!PPPP", "TPPP!!P!PPPP", "TPPP!!P!PPPP", "TPPP!PP!PPPP", "!!!!!!!!!!!!"}},
    {"7.28", {"TTTT!!P!PPPP", "TTTT!!P!PPPP", "TTTT!!P!PPPP", "TTTT!PP!PPPP", "!!!!!!!!!!!!"}},
    {"7.509", {"TTTT!!P!PPPP", "TTTT!!P!PPPP", "TTTT!!P!PPPP", "TTTT!PP!PPPP", "!!!!!!!!!!!!"}},
};

static void check_stage(enum smtp_stage stage, const char *enhanced, const char *letters)
{
	char seen[ELEMENTS(codes) + 1] = "";
	for (size_t i = 0; i < ELEMENTS(codes); i++) {
		char status[SMTP_ENHANCED] = "";
		if (enhanced[0])
			snprintf(status, sizeof(status), "%d.%s", codes[i] / 100, enhanced);
		seen[i] = letter(reply_verdict(stage, codes[i], status));
	}
	if (strcmp(seen, letters) != 0)
		fail_msg("%s with x.%s: %s, not %s", smtp_stage_name(stage), enhanced, seen,
			 letters);
}

static void each_code_at_each_stage_has_its_class(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(matrix); i++) {
		for (int k = 0; k < 4; k++)
			check_stage((enum smtp_stage)(SMTP_MAIL + k), matrix[i].enhanced,
				    matrix[i].letters[k]);
		for (int stage = SMTP_GREETING; stage <= SMTP_AUTH; stage++)
			check_stage((enum smtp_stage)stage, matrix[i].enhanced,
				    matrix[i].letters[4]);
	}
}

static void success_is_of_its_stage(void **state)
{
	(void)state;
	assert_int_equal(reply_verdict(SMTP_DOT, 250, "2.0.0").class, REPLY_ACCEPTED);
	assert_int_equal(reply_verdict(SMTP_RCPT, 251, NULL).class, REPLY_ACCEPTED);
	assert_int_equal(reply_verdict(SMTP_DATA, 354, NULL).class, REPLY_ACCEPTED);
	assert_int_equal(reply_verdict(SMTP_DATA, 250, NULL).class, REPLY_RELAY);
	assert_int_equal(reply_verdict(SMTP_DOT, 354, NULL).class, REPLY_RELAY);
	assert_int_equal(reply_verdict(SMTP_RSET, 421, NULL).class, REPLY_RELAY);
}

static void check_verdict(enum smtp_stage stage, int code, int subject, int detail)
{
	char status[SMTP_ENHANCED];
	snprintf(status, sizeof(status), "%d.%d.%d", code / 100, subject, detail);
	struct verdict v = reply_verdict(stage, code, status);
	assert_int_not_equal(v.class, REPLY_ACCEPTED);
	assert_int_equal(v.suppress, v.class == REPLY_GONE);
	assert_true(!v.suppress || (v.final && code >= 500));
	assert_true(code >= 500 || !v.final); /* 4xx is never for good */
	assert_int_equal(v.breaker, v.class == REPLY_RELAY);
	if (v.class != REPLY_RELAY)
		assert_true(v.spends_try);
	else
		assert_int_equal(v.spends_try, stage == SMTP_DOT);
}

static void verdicts_keep_to_their_class(void **state)
{
	(void)state;
	static const int details[] = {0, 1, 2, 3, 4, 5, 6, 10, 28, 509};
	for (int stage = SMTP_MAIL; stage <= SMTP_DOT; stage++)
		for (int code = 400; code < 600; code++)
			for (int subject = 0; subject <= 7; subject++)
				for (size_t i = 0; i < ELEMENTS(details); i++)
					check_verdict((enum smtp_stage)stage, code, subject,
						      details[i]);
}

static void a_sender_that_is_refused_costs_no_reader(void **state)
{
	(void)state;
	struct verdict v = reply_verdict(SMTP_MAIL, 550, "5.7.1");
	assert_int_equal(v.class, REPLY_POLICY);
	assert_false(v.final);
	assert_true(reply_verdict(SMTP_RCPT, 550, "5.7.1").final);
	assert_true(reply_verdict(SMTP_MAIL, 552, "5.3.4").final);
}

static void the_table_prints_itself(void **state)
{
	(void)state;
	_cleanup_free_ char *text = NULL;
	size_t n;
	FILE *to = open_memstream(&text, &n);
	assert_non_null(to);
	reply_print_table(to);
	fclose(to);
	assert_non_null(strstr(text, "no such mailbox"));
	assert_non_null(strstr(text, "x.7.500-699"));
	assert_non_null(strstr(text, "RCPT DATA dot"));
}

#define FRESH(test) cmocka_unit_test_setup(test, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FRESH(a_line_is_taken_apart),
	    FRESH(a_bare_code_is_a_reply),
	    FRESH(lines_are_joined_and_their_status_taken_off_each),
	    FRESH(a_reply_may_come_byte_by_byte),
	    FRESH(what_follows_a_reply_is_left),
	    FRESH(foreign_bytes_become_utf8_of_one_line),
	    FRESH(long_replies_are_bounded_at_a_whole_character),
	    FRESH(what_is_no_reply_is_told),
	    FRESH(an_enhanced_status_must_be_one_and_fit_its_code),
	    FRESH(the_queue_id_is_found_in_what_servers_say),
	    FRESH(each_code_at_each_stage_has_its_class),
	    FRESH(success_is_of_its_stage),
	    FRESH(verdicts_keep_to_their_class),
	    FRESH(a_sender_that_is_refused_costs_no_reader),
	    FRESH(the_table_prints_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
