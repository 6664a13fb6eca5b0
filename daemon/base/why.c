#include "base/why.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void mark_cut(struct why *why, int n)
{
	if (n >= (int)sizeof(why->text))
		memcpy(why->text + sizeof(why->text) - 4, "...", 4);
}

int why_set(struct why *why, int err, const char *format, ...)
{
	if (!why)
		return err;
	va_list args;
	va_start(args, format);
	mark_cut(why, vsnprintf(why->text, sizeof(why->text), format, args));
	va_end(args);
	return err;
}

int why_prefix(struct why *why, int err, const char *format, ...)
{
	if (!why)
		return err;
	struct why rest = *why;
	va_list args;
	va_start(args, format);
	int n = vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	if (n >= 0 && n < (int)sizeof(why->text))
		n += snprintf(why->text + n, sizeof(why->text) - (size_t)n, "%s", rest.text);
	mark_cut(why, n);
	return err;
}
