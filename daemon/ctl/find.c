#include "ctl/find.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "queries.h"

int check_name(const char *what, const char *name)
{
	if (str_is_name(str_of(name)))
		return CTL_OK;
	return ctl_fail(CTL_USAGE, "\"%s\" is no name for %s: use a-z, 0-9 and -, at most %d", name,
			what, STR_NAME);
}

int check_number(const char *noun, const char *text, int64_t *ret)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno || *end || value <= 0)
		return ctl_fail(CTL_USAGE, "\"%s\" is no %s's number; see: digestctl %s ls", text,
				noun, noun);
	*ret = value;
	return CTL_OK;
}

int check_address(const char *text, struct address *ret)
{
	struct why why;
	if (address_parse(str_of(text), ret, &why) < 0)
		return ctl_fail(CTL_USAGE, "%s is no e-mail address: %s", text, why.text);
	return CTL_OK;
}

bool is_language(struct str s)
{
	size_t part = 0, at = 0, n = 0;
	for (; at <= s.n; at++) {
		if (at < s.n && s.p[at] != '-') {
			bool lower = s.p[at] >= 'a' && s.p[at] <= 'z';
			if (part == 0 ? !lower : !isalnum((unsigned char)s.p[at]))
				return false;
			n++;
			continue;
		}
		if (n < 2 || n > (part == 0 ? 3 : 8))
			return false;
		part++;
		n = 0;
	}
	return true;
}

static int find_name(struct ctl *ctl, const char *sql, const char *what, const char *name, int *ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_text(&p, name);
	int r = ctl_find(ctl, sql, &p, &res, "there is no %s \"%s\"; see: digestctl %s ls", what,
			 name, what);
	if (r == CTL_OK)
		*ret = db_int(res, 0, 0);
	return r;
}

int find_list(struct ctl *ctl, const char *name, int *ret)
{
	return find_name(ctl, sql_ctl_list_id, "list", name, ret);
}

int find_feed(struct ctl *ctl, const char *name, int *ret)
{
	return find_name(ctl, sql_ctl_feed_id, "feed", name, ret);
}

int find_list_if_named(struct ctl *ctl, const char *name)
{
	int list;
	return name ? find_list(ctl, name, &list) : CTL_OK;
}

int find_edition(struct ctl *ctl, int list, const char *list_name, const char *name, int *ret)
{
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_int64(&p, list);
	params_text(&p, name);
	int r = name ? ctl_find(ctl, sql_ctl_edition_id, &p, &res,
				"the list %s has no edition \"%s\"", list_name, name)
		     : ctl_find(ctl, sql_ctl_edition_id, &p, &res,
				"the list %s has no edition; see: digestctl help edition add",
				list_name);
	if (r == CTL_OK)
		*ret = db_int(res, 0, 0);
	return r;
}
