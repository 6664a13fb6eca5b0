/*
 * digestctl, the operators' command line: wiring only. digestctl(1) tells of it; the nouns are in
 * ctl/.
 */
#include <signal.h>

#include "base/log.h"
#include "ctl/ctl.h"

int main(int argc, char **argv)
{
	log_init("digestctl");
	log_set_level(LOG_WARNING);
	signal(SIGPIPE, SIG_IGN); /* a reader that went away is told as a failed write */
	return ctl_main(argc, argv);
}
