/* The nouns, each defined in the file of its name. */
#pragma once

#include "ctl/ctl.h"

extern const struct ctl_noun noun_list;
extern const struct ctl_noun noun_edition;
extern const struct ctl_noun noun_subscriber;
extern const struct ctl_noun noun_feed;
extern const struct ctl_noun noun_article;
extern const struct ctl_noun noun_template;
extern const struct ctl_noun noun_issue;
extern const struct ctl_noun noun_queue;
extern const struct ctl_noun noun_explain;
extern const struct ctl_noun noun_relay;
extern const struct ctl_noun noun_engine;
extern const struct ctl_noun noun_key;
extern const struct ctl_noun noun_db;
