#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 2048 };

static struct {
	const char *program;
	enum log_level level;
	bool journal;
} the_log = {.program = "digestd", .level = LOG_INFO};

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
    [LOG_INFO] = "info",   [LOG_DEBUG] = "debug",
};

/* $JOURNAL_STREAM names the device and inode of the journal's socket (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;
	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_init(const char *program)
{
	the_log.program = program;
	the_log.journal = stderr_is_journal();
}

void log_set_level(enum log_level level)
{
	the_log.level = level;
}

bool log_wants(enum log_level level)
{
	return level <= the_log.level;
}

/* Copies text with its control characters shown as \xNN; returns the bytes written. */
static size_t copy_shown(char *to, size_t room, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;
	for (; *text && n + 5 < room; text++) {
		unsigned char c = (unsigned char)*text;
		if (c >= 0x20 && c != 0x7f) {
			to[n++] = (char)c;
			continue;
		}
		to[n++] = '\\';
		to[n++] = 'x';
		to[n++] = hex[c >> 4];
		to[n++] = hex[c & 15];
	}
	return n;
}

static int line_head(char *to, size_t room, enum log_level level)
{
	if (the_log.journal)
		return snprintf(to, room, "<%d>", (int)level);
	struct timespec now;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	return snprintf(to, room, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %s: ", tm.tm_year + 1900,
			tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
			now.tv_nsec / 1000000, the_log.program, level_names[level]);
}

void log_line(enum log_level level, const char *format, ...)
{
	if (!log_wants(level))
		return;
	int saved = errno;
	char text[LINE], line[LINE + 128];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	int head = line_head(line, sizeof(line), level);
	size_t n = head > 0 ? (size_t)head : 0;
	n += copy_shown(line + n, sizeof(line) - n - 1, text);
	line[n++] = '\n';
	/* One write a line: lines of several processes don't mix. Who can't log can't say so. */
	if (write(STDERR_FILENO, line, n) < 0)
		errno = 0;
	errno = saved;
}
