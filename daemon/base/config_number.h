/* The numbers of libconfig's syntax, as texts without a NUL in them. Nothing is allocated. */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* An integer: decimal or 0x..., with a sign, with L or LL for 64 bits. *ret_fits: libconfig 1.5
 * keeps its value; it would wrap others without a word. */
bool config_is_integer(struct str s, bool *ret_fits);
bool config_is_float(struct str s);
