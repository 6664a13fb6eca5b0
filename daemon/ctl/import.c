/*
 * subscriber import. The file is read once: what holds goes by COPY to import_row, so that a file
 * that can't be read to its end changes nothing. Then batches are merged, each in a transaction
 * (sql/migrations/0009_import.sql says what becomes of a row).
 */
#include "ctl/import.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/text.h"
#include "ctl/bar.h"
#include "ctl/find.h"
#include "ctl/importrow.h"
#include "ctl/output.h"
#include "ctl/rejects.h"
#include "queries.h"

enum { BATCH = 10000, TRIES = 5, CHUNK = 64 << 10 };

struct import {
	struct ctl *ctl;
	struct importfile file;
	struct rejects rejects;
	struct bar bar;
	int64_t id;     /* when it began; imports that began together differ by chance */
	int64_t size;   /* of the file; 0: not known */
	int64_t staged; /* rows, numbered from 1 */
	int64_t read;   /* records */
	int64_t added, changed, unchanged;
	int list, edition;
	bool dry;
	const char *detail; /* jsonb: how these readers agreed */
	struct why why;
};

const struct ctl_option import_options[] = {
    {"edition", "NAME", "for those whose row names none (default: the list's default)"},
    {"consent", "TEXT", "how these readers agreed; kept with each subscription"},
    {"rejects", "FILE", "write down who was left out: line, email, reason, detail"},
    {"dry-run", NULL, "only tell what would be done"},
    {0},
};

const char import_more[] =
    "FILE is CSV (\"-\": standard input) whose first line names the columns: email, and if you\n"
    "like name, lang, zone, topics, edition, status. Any other column becomes an attribute that\n"
    "templates can use: {{reader.city}}. Known readers are updated; an empty field changes\n"
    "nothing. Who unsubscribed from the list, or is suppressed, is left out.";

/* ---- what rows are checked against ------------------------------------------------------------
 */

static int load_zones(struct import *m)
{
	_cleanup_result_ struct pg_result *res = NULL;
	int r = ctl_query(m->ctl, sql_ctl_zones, NULL, &res);
	if (r != CTL_OK)
		return r;
	size_t n = (size_t)db_rows(res);
	m->file.zones = arena_array(&m->ctl->arena, n + 1, sizeof(*m->file.zones));
	for (size_t i = 0; m->file.zones && i < n; i++) {
		m->file.zones[i] = arena_strdup(&m->ctl->arena, db_text(res, (int)i, 0));
		if (!m->file.zones[i])
			return ctl_no_memory();
	}
	m->file.zone_count = n;
	return m->file.zones ? CTL_OK : ctl_no_memory();
}

static int load_editions(struct import *m)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, m->list);
	int r = ctl_query(m->ctl, sql_ctl_editions, &p, &res);
	if (r != CTL_OK)
		return r;
	size_t n = (size_t)db_rows(res);
	m->file.editions = arena_array(&m->ctl->arena, n + 1, sizeof(*m->file.editions));
	int *ids = arena_array(&m->ctl->arena, n + 1, sizeof(*ids));
	if (!m->file.editions || !ids)
		return ctl_no_memory();
	for (size_t i = 0; i < n; i++) {
		ids[i] = db_int(res, (int)i, 0);
		m->file.editions[i] = arena_strdup(&m->ctl->arena, db_text(res, (int)i, 1));
		if (!m->file.editions[i])
			return ctl_no_memory();
	}
	m->file.edition_ids = ids;
	m->file.edition_count = n;
	return CTL_OK;
}

/* ---- staging ----------------------------------------------------------------------------------
 */

/* What couldn't be done is in m->why, but for memory. */
static int failed(const struct import *m, int err)
{
	return err == -ENOMEM ? ctl_no_memory() : ctl_fail(CTL_FAILED, "%s", m->why.text);
}

static int reject(struct import *m, struct str email, int64_t line, enum reject_reason reason,
		  const char *detail)
{
	int r = rejects_add(&m->rejects, line, email, reason, detail);
	return r == -EIO
		   ? why_set(&m->why, r, "%s: %s", ctl_value(m->ctl, "rejects"), strerror(errno))
		   : r;
}

