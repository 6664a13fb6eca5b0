/* subscriber import and export: readers from CSV and to CSV. */
#pragma once

#include "ctl/ctl.h"

extern const struct ctl_option import_options[];
extern const char import_more[];
int import_run(struct ctl *ctl);

int export_run(struct ctl *ctl);
