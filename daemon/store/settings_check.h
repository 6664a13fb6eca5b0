/*
 * What is right for a text in the settings, and what must hold between several of them. What
 * belongs to the schema alone. Checks of texts return 0 or -EINVAL with the reason, which follows
 * the words `KEY = "TEXT"` (-EACCES: `KEY` alone, as the text may hold a secret).
 */
#pragma once

#include "base/config.h"
#include "base/why.h"

int settings_check_path(const char *text, struct why *why);     /* absolute */
int settings_check_name(const char *text, struct why *why);     /* a-z 0-9 - _ */
int settings_check_host(const char *text, struct why *why);     /* a name or an address */
int settings_check_conninfo(const char *text, struct why *why); /* libpq's, no password */
int settings_check_url(const char *text, struct why *why);      /* http or https, no slash last */
int settings_check_listen(const char *text, struct why *why);
int settings_check_network(const char *text, struct why *why); /* ADDRESS or ADDRESS/BITS */
int settings_check_line(const char *text, struct why *why);    /* printable ASCII */

void settings_check_root(const void *settings, struct config_check *check);
void settings_check_relay(const void *relay, struct config_check *check);
void settings_check_backoff(const void *backoff, struct config_check *check);
void settings_check_window(const void *window, struct config_check *check);
void settings_check_timing(const void *timing, struct config_check *check);
