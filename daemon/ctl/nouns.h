/* The nouns, each defined in the file of its name. */
#pragma once

#include "ctl/ctl.h"

extern const struct ctl_noun noun_db;
