/*
 * Foreign XML becomes a tree, safely: no network, no external entity or DTD, bounded depth, bounded
 * number of nodes, bounded entity expansion. HTML's named entities are known. What isn't
 * well-formed is mended where people commonly break it, then read as far as it goes.
 */
#pragma once

#include <libxml/tree.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/why.h"

DEFINE_CLEANUP(xmlDocPtr, xmlFreeDoc);

/*
 * `text` is valid UTF-8 whatever it declares. The caller frees *ret by xmlFreeDoc(). *ret_repaired:
 * it was not well-formed. -EBADMSG, -E2BIG, -ENOMEM.
 */
int feed_xml_read(struct str text, xmlDocPtr *ret, bool *ret_repaired, struct why *why);
