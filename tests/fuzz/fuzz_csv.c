/*
 * CSV from anywhere: reading comes to an end, and a record that was read is read again as it was
 * from the line that csv_put() makes of it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/csv.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct csv *c)
{
	_cleanup_buf_ struct buf text = {0};
	_cleanup_csv_ struct csv again;
	buf_adds(&text, "h\n");
	for (size_t i = 0; i < c->count; i++)
		csv_put(&text, i == 0, c->fields[i]);
	if (text.err || text.len == 2)
		return; /* a record of one empty field is an empty line */
	_cleanup_fclose_ FILE *in = fmemopen(text.data, text.len, "r");
	must(in && csv_begin(&again, in, NULL) == 1, "lost the header");
	int r = csv_next(&again, NULL);
	must(r == 1 || r == -EINVAL,
	     "couldn't read what was written"); /* quotes made it too long */
	must(r < 0 || again.count == c->count, "another number of fields");
	for (size_t i = 0; r == 1 && i < c->count; i++)
		must(str_eq(again.fields[i], c->fields[i]), "another field");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_csv_ struct csv c = {0};
	if (size == 0)
		return 0;
	_cleanup_fclose_ FILE *in = fmemopen((void *)(uintptr_t)data, size, "r");
	if (!in)
		return 0;
	size_t records = 0;
	int r = csv_begin(&c, in, NULL);
	while (r == 1 || r == -EBADMSG) {
		must(records++ <= size, "goes on for ever");
		if (r == 1)
			check_again(&c);
		r = csv_next(&c, NULL);
	}
	return 0;
}
