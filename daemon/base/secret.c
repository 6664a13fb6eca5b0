#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct why *why, int err, const char *path)
{
	return why_set(why, err, "%s: %s", path, strerror(-err));
}

/* Fills `to` up to `room`; -EFBIG when there is more. */
static int read_all(int fd, char *to, size_t room, size_t *ret_len)
{
	size_t len = 0;
	while (len < room) {
		ssize_t n = read(fd, to + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			*ret_len = len;
			return 0;
		}
		len += (size_t)n;
	}
	return -EFBIG;
}

/* Cuts the line's end off and looks whether what remains is one line of text. */
static int trim(struct secret *s, const char *path, struct why *why)
{
	if (s->len && s->text[s->len - 1] == '\n')
		s->len--;
	if (s->len && s->text[s->len - 1] == '\r')
		s->len--;
	s->text[s->len] = '\0';
	if (s->len == 0)
		return why_set(why, -EINVAL, "%s is empty", path);
	if (memchr(s->text, '\0', s->len))
		return why_set(why, -EINVAL, "%s holds a NUL byte", path);
	if (strpbrk(s->text, "\r\n"))
		return why_set(why, -EINVAL, "%s holds more than one line", path);
	return 0;
}

int secret_read(const char *path, struct secret *ret, bool *ret_open, struct why *why)
{
	/* O_NONBLOCK: a FIFO without a writer mustn't hold the program up. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return fail(why, -errno, path);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return fail(why, -errno, path);
	if (!S_ISREG(st.st_mode))
		return why_set(why, -EINVAL, "%s is not a regular file", path);

	/* One byte more than may be there tells a file that is too long; two for the line's end. */
	enum { ROOM = SECRET_MAX + 3 };
	_cleanup_secret_ struct secret s = {.text = calloc(1, ROOM + 1), .len = ROOM};
	if (!s.text)
		return fail(why, -ENOMEM, path);
	size_t len = 0;
	int r = read_all(fd, s.text, ROOM, &len);
	if (r == -EFBIG)
		return why_set(why, r, "%s is longer than %d bytes", path, SECRET_MAX);
	if (r < 0)
		return fail(why, r, path);
	s.len = len;
	r = trim(&s, path, why);
	if (r < 0)
		return r;
	if (s.len > SECRET_MAX)
		return why_set(why, -EFBIG, "%s is longer than %d bytes", path, SECRET_MAX);

	*ret_open = st.st_mode & S_IROTH;
	*ret = s;
	s = (struct secret){0};
	return 0;
}

int secret_credential_path(const char *name, char **ret, struct why *why)
{
	/* The rules of systemd's LoadCredential=: a file's name, no path. */
	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return why_set(why, -EINVAL, "must be the name of a credential, without slashes");
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	if (!directory || !*directory)
		return why_set(why, -ENOENT,
			       "can't be read: systemd gave this process no credentials "
			       "($CREDENTIALS_DIRECTORY isn't set); see LoadCredential= in "
			       "systemd.exec(5)");
	char *path;
	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return why_set(why, -ENOMEM, "out of memory");
	*ret = path;
	return 0;
}

void secret_free(struct secret *s)
{
	if (s->text)
		explicit_bzero(s->text, s->len);
	free(s->text);
	*s = (struct secret){0};
}
