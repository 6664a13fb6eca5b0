/*
 * Whole mails: the input is subject, text and HTML templates and a reader's name, each ended by a
 * NUL. Whatever they hold, the mail keeps its form and has the headers that it should, once each.
 */
#include <stdint.h>

#include "base/text.h"
#include "mail/message.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int reduce(struct arena *arena, struct str text, enum mustache_escape escape,
		  struct piece **ret)
{
	static const char *const late[] = {"reader", NULL};
	struct mustache *m;
	json_auto_t *data = json_object();
	int r = mustache_compile(arena, text, "t", NULL, &m, NULL);
	return r < 0 ? r : mustache_reduce(m, data, escape, late, 1 << 16, arena, ret, NULL);
}

static size_t count(const struct buf *mail, const char *what)
{
	size_t n = 0;
	for (const char *at = buf_text(mail); (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

static void check(const struct buf *mail)
{
	static const char *const once[] = {
	    "\r\nSubject: ", "\r\nTo: ", "\r\nDate: ", "\r\nMessage-ID: ", "\r\nMIME-Version: "};
	struct str line, rest = buf_str(mail);
	bool body = false;
	size_t headers = 0;
	while (str_cut(rest, '\n', &line, &rest)) {
		must(line.n && line.p[line.n - 1] == '\r', "a bare LF");
		line.n--;
		must(!memchr(line.p, '\r', line.n) && !memchr(line.p, '\0', line.n), "a control");
		body |= line.n == 0;
		must(line.n <= (body ? 76 : 998), "a line too long");
		must(!str_starts(line, ".") && !str_starts(line, "From "), "a line's start");
		if (!body && line.p[0] != ' ')
			headers++;
	}
	must(rest.n == 0, "no end");
	must(headers == 7, "a header too many or too few");
	for (size_t i = 0; i < ELEMENTS(once); i++)
		must(count(mail, once[i]) >= 1, once[i]);
	must(count(mail, "\r\n--=_") == 3, "a boundary within a part");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf out = {.limit = 1 << 22};
	struct str input = {(const char *)data, size};
	struct piece *subject = NULL, *text = NULL, *html = NULL;
	struct message *m;
	if (reduce(&arena, str_take(&input, '\0'), MUSTACHE_NONE, &subject) < 0 ||
	    reduce(&arena, str_take(&input, '\0'), MUSTACHE_NONE, &text) < 0 ||
	    reduce(&arena, str_take(&input, '\0'), MUSTACHE_HTML, &html) < 0)
		return 0;
	const struct message_spec spec = {
	    .headers = STR("From: <a@b.example>\r\n"),
	    .subject = subject,
	    .text = text,
	    .html = html,
	    .id = STR("i"),
	    .domain = STR("b.example"),
	    .seed = STR("s"),
	};
	if (message_compile(&arena, &spec, &m, NULL) < 0)
		return 0;
	struct str name = str_take(&input, '\0');
	json_auto_t *late = json_pack("{s:{s:s%}}", "reader", "name", name.p, (int)name.n);
	if (!text_valid(name) || !late)
		return 0;
	const struct message_reader reader = {
	    .address = STR("r@b.example"), .name = name, .late = late};
	if (message_splice(m, &reader, &out) == 0)
		check(&out);
	else
		must(out.len == 0, "something was left behind");
	return 0;
}
