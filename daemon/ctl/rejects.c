#include "ctl/rejects.h"

#include <errno.h>

#include "base/text.h"
#include "ctl/csv.h"
#include "ctl/output.h"

static const char *const words[] = {
    [REJECT_INVALID] = "invalid",
    [REJECT_DUPLICATE] = "duplicate",
    [REJECT_UNSUBSCRIBED] = "unsubscribed",
    [REJECT_SUPPRESSED] = "suppressed",
};

static const char *const meanings[] = {
    [REJECT_INVALID] = "wrong in the file",
    [REJECT_DUPLICATE] = "there twice: the first line counts",
    [REJECT_UNSUBSCRIBED] = "unsubscribed once",
    [REJECT_SUPPRESSED] = "never to be mailed again",
};

static int write_row(FILE *file, int64_t line, struct str email, const char *reason,
		     const char *detail)
{
	_cleanup_buf_ struct buf row = {0};
	buf_printf(&row, "%lld", (long long)line);
	csv_put(&row, false, email);
	csv_put(&row, false, str_of(reason));
	csv_put(&row, false, str_of(detail));
	if (buf_addc(&row, '\n') < 0)
		return -ENOMEM;
	return fwrite(row.data, 1, row.len, file) == row.len ? 0 : -EIO;
}

int rejects_add(struct rejects *r, int64_t line, struct str email, enum reject_reason reason,
		const char *detail)
{
	_cleanup_buf_ struct buf shown = {0}; /* it may be anything, and goes into JSON */
	int err = text_line(str_head(email, 200), &shown);
	if (err == 0 && r->file && r->total == 0)
		err = fputs("line,email,reason,detail\n", r->file) < 0 ? -EIO : 0;
	if (err == 0 && r->file)
		err = write_row(r->file, line, buf_str(&shown), words[reason], detail);
	if (err == 0 && r->total < REJECTS_SHOWN) {
		struct reject *kept = &r->first[r->total];
		*kept = (struct reject){line, arena_copy(&r->arena, buf_str(&shown)), reason,
					arena_strdup(&r->arena, detail ? detail : "")};
		if (!kept->email || !kept->detail)
			return -ENOMEM;
	}
	r->counts[reason]++;
	r->total++;
	return err;
}

json_t *rejects_counts(const struct rejects *r)
{
	json_t *counts = json_object();
	for (int reason = 0; reason < REJECT_REASONS; reason++)
		if (json_object_set_new(counts, words[reason], json_integer(r->counts[reason])) <
		    0) {
			json_decref(counts);
			return NULL;
		}
	return counts;
}

json_t *rejects_json(const struct rejects *r)
{
	json_t *rows = json_array();
	for (int64_t i = 0; i < r->total && i < REJECTS_SHOWN; i++) {
		const struct reject *reject = &r->first[i];
		json_t *row = json_pack("{s:I, s:s, s:s, s:s}", "line", (json_int_t)reject->line,
					"email", reject->email, "reason", words[reject->reason],
					"detail", reject->detail);
		if (json_array_append_new(rows, row) < 0) {
			json_decref(rows);
			return NULL;
		}
	}
	return rows;
}

void rejects_print(const struct rejects *r)
{
	for (int reason = 0; reason < REJECT_REASONS; reason++)
		if (r->counts[reason])
			printf("  %lld %s\n", (long long)r->counts[reason], meanings[reason]);
	for (int64_t i = 0; i < r->total && i < REJECTS_SHOWN; i++) {
		const struct reject *reject = &r->first[i];
		_cleanup_buf_ struct buf line = {0};
		text_shown(str_of(reject->email), &line);
		buf_adds(&line, ": ");
		text_shown(str_of(*reject->detail ? reject->detail : words[reject->reason]), &line);
		printf("line %lld: %s\n", (long long)reject->line, buf_text(&line));
	}
	if (r->total > REJECTS_SHOWN)
		printf("... and %lld more%s\n", (long long)(r->total - REJECTS_SHOWN),
		       r->file ? "" : ": --rejects FILE writes them all down");
}

void rejects_free(struct rejects *r)
{
	arena_free(&r->arena);
}
