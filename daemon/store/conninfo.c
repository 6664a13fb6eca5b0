#include "store/conninfo.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdbool.h>

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

static int complete(struct conninfo *c, const PQconninfoOption *options,
		    const struct db_config *config)
{
	if (config->password && !add(c, "password", config->password))
		return -ENOMEM;
	for (; options->keyword; options++) {
		bool replaced = config->password && strcmp(options->keyword, "password") == 0;
		if (options->val && !replaced && !add(c, options->keyword, options->val))
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

/* "a,b,c" to "b,c,a"; a text without a comma stays as it is. */
static const char *rotated(struct conninfo *c, const char *list)
{
	struct str first, rest;
	if (!str_cut(str_of(list), ',', &first, &rest))
		return list;
	return arena_printf(&c->arena, "%.*s,%.*s", (int)rest.n, rest.p, (int)first.n, first.p);
}

int conninfo_rotate(struct conninfo *c)
{
	const char *values[CONNINFO_MAX];
	for (int i = 0; i < c->count; i++) {
		bool listed = strcmp(c->keywords[i], "host") == 0 ||
			      strcmp(c->keywords[i], "hostaddr") == 0 ||
			      strcmp(c->keywords[i], "port") == 0;
		values[i] = listed ? rotated(c, c->values[i]) : c->values[i];
		if (!values[i])
			return -ENOMEM;
	}
	memcpy(c->values, values, (size_t)c->count * sizeof(values[0]));
	return 0;
}

void conninfo_free(struct conninfo *c)
{
	arena_free(&c->arena);
	*c = (struct conninfo){0};
}
