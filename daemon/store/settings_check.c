#include "store/settings_check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/units.h"
#include "store/settings.h"

#define DIGITS "0123456789"
#define SMALL  "abcdefghijklmnopqrstuvwxyz"
#define LARGE  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

int settings_check_path(const char *text, struct why *why)
{
	return *text == '/' ? 0 : why_set(why, -EINVAL, "must be a path that begins with \"/\"");
}

int settings_check_name(const char *text, struct why *why)
{
	size_t n = strlen(text);
	if (n > 63 || strspn(text, SMALL DIGITS "-_") != n)
		return why_set(
		    why, -EINVAL,
		    "must be a name of at most 63 small letters, digits, \"-\" or \"_\"");
	return 0;
}

int settings_check_host(const char *text, struct why *why)
{
	struct in6_addr address;
	size_t n = strlen(text);
	if (inet_pton(AF_INET6, text, &address) == 1)
		return 0;
	if (n > 253 || *text == '-' || *text == '.' || strspn(text, SMALL LARGE DIGITS "-._") != n)
		return why_set(why, -EINVAL,
			       "must be a host's name or address, without a port or brackets");
	return 0;
}

int settings_check_line(const char *text, struct why *why)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			return why_set(why, -EINVAL, "must be one line of plain ASCII");
	return 0;
}

/* A conninfo that is wrong is never shown, nor what libpq says of it: it may hold a password. */
int settings_check_conninfo(const char *text, struct why *why)
{
	PQconninfoOption *options = PQconninfoParse(text, NULL);
	if (!options)
		return why_set(why, -EACCES,
			       "is no connection string of libpq, as \"host=db1 dbname=digestd "
			       "user=digestd_engine\"");
	bool password = false;
	for (PQconninfoOption *o = options; o->keyword; o++)
		password |= o->val && *o->val && strstr(o->keyword, "password");
	PQconninfoFree(options);
	return password ? why_set(why, -EACCES,
				  "may hold no password: write that into a file and name it with "
				  "..._password_file")
			: 0;
}

int settings_check_url(const char *text, struct why *why)
{
	struct str url = str_of(text), rest;
	size_t scheme = str_starts(url, "https://") ? 8 : str_starts(url, "http://") ? 7 : 0;
	rest = str_from(url, scheme);
	if (!scheme || rest.n == 0 || *rest.p == '/' || strpbrk(text, " \"<>?#") ||
	    text[url.n - 1] == '/')
		return why_set(why, -EINVAL,
			       "must be an address as \"https://news.example.org\", with no \"/\" "
			       "at its end");
	return settings_check_line(text, why);
}

static bool is_address(struct str s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	if (s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

/* A whole number of at most five digits, 0 to `most`. */
static bool is_number(const char *text, int most)
{
	size_t n = strlen(text);
	return n > 0 && n <= 5 && strspn(text, DIGITS) == n && atoi(text) <= most;
}

int settings_check_listen(const char *text, struct why *why)
{
	if (strcmp(text, "systemd") == 0)
		return 0;
	if (strncmp(text, "unix:/", 6) == 0) {
		/* sun_path has 108 bytes with its NUL, unix(7). */
		return strlen(text + 5) < 108
			   ? 0
			   : why_set(why, -EINVAL, "has a path of more than 107 bytes");
	}
	const char *colon = strrchr(text, ':');
	struct str host = {text, colon ? (size_t)(colon - text) : 0};
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct str){host.p + 1, host.n - 2};
	else if (memchr(host.p, ':', host.n))
		host.n = 0;
	if (host.n == 0 || !is_address(host) || !is_number(colon + 1, 65535))
		return why_set(why, -EINVAL,
			       "must be \"systemd\", \"unix:/PATH\", \"ADDRESS:PORT\" or "
			       "\"[ADDRESS]:PORT\"");
	return 0;
}

int settings_check_network(const char *text, struct why *why)
{
	struct str address = str_of(text), bits = {0};
	bool cut = str_cut(str_of(text), '/', &address, &bits);
	int most = memchr(address.p, ':', address.n) ? 128 : 32;
	if (strcmp(text, "unix") == 0)
		return 0;
	if (!is_address(address) || (cut && !is_number(bits.p, most)))
		return why_set(why, -EINVAL,
			       "must be \"unix\", an address, or a network as \"10.0.0.0/8\"");
	return 0;
}

void settings_check_relay(const void *relay, struct config_check *check)
{
	const struct settings_relay *r = relay;
	if (r->password.text && !*r->user)
		config_wrong(check, "user", "is missing, but there is a password");
	if (*r->ca_file && config_reader(check) == SETTINGS_ENGINE && access(r->ca_file, R_OK) < 0)
		config_wrong(check, "ca_file", "can't be read: %s: %s", r->ca_file,
			     strerror(errno));
	if (*r->user && (r->tls == SETTINGS_TLS_NONE || r->tls == SETTINGS_TLS_ALLOWED))
		config_warn(check, "tls",
			    "doesn't keep the password secret on its way; \"required\" does");
	if (r->tls != SETTINGS_TLS_NONE && !r->tls_verify)
		config_warn(check, "tls_verify",
			    "is off: whoever stands in between can read and change the mail");
}

void settings_check_backoff(const void *backoff, struct config_check *check)
{
	const struct settings_backoff *b = backoff;
	if (b->first > b->cap)
		config_wrong(check, "first", "is longer than cap");
}

void settings_check_window(const void *window, struct config_check *check)
{
	const struct settings_window *w = window;
	if (w->per_provider > w->total)
		config_wrong(check, "per_provider", "is more than total");
}

struct named {
	const char *name;
	usec_t value;
};

static void in_order(struct config_check *check, struct named less, struct named more)
{
	char least[UNITS_TEXT];
	if (less.value >= more.value)
		config_wrong(check, more.name, "must be more than %s, %s", less.name,
			     units_duration_text(less.value, least));
}

void settings_check_timing(const void *timing, struct config_check *check)
{
	const struct settings_timing *t = timing;
	const struct named rising[] = {
	    {"look", t->look},
	    {"look_max", t->look_max},
	    {"beat", t->beat},
	    {"stop_after", t->stop_after},
	    {"dead", t->dead},
	    {"orphan_after", t->orphan_after},
	    {"journal_keep", t->journal_keep},
	};
	for (size_t i = 0; i + 1 < ELEMENTS(rising); i++)
		in_order(check, rising[i], rising[i + 1]);
	in_order(check, (struct named){"stop_after + relay_tcp", t->stop_after + t->relay_tcp},
		 (struct named){"dead", t->dead});
	in_order(check, (struct named){"relay_dot", t->relay_dot},
		 (struct named){"orphan_after", t->orphan_after});
}

void settings_check_root(const void *settings, struct config_check *check)
{
	const struct settings *s = settings;
	for (size_t i = 0; i < s->relays.n; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(s->relays.items[i].name, s->relays.items[j].name) == 0)
				config_wrong(
				    check, "relays",
				    "[%zu] has the name \"%s\" of [%zu]; each needs its own", i,
				    s->relays.items[i].name, j);
	if (s->retry.backoff.first >= s->retry.expires)
		config_wrong(check, "retry", "must allow a second try: first is beyond expires");
}
