/*
 * Files that tests read: those of this tree, by their path from its root, where tests run; and the
 * corpora that stand outside of it, without which a test is skipped.
 */
#pragma once

#include <stdio.h>
#include <unistd.h>

#include "unit.h"

#include "base/file.h"

static inline void testfile_read(const char *path, struct buf *out)
{
	struct why why = {""};
	if (file_read(path, SIZE_MAX, out, &why) < 0)
		fail_msg("%s (tests run in the project's root)", why.text);
}

/* A file or folder of $DIGESTD_CORPORA. What the test holds is not cleaned up when it is skipped.
 */
static inline void testfile_corpus(const char *name, char path[static 1024])
{
	const char *corpora = getenv("DIGESTD_CORPORA");
	snprintf(path, 1024, "%s/%s", corpora ? corpora : "../shared/corpora", name);
	if (access(path, R_OK) < 0) {
		print_message("skipped: there is no %s (DIGESTD_CORPORA)\n", path);
		skip();
	}
}
