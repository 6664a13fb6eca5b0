#include "base/buf.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

enum { SMALLEST = 128 };

static int fail(struct buf *b, int err)
{
	if (!b->err)
		b->err = err;
	return b->err;
}

int buf_reserve(struct buf *b, size_t more)
{
	if (b->err)
		return b->err;
	if (more >= SIZE_MAX / 2 - b->len || (b->limit && more > b->limit - b->len))
		return fail(b, -EOVERFLOW);
	size_t need = b->len + more + 1;
	if (need <= b->cap)
		return 0;

	size_t cap = b->cap ? b->cap : SMALLEST;
	while (cap < need)
		cap *= 2;
	char *data = realloc(b->data, cap);
	if (!data)
		return fail(b, -ENOMEM);
	if (!b->data)
		data[0] = '\0';
	b->data = data;
	b->cap = cap;
	return 0;
}

int buf_add(struct buf *b, const void *bytes, size_t n)
{
	int r = buf_reserve(b, n);
	if (r < 0)
		return r;
	if (n)
		memcpy(b->data + b->len, bytes, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int buf_adds(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

int buf_addstr(struct buf *b, struct str s)
{
	return buf_add(b, s.p, s.n);
}

int buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int buf_vprintf(struct buf *b, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (n < 0)
		return fail(b, -EINVAL);

	int r = buf_reserve(b, (size_t)n);
	if (r < 0)
		return r;
	vsnprintf(b->data + b->len, (size_t)n + 1, format, args);
	b->len += (size_t)n;
	return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int r = buf_vprintf(b, format, args);
	va_end(args);
	return r;
}

void buf_drop(struct buf *b, size_t n)
{
	if (!n)
		return;
	if (n > b->len)
		n = b->len;
	memmove(b->data, b->data + n, b->len - n);
	buf_truncate(b, b->len - n);
}

void buf_truncate(struct buf *b, size_t n)
{
	if (!b->data || n > b->len)
		return;
	b->len = n;
	b->data[n] = '\0';
}

void buf_reset(struct buf *b)
{
	b->err = 0;
	buf_truncate(b, 0);
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){.limit = b->limit};
}

const char *buf_text(const struct buf *b)
{
	return b->data ? b->data : "";
}

struct str buf_str(const struct buf *b)
{
	return (struct str){buf_text(b), b->len};
}

char *buf_steal(struct buf *b, size_t *ret_len)
{
	if (buf_reserve(b, 0) < 0)
		return NULL;
	if (ret_len)
		*ret_len = b->len;
	char *data = b->data;
	*b = (struct buf){.limit = b->limit};
	return data;
}
