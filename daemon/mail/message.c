#include "mail/message.h"

#include <errno.h>
#include <stdio.h>

#include "base/sha256.h"
#include "mail/header.h"
#include "mail/mime.h"

enum {
	VALUE_GUESS = 100, /* bytes of a late value: most are links */
	HEAD_GUESS = 800,  /* bytes of the headers that are made for each reader */
	BOUNDARY = 2 + 24, /* "=_" and hex digits */
};

struct message {
	struct str head;             /* header lines alike for all */
	const struct piece *subject; /* NULL when it is in the head */
	struct str content_type;     /* the last header, the empty line, the first part's start */
	struct piece *text;          /* literals in quoted-printable from here on */
	struct str between;
	struct piece *html;
	struct str tail;
	struct str id;
	struct str domain;
	size_t size;
	size_t html_size;
	bool unsubscribe;
	bool smtputf8;
};

/* ---- compiling ---- */

/* What is done with the pieces of a body on its way into the message. */
struct encoder {
	struct arena *arena;
	struct buf scratch;
	size_t raw;     /* bytes before encoding */
	size_t encoded; /* and after */
};

static bool is_literal(const struct piece *pieces)
{
	for (; pieces; pieces = pieces->next)
		if (pieces->kind != PIECE_LITERAL)
			return false;
	return true;
}

/* Encodes one run of text; `open`: a hole follows. */
static int encode_literal(struct encoder *e, struct str text, bool open, struct str *ret)
{
	size_t column = 0;
	buf_reset(&e->scratch);
	qp_encode(&e->scratch, text, &column);
	if (open)
		qp_break(&e->scratch, &column);
	if (e->scratch.err)
		return e->scratch.err;
	char *copy = arena_copy(e->arena, buf_str(&e->scratch));
	if (!copy)
		return -ENOMEM;
	*ret = (struct str){copy, e->scratch.len};
	e->raw += text.n;
	e->encoded += ret->n;
	return 0;
}

static struct str without_newlines(struct str text)
{
	while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	return text;
}

/* The last run of a body, which no hole follows. What comes behind it starts with a CRLF. */
static bool is_end(const struct piece *piece, bool top)
{
	return top && !piece->next && piece->kind == PIECE_LITERAL &&
	       without_newlines(piece->text).n;
}

/* Copies pieces with their literals encoded; `top`: not within a section. */
static int encode_pieces(struct encoder *e, const struct piece *from, bool top, struct piece **ret)
{
	int r = 0;
	*ret = NULL;
	for (; from && r >= 0; from = from->next, ret = &(*ret)->next) {
		struct piece *piece = *ret = arena_alloc(e->arena, sizeof(*piece));
		if (!piece)
			return -ENOMEM;
		*piece = *from;
		piece->next = NULL;
		if (is_end(from, top))
			r = encode_literal(e, without_newlines(from->text), false, &piece->text);
		else if (from->kind == PIECE_LITERAL)
			r = encode_literal(e, from->text, true, &piece->text);
		else if (from->kind == PIECE_VALUE)
			e->raw += VALUE_GUESS;
		else
			r = encode_pieces(e, from->children, false, &piece->children);
	}
	return r;
}

/* A body that ends in a hole: its soft break needs a line end behind it. */
static bool needs_newline(const struct piece *piece)
{
	while (piece->next)
		piece = piece->next;
	return piece->kind != PIECE_LITERAL;
}

/* Hashes the seed: the same for the same mail. Quoted-printable has no "=_", so no body has it. */
static int make_boundary(struct str seed, char ret[static BOUNDARY + 1])
{
	char hash[SHA256_HEX];
	int r = sha256_hex(&seed, 1, hash);
	if (r < 0)
		return r;
	snprintf(ret, BOUNDARY + 1, "=_%.*s", BOUNDARY - 2, hash);
	return 0;
}

static int keep(struct arena *arena, struct buf *from, struct str *ret)
{
	char *copy = from->err ? NULL : arena_copy(arena, buf_str(from));
	if (!copy)
		return from->err ? from->err : -ENOMEM;
	*ret = (struct str){copy, from->len};
	buf_reset(from);
	return 0;
}

static int compile_head(struct arena *arena, const struct message_spec *spec, struct message *m,
			struct buf *scratch)
{
	_cleanup_buf_ struct buf subject = {0};
	int r = buf_addstr(scratch, spec->headers);
	if (r >= 0 && is_literal(spec->subject)) {
		r = piece_render(spec->subject, NULL, &subject);
		if (r >= 0)
			r = header_text(scratch, "Subject", buf_str(&subject));
	} else {
		m->subject = spec->subject;
	}
	return r < 0 ? r : keep(arena, scratch, &m->head);
}

#define PART_START(type)                                                                           \
	"Content-Type: " type "; charset=utf-8\r\n"                                                \
	"Content-Transfer-Encoding: quoted-printable\r\n\r\n"

/* The runs around the bodies. */
static int compile_frame(struct arena *arena, const struct message_spec *spec, struct message *m,
			 struct buf *scratch)
{
	char boundary[BOUNDARY + 1];
	int r = make_boundary(spec->seed, boundary);
	if (r < 0)
		return r;
	buf_printf(scratch,
		   "MIME-Version: 1.0\r\n"
		   "Content-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n"
		   "--%s\r\n" PART_START("text/plain"),
		   boundary, boundary);
	r = keep(arena, scratch, &m->content_type);
	if (r < 0)
		return r;
	buf_printf(scratch, "%s\r\n--%s\r\n" PART_START("text/html"),
		   needs_newline(spec->text) ? "\r\n" : "", boundary);
	r = keep(arena, scratch, &m->between);
	if (r < 0)
		return r;
	buf_printf(scratch, "%s\r\n--%s--\r\n", needs_newline(spec->html) ? "\r\n" : "", boundary);
	return keep(arena, scratch, &m->tail);
}

