/*
 * The body of a POST, read whole: application/x-www-form-urlencoded as browsers write it
 * (https://url.spec.whatwg.org/#application/x-www-form-urlencoded) and multipart/form-data (RFC
 * 7578), since senders of a one-click unsubscribe may use either (RFC 8058, 3.1).
 *
 * Names and values are any bytes, NUL too; they are views of the body or of the arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

enum { FORM_FIELDS = 32 };

struct form_field {
	struct str name, value;
};

struct form {
	struct form_field fields[FORM_FIELDS];
	size_t n;
};

/*
 * `type` is the Content-Type; an empty one means urlencoded. Files in multipart bodies are left
 * out. -ENOTSUP: another type; -EINVAL: broken; -E2BIG: more than FORM_FIELDS; -ENOMEM.
 */
int form_parse(struct str type, struct str body, struct arena *arena, struct form *ret);

/* The first field of that name, or the empty view. */
struct str form_get(const struct form *form, const char *name);
