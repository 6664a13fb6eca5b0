#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { CHUNK = 16384 };

/* To the end, or to one byte more than there may be. */
static int read_all(int fd, size_t most, struct buf *out)
{
	size_t before = out->len;
	for (;;) {
		int r = buf_reserve(out, CHUNK);
		if (r < 0)
			return r;
		ssize_t n = read(fd, out->data + out->len, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		out->data[out->len] = '\0';
		if (out->len - before > most)
			return -EFBIG;
	}
}

static int read_fd(int fd, const char *path, size_t most, struct buf *out, struct why *why)
{
	size_t before = out->len;
	int r = read_all(fd, most, out);
	if (r == 0)
		return 0;
	buf_truncate(out, before);
	if (r == -EFBIG)
		return why_set(why, r, "%s: more than %zu bytes", path, most);
	return why_set(why, r, "%s: %s", path, strerror(-r));
}

int file_read(const char *path, size_t most, struct buf *out, struct why *why)
{
	/* O_NONBLOCK: opening a FIFO mustn't wait for its writer. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		int err = -errno;
		return why_set(why, err, "%s: %s", path, strerror(-err));
	}
	if (!S_ISREG(st.st_mode))
		return why_set(why, -EINVAL, "%s: not a regular file", path);
	return read_fd(fd, path, most, out, why);
}

int file_read_any(const char *path, size_t most, struct buf *out, struct why *why)
{
	if (strcmp(path, "-") == 0)
		return read_fd(STDIN_FILENO, "standard input", most, out, why);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		int err = -errno;
		return why_set(why, err, "%s: %s", path, strerror(-err));
	}
	return read_fd(fd, path, most, out, why);
}
