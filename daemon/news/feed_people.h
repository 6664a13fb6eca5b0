/*
 * The people of a feed or an article: "me@example.com (Name)" and its kin, Atom's person elements.
 */
#pragma once

#include "news/feed_node.h"

int feed_people_add(struct feed_build *b, struct feed_people *people, struct feed_person person);

/* A person as RSS writes one: name, address, or both in any of the usual ways. */
struct feed_person feed_person_parse(struct feed_build *b, struct str text);

/* An Atom person element, or RSS text. Empty when it names nobody. */
struct feed_person feed_person_read(struct feed_build *b, const xmlNode *node);

/* The names, with commas between; NULL when nobody has one. Addresses are not shown to readers. */
char *feed_people_names(struct feed_build *b, const struct feed_people *people);
