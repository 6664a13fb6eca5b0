#include "ctl/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

enum { COLUMNS = 24 };

/* ---- from a result to JSON --------------------------------------------------------------------
 */

json_t *output_time(usec_t moment)
{
	if (moment == 0 || moment == UINT64_MAX)
		return json_null();
	time_t seconds = (time_t)(moment / USEC_PER_SEC);
	struct tm tm;
	char text[32];
	if (!gmtime_r(&seconds, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return json_null();
	return json_string(text);
}

static json_t *text_value(struct str s)
{
	return json_stringn(s.p, s.n); /* the server sends UTF-8 only */
}

static json_t *texts_value(const struct pg_result *res, int row, int column)
{
	_cleanup_arena_ struct arena arena = {0};
	struct str *items;
	size_t count;
	if (db_texts(res, row, column, &arena, &items, &count) < 0)
		return NULL;
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(array, items[i].p ? text_value(items[i]) : json_null()) <
		    0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *cell(const struct pg_result *res, int row, int column, enum output_kind kind)
{
	if (db_is_null(res, row, column))
		return json_null();
	switch (kind) {
	case OUTPUT_TEXT: return text_value(db_str(res, row, column));
	case OUTPUT_INT: return json_integer(db_int64(res, row, column));
	case OUTPUT_REAL: return json_real(db_double(res, row, column));
	case OUTPUT_BOOL: return json_boolean(db_bool(res, row, column));
	case OUTPUT_TIME: return output_time(db_usec(res, row, column));
	case OUTPUT_TEXTS: return texts_value(res, row, column);
	case OUTPUT_JSON: return json_loads(db_text(res, row, column), JSON_DECODE_ANY, NULL);
	}
	return NULL;
}

static int set_cell(json_t *object, const struct pg_result *res, int row, const char *key,
		    enum output_kind kind)
{
	int column = db_column(res, key);
	if (column < 0)
		abort(); /* the statement and its description don't fit */
	return json_object_set_new(object, key, cell(res, row, column, kind));
}

json_t *output_row(const struct pg_result *res, int row, const struct output_column *columns)
{
	json_t *object = json_object();
	int r = 0;
	for (const struct output_column *c = columns; c->key && r == 0; c++) {
		r = set_cell(object, res, row, c->key, c->kind);
		if (r == 0 && c->shown)
			r = set_cell(object, res, row, c->shown, OUTPUT_TEXT);
	}
	if (r == 0)
		return object;
	json_decref(object);
	return NULL;
}

json_t *output_rows(const struct pg_result *res, const struct output_column *columns)
{
	json_t *rows = json_array();
	for (int row = 0; row < db_rows(res); row++)
		if (json_array_append_new(rows, output_row(res, row, columns)) < 0) {
			json_decref(rows);
			return NULL;
		}
	return rows;
}

/* ---- from JSON to people ----------------------------------------------------------------------
 */

static void local_time(const char *text, struct buf *out)
{
	struct tm tm = {0};
	char words[64];
	if (!strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm)) {
		text_shown(str_of(text), out);
		return;
	}
	time_t moment = timegm(&tm);
	localtime_r(&moment, &tm);
	strftime(words, sizeof(words), "%Y-%m-%d %H:%M:%S %Z", &tm);
	buf_adds(out, words);
}

void output_value(const json_t *value, enum output_kind kind, struct buf *out)
{
	size_t i, start = out->len;
	const json_t *item;
	switch (json_typeof(value)) {
	case JSON_NULL: break;
	case JSON_TRUE: buf_adds(out, "yes"); break;
	case JSON_FALSE: buf_adds(out, "no"); break;
	case JSON_INTEGER: buf_printf(out, "%lld", (long long)json_integer_value(value)); break;
	case JSON_REAL: buf_printf(out, "%.4g", json_real_value(value)); break;
	case JSON_STRING:
		if (kind == OUTPUT_TIME)
			local_time(json_string_value(value), out);
		else
			text_shown(
			    (struct str){json_string_value(value), json_string_length(value)}, out);
		break;
	case JSON_ARRAY:
		json_array_foreach(value, i, item)
		{
			if (i)
				buf_adds(out, ", ");
			output_value(item, kind, out);
		}
		break;
	case JSON_OBJECT: {
		_cleanup_free_ char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
		if (text)
			text_shown(str_of(text), out);
		else
			out->err = -ENOMEM;
		break;
	}
	}
	if (out->len == start)
		buf_addc(out, '-');
}

static void show_column(const json_t *object, const struct output_column *c, struct buf *out)
{
	const json_t *value = json_object_get(object, c->shown ? c->shown : c->key);
	if (value)
		output_value(value, c->shown ? OUTPUT_TEXT : c->kind, out);
	else
		buf_addc(out, '-');
}

static int print_json(json_t *value)
{
	int r = json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	json_decref(value);
	putchar('\n');
	return r < 0 ? ctl_fail(CTL_FAILED, "can't write to standard output") : CTL_OK;
}

static void put_cell(struct str text, unsigned width, bool right, bool last)
{
	unsigned own = text_width(text), fill = own < width ? width - own : 0;
	if (right)
		printf("%*s", (int)fill, "");
	fwrite(text.p, 1, text.n, stdout);
	if (!right && !last)
		printf("%*s", (int)fill, "");
	if (!last)
		fputs("  ", stdout);
}

struct grid {
	const struct output_column *columns[COLUMNS];
	size_t count;
	unsigned widths[COLUMNS];
	struct buf text; /* each cell's, with a NUL behind it */
};

static void add_cell(struct grid *grid, size_t column, size_t start)
{
	unsigned width = text_width(str_of(buf_text(&grid->text) + start));
	if (width > grid->widths[column])
		grid->widths[column] = width;
	buf_addc(&grid->text, '\0');
}

static void print_grid(const struct grid *grid)
{
	const char *at = buf_text(&grid->text), *end = at + grid->text.len;
	for (size_t i = 0; at < end; i++, at += strlen(at) + 1) {
		size_t column =
		    i % grid->count; /* NOLINT(clang-analyzer-core.DivideZero): no cells */
		enum output_kind kind = grid->columns[column]->kind;
		bool right =
		    !grid->columns[column]->shown && (kind == OUTPUT_INT || kind == OUTPUT_REAL);
		bool last = column + 1 == grid->count;
		put_cell(str_of(at), grid->widths[column], right, last);
		if (last)
			putchar('\n');
	}
}

static int print_table(const struct output_column *columns, const json_t *rows)
{
	struct grid grid = {0};
	for (const struct output_column *c = columns; c->key; c++)
		if (c->title && grid.count < COLUMNS) {
			size_t start = grid.text.len;
			buf_adds(&grid.text, c->title);
			grid.columns[grid.count] = c;
			add_cell(&grid, grid.count++, start);
		}
	size_t row;
	const json_t *object;
	json_array_foreach(rows, row, object) for (size_t i = 0; i < grid.count; i++)
	{
		size_t start = grid.text.len;
		show_column(object, grid.columns[i], &grid.text);
		add_cell(&grid, i, start);
	}
	int r = grid.text.err ? ctl_no_memory() : CTL_OK;
	if (r == CTL_OK)
		print_grid(&grid);
	buf_free(&grid.text);
	return r;
}

int output_table(const struct ctl *ctl, const struct output_column *columns, json_t *rows,
		 const char *none)
{
	if (!rows)
		return ctl_no_memory();
	if (ctl->json)
		return print_json(rows);
	int r = CTL_OK;
	if (json_array_size(rows) == 0)
		puts(none);
	else
		r = print_table(columns, rows);
	json_decref(rows);
	return r;
}

int output_record(const struct ctl *ctl, const struct output_column *columns, json_t *object)
{
	if (!object)
		return ctl_no_memory();
	if (ctl->json)
		return print_json(object);
	unsigned width = 0;
	for (const struct output_column *c = columns; c->key; c++)
		if (c->title && text_width(str_of(c->title)) > width)
			width = text_width(str_of(c->title));
	int r = CTL_OK;
	for (const struct output_column *c = columns; c->key && r == CTL_OK; c++) {
		_cleanup_buf_ struct buf value = {0};
		if (!c->title)
			continue;
		show_column(object, c, &value);
		if (value.err)
			r = ctl_no_memory();
		else
			printf("%s:%*s %s\n", c->title, (int)(width - text_width(str_of(c->title))),
			       "", buf_text(&value));
	}
	json_decref(object);
	return r;
}

/* Columns for text; 0: somebody reads it by program, so a line stays a line. */
static unsigned text_columns(unsigned indent)
{
	struct winsize size;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < indent + 20)
		return 0;
	return size.ws_col - indent;
}

/* The part of a text that fits, ended at a blank where there is one. */
static struct str line_head(struct str text, unsigned columns)
{
	struct str head = text_head(text, columns);
	if (head.n == text.n)
		return head;
	const char *blank = memrchr(head.p, ' ', head.n);
	return blank && blank > head.p ? str_head(head, (size_t)(blank - head.p)) : head;
}

void output_wrapped(unsigned indent, struct str text)
{
	unsigned columns = text_columns(indent);
	for (bool first = true; text.n; first = false) {
		struct str head = columns ? line_head(text, columns) : text;
		printf("%*s%.*s\n", first ? 0 : (int)indent, "", (int)head.n, head.p);
		text = str_trim(str_from(text, head.n));
	}
}

int output_done(const struct ctl *ctl, json_t *object, const char *format, ...)
{
	if (!object)
		return ctl_no_memory();
	if (ctl->json)
		return print_json(object);
	json_decref(object);
	_cleanup_buf_ struct buf line = {0};
	va_list args;
	va_start(args, format);
	int r = ctl_line(&line, format, args);
	va_end(args);
	if (r < 0)
		return ctl_no_memory();
	puts(buf_text(&line));
	return CTL_OK;
}
