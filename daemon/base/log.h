/*
 * The log: one line an event to standard error, in the form that whoever reads it wants: with the
 * journal's "<3>" priority prefix when standard error is the journal (sd-daemon(3)), with the time
 * and a word otherwise. It is the only global state of the programs. Control characters in what
 * is logged are shown as \xNN, so that foreign text can't forge a line. Never log secrets.
 */
#pragma once

#include <stdbool.h>

enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

void log_init(const char *program);       /* call once; finds out who listens */
void log_set_level(enum log_level level); /* default LOG_INFO */
bool log_wants(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_wants(LOG_DEBUG))                                                          \
			log_line(LOG_DEBUG, __VA_ARGS__);                                          \
	} while (0)
