/*
 * Quoted-printable and headers of anything. The input is cut at NULs into pieces with holes between
 * them: what a plain decoder reads is what went in, made UTF-8, and no line breaks a rule.
 */
#include <stdint.h>

#include "base/text.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void decode(struct str in, struct buf *out)
{
	struct str line, rest = in;
	while (rest.n) {
		bool hard = str_cut(rest, '\n', &line, &rest);
		if (!hard) {
			line = rest;
			rest = str_from(rest, rest.n);
		}
		must(!hard || (line.n && line.p[line.n - 1] == '\r'), "a bare LF");
		line.n -= hard;
		must(line.n <= QP_LINE, "a line too long");
		must(!str_starts(line, ".") && !str_starts(line, "From "), "a line's start");
		must(!line.n || !strchr(" \t", line.p[line.n - 1]), "white space at a line's end");
		for (size_t i = 0; i < line.n; i++) {
			char c = line.p[i];
			must((c >= ' ' && c <= '~') || c == '\t', "a raw byte");
			if (c != '=') {
				buf_addc(out, c);
			} else if (i + 1 == line.n) {
				hard = false;
			} else {
				must(i + 2 < line.n && hex(line.p[i + 1]) >= 0 &&
					 hex(line.p[i + 2]) >= 0,
				     "a broken code");
				buf_addc(out, (char)(hex(line.p[i + 1]) << 4 | hex(line.p[i + 2])));
				i += 2;
			}
		}
		if (hard)
			buf_adds(out, "\r\n");
	}
}

/* What the decoder must find: UTF-8, with CRLF for each kind of line end. */
static void expect(struct str text, struct buf *out)
{
	while (text.n) {
		int32_t c = text_take(&text);
		if (c == '\r' && text.n && text.p[0] == '\n')
			continue;
		if (c == '\r' || c == '\n')
			buf_adds(out, "\r\n");
		else
			text_add(out, c);
	}
}

static void check_body(struct str input)
{
	_cleanup_buf_ struct buf encoded = {0}, decoded = {0}, wanted = {0};
	struct str piece, rest = input;
	size_t column = 0;
	while (rest.n) {
		if (!str_cut(rest, '\0', &piece, &rest)) {
			piece = rest;
			rest = str_from(rest, rest.n);
		}
		must(qp_encode(&encoded, piece, &column) == 0, "qp_encode failed");
		must(qp_break(&encoded, &column) == 0 && column == 0, "qp_break failed");
		expect(piece, &wanted);
	}
	decode(buf_str(&encoded), &decoded);
	must(str_eq(buf_str(&decoded), buf_str(&wanted)), "it doesn't read back");
}

/* One header, whatever is in it. */
static void check_header(struct str text)
{
	must(text.n > 2 && !memcmp(text.p + text.n - 2, "\r\n", 2), "no end");
	struct str line, rest = text;
	bool first = true;
	while (str_cut(rest, '\n', &line, &rest)) {
		must(line.n && line.p[line.n - 1] == '\r', "a bare LF in a header");
		line.n--;
		must(!memchr(line.p, '\r', line.n) && !memchr(line.p, '\0', line.n), "a control");
		must(line.n <= HEADER_LINE, "a header line too long");
		must(first || (line.p[0] == ' ' && str_trim(line).n), "a line of its own");
		for (size_t i = 0; i < line.n; i++)
			must(line.p[i] >= ' ' && line.p[i] <= '~', "a raw byte in a header");
		first = false;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf out = {0};
	struct str input = {(const char *)data, size};
	check_body(input);
	must(header_text(&out, "Subject", input) == 0, "header_text failed");
	check_header(buf_str(&out));
	buf_reset(&out);
	must(header_mailbox(&out, "To", input, STR("a@b.example")) == 0, "header_mailbox failed");
	check_header(buf_str(&out));
	buf_reset(&out);
	if (header_urls(&out, "List-Archive", &input, 1) == 0 && out.len)
		check_header(buf_str(&out));
	return 0;
}