/* Some rows for COPY; see sync_copy_in(). */
static int produce(void *user, struct buf *rows)
{
	struct import *m = user;
	struct csv *csv = &m->file.csv;
	while (rows->len < CHUNK) {
		struct why why;
		int r = csv_next(csv, &why);
		if (r == 0)
			return 0;
		if (r < 0 && r != -EBADMSG) {
			m->why = why;
			return r;
		}
		m->read++;
		size_t before = rows->len;
		if (r > 0)
			r = importfile_row(&m->file, m->id, m->staged + 1, rows, &why);
		if (r >= 0) {
			m->staged++;
			continue;
		}
		buf_truncate(rows, before);
		if (r == -EBADMSG)
			r = reject(m, importfile_email(&m->file), csv->line, REJECT_INVALID,
				   why.text);
		if (r < 0)
			return r;
	}
	bar_show(&m->bar, (int64_t)csv->bytes, m->size);
	return 1;
}

static int stage(struct import *m)
{
	struct why why;
	int64_t rows;
	bar_begin(&m->bar, m->ctl, "reading");
	int r = sync_copy_in(m->ctl->pg, sql_ctl_import_stage, produce, m, &rows, &why);
	bar_end(&m->bar);
	if (r == -ENOMEM)
		return ctl_no_memory();
	if (r == -EINVAL || r == -EIO)
		return ctl_fail(CTL_FAILED, "%s: %s: nothing was imported", ctl_arg(m->ctl, 1),
				m->why.text);
	return r < 0 ? ctl_pg_failed(m->ctl, &why) : CTL_OK;
}

static int leave_out_duplicates(struct import *m)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, m->id);
	int r = ctl_query(m->ctl, sql_ctl_import_duplicates, &p, &res);
	if (r != CTL_OK)
		return r;
	for (int row = 0; row < db_rows(res); row++) {
		r = reject(m, db_str(res, row, 1), db_int64(res, row, 0), REJECT_DUPLICATE, "");
		if (r < 0)
			return failed(m, r);
	}
	return CTL_OK;
}

/* ---- merging ----------------------------------------------------------------------------------
 */

static int count_verdict(struct import *m, const struct pg_result *res, int row)
{
	const char *verdict = db_text(res, row, 0);
	if (!db_is_null(res, row, 1)) {
		bool left = strcmp(verdict, "unsubscribed") == 0;
		return reject(m, db_str(res, row, 2), db_int64(res, row, 1),
			      left ? REJECT_UNSUBSCRIBED : REJECT_SUPPRESSED, "");
	}
	int64_t rows = db_int64(res, row, 3);
	if (strcmp(verdict, "added") == 0)
		m->added += rows;
	else if (strcmp(verdict, "changed") == 0)
		m->changed += rows;
	else if (strcmp(verdict, "unchanged") == 0)
		m->unchanged += rows;
	return 0;
}

/* One batch in one transaction: a single statement needs no other. */
static int try_batch(struct import *m, int64_t from, struct pg_result **ret, struct why *why)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, m->id);
	params_int64(&p, from);
	params_int64(&p, from + BATCH);
	params_int64(&p, m->list);
	params_int64(&p, m->edition);
	params_text(&p, m->detail);
	params_bool(&p, m->dry);
	params_usec(&p, m->ctl->now);
	return sync_query(m->ctl->pg, sql_ctl_import_merge, &p, ret, why);
}

static int merge_batch(struct import *m, int64_t from)
{
	_cleanup_result_ struct pg_result *res = NULL;
	struct why why;
	int r = -EAGAIN;
	for (int i = 0; i < TRIES && r < 0; i++) {
		r = try_batch(m, from, &res, &why);
		if (r < 0 && !db_error_is_passing(sync_error(m->ctl->pg)))
			break;
	}
	if (r < 0)
		return ctl_pg_failed(m->ctl, &why);
	for (int row = 0; row < db_rows(res); row++) {
		r = count_verdict(m, res, row);
		if (r < 0)
			return failed(m, r);
	}
	return CTL_OK;
}

static int merge(struct import *m)
{
	int r = CTL_OK;
	bar_begin(&m->bar, m->ctl, m->dry ? "checking" : "importing");
	for (int64_t from = 1; r == CTL_OK && from <= m->staged; from += BATCH) {
		bar_show(&m->bar, from - 1, m->staged);
		r = merge_batch(m, from);
	}
	bar_end(&m->bar);
	return r;
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static int report(struct import *m)
{
	struct ctl *ctl = m->ctl;
	const char *file = ctl_arg(ctl, 1), *list = ctl_arg(ctl, 0);
	int r = output_done(
	    ctl,
	    json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "list", list, "file",
		      file, "dry_run", m->dry, "rows", (json_int_t)m->read, "added",
		      (json_int_t)m->added, "changed", (json_int_t)m->changed, "unchanged",
		      (json_int_t)m->unchanged, "left_out", (json_int_t)m->rejects.total,
		      "left_out_by_reason", rejects_counts(&m->rejects), "first_left_out",
		      rejects_json(&m->rejects)),
	    "%s %s: %lld added, %lld changed, %lld as they were, %lld left out", list,
	    m->dry ? "would get" : "got", (long long)m->added, (long long)m->changed,
	    (long long)m->unchanged, (long long)m->rejects.total);
	if (r == CTL_OK && !ctl->json)
		rejects_print(&m->rejects);
	return r;
}

