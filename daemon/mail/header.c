#include "mail/header.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "mail/mime.h"

/* ---- what kind of text it is ---- */

/* What has to be known of a text before it is written. */
struct shape {
	size_t len;     /* bytes, as the header shows them */
	size_t longest; /* bytes of the longest word */
	bool ascii;
	bool atoms; /* nothing but atext (RFC 5322 3.2.3) and spaces */
	bool coded; /* holds what would be read as an encoded word */
};

static bool is_atext(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static struct shape shape_of(struct str text)
{
	struct shape shape = {.ascii = true, .atoms = true};
	struct mime_reader reader = {text, false};
	size_t word = 0;
	char c[4], last = 0;
	for (size_t n; (n = mime_next(&reader, c)) > 0; last = c[n - 1]) {
		shape.len += n;
		word = c[0] == ' ' ? 0 : word + n;
		if (word > shape.longest)
			shape.longest = word;
		if (n > 1)
			shape.ascii = false;
		if (n > 1 || (c[0] != ' ' && !is_atext(c[0])))
			shape.atoms = false;
		if (last == '=' && c[0] == '?')
			shape.coded = true;
	}
	return shape;
}

/* ---- folding ---- */

/* The bytes of the word that the reader stands before; `escaped`: as they stand in quotes. */
static size_t word_size(struct mime_reader reader, bool escaped)
{
	char c[4];
	size_t size = 0;
	for (size_t n; (n = mime_next(&reader, c)) > 0 && c[0] != ' '; size += n)
		if (escaped && (c[0] == '"' || c[0] == '\\'))
			size++;
	return size;
}

/* Writes ASCII text, folded between words; `escaped` for the inside of a quoted string. */
static void add_words(struct buf *out, struct str text, size_t *column, bool escaped)
{
	struct mime_reader reader = {text, false};
	size_t most = escaped ? HEADER_FOLD - 1 : HEADER_FOLD; /* a place for the closing quote */
	char c[4];
	while (mime_next(&reader, c) > 0) {
		if (c[0] == ' ') {
			if (*column + 1 + word_size(reader, escaped) > most) {
				buf_add(out, "\r\n", 2);
				*column = 0;
			}
		} else if (escaped && (c[0] == '"' || c[0] == '\\')) {
			buf_addc(out, '\\');
			++*column;
		}
		buf_addc(out, c[0]);
		++*column;
	}
}

/* A first line is never folded at once: some readers take "To:" alone for empty. */
static size_t start(struct buf *out, const char *name)
{
	buf_adds(out, name);
	buf_adds(out, ": ");
	return strlen(name) + 2;
}

/* The end of a header; takes it back whole when the buffer was too small. */
static int finish(struct buf *out, size_t from)
{
	buf_add(out, "\r\n", 2);
	if (out->err)
		buf_truncate(out, from);
	return out->err;
}

/* A space, or a new line when `size` bytes don't fit behind it. */
static void add_gap(struct buf *out, size_t *column, size_t size)
{
	if (*column + 1 + size > HEADER_FOLD) {
		buf_add(out, "\r\n", 2);
		*column = 0;
	}
	buf_addc(out, ' ');
	++*column;
}

int header_text(struct buf *out, const char *name, struct str text)
{
	struct shape shape = shape_of(text);
	size_t from = out->len, column = start(out, name);
	if (shape.ascii && !shape.coded && shape.longest < HEADER_FOLD - 1)
		add_words(out, text, &column, false);
	else
		mime_words(out, text, &column);
	return finish(out, from);
}

/* ---- mailboxes ---- */

/* A display name, as atoms, as a quoted string or as encoded words, and the space behind it. */
static void add_phrase(struct buf *out, struct str text, size_t next, size_t *column)
{
	struct shape shape = shape_of(text);
	if (shape.len == 0)
		return;
	if (!shape.ascii || shape.coded || shape.longest > HEADER_LINE / 2) {
		mime_words(out, text, column);
	} else {
		if (!shape.atoms)
			buf_addc(out, '"');
		*column += !shape.atoms;
		add_words(out, text, column, !shape.atoms);
		if (!shape.atoms)
			buf_addc(out, '"');
		*column += !shape.atoms;
	}
	add_gap(out, column, next);
}

/* Whether an address or identifier can stand between angle brackets. */
static bool is_bare(struct str s, size_t most)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f ||
		    strchr("<>(),;:\\\"[]", s.p[i]))
			return false;
	return s.n > 0 && s.n <= most;
}

