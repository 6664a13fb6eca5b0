/* What JSON values are to a template: names, truth, text. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "mail/mustache_tree.h"

static size_t count_parts(struct str text)
{
	size_t count = 1;
	for (size_t i = 0; i < text.n; i++)
		count += text.p[i] == '.';
	return count;
}

int mustache_name_split(struct arena *arena, struct str text, const struct mustache_name **ret)
{
	if (!text.n || memchr(text.p, '\n', text.n) || memchr(text.p, '\0', text.n))
		return -EINVAL;
	size_t count = str_is(text, ".") ? 0 : count_parts(text);
	struct mustache_name *name =
	    arena_alloc(arena, sizeof(*name) + count * sizeof(name->part[0]));
	const char *copy = arena_copy(arena, text);
	if (!name || !copy)
		return -ENOMEM;
	name->text = copy;
	name->count = count;

	struct str rest = {copy, text.n};
	for (size_t i = 0; i < count; i++) {
		name->part[i] = str_take(&rest, '.');
		if (!name->part[i].n)
			return -EINVAL;
	}
	*ret = name;
	return 0;
}

json_t *mustache_member(const json_t *object, struct str key)
{
	return json_is_object(object) ? json_object_getn(object, key.p, key.n) : NULL;
}

json_t *mustache_follow(json_t *value, const struct mustache_name *name, size_t from)
{
	for (size_t i = from; value && i < name->count; i++)
		value = mustache_member(value, name->part[i]);
	return value;
}

bool mustache_is_true(const json_t *value)
{
	if (!value)
		return false;
	switch (json_typeof(value)) {
	case JSON_NULL:
	case JSON_FALSE: return false;
	case JSON_ARRAY: return json_array_size(value) > 0;
	case JSON_STRING: return json_string_length(value) > 0;
	case JSON_INTEGER:
	case JSON_REAL: return fpclassify(json_number_value(value)) != FP_ZERO;
	default: return true;
	}
}

static const char *entity(char c)
{
	switch (c) {
	case '&': return "&amp;";
	case '<': return "&lt;";
	case '>': return "&gt;";
	case '"': return "&quot;";
	case '\'': return "&#39;";
	default: return NULL;
	}
}

int mustache_escape(struct buf *out, struct str text, enum mustache_escape escape)
{
	size_t done = 0;
	for (size_t i = 0; escape == MUSTACHE_HTML && i < text.n; i++) {
		const char *instead = entity(text.p[i]);
		if (!instead)
			continue;
		buf_add(out, text.p + done, i - done);
		buf_adds(out, instead);
		done = i + 1;
	}
	return buf_addstr(out, str_from(text, done));
}

/* The fewest digits that read back as the same number, without an exponent where that is usual. */
static int put_real(struct buf *out, double value)
{
	char text[40];
	if (fabs(value) < 1e15 && fabs(value - (double)(int64_t)value) <= 0)
		return buf_printf(out, "%lld", (long long)value);
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (fabs(strtod(text, NULL) - value) <= 0)
			break;
	}
	char *comma = strchr(text, ','); /* the decimal point of some locales */
	if (comma)
		*comma = '.';
	return buf_adds(out, text);
}

struct dump {
	struct buf *out;
	enum mustache_escape escape;
};

static int dump_some(const char *bytes, size_t n, void *ctx)
{
	struct dump *dump = ctx;
	return mustache_escape(dump->out, (struct str){bytes, n}, dump->escape) < 0 ? -1 : 0;
}

static int put_json(struct buf *out, const json_t *value, enum mustache_escape escape)
{
	struct dump dump = {out, escape};
	int r = json_dump_callback(value, dump_some, &dump, JSON_COMPACT);
	if (r < 0 && !out->err)
		out->err = -ENOMEM;
	return out->err;
}

int mustache_put(struct buf *out, const json_t *value, enum mustache_escape escape)
{
	if (!value)
		return out->err;
	switch (json_typeof(value)) {
	case JSON_STRING:
		return mustache_escape(
		    out, (struct str){json_string_value(value), json_string_length(value)}, escape);
	case JSON_INTEGER:
		return buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	case JSON_REAL: return put_real(out, json_real_value(value));
	case JSON_TRUE: return buf_adds(out, "true");
	case JSON_FALSE: return buf_adds(out, "false");
	case JSON_NULL: return out->err;
	default: return put_json(out, value, escape);
	}
}
