/*
 * The people of a feed or an article: "me@example.com (Name)" and its kin, Atom's person elements.
 */
#pragma once

#include "news/feed_element.h"

/* One more, unless the person is nobody or they are 20. */
void feed_people_add(struct feed_build *b, struct feed_people *people, struct feed_person person);

/* A person as RSS writes one: name, address, or both in any of the usual ways. */
struct feed_person feed_person_parse(struct feed_build *b, struct str text);

/*
 * Adds the one that an Atom person element or RSS text names. A source of better rank replaces the
 * people of others, one of the same rank adds to them.
 */
void feed_people_take(struct feed_build *b, struct feed_people *people, unsigned char *held,
		      const xmlNode *node, unsigned char rank);

/* The names, with commas between; NULL when nobody has one. Addresses are not shown to readers. */
char *feed_people_names(struct feed_build *b, const struct feed_people *people);
