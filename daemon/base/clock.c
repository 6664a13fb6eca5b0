#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static usec_t read_clock(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (usec_t)t.tv_sec * USEC_PER_SEC + (usec_t)t.tv_nsec / 1000;
}

/* The offset that a test asks for, in microseconds; 0 outside of tests. */
static int64_t test_offset(void)
{
	const char *path = getenv("DIGESTD_CLOCK");
	if (!path)
		return 0;
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	long long seconds = 0;
	if (fscanf(file, "%lld", &seconds) != 1)
		seconds = 0;
	fclose(file);
	return seconds * (int64_t)USEC_PER_SEC;
}

usec_t clock_now(void)
{
	return read_clock(CLOCK_REALTIME) + (usec_t)test_offset();
}

usec_t clock_mono(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

usec_t clock_boot(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

const char *clock_text(usec_t moment, char text[static CLOCK_TEXT])
{
	time_t seconds = (time_t)(moment / USEC_PER_SEC);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	size_t n = strftime(text, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, CLOCK_TEXT - n, ".%06uZ", (unsigned)(moment % USEC_PER_SEC));
	return text;
}