static int check(const struct message_spec *spec, struct why *why)
{
	if (!spec->text)
		return why_set(why, -EINVAL, "the text part is empty");
	if (!spec->html)
		return why_set(why, -EINVAL, "the HTML part is empty");
	_cleanup_buf_ struct buf trial = {0};
	int r = header_message_id(&trial, spec->id, 0, spec->domain);
	if (r == -EINVAL)
		return why_set(why, r, "no Message-ID can be made of '%.*s' and '%.*s'",
			       (int)spec->id.n, spec->id.p, (int)spec->domain.n, spec->domain.p);
	return r < 0 ? why_set(why, r, "%s", strerror(-r)) : 0;
}

static int compile(struct arena *arena, const struct message_spec *spec, struct message *m,
		   struct encoder *e)
{
	int r = compile_head(arena, spec, m, &e->scratch);
	if (r >= 0)
		r = encode_pieces(e, spec->text, true, &m->text);
	e->raw = 0;
	if (r >= 0)
		r = encode_pieces(e, spec->html, true, &m->html);
	buf_reset(&e->scratch);
	if (r >= 0)
		r = compile_frame(arena, spec, m, &e->scratch);
	if (r < 0)
		return r;
	m->id.p = arena_copy(arena, spec->id);
	m->domain.p = arena_copy(arena, spec->domain);
	return m->id.p && m->domain.p ? 0 : -ENOMEM;
}

int message_compile(struct arena *arena, const struct message_spec *spec, struct message **ret,
		    struct why *why)
{
	int r = check(spec, why);
	if (r < 0)
		return r;
	struct message *m = arena_alloc(arena, sizeof(*m));
	if (!m)
		return why_set(why, -ENOMEM, "out of memory");
	*m = (struct message){
	    .id = spec->id,
	    .domain = spec->domain,
	    .unsubscribe = spec->unsubscribe,
	    .smtputf8 = spec->smtputf8,
	};
	struct encoder e = {.arena = arena};
	r = compile(arena, spec, m, &e);
	buf_free(&e.scratch);
	if (r < 0)
		return why_set(why, r, "the message can't be made: %s", strerror(-r));
	m->html_size = e.raw;
	m->size = HEAD_GUESS + m->head.n + m->content_type.n + m->between.n + m->tail.n + e.encoded;
	*ret = m;
	return 0;
}

/* ---- splicing ---- */

static int add_literal(void *ctx, const struct piece *piece)
{
	return buf_addstr(ctx, piece->text);
}

static int add_value(void *ctx, struct str text)
{
	size_t column = 0;
	qp_encode(ctx, text, &column);
	return qp_break(ctx, &column);
}

static int add_body(const struct piece *pieces, json_t *late, struct buf *out)
{
	const struct piece_sink sink = {add_literal, add_value, out};
	return piece_each(pieces, late, &sink);
}

static int add_subject(const struct message *m, json_t *late, struct buf *out)
{
	_cleanup_buf_ struct buf text = {0};
	if (!m->subject)
		return 0;
	int r = piece_render(m->subject, late, &text);
	return r < 0 ? r : header_text(out, "Subject", buf_str(&text));
}

static int add_unsubscribe(const struct message_reader *reader, struct buf *out)
{
	const struct str urls[] = {reader->unsubscribe, reader->unsubscribe_mail};
	if (!str_starts(urls[0], "https://") && !str_starts(urls[0], "http://"))
		return -EINVAL;
	int r = header_urls(out, "List-Unsubscribe", urls, ELEMENTS(urls));
	return r < 0 ? r
		     : header_raw(out, "List-Unsubscribe-Post", STR("List-Unsubscribe=One-Click"));
}

static int splice(const struct message *m, const struct message_reader *reader, struct buf *out)
{
	buf_reserve(out, m->size);
	buf_addstr(out, m->head);
	int r = header_mailbox(out, "To", reader->name, reader->address);
	if (r >= 0)
		r = add_subject(m, reader->late, out);
	if (r >= 0)
		r = header_date(out, "Date", reader->date);
	if (r >= 0)
		r = header_message_id(out, m->id, reader->id, m->domain);
	if (r >= 0 && m->unsubscribe)
		r = add_unsubscribe(reader, out);
	if (r < 0)
		return r;

	buf_addstr(out, m->content_type);
	r = add_body(m->text, reader->late, out);
	if (r < 0)
		return r;
	buf_addstr(out, m->between);
	r = add_body(m->html, reader->late, out);
	return r < 0 ? r : buf_addstr(out, m->tail);
}

int message_splice(const struct message *m, const struct message_reader *reader, struct buf *out)
{
	size_t before = out->len;
	int r = splice(m, reader, out);
	if (r < 0)
		buf_truncate(out, before);
	return r;
}

size_t message_size_hint(const struct message *m)
{
	return m->size;
}

size_t message_html_size(const struct message *m)
{
	return m->html_size;
}

bool message_smtputf8(const struct message *m)
{
	return m->smtputf8;
}
