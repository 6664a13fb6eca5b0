/*
 * Looking through templates for what would go wrong: what is no template, partials that don't
 * exist, names that nothing has. Names are told by what mails show (template_names.h).
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "ctl/ctl.h"

/*
 * Checks what the arguments name, or all themes. Appends {"file", "line", "column", "text"} for
 * each mistake (no line: of the file as a whole); *ret_files counts what was looked through.
 */
int template_check(struct ctl *ctl, json_t *mistakes, size_t *ret_files);
