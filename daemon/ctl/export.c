/*
 * subscriber export: a list's readers as CSV that `subscriber import` takes. Pages of one snapshot
 * in place of COPY, which takes no parameters and knows no columns made from a reader's attributes.
 */
#include <errno.h>
#include <string.h>

#include "ctl/bar.h"
#include "ctl/csv.h"
#include "ctl/find.h"
#include "ctl/import.h"
#include "ctl/output.h"
#include "queries.h"

enum { PAGE = 10000 };

struct export
{
	struct ctl *ctl;
	FILE *out;
	const char *path;
	int list;
	struct str *attributes;
	size_t attribute_count;
	struct bar bar;
	int64_t total, done, last;
};

static int load_attributes(struct export *x)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, x->list);
	int r = ctl_query(x->ctl, sql_ctl_export_attributes, &p, &res);
	if (r != CTL_OK)
		return r;
	size_t n = (size_t)db_rows(res);
	x->attributes = arena_array(&x->ctl->arena, n + 1, sizeof(*x->attributes));
	for (size_t i = 0; x->attributes && i < n; i++) {
		const char *name = arena_strdup(&x->ctl->arena, db_text(res, (int)i, 0));
		if (!name)
			return ctl_no_memory();
		x->attributes[i] = str_of(name);
	}
	x->attribute_count = n;
	return x->attributes ? CTL_OK : ctl_no_memory();
}

static int count(struct export *x)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, x->list);
	int r = ctl_query(x->ctl, sql_ctl_subscriber_count, &p, &res);
	if (r == CTL_OK)
		x->total = db_int64(res, 0, 0);
	return r;
}

static int write_out(struct export *x, const struct buf *lines)
{
	if (lines->err)
		return ctl_no_memory();
	if (lines->len && fwrite(lines->data, 1, lines->len, x->out) != lines->len)
		return ctl_fail(CTL_FAILED, "%s: %s", x->path, strerror(errno));
	return CTL_OK;
}

static int write_header(struct export *x)
{
	_cleanup_buf_ struct buf line = {0};
	buf_adds(&line, "email,name,lang,zone,topics,edition,status");
	for (size_t i = 0; i < x->attribute_count; i++)
		csv_put(&line, false, x->attributes[i]);
	buf_adds(&line, "\r\n");
	return write_out(x, &line);
}

static int add_array(struct buf *lines, const struct pg_result *res, int row, const char *column,
		     bool joined)
{
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf words = {0};
	struct str *items;
	size_t n;
	if (db_texts(res, row, db_column(res, column), &arena, &items, &n) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct str item = items[i].p ? items[i] : STR("");
		if (!joined)
			csv_put(lines, false, item);
		else if (buf_printf(&words, "%s%.*s", i ? "," : "", (int)item.n, item.p) < 0)
			return -ENOMEM;
	}
	if (joined)
		csv_put(lines, false, buf_str(&words));
	return lines->err;
}

static int write_row(const struct pg_result *res, int row, struct buf *lines)
{
	static const char *const texts[] = {"email", "name", "lang", "zone"};
	for (size_t i = 0; i < ELEMENTS(texts); i++)
		csv_put(lines, i == 0, db_str(res, row, db_column(res, texts[i])));
	add_array(lines, res, row, "topics", true);
	csv_put(lines, false, db_str(res, row, db_column(res, "edition")));
	csv_put(lines, false, db_str(res, row, db_column(res, "status")));
	add_array(lines, res, row, "attributes", false);
	return buf_adds(lines, "\r\n");
}

static int write_page(struct export *x, int *ret_rows)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	_cleanup_buf_ struct buf lines = {0};
	params_int64(&p, x->list);
	params_int64(&p, x->last);
	params_int64(&p, PAGE);
	params_texts(&p, x->attributes, x->attribute_count);
	int r = ctl_query(x->ctl, sql_ctl_export_page, &p, &res);
	if (r != CTL_OK)
		return r;
	*ret_rows = db_rows(res);
	for (int row = 0; row < *ret_rows; row++) {
		x->last = db_int64(res, row, 0);
		if (write_row(res, row, &lines) < 0)
			return ctl_no_memory();
	}
	x->done += *ret_rows;
	bar_show(&x->bar, x->done, x->total);
	return write_out(x, &lines);
}

static int write_all(struct export *x)
{
	int rows = PAGE, r = ctl_begin(x->ctl);
	if (r == CTL_OK)
		r = ctl_query(x->ctl, sql_ctl_export_begin, NULL, NULL);
	if (r == CTL_OK)
		r = load_attributes(x);
	if (r == CTL_OK)
		r = count(x);
	if (r == CTL_OK)
		r = write_header(x);
	bar_begin(&x->bar, x->ctl, "writing");
	while (r == CTL_OK && rows == PAGE)
		r = write_page(x, &rows);
	bar_end(&x->bar);
	return r == CTL_OK ? ctl_commit(x->ctl) : r;
}

/* To a file that is there in whole or not at all. */
static int write_file(struct export *x)
{
	const char *partial = arena_printf(&x->ctl->arena, "%s.part", x->path);
	if (!partial)
		return ctl_no_memory();
	x->out = fopen(partial, "we");
	if (!x->out)
		return ctl_fail(CTL_FAILED, "%s: %s", partial, strerror(errno));
	int r = write_all(x);
	if (fclose(x->out) != 0 && r == CTL_OK)
		r = ctl_fail(CTL_FAILED, "%s: %s", partial, strerror(errno));
	if (r == CTL_OK && rename(partial, x->path) < 0)
		r = ctl_fail(CTL_FAILED, "%s: %s", x->path, strerror(errno));
	if (r != CTL_OK)
		unlink(partial);
	return r;
}

int export_run(struct ctl *ctl)
{
	const char *path = ctl_arg(ctl, 1);
	struct export x = {.ctl = ctl, .out = stdout, .path = path ? path : "standard output"};
	bool to_file = path && strcmp(path, "-") != 0;
	if (ctl->json && !to_file)
		return ctl_fail(CTL_USAGE,
				"the readers go to a FILE when what was done is told in JSON");
	int r = find_list(ctl, ctl_arg(ctl, 0), &x.list);
	if (r != CTL_OK)
		return r;
	if (!to_file)
		return write_all(&x);
	r = write_file(&x);
	return r != CTL_OK ? r
			   : output_done(ctl,
					 json_pack("{s:s, s:s, s:I}", "list", ctl_arg(ctl, 0),
						   "file", path, "rows", (json_int_t)x.done),
					 "%s: %lld readers", path, (long long)x.done);
}
