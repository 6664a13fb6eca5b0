/*
 * digestd, the engine: arguments and wiring. digestd(8) tells of the options and exit statuses.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/version.h"
#include "store/settings.h"

enum { EXIT_USAGE = 2 };

struct arguments {
	const char *config;
	bool check;
};

static const char usage[] =
    "Usage: digestd [--config FILE]\n"
    "       digestd --check-config [FILE]\n"
    "\n"
    "The engine of a newsletter: takes articles in, opens issues and delivers them.\n"
    "\n"
    "  -c, --config FILE   the configuration (default: $DIGESTD_CONFIG, else " SETTINGS_PATH ")\n"
    "      --check-config  tell what is wrong with it, and end: 0 when nothing is, 1 otherwise\n"
    "  -V, --version\n"
    "  -h, --help\n";

/* -1: go on with *ret; otherwise the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	enum { CHECK = 256 };
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"check-config", no_argument, NULL, CHECK},
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	struct arguments a = {0};
	int option;
	while ((option = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1)
		switch (option) {
		case 'c': a.config = optarg; break;
		case CHECK: a.check = true; break;
		case 'V': puts("digestd " DIGESTD_VERSION); return EXIT_SUCCESS;
		case 'h': fputs(usage, stdout); return EXIT_SUCCESS;
		default: fputs(usage, stderr); return EXIT_USAGE;
		}
	if (a.check && !a.config && optind < argc)
		a.config = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "digestd: %s: too many arguments\n", argv[optind]);
		return EXIT_USAGE;
	}
	*ret = a;
	return -1;
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	int status = parse_arguments(argc, argv, &arguments);
	if (status >= 0)
		return status;
	log_init("digestd");
	return settings_check_main(settings_path(arguments.config), SETTINGS_ENGINE);
}