int header_message_id(struct buf *out, struct str left, int64_t number, struct str domain)
{
	if (!is_bare(left, 253) || !is_bare(domain, 253))
		return -EINVAL;
	return buf_printf(out, "Message-ID: <%.*s.%lld@%.*s>\r\n", (int)left.n, left.p,
			  (long long)number, (int)domain.n, domain.p);
}

static int add_named(struct buf *out, const char *name, struct str display, struct str value)
{
	if (!is_bare(value, 320))
		return -EINVAL;
	size_t from = out->len, column = start(out, name);
	add_phrase(out, display, value.n + 2, &column);
	buf_addc(out, '<');
	buf_addstr(out, value);
	buf_addc(out, '>');
	return finish(out, from);
}

int header_mailbox(struct buf *out, const char *name, struct str display, struct str address)
{
	return add_named(out, name, display, address);
}

int header_list_id(struct buf *out, const char *name, struct str title, struct str id)
{
	return add_named(out, name, title, id);
}

/* ---- values of machines ---- */

int header_raw(struct buf *out, const char *name, struct str value)
{
	if (value.n == 0 || strlen(name) + 2 + value.n > HEADER_LINE)
		return -EINVAL;
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < ' ' || value.p[i] > '~')
			return -EINVAL;
	size_t from = out->len;
	start(out, name);
	buf_addstr(out, value);
	return finish(out, from);
}

static bool is_url_char(char c)
{
	return c > ' ' && c <= '~' && !strchr("<>\"\\^`{|}", c);
}

static size_t url_size(struct str url)
{
	size_t size = 0;
	for (size_t i = 0; i < url.n; i++)
		size += is_url_char(url.p[i]) ? 1 : 3;
	return size;
}

static void add_url(struct buf *out, struct str url)
{
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < url.n; i++) {
		unsigned char c = (unsigned char)url.p[i];
		char code[3] = {'%', hex[c >> 4], hex[c & 15]};
		if (is_url_char(url.p[i]))
			buf_addc(out, url.p[i]);
		else
			buf_add(out, code, sizeof(code));
	}
}

int header_urls(struct buf *out, const char *name, const struct str urls[], size_t count)
{
	size_t from = out->len, written = 0;
	for (size_t i = 0; i < count; i++)
		if (strlen(name) + 5 + url_size(urls[i]) > HEADER_LINE)
			return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (urls[i].n == 0)
			continue;
		if (written++)
			buf_adds(out, ",\r\n ");
		else
			start(out, name);
		buf_addc(out, '<');
		add_url(out, urls[i]);
		buf_addc(out, '>');
	}
	return written ? finish(out, from) : out->err;
}

const char *header_date_text(usec_t moment, char text[static HEADER_DATE])
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t)(moment / USEC_PER_SEC);
	struct tm t;
	gmtime_r(&seconds, &t);
	unsigned year = (unsigned)(t.tm_year + 1900) % 10000, day = (unsigned)t.tm_mday % 100;
	snprintf(text, HEADER_DATE, "%s, %02u %s %04u %02u:%02u:%02u +0000", days[t.tm_wday], day,
		 months[t.tm_mon], year, (unsigned)t.tm_hour % 100, (unsigned)t.tm_min % 100,
		 (unsigned)t.tm_sec % 100);
	return text;
}

int header_date(struct buf *out, const char *name, usec_t moment)
{
	char text[HEADER_DATE];
	return header_raw(out, name, str_of(header_date_text(moment, text)));
}
