/*
 * digestd, the engine: the wiring. digestd(8) tells of its options, signals and exit statuses.
 */
#include <stdlib.h>

#include "store/start.h"

static const struct start engine = {
    "digestd", "The engine of a newsletter: takes articles in, opens issues and delivers them.",
    SETTINGS_ENGINE};

int main(int argc, char **argv)
{
	_cleanup_settings_ struct settings *settings = NULL;
	int status = start_program(&engine, argc, argv, &settings);
	return status >= 0 ? status : EXIT_SUCCESS;
}
