/* What JSON objects are asked for throughout the mails. */
#pragma once

#include <jansson.h>

#include "base/str.h"

/* The string under `key`, as a view valid as long as the object is unchanged; empty: there is none.
 */
static inline struct str jsontext_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	return json_is_string(value)
		   ? (struct str){json_string_value(value), json_string_length(value)}
		   : (struct str){"", 0};
}

/* A shallow copy of an object, or NULL. (json_copy() leaves out what it has no memory for.) */
static inline json_t *jsontext_copy(json_t *object)
{
	json_t *copy = json_object();
	if (copy && json_is_object(object) && json_object_update(copy, object) < 0) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}
