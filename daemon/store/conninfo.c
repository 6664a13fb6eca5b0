#include "store/conninfo.h"

#include <errno.h>
#include <libpq-fe.h>

static bool add(struct conninfo *c, const char *keyword, const char *value)
{
	if (c->count == CONNINFO_MAX)
		return false;
	char *key = arena_strdup(&c->arena, keyword), *copy = arena_strdup(&c->arena, value);
	if (!key || !copy)
		return false;
	c->keywords[c->count] = key;
	c->values[c->count++] = copy;
	return true;
}

static const char *find(const struct conninfo *c, const char *keyword)
{
	for (int i = 0; i < c->count; i++)
		if (strcmp(c->keywords[i], keyword) == 0)
			return c->values[i];
	return NULL;
}

static bool add_default(struct conninfo *c, const char *keyword, const char *value)
{
	return find(c, keyword) || !value || add(c, keyword, value);
}

static bool add_defaults(struct conninfo *c, const struct db_config *config)
{
	return add_default(c, "application_name", config->application) &&
	       add_default(c, "client_encoding", "UTF8") &&
	       add_default(c, "connect_timeout", "10") &&
	       add_default(c, "tcp_user_timeout", "10000") &&
	       add_default(c, "keepalives_idle", "10") &&
	       add_default(c, "keepalives_interval", "5") &&
	       add_default(c, "keepalives_count", "3") &&
	       add_default(c, "target_session_attrs", "read-write");
}

static const char * or (const char *text, const char *otherwise)
{
	return text && *text ? text : otherwise;
}

/* What is given apart from the connection string wins over it. */
static const char *given_apart(const struct db_config *config, const char *keyword)
{
	if (strcmp(keyword, "password") == 0)
		return config->password;
	return strcmp(keyword, "dbname") == 0 ? config->database : NULL;
}

static int complete(struct conninfo *c, const PQconninfoOption *options,
		    const struct db_config *config)
{
	for (; options->keyword; options++) {
		const char *apart = given_apart(config, options->keyword);
		const char *value = apart ? apart : options->val;
		if (value && !add(c, options->keyword, value))
			return -ENOMEM;
	}
	if (!add_defaults(c, config))
		return -ENOMEM;
	const char *host = or (find(c, "host"), find(c, "hostaddr"));
	c->shown = arena_printf(&c->arena, "%s@%s:%s/%s", or (find(c, "user"), "(me)"),
				or (host, "(local)"), or (find(c, "port"), "5432"),
				or (find(c, "dbname"), "(mine)"));
	return c->shown ? 0 : -ENOMEM;
}

int conninfo_read(const struct db_config *config, struct conninfo *ret, struct why *why)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(config->conninfo, &message);
	if (!options) {
		/* libpq's message may quote a piece of a password, but for this one. */
		bool harmless = message && strstr(message, "invalid connection option") == message;
		why_set(why, -EINVAL, "the connection string can't be read: %.*s",
			harmless ? (int)strcspn(message, "\n") : 200,
			harmless ? message
				 : "neither a URI (postgresql://...) nor key=value pairs");
		int err = message ? -EINVAL : -ENOMEM;
		PQfreemem(message);
		return err;
	}
	struct conninfo c = {0};
	int r = complete(&c, options, config);
	PQconninfoFree(options);
	if (r < 0) {
		conninfo_free(&c);
		return why_set(why, r, "no memory for the connection string");
	}
	*ret = c;
	return 0;
}

static void reverse(char *text, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		char c = text[i];
		text[i] = text[n - 1 - i];
		text[n - 1 - i] = c;
	}
}

/* "a,b,c" to "b,c,a", in place; a text without a comma stays as it is. */
static void rotate_list(char *list)
{
	size_t n = strlen(list), first = strcspn(list, ",");
	if (first == n)
		return;
	/* Each part turned around, then the whole: "a" "," "b,c" becomes "b,c" "," "a". */
	reverse(list, first);
	reverse(list + first + 1, n - first - 1);
	reverse(list, n);
}

void conninfo_rotate(struct conninfo *c)
{
	for (int i = 0; i < c->count; i++)
		if (strcmp(c->keywords[i], "host") == 0 ||
		    strcmp(c->keywords[i], "hostaddr") == 0 || strcmp(c->keywords[i], "port") == 0)
			rotate_list((char *)c->values[i]); /* a copy of our own: see add() */
}

static const char *hosts(const struct conninfo *c)
{
	const char *list = find(c, "host");
	return list ? list : find(c, "hostaddr");
}

bool conninfo_is_list(const struct conninfo *c)
{
	const char *list = hosts(c);
	return list && strchr(list, ',');
}

/* One part for all of a list, as a single port for several hosts, is each one's. */
static bool is_last(const char *list, const char *part)
{
	const char *comma = list ? strrchr(list, ',') : NULL;
	return !list || strcmp(comma ? comma + 1 : list, part) == 0;
}

void conninfo_rotate_past(struct conninfo *c, const char *host, const char *port)
{
	const char *list = hosts(c);
	size_t n = 1;
	for (const char *at = list; at && *at; at++)
		n += *at == ',';
	conninfo_rotate(c);
	for (size_t i = 1; i < n; i++) {
		if (is_last(list, host) && is_last(find(c, "port"), port))
			return;
		conninfo_rotate(c);
	}
}

void conninfo_free(struct conninfo *c)
{
	arena_free(&c->arena);
	*c = (struct conninfo){0};
}