static int forget(struct import *m, const char *sql, int64_t id)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, id);
	return ctl_query(m->ctl, sql, &p, NULL);
}

static int import_file(struct import *m)
{
	static const int64_t day = 24 * 3600 * (int64_t)USEC_PER_SEC;
	int r = load_zones(m);
	if (r == CTL_OK)
		r = load_editions(m);
	if (r == CTL_OK)
		r = forget(m, sql_ctl_import_forget, m->id - day);
	if (r == CTL_OK)
		r = stage(m);
	if (r != CTL_OK)
		return r;
	r = leave_out_duplicates(m);
	if (r == CTL_OK)
		r = merge(m);
	int ended = forget(m, sql_ctl_import_end, m->id);
	if (r == CTL_OK && (r = ended) == CTL_OK)
		r = report(m);
	return r;
}

/* How these readers agreed: by this file, and what the operator says of it. */
static int set_detail(struct import *m, const char *file)
{
	struct ctl *ctl = m->ctl;
	const char *consent = ctl_value(ctl, "consent"), *name = basename(file);
	if (!text_valid(str_of(name)) || !text_valid(str_of(consent)))
		return ctl_fail(CTL_USAGE, "the file's name or --consent isn't UTF-8");
	json_t *detail =
	    json_pack("{s:s, s:s, s:s*}", "way", "import", "file", name, "consent", consent);
	_cleanup_free_ char *text = detail ? json_dumps(detail, JSON_COMPACT) : NULL;
	json_decref(detail);
	m->detail = text ? arena_strdup(&ctl->arena, text) : NULL;
	return m->detail ? CTL_OK : ctl_no_memory();
}

static int prepare(struct import *m, FILE *in)
{
	struct ctl *ctl = m->ctl;
	struct why why;
	struct stat st;
	const char *list = ctl_arg(ctl, 0), *file = ctl_arg(ctl, 1);
	int r = importfile_begin(&m->file, in, &ctl->arena, &why);
	if (r < 0)
		return r == -ENOMEM ? ctl_no_memory()
				    : ctl_fail(CTL_FAILED, "%s: %s", file, why.text);
	if (fstat(fileno(in), &st) == 0 && S_ISREG(st.st_mode))
		m->size = st.st_size;
	r = set_detail(m, file);
	if (r == CTL_OK)
		r = find_list(ctl, list, &m->list);
	if (r == CTL_OK)
		r = find_edition(ctl, m->list, list, ctl_value(ctl, "edition"), &m->edition);
	return r;
}

static int with_rejects(struct import *m)
{
	const char *path = ctl_value(m->ctl, "rejects");
	if (path && !(m->rejects.file = fopen(path, "we")))
		return ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
	int r = import_file(m);
	if (path && fclose(m->rejects.file) != 0 && r == CTL_OK)
		r = ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
	return r;
}

int import_run(struct ctl *ctl)
{
	const char *path = ctl_arg(ctl, 1);
	bool standard = strcmp(path, "-") == 0;
	FILE *in = standard ? stdin : fopen(path, "re");
	if (!in)
		return ctl_fail(errno == ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s: %s", path,
				strerror(errno));
	struct import *m = arena_alloc(&ctl->arena, sizeof(*m));
	if (!m)
		return ctl_no_memory();
	uint32_t random = 0;
	if (getrandom(&random, sizeof(random), 0) < 0)
		return ctl_fail(CTL_FAILED, "no randomness: %s", strerror(errno));
	m->ctl = ctl;
	m->id = (int64_t)(ctl->now + random % USEC_PER_SEC);
	m->dry = ctl_has(ctl, "dry-run");
	int r = prepare(m, in);
	if (r == CTL_OK)
		r = with_rejects(m);
	csv_free(&m->file.csv);
	rejects_free(&m->rejects);
	if (!standard)
		fclose(in);
	return r;
}
