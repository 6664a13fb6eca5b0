/* Strings out of JSON objects as views, valid as long as the object is unchanged. */
#pragma once

#include <jansson.h>

#include "base/str.h"

/* The string under `key`, or the empty view when there is none. */
static inline struct str jsontext_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	return json_is_string(value)
		   ? (struct str){json_string_value(value), json_string_length(value)}
		   : (struct str){"", 0};
}
