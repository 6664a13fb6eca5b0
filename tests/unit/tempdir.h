/* A directory of a test's own, with files in it; removed with all that it holds. */
#pragma once

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "unit.h"

struct tempdir {
	char path[64];
};

static inline void tempdir_make(struct tempdir *dir)
{
	snprintf(dir->path, sizeof(dir->path), "/tmp/digestd-unit-XXXXXX");
	assert_non_null(mkdtemp(dir->path));
}

/* A name within the directory; four of them may be in use at once. */
static inline const char *tempdir_path(const struct tempdir *dir, const char *name)
{
	static char paths[4][512];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", dir->path, name);
	return path;
}

/* Writes a file below the directory, and makes the folders that its name tells of. */
static inline void tempdir_write(const struct tempdir *dir, const char *name, const char *bytes,
				 size_t n)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	for (char *slash = path + strlen(dir->path) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static inline void tempdir_text(const struct tempdir *dir, const char *name, const char *text)
{
	tempdir_write(dir, name, text, strlen(text));
}

static inline int tempdir_remove_one(const char *path, const struct stat *st, int type,
				     struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void tempdir_remove(struct tempdir *dir)
{
	nftw(dir->path, tempdir_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#define _cleanup_tempdir_ __attribute__((cleanup(tempdir_remove)))
