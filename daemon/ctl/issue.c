/* issue: the digests themselves. Its larger verbs are in files of their own, issue_VERB.c. */
#include "ctl/issue.h"

#include "base/text.h"
#include "ctl/find.h"
#include "ctl/nouns.h"
#include "ctl/output.h"
#include "queries.h"

enum { SUBJECT_SHORT = 40 };

/* ---- ls ---------------------------------------------------------------------------------------
 */

static const struct output_column ls_columns[] = {
    {"issue", "ISSUE", OUTPUT_INT, NULL},
    {"edition", "EDITION", OUTPUT_TEXT, NULL},
    {"state", "STATE", OUTPUT_TEXT, NULL},
    {"delivered", "DELIVERED", OUTPUT_INT, NULL},
    {"refused", "REFUSED", OUTPUT_INT, NULL},
    {"deferred", "PUT OFF", OUTPUT_INT, NULL},
    {"subject", "SUBJECT", OUTPUT_TEXT, "subject_short"},
    {"occurrence", NULL, OUTPUT_TEXT, NULL},
    {"opened_at", NULL, OUTPUT_TIME, NULL},
    {"ended_at", NULL, OUTPUT_TIME, NULL},
    {"skipped", NULL, OUTPUT_INT, NULL},
    {"in_doubt", NULL, OUTPUT_INT, NULL},
    {0},
};

/* A long one would break the table's lines. */
static int set_subject(json_t *object, const char *subject)
{
	_cleanup_buf_ struct buf excerpt = {0};
	text_excerpt(str_of(subject), SUBJECT_SHORT, &excerpt);
	return excerpt.err || json_object_set_new(object, "subject", json_string(subject)) < 0 ||
	       json_object_set_new(object, "subject_short",
				   json_stringn(buf_text(&excerpt), excerpt.len)) < 0;
}

/* Subjects as readers see them. */
static int set_subjects(struct ctl *ctl, const struct pg_result *res, json_t *rows)
{
	int column = db_column(res, "words");
	for (int row = 0; row < db_rows(res); row++) {
		json_auto_t *words = json_loads(db_text(res, row, column), 0, NULL);
		json_t *object = json_array_get(rows, (size_t)row);
		const char *subject = issue_subject(
		    ctl, json_string_value(json_object_get(object, "subject")), words);
		if (!words || !subject || set_subject(object, subject) != 0)
			return ctl_no_memory();
		if (ctl->json)
			json_object_del(object, "subject_short");
	}
	return CTL_OK;
}

static int run_ls(struct ctl *ctl)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	int r = find_list_if_named(ctl, ctl_arg(ctl, 0));
	if (r != CTL_OK)
		return r;
	params_text(&p, ctl_arg(ctl, 0));
	params_bool(&p, ctl_has(ctl, "all"));
	r = ctl_query(ctl, sql_ctl_issue_ls, &p, &res);
	if (r != CTL_OK)
		return r;
	json_auto_t *rows = output_rows(res, ls_columns);
	r = rows ? set_subjects(ctl, res, rows) : ctl_no_memory();
	return r != CTL_OK
		   ? r
		   : output_table(ctl, ls_columns, json_incref(rows),
				  "no issue was opened yet; see: digestctl help issue open");
}

static const struct ctl_option open_options[] = {
    {"articles", "IDS", "these, in this order (3,8,5); default: all that it hasn't used"},
    {"subject", "TEXT", "a template, in place of the list's"},
    {"occurrence", "UUID", "said again, nothing is opened twice"},
    {"wait", NULL, "follow it until it has ended"},
    {0},
};

static const struct ctl_option preview_options[] = {
    {"articles", "IDS", "these, in this order (3,8,5); default: all that it hasn't used"},
    {"subject", "TEXT", "a template, in place of the list's"},
    {"topics", "A,B", "as a reader with these topics sees it"},
    {"lang", "LANG", "as a reader in this language sees it"},
    {"html", "FILE", "write the HTML part (-: to standard output)"},
    {"text", NULL, "print the text part"},
    {"eml", "FILE", "write the whole mail (-: to standard output)"},
    {0},
};

static const struct ctl_option test_options[] = {
    {"articles", "IDS", "these, in this order (3,8,5); default: all that it hasn't used"},
    {"subject", "TEXT", "a template, in place of the list's"},
    {0},
};

static const struct ctl_option settle_options[] = {
    {"doubt", "resend|skip", "send it to them once more, or leave it at that"},
    {0},
};

