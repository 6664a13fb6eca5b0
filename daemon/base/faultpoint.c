/*
 * The points lie side by side in a section of their own, each where its FAULT_POINT() put it; so a
 * room adds one without a table that everybody knows. A point that stands in several places of the
 * code is one point.
 */
#include "base/faultpoint.h"

#ifdef FAULTS

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	POINTS = 256,
	STILL = 300, /* milliseconds of a delay */
};

extern const char *const __start_fault_points[], *const __stop_fault_points[];

/* What $DIGESTD_FAULT asks for. */
static struct {
	bool read;
	const char *name; /* NULL: nothing, or nothing any more */
	long nth;
	char action[8];
} asked;

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in their order, each once. */
static size_t names(const char *ret[static POINTS])
{
	size_t all = 0, n = 0;
	for (const char *const *p = __start_fault_points; p < __stop_fault_points; p++)
		if (all < POINTS)
			ret[all++] = *p;
	qsort(ret, all, sizeof(*ret), by_name);
	for (size_t i = 0; i < all; i++)
		if (n == 0 || strcmp(ret[n - 1], ret[i]) != 0)
			ret[n++] = ret[i];
	return n;
}

static const char *name_of(const char *word)
{
	const char *all[POINTS];
	size_t n = names(all);
	char *end;
	unsigned long number = strtoul(word, &end, 10);
	if (!*end)
		return number >= 1 && number <= n ? all[number - 1] : NULL;
	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i], word) == 0)
			return all[i];
	return NULL;
}

/* A word that nobody understands ends the process: a test that armed nothing would pass. */
static void read_asked(void)
{
	asked.read = true;
	const char *spec = getenv("DIGESTD_FAULT");
	if (!spec || !*spec)
		return;
	char word[64] = "", rest[32] = "";
	asked.nth = 1;
	strcpy(asked.action, "kill");
	if (sscanf(spec, "%63[^:]:%31s", word, rest) == 2 &&
	    sscanf(rest, "%ld:%7s", &asked.nth, asked.action) == 0)
		snprintf(asked.action, sizeof(asked.action), "%.7s", rest);
	asked.name = name_of(word);
	if (asked.name && asked.nth > 0 &&
	    (strcmp(asked.action, "kill") == 0 || strcmp(asked.action, "stop") == 0 ||
	     strcmp(asked.action, "delay") == 0))
		return;
	fprintf(stderr, "DIGESTD_FAULT=%s: no such fault\n", spec);
	_exit(EXIT_FAILURE);
}

static void happen(void)
{
	fprintf(stderr, "fault point %s: %s\n", asked.name, asked.action);
	asked.name = NULL;
	if (asked.action[0] == 'k') {
		kill(getpid(), SIGKILL);
	} else if (asked.action[0] == 's') {
		raise(SIGSTOP);
	} else {
		struct timespec left = {.tv_nsec = STILL * 1000000L};
		while (nanosleep(&left, &left) < 0 && errno == EINTR)
			;
	}
}

bool fault_point_armed(const char *name)
{
	if (!asked.read)
		read_asked();
	return asked.name && strcmp(asked.name, name) == 0;
}

void fault_point_pass(const char *name)
{
	if (fault_point_armed(name) && --asked.nth == 0)
		happen();
}

bool fault_points_listed(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--list-fault-points") != 0) {
		read_asked();
		return false;
	}
	const char *all[POINTS];
	size_t n = names(all);
	for (size_t i = 0; i < n; i++)
		printf("%zu\t%s\n", i + 1, all[i]);
	return true;
}

#else

/* A translation unit may not be empty. */
extern const char faultpoint_none;

#endif
