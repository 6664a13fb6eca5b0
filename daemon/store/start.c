#include "store/start.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"

struct arguments {
	const char *config;
	bool check;
};

static void usage(const struct start *start, FILE *to)
{
	fprintf(
	    to,
	    "Usage: %s [--config FILE]\n"
	    "       %s --check-config [FILE]\n"
	    "\n"
	    "%s\n"
	    "\n"
	    "  -c, --config FILE   the configuration (default: $DIGESTD_CONFIG, else " SETTINGS_PATH
	    ")\n"
	    "      --check-config  tell what is wrong with it, and end: 0 when nothing is, else 1\n"
	    "  -V, --version\n"
	    "  -h, --help\n"
	    "\n"
	    "Exit status: 0 ended as asked, 1 failed, 2 wrong arguments, 78 wrong configuration.\n",
	    start->name, start->name, start->about);
}

/* -1: go on with *ret; otherwise the exit status. */
static int parse(const struct start *start, int argc, char **argv, struct arguments *ret)
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
		case 'V': printf("%s " DIGESTD_VERSION "\n", start->name); return EXIT_SUCCESS;
		case 'h': usage(start, stdout); return EXIT_SUCCESS;
		default: usage(start, stderr); return START_USAGE;
		}
	if (a.check && !a.config && optind < argc)
		a.config = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "%s: one argument too many: %s\n", start->name, argv[optind]);
		return START_USAGE;
	}
	*ret = a;
	return -1;
}

/* Loads and tells in the log what is wrong or odd. */
static int load(const char *path, enum settings_program program, struct settings **ret)
{
	_cleanup_report_ struct report report = {0};
	int r = settings_load(path, program, ret, &report);
	report_log(&report);
	if (r < 0 && report.errors == 0)
		log_error("%s: %s", path, strerror(-r));
	return r;
}

int start_program(const struct start *start, int argc, char **argv, struct settings **ret)
{
	struct arguments arguments;
	int status = parse(start, argc, argv, &arguments);
	if (status >= 0)
		return status;
	const char *path = settings_path(arguments.config);
	if (arguments.check)
		return settings_check_main(path, start->program);
	log_init(start->name);
	int r = load(path, start->program, ret);
	if (r < 0)
		return r == -EINVAL ? START_CONFIG : EXIT_FAILURE;
	log_set_level((*ret)->log_level);
	return -1;
}

int start_reload(const struct settings *old, struct settings **ret)
{
	int r = load(old->path, old->program, ret);
	if (r < 0) {
		log_error("The configuration is not changed");
		return r;
	}
	settings_log_fixed(old, *ret);
	log_set_level((*ret)->log_level);
	log_notice("The configuration was read again");
	return 0;
}
