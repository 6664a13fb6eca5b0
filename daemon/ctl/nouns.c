#include "ctl/nouns.h"

/* In the order of the help. */
const struct ctl_noun *const ctl_nouns[] = {
    &noun_list,     &noun_edition, &noun_subscriber, &noun_feed,    &noun_article,
    &noun_template, &noun_issue,   &noun_queue,      &noun_explain, &noun_relay,
    &noun_engine,   &noun_key,     &noun_db,         NULL,
};
