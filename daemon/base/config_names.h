/* The names in a schema: is one known, and if not, which was meant? Allocates nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"

/* False: `words` says what is wrong with the name and what would be right. */
bool config_name_known(const struct config_group *group, const char *name, char *words,
		       size_t room);
