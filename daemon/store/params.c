#include "store/params.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>

#include "store/pgtext.h"

static void add(struct db_params *p, const char *value, size_t n, bool binary)
{
	if (p->err)
		return;
	if (!value)
		p->err = -ENOMEM;
	else if (p->count == DB_PARAMS || n > INT_MAX)
		p->err = -E2BIG;
	else {
		p->values[p->count] = value;
		p->lengths[p->count] = (int)n;
		p->formats[p->count++] = binary;
	}
}

void params_null(struct db_params *p)
{
	add(p, "", 0, false);
	if (!p->err)
		p->values[p->count - 1] = NULL;
}

void params_str(struct db_params *p, struct str s)
{
	add(p, arena_copy(&p->arena, s), s.n, false);
}

void params_text(struct db_params *p, const char *text)
{
	if (text)
		params_str(p, str_of(text));
	else
		params_null(p);
}

void params_int64(struct db_params *p, int64_t value)
{
	add(p, arena_printf(&p->arena, "%" PRId64, value), 0, false);
}

void params_bool(struct db_params *p, bool value)
{
	add(p, value ? "t" : "f", 1, false);
}

void params_usec(struct db_params *p, usec_t moment)
{
	char text[CLOCK_TEXT];
	params_text(p, clock_text(moment, text));
}

void params_bytes(struct db_params *p, const void *bytes, size_t n)
{
	add(p, arena_strndup(&p->arena, n ? bytes : "", n), n, true);
}

/* Adds what was built in b, which may have failed. */
static void add_built(struct db_params *p, const struct buf *b)
{
	add(p, b->err ? NULL : arena_copy(&p->arena, buf_str(b)), b->len, false);
}

void params_int64s(struct db_params *p, const int64_t *values, size_t count)
{
	_cleanup_buf_ struct buf b = {0};
	pgtext_int64s(&b, values, count);
	add_built(p, &b);
}

void params_texts(struct db_params *p, const struct str *values, size_t count)
{
	_cleanup_buf_ struct buf b = {0};
	pgtext_texts(&b, values, count);
	add_built(p, &b);
}

struct db_params params_take(struct db_params *from)
{
	struct db_params taken = {0};
	if (from) {
		taken = *from;
		*from = (struct db_params){0};
	}
	return taken;
}

void params_free(struct db_params *p)
{
	arena_free(&p->arena);
	*p = (struct db_params){0};
}
