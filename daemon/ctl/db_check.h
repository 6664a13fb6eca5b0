/* The verb `db check`. */
#pragma once

#include "ctl/ctl.h"

int db_run_check(struct ctl *ctl);