static const struct ctl_option audit_options[] = {
    {"all", NULL, "name all that is wrong, not only the first 20"},
    {0},
};

static const struct ctl_option readers_options[] = {
    {"outcome", "WORD", "only: delivered, refused, expired, skipped, in_doubt or put_off"},
    {0},
};

static const struct ctl_option ls_options[] = {
    {"all", NULL, "not only the 20 newest"},
    {0},
};

static const char open_more[] =
    "Exit status with --wait: 0 when the issue is done, 1 when it expired or was cancelled,\n"
    "130 after Ctrl-C, which leaves it running.";

static const char show_more[] =
    "The numbers, each reader in one of them:\n"
    "  Delivered    a relay took the mail\n"
    "  Refused      a relay said no for good\n"
    "  Skipped      left, suppressed or no longer meant when it was their turn\n"
    "  Not in time  still put off when the issue's time was over\n"
    "  In doubt     handed over, but the answer was never seen: digestctl issue settle\n"
    "  Being sent   taken by an engine, outcome not yet known\n"
    "  Put off now  answered \"not now\"; tried again\n"
    "Times put off counts the answers \"not now\", not readers.";

static const char pause_more[] =
    "No engine takes readers of a paused issue, nor tries again those who were put off. Who was\n"
    "taken already and waits goes back within about two seconds, at no cost to them; the mails on\n"
    "the wire, one or two a connection, go out. The issue's time runs on.";

static const char cancel_more[] =
    "For ever: a cancelled issue can't be resumed, its articles count as used. The mails on the\n"
    "wire, one or two a connection, go out; who was taken and waits, or is put off, is skipped\n"
    "within about two seconds. digestctl issue readers tells who got it.";

static const char settle_more[] =
    "In doubt are readers whose mail was handed over and whose answer was never seen, after what\n"
    "the list's own policy did. resend: they get it once more with the same Message-ID, so some\n"
    "see it twice; not when the issue has ended. skip: some may never see it.";

static const char audit_more[] =
    "Who its readers are is computed anew from what they did (joining, leaving, moving ...), and\n"
    "each of them looked for: delivered, refused, not in time, skipped (by reason), left before\n"
    "their turn, in doubt, put off, in an open window, not taken yet or cancelled. Who fits in\n"
    "none, or in two, is named with what was expected and what is there. Then what its windows\n"
    "count is held against its rows. LIST/EDITION is its newest issue. It changes nothing, and\n"
    "may run while the issue goes out.\n"
    "\n"
    "Exit status: 0 when all adds up, 1 when something doesn't.";

static const struct ctl_verb verbs[] = {
    {"preview", "LIST/EDITION|ISSUE", "Show what an issue would be now, or is.", issue_run_preview,
     1, 1, preview_options, NULL, false},
    {"test", "LIST/EDITION ADDRESS...", "Mail what an issue would be now to a few addresses.",
     issue_run_test, 2, -1, test_options, NULL, false},
    {"open", "LIST/EDITION", "Open an issue: it goes to its readers.", issue_run_open, 1, 1,
     open_options, open_more, true},
    {"ls", "[LIST]", "Show the issues, the newest first.", run_ls, 0, 1, ls_options, NULL, false},
    {"show", "ISSUE", "Show one issue, its articles, lanes and numbers.", issue_run_show, 1, 1,
     NULL, show_more, false},
    {"readers", "ISSUE", "Tell as CSV who got it, and what it came to for each of the others.",
     issue_run_readers, 1, 1, readers_options, NULL, false},
    {"pause", "ISSUE", "Hold an issue.", issue_run_pause, 1, 1, NULL, pause_more, false},
    {"resume", "ISSUE", "Go on with a paused issue.", issue_run_resume, 1, 1, NULL, NULL, false},
    {"cancel", "ISSUE", "End an issue before everybody has it.", issue_run_cancel, 1, 1, NULL,
     cancel_more, true},
    {"settle", "ISSUE", "Decide about readers in doubt.", issue_run_settle, 1, 1, settle_options,
     settle_more, true},
    {"audit", "ISSUE|LIST/EDITION", "Prove that each reader of an issue is accounted for, once.",
     issue_run_audit, 1, 1, audit_options, audit_more, false},
    {0},
};

const struct ctl_noun noun_issue = {"issue", "the digests: see, open, hold and end them", verbs};
