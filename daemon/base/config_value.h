/*
 * One value of a configuration: from its text or libconfig's setting into its field, by its key's
 * type, range and check. What belongs to config.c alone.
 */
#pragma once

#include <libconfig.h>

#include "base/config.h"
#include "base/config_scan.h"

struct config_secret { /* what config_free() wipes */
	struct config_secret *next;
	struct secret *secret;
};

struct config_check {
	struct config *config;
	const struct config_scan *scan;
	struct report *report;
	unsigned reader;
	const config_setting_t *group; /* NULL: not in the file */
	const char *prefix;            /* "relays[0]." */
	bool no_memory;
};

/* Fill *field; what is wrong is in the report, and *field is as it was. */
void config_initial(struct config_check *c, const struct config_key *key, void *field);
void config_value(struct config_check *c, const struct config_key *key,
		  const config_setting_t *setting, void *field);
void config_secret(struct config_check *c, const struct config_key *key,
		   const config_setting_t *file, const config_setting_t *credential,
		   struct secret *field);

/* Tells a mistake at a setting: "PREFIXNAME: WORDS". */
void config_tell(struct config_check *c, const config_setting_t *at, const char *name,
		 const char *words);

void config_tell_type(struct config_check *c, const struct config_key *key,
		      const config_setting_t *setting);
