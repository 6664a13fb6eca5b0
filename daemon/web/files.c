/* What isn't a page: static files, robots.txt, and /health, which asks whether PostgreSQL answers.
 */
#include <errno.h>
#include <string.h>

#include "base/embed.h"
#include "base/file.h"
#include "base/log.h"
#include "queries.h"
#include "web/visit.h"

enum { FILE_MOST = 8 << 20 };

static const char *type_of(struct str name)
{
	static const struct {
		const char *end, *type;
	} types[] = {
	    {".png", "image/png"},     {".jpg", "image/jpeg"},
	    {".jpeg", "image/jpeg"},   {".gif", "image/gif"},
	    {".webp", "image/webp"},   {".ico", "image/x-icon"},
	    {".svg", "image/svg+xml"}, {".txt", "text/plain; charset=utf-8"},
	};
	for (size_t i = 0; i < ELEMENTS(types); i++) {
		size_t n = strlen(types[i].end);
		if (name.n > n && str_case_is(str_from(name, name.n - n), types[i].end))
			return types[i].type;
	}
	return NULL;
}

/* One file's name: no folder, no ".", nothing that would have to be escaped. */
static bool is_file_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= 'A' && s.p[i] <= 'Z') &&
		    !(s.p[i] >= '0' && s.p[i] <= '9') && !strchr("._-", s.p[i]))
			return false;
	return s.n && s.p[0] != '.';
}

static int read_file(struct visit *v, struct buf *out)
{
	struct why why = {""};
	const char *dir = v->site->settings->templates_dir;
	const char *path =
	    arena_printf(&v->arena, "%s/web/static/%.*s", dir, (int)v->name.n, v->name.p);
	const char *embedded =
	    arena_printf(&v->arena, "templates/web/static/%.*s", (int)v->name.n, v->name.p);
	if (!path || !embedded)
		return -ENOMEM;
	int r = *dir ? file_read(path, FILE_MOST, out, &why) : -ENOENT;
	if (r != -ENOENT && r != -ENOTDIR) {
		if (r < 0)
			log_error("a static file can't be sent: %s", why.text);
		return r;
	}
	const struct embedded_file *file = embed_find(embedded);
	return file ? buf_addstr(out, embed_bytes(file)) : -ENOENT;
}

static enum visit_next static_begin(struct visit *v)
{
	const char *type = type_of(v->name);
	int r = type && is_file_name(v->name) ? read_file(v, &v->answer.body) : -ENOENT;
	if (r < 0) {
		visit_error(v, r == -ENOENT ? 404 : 500);
		return VISIT_ANSWERED;
	}
	v->answer.status = 200;
	v->answer.type = type;
	v->answer.cache = CACHE_A_DAY;
	strcpy(v->answer.csp, "default-src 'none'; style-src 'unsafe-inline'; sandbox");
	return VISIT_ANSWERED;
}

static enum visit_next robots_begin(struct visit *v)
{
	answer_plain(&v->answer, 200, "User-agent: *\nDisallow: /c/\nDisallow: /u/");
	v->answer.cache = CACHE_A_DAY;
	return VISIT_ANSWERED;
}

static enum visit_next health_begin(struct visit *v)
{
	v->answer.cache = CACHE_NEVER;
	return VISIT_ASKS;
}

static void health_ask(struct visit *v, struct db_tx *tx)
{
	(void)v;
	db_tx_query(tx, sql_web_health, NULL, NULL, NULL);
}

static void health_end(struct visit *v)
{
	answer_plain(&v->answer, 200, "ok");
}

const struct route file_routes[] = {
    {"/static/*", "GET", false, static_begin, NULL, NULL},
    {"/robots.txt", "GET", false, robots_begin, NULL, NULL},
    {"/health", "GET", false, health_begin, health_ask, health_end},
    {0},
};
