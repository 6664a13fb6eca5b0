#include "store/copyrow.h"

#include <errno.h>
#include <inttypes.h>

#include "store/pgtext.h"

void copyrow_null(struct buf *rows)
{
	buf_adds(rows, "\\N\t");
}

void copyrow_str(struct buf *rows, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '\\': buf_adds(rows, "\\\\"); break;
		case '\t': buf_adds(rows, "\\t"); break;
		case '\n': buf_adds(rows, "\\n"); break;
		case '\r': buf_adds(rows, "\\r"); break;
		default: buf_addc(rows, s.p[i]);
		}
	}
	buf_addc(rows, '\t');
}

void copyrow_text(struct buf *rows, const char *text)
{
	if (text)
		copyrow_str(rows, str_of(text));
	else
		copyrow_null(rows);
}

void copyrow_int64(struct buf *rows, int64_t value)
{
	buf_printf(rows, "%" PRId64 "\t", value);
}

void copyrow_usec(struct buf *rows, usec_t moment)
{
	char text[CLOCK_TEXT];
	buf_adds(rows, clock_text(moment, text));
	buf_addc(rows, '\t');
}

void copyrow_texts(struct buf *rows, const struct str *values, size_t count)
{
	_cleanup_buf_ struct buf b = {0};
	if (pgtext_texts(&b, values, count) < 0 && !rows->err)
		rows->err = b.err;
	copyrow_str(rows, buf_str(&b));
}

int copyrow_end(struct buf *rows)
{
	if (rows->err)
		return rows->err;
	if (rows->len == 0 || rows->data[rows->len - 1] != '\t')
		return -EINVAL;
	rows->data[rows->len - 1] = '\n';
	return 0;
}
