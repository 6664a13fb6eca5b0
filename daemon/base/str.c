#include "base/str.h"

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool str_is_name(struct str a)
{
	for (size_t i = 0; i < a.n; i++)
		if (!(a.p[i] >= 'a' && a.p[i] <= 'z') && !(a.p[i] >= '0' && a.p[i] <= '9') &&
		    a.p[i] != '-')
			return false;
	return a.n && a.n <= STR_NAME && a.p[0] != '-';
}

struct str str_trim(struct str a)
{
	while (a.n && is_space(a.p[0]))
		a = str_from(a, 1);
	while (a.n && is_space(a.p[a.n - 1]))
		a.n--;
	return a;
}

bool str_cut(struct str a, char mark, struct str *ret_before, struct str *ret_rest)
{
	const char *at = a.n ? memchr(a.p, mark, a.n) : NULL;
	if (!at)
		return false;
	size_t n = (size_t)(at - a.p);
	*ret_before = str_head(a, n);
	*ret_rest = str_from(a, n + 1);
	return true;
}

struct str str_take(struct str *rest, char mark)
{
	struct str taken = *rest, left = str_from(*rest, rest->n);
	str_cut(*rest, mark, &taken, &left);
	*rest = left;
	return taken;
}
