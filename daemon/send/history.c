#include "send/history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define NAME "history"

enum { LINE = 192 }; /* the file is one line of so many bytes: written in place, by one write() */

void history_open(struct history *s, int dir)
{
	*s = (struct history){.dir = dir};
	_cleanup_close_ int fd = openat(dir, NAME, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	char line[LINE + 1] = "";
	if (read(fd, line, LINE) < 0)
		line[0] = '\0';
	struct history known = {.dir = dir};
	if (sscanf(line, "%" SCNd64 " %" SCNd32 " %36s %36s %" SCNd64, &known.system,
		   &known.timeline, known.mark, known.session, &known.turn) != 5) {
		log_warning("the file %s of the state directory can't be read: nothing is known of "
			    "the database from before",
			    NAME);
		return;
	}
	if (strcmp(known.mark, "-") == 0)
		known.mark[0] = '\0';
	if (strcmp(known.session, "-") == 0)
		known.session[0] = '\0';
	*s = known;
}

static int32_t newest(const struct history *s, int64_t system)
{
	int32_t known = system == s->system ? s->timeline : 0;
	return system == s->met_system && s->met_timeline > known ? s->met_timeline : known;
}

void history_met(struct history *s, int64_t system, int32_t timeline)
{
	s->met_system = system;
	s->met_timeline = timeline;
}

int history_admit(struct history *s, int64_t system, int32_t timeline, struct why *why)
{
	if ((!s->system || system == s->system) && timeline >= newest(s, system)) {
		s->refused_system = 0;
		return 0;
	}
	if (s->system && system != s->system)
		why_set(why, -EXDEV,
			"this is another server (system identifier %" PRId64 ", and not %" PRId64
			")",
			system, s->system);
	else
		why_set(why, -EXDEV,
			"this is an old primary (timeline %d, and the newest known is %d)",
			timeline, newest(s, system));
	if (s->refused_system != system || s->refused_timeline != timeline)
		log_error("database: %s: refused; waiting for the right one", why->text);
	s->refused_system = system;
	s->refused_timeline = timeline;
	return -EXDEV;
}

static int write_line(const struct history *s, bool sync)
{
	char line[LINE + 1];
	int n = snprintf(line, sizeof(line), "%" PRId64 " %" PRId32 " %s %s %" PRId64, s->system,
			 s->timeline, s->mark[0] ? s->mark : "-", s->session[0] ? s->session : "-",
			 s->turn);
	memset(line + n, ' ', (size_t)(LINE - n));
	line[LINE - 1] = '\n';
	_cleanup_close_ int fd = openat(s->dir, NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ssize_t written = pwrite(fd, line, LINE, 0);
	if (written != LINE)
		return written < 0 ? -errno : -ENOSPC;
	return sync && fsync(fd) < 0 ? -errno : 0;
}

int history_remember(struct history *s, int64_t system, int32_t timeline, const char *mark)
{
	s->system = system;
	s->timeline = timeline;
	snprintf(s->mark, sizeof(s->mark), "%s", mark);
	/* Turns of another history need not be in this one: what they had done was told to it. */
	s->session[0] = '\0';
	s->turn = 0;
	return write_line(s, true);
}

int history_acknowledged(struct history *s, const char *session, int64_t turn)
{
	snprintf(s->session, sizeof(s->session), "%s", session);
	s->turn = turn;
	return write_line(s, false);
}
