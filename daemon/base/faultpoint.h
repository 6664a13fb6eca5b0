/*
 * Fault points: the named places of the code where dying makes a difference.
 *
 *	FAULT_POINT("journal-intent-written");
 *
 * They are there only in a build with FAULTS=1, and cost nothing in any other. Each has a number,
 * its place in the order of the names ("digestd --list-fault-points"), and $DIGESTD_FAULT says what
 * happens at one of them: NUMBER[:NTH][:ACTION]. A name may stand for the number. At its NTH pass
 * (1) the process does one of
 *	kill   SIGKILL to itself (the default)
 *	stop   SIGSTOP to itself: it goes on when somebody sends SIGCONT
 *	delay  stands still for 300 ms
 *
 * FAULT_ARMED("name") is whether that point is the one that was asked for and hasn't happened yet:
 * for places that a test can reach only when the code lends a hand, like a write that is cut short.
 */
#pragma once

#include <stdbool.h>

#ifdef FAULTS

void fault_point_pass(const char *name);
bool fault_point_armed(const char *name);

/*
 * First in main(): prints the table when --list-fault-points is the only argument; then true. A
 * $DIGESTD_FAULT that nobody understands ends the process.
 */
bool fault_points_listed(int argc, char **argv);

#define FAULT_POINT(text)                                                                          \
	do {                                                                                       \
		static const char *const fault_here                                                \
		    __attribute__((section("fault_points"), used)) = text;                         \
		fault_point_pass(fault_here);                                                      \
	} while (0)
#define FAULT_POINT_IF(condition, text)                                                            \
	do {                                                                                       \
		if (condition)                                                                     \
			FAULT_POINT(text);                                                         \
	} while (0)
#define FAULT_ARMED(text)               fault_point_armed(text)
#define FAULT_POINTS_LISTED(argc, argv) fault_points_listed(argc, argv)

#else

#define FAULT_POINT(text)               ((void)0)
#define FAULT_POINT_IF(condition, text) ((void)0)
#define FAULT_ARMED(text)               false
#define FAULT_POINTS_LISTED(argc, argv) false

#endif
