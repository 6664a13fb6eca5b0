#include "ctl/nouns.h"

/* In the order of the help. */
const struct ctl_noun *const ctl_nouns[] = {
    &noun_db,
    NULL,
};
