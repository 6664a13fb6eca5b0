/*
 * Finds the main text of a web page in its tree; page.h tells by which rules.
 */
#pragma once

#include <stdbool.h>

#include <libxml/tree.h>

/* The element that holds it, or NULL; of a page of one's own (not foreign) what isn't marked is
 * all. */
xmlNode *maintext_find(xmlNode *root, bool foreign);

/* Takes out of it what isn't the article: navigation, sharing, comments ... */
void maintext_prune(xmlNode *main);

/* The attribute's value, or NULL; valid as long as the tree is unchanged. */
const char *maintext_attribute(const xmlNode *node, const char *name);
