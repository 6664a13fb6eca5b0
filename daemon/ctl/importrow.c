#include "ctl/importrow.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ctl/find.h"
#include "store/copyrow.h"

enum { IMPORT_TOPIC_MOST = 50 };

/* ---- the header -------------------------------------------------------------------------------
 */

static enum import_column kind_of(struct str name)
{
	static const struct {
		const char *name;
		enum import_column column;
	} known[] = {
	    {"email", IMPORT_EMAIL},   {"e-mail", IMPORT_EMAIL},    {"email address", IMPORT_EMAIL},
	    {"name", IMPORT_NAME},     {"lang", IMPORT_LANG},       {"zone", IMPORT_ZONE},
	    {"topics", IMPORT_TOPICS}, {"edition", IMPORT_EDITION}, {"status", IMPORT_STATUS},
	};
	for (size_t i = 0; i < ELEMENTS(known); i++)
		if (str_case_is(name, known[i].name))
			return known[i].column;
	return IMPORT_ATTRIBUTE;
}

static char *attribute_name(struct arena *arena, struct str name)
{
	char *copy = arena_copy(arena, name);
	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c < 0x80)
			*c = isalnum((unsigned char)*c) ? (char)tolower((unsigned char)*c) : '_';
	return copy;
}

static int add_column(struct importfile *f, size_t i, struct arena *arena, struct why *why)
{
	struct str name = str_trim(f->csv.fields[i]);
	if (name.n == 0)
		return why_set(why, -EINVAL, "column %zu has no name", i + 1);
	if (!text_valid(name) || memchr(name.p, '\0', name.n))
		return why_set(why, -EINVAL, "the header isn't UTF-8");
	f->kinds[i] = kind_of(name);
	f->names[i] = attribute_name(arena, name);
	if (!f->names[i])
		return -ENOMEM;
	for (size_t j = 0; j < i; j++)
		if (f->kinds[j] == f->kinds[i] &&
		    (f->kinds[i] != IMPORT_ATTRIBUTE || strcmp(f->names[j], f->names[i]) == 0))
			return why_set(why, -EINVAL, "there are two columns \"%s\"", f->names[i]);
	return 0;
}

int importfile_begin(struct importfile *f, FILE *in, struct arena *arena, struct why *why)
{
	int r = csv_begin(&f->csv, in, why);
	if (r <= 0)
		return r < 0 ? r : why_set(why, -EINVAL, "the file is empty");
	f->columns = f->csv.count;
	bool email = false;
	for (size_t i = 0; i < f->columns; i++) {
		r = add_column(f, i, arena, why);
		if (r < 0)
			return r;
		email = email || f->kinds[i] == IMPORT_EMAIL;
	}
	if (!email)
		return why_set(why, -EINVAL, "its first line names no column \"email\"");
	return 0;
}

/* ---- a row ------------------------------------------------------------------------------------
 */

struct row {
	struct address address;
	struct str known[IMPORT_COLUMNS];
	const char *zone;
	int edition; /* 0: not told */
	const char *status;
	struct str topics[IMPORT_TOPIC_MOST];
	size_t topic_count;
};

struct str importfile_email(const struct importfile *f)
{
	for (size_t i = 0; i < f->csv.count && i < f->columns; i++)
		if (f->kinds[i] == IMPORT_EMAIL)
			return str_trim(f->csv.fields[i]);
	return STR("");
}

static int bad(struct why *why, const char *what, struct str value)
{
	value = text_head(value, 60);
	return why_set(why, -EBADMSG, "%s: \"%.*s\"", what, (int)value.n, value.p);
}

static int compare_zone(const void *key, const void *item)
{
	return strcasecmp(key, *(const char *const *)item);
}

static int read_zone(const struct importfile *f, struct row *row, struct why *why)
{
	struct str zone = row->known[IMPORT_ZONE];
	char name[64];
	if (zone.n == 0)
		return 0;
	if (zone.n >= sizeof(name))
		return bad(why, "that zone is not known", zone);
	memcpy(name, zone.p, zone.n);
	name[zone.n] = '\0';
	const char **found =
	    f->zone_count ? bsearch(name, f->zones, f->zone_count, sizeof(*f->zones), compare_zone)
			  : NULL;
	if (!found)
		return bad(why, "that zone is not known", zone);
	row->zone = *found;
	return 0;
}

static int read_edition(const struct importfile *f, struct row *row, struct why *why)
{
	struct str edition = row->known[IMPORT_EDITION];
	for (size_t i = 0; edition.n && i < f->edition_count; i++)
		if (str_is(edition, f->editions[i]))
			row->edition = f->edition_ids[i];
	return edition.n && !row->edition ? bad(why, "the list has no such edition", edition) : 0;
}

