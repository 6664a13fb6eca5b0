/*
 * What strangers send to the pages: the first line is a Content-Type (and, again, an
 * Accept-Language and an X-Forwarded-For), the rest a body. What comes out lies within what went
 * in, is within the limits, and a urlencoded form written out of it reads back the same.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "must.h"
#include "web/client.h"
#include "web/form.h"
#include "web/pages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_escaped(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_printf(out, "%%%02x", (unsigned char)s.p[i]);
}

static void check_form(struct str type, struct str body)
{
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf again = {0};
	struct form form, second;
	size_t total = 0;
	if (form_parse(type, body, &arena, &form) < 0)
		return;
	must(form.n <= FORM_FIELDS, "too many fields");
	for (size_t i = 0; i < form.n; i++) {
		total += form.fields[i].name.n + form.fields[i].value.n;
		write_escaped(&again, form.fields[i].name);
		buf_addc(&again, '=');
		write_escaped(&again, form.fields[i].value);
		buf_addc(&again, '&');
	}
	must(total <= body.n, "more came out than went in");
	must(form_parse(STR(""), buf_str(&again), &arena, &second) == 0, "refused its own form");
	must(second.n == form.n, "another number of fields");
	for (size_t i = 0; i < form.n; i++)
		must(str_eq(form.fields[i].name, second.fields[i].name) &&
			 str_eq(form.fields[i].value, second.fields[i].value),
		     "another field");
}

static void check_client(struct str forwarded)
{
	static const char *items[] = {"10.0.0.0/8", "2001:db8::/32", "::ffff:192.0.2.0/120"};
	static const struct config_strings trusted = {items, ELEMENTS(items)};
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
	struct client client;
	char text[CLIENT_TEXT];
	client_of(&trusted, (const struct sockaddr *)&peer, forwarded, &client);
	must(client.family == AF_INET || client.family == AF_INET6, "no client");
	must(strchr(client_network(&client, text), '/') != NULL, "no network");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pages *pages;
	struct str all = {(const char *)data, size}, head = all, body = {"", 0};
	_cleanup_arena_ struct arena arena = {0};
	if (!pages)
		must(pages_load(NULL, &pages, NULL) == 0, "no pages");
	str_cut(all, '\n', &head, &body);
	check_form(head, body);
	check_client(head);
	const char *text = arena_copy(&arena, head);
	must(text && pages_words(pages, text, text) != NULL, "no language");
	return 0;
}
