#include "send/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/faultpoint.h"
#include "base/log.h"

int uuid_make(char ret[static UUID_TEXT])
{
	uint8_t b[16];
	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return -EIO;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(ret, UUID_TEXT,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
	return 0;
}

static bool uuid_is_one(const char *text)
{
	return strlen(text) == UUID_TEXT - 1 && strspn(text, "0123456789abcdef-") == UUID_TEXT - 1;
}

/* Reads the first line of a small file. */
static int read_line(int dir, const char *path, char *ret, size_t room)
{
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, ret, room - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

/* The file's uuid; a new one is written when it is empty (it was just made). */
static int read_or_make(int fd, char uuid[static UUID_TEXT], struct why *why)
{
	ssize_t n = pread(fd, uuid, UUID_TEXT - 1, 0);
	if (n < 0)
		return why_set(why, -errno, "engine.id: %s", strerror(errno));
	uuid[n] = '\0';
	if (uuid_is_one(uuid))
		return 0;
	if (n > 0)
		return why_set(why, -EBADMSG, "engine.id: holds no uuid");
	int r = uuid_make(uuid);
	if (r < 0)
		return why_set(why, r, "no randomness for a uuid");
	if (pwrite(fd, uuid, UUID_TEXT - 1, 0) != UUID_TEXT - 1 || fsync(fd) < 0)
		return why_set(why, -EIO, "engine.id: can't be written: %s", strerror(errno));
	return 0;
}

static int learn_machine(struct identity *id, struct why *why)
{
	int r = read_line(AT_FDCWD, "/proc/sys/kernel/random/boot_id", id->boot, sizeof(id->boot));
	if (r < 0 || !uuid_is_one(id->boot))
		return why_set(why, r < 0 ? r : -EBADMSG,
			       "the boot id can't be read (/proc/sys/kernel/random/boot_id)");
	/* Containers may have none; then the host's name must do. */
	if (gethostname(id->host, sizeof(id->host) - 1) < 0)
		strcpy(id->host, "localhost");
	if (read_line(AT_FDCWD, "/etc/machine-id", id->machine, sizeof(id->machine)) < 0 ||
	    !id->machine[0])
		snprintf(id->machine, sizeof(id->machine), "%.32s", id->host);
	return 0;
}

int identity_take(const char *state_dir, struct identity *ret, struct why *why)
{
	struct identity id = {.dir = -1, .lock = -1};
	if (mkdir(state_dir, 0700) < 0 && errno != EEXIST)
		return why_set(why, -errno, "%s: %s", state_dir, strerror(errno));
	_cleanup_close_ int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return why_set(why, -errno, "%s: %s", state_dir, strerror(errno));
	_cleanup_close_ int lock = openat(dir, "engine.id", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0)
		return why_set(why, -errno, "%s/engine.id: %s", state_dir, strerror(errno));
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return why_set(why, -EBUSY, "%s: another digestd is running with it", state_dir);

	FAULT_POINT("identity-file-made");
	int r = read_or_make(lock, id.engine, why);
	if (r < 0)
		return why_prefix(why, r, "%s/", state_dir);
	FAULT_POINT("identity-known");
	r = learn_machine(&id, why);
	if (r < 0)
		return r;
	struct stat st;
	if (fstat(lock, &st) < 0)
		return why_set(why, -errno, "%s/engine.id: %s", state_dir, strerror(errno));
	snprintf(id.place, sizeof(id.place), "%llx:%llx", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	*ret = id;
	ret->dir = dir;
	ret->lock = lock;
	dir = lock = -1;
	return 0;
}

void identity_release(struct identity *id)
{
	cleanup_close(&id->lock);
	cleanup_close(&id->dir);
	id->lock = id->dir = -1;
}