/* Who was suppressed where the file comes from isn't mailed here either. */
static int read_status(struct row *row, struct why *why)
{
	static const char *const words[][2] = {{"active", "active"},
					       {"pending", "pending"},
					       {"unsubscribed", "unsubscribed"},
					       {"suppressed", "unsubscribed"}};
	struct str status = row->known[IMPORT_STATUS];
	row->status = words[0][1];
	if (status.n == 0)
		return 0;
	for (size_t i = 0; i < ELEMENTS(words); i++)
		if (str_case_is(status, words[i][0])) {
			row->status = words[i][1];
			return 0;
		}
	return bad(why, "that is no status", status);
}

/* "a, b; c" */
static int read_topics(struct row *row, struct why *why)
{
	struct str rest = row->known[IMPORT_TOPICS];
	while (rest.n) {
		size_t n = 0;
		while (n < rest.n && !strchr(",;|", rest.p[n]))
			n++;
		struct str topic = str_trim(str_head(rest, n));
		rest = str_from(rest, n + 1);
		if (topic.n == 0)
			continue;
		if (row->topic_count == IMPORT_TOPIC_MOST)
			return why_set(why, -EBADMSG, "more than %d topics", IMPORT_TOPIC_MOST);
		row->topics[row->topic_count++] = topic;
	}
	return 0;
}

static int check_fields(struct importfile *f, struct row *row, struct why *why)
{
	if (f->csv.count != f->columns)
		return why_set(why, -EBADMSG, "%zu field%s where the header has %zu", f->csv.count,
			       f->csv.count == 1 ? "" : "s", f->columns);
	for (size_t i = 0; i < f->columns; i++) {
		struct str value = str_trim(f->csv.fields[i]);
		if (!text_valid(value) || memchr(value.p, '\0', value.n))
			return why_set(why, -EBADMSG, "column %zu isn't UTF-8", i + 1);
		if (f->kinds[i] < IMPORT_COLUMNS)
			row->known[f->kinds[i]] = value;
	}
	return 0;
}

static int read_row(struct importfile *f, struct row *row, struct why *why)
{
	int r = check_fields(f, row, why);
	if (r == 0 && address_parse(row->known[IMPORT_EMAIL], &row->address, why) < 0)
		r = -EBADMSG;
	struct str lang = row->known[IMPORT_LANG];
	if (r == 0 && lang.n && !is_language(lang))
		r = bad(why, "that is no language tag", lang);
	if (r == 0)
		r = read_zone(f, row, why);
	if (r == 0)
		r = read_edition(f, row, why);
	if (r == 0)
		r = read_status(row, why);
	return r < 0 ? r : read_topics(row, why);
}

static int add_json_text(struct buf *out, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	buf_addc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\')
			buf_addc(out, '\\');
		if (c < 0x20)
			buf_printf(out, "\\u00%c%c", hex[c >> 4], hex[c & 15]);
		else
			buf_addc(out, (char)c);
	}
	return buf_addc(out, '"');
}

/* An empty field says nothing of its attribute. */
static int attributes(const struct importfile *f, struct buf *out)
{
	bool first = true;
	buf_addc(out, '{');
	for (size_t i = 0; i < f->columns; i++) {
		struct str value = str_trim(f->csv.fields[i]);
		if (f->kinds[i] != IMPORT_ATTRIBUTE || value.n == 0)
			continue;
		if (!first)
			buf_addc(out, ',');
		first = false;
		add_json_text(out, str_of(f->names[i]));
		buf_addc(out, ':');
		add_json_text(out, value);
	}
	return buf_addc(out, '}');
}

int importfile_row(struct importfile *f, int64_t import, int64_t n, struct buf *rows,
		   struct why *why)
{
	struct row row = {0};
	_cleanup_buf_ struct buf attrs = {0}, name = {0};
	int r = read_row(f, &row, why);
	if (r < 0)
		return r;
	if (attributes(f, &attrs) < 0 || text_line(row.known[IMPORT_NAME], &name) < 0)
		return -ENOMEM;
	copyrow_int64(rows, import);
	copyrow_int64(rows, n);
	copyrow_int64(rows, f->csv.line);
	copyrow_text(rows, row.address.display);
	copyrow_text(rows, row.address.norm);
	copyrow_text(rows, row.address.domain);
	copyrow_str(rows, buf_str(&name));
	copyrow_str(rows, buf_str(&attrs));
	copyrow_str(rows, row.known[IMPORT_LANG]);
	copyrow_text(rows, row.zone);
	if (row.topic_count)
		copyrow_texts(rows, row.topics, row.topic_count);
	else
		copyrow_null(rows);
	if (row.edition)
		copyrow_int64(rows, row.edition);
	else
		copyrow_null(rows);
	copyrow_text(rows, row.status);
	return copyrow_end(rows);
}
