/* relay: the SMTP servers of the configuration, and what engines found them to be. */
#include <string.h>

#include "ctl/nouns.h"
#include "ctl/output.h"
#include "queries.h"

static const struct output_column lane_columns[] = {
    {"provider", NULL, OUTPUT_TEXT, NULL},   {"pace", NULL, OUTPUT_REAL, NULL},
    {"is_open", NULL, OUTPUT_BOOL, NULL},    {"open_until", NULL, OUTPUT_TIME, NULL},
    {"reason", NULL, OUTPUT_TEXT, NULL},     {"failures", NULL, OUTPUT_INT, NULL},
    {"changed_at", NULL, OUTPUT_TIME, NULL}, {0},
};

static const char *tls_word(enum settings_tls tls)
{
	switch (tls) {
	case SETTINGS_TLS_REQUIRED: return "required";
	case SETTINGS_TLS_ALLOWED: return "allowed";
	case SETTINGS_TLS_NONE: return "none";
	case SETTINGS_TLS_IMPLICIT: return "implicit";
	}
	return "";
}

/* The lane of the relay as a whole tells its state. */
static json_t *lanes_of(const struct pg_result *res, const char *name, int *ret_whole)
{
	json_t *lanes = json_array();
	for (int row = 0; row < db_rows(res); row++) {
		if (strcmp(db_text(res, row, 0), name) != 0)
			continue;
		if (*db_text(res, row, db_column(res, "provider")) == '\0')
			*ret_whole = row;
		if (json_array_append_new(lanes, output_row(res, row, lane_columns)) < 0) {
			json_decref(lanes);
			return NULL;
		}
	}
	return lanes;
}

static json_t *relay_row(const struct settings_relay *relay, const struct pg_result *res)
{
	int whole = -1;
	json_t *lanes = lanes_of(res, relay->name, &whole);
	bool open = whole >= 0 && db_bool(res, whole, db_column(res, "is_open"));
	json_t *until =
	    open ? output_time(db_usec(res, whole, db_column(res, "open_until"))) : json_null();
	return json_pack(
	    "{s:s, s:s, s:i, s:s, s:i, s:i, s:i, s:s, s:o, s:s?, s:o}", "name", relay->name, "host",
	    relay->host, "port", relay->port, "tls", tls_word(relay->tls), "connections",
	    relay->connections, "rate", relay->rate, "weight", relay->weight, "state",
	    open ? "resting" : "ready", "open_until", until, "reason",
	    open ? db_text(res, whole, db_column(res, "reason")) : NULL, "lanes", lanes);
}

static int run_ls(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"name", "NAME", OUTPUT_TEXT, NULL},
	    {"host", "HOST", OUTPUT_TEXT, NULL},
	    {"port", "PORT", OUTPUT_INT, NULL},
	    {"tls", "TLS", OUTPUT_TEXT, NULL},
	    {"connections", "CONNECTIONS", OUTPUT_INT, NULL},
	    {"rate", "RATE", OUTPUT_INT, NULL},
	    {"weight", "WEIGHT", OUTPUT_INT, NULL},
	    {"state", "STATE", OUTPUT_TEXT, NULL},
	    {"open_until", "UNTIL", OUTPUT_TIME, NULL},
	    {"reason", "REASON", OUTPUT_TEXT, NULL},
	    {0},
	};
	_cleanup_params_ struct db_params p = {0};
	_cleanup_result_ struct pg_result *res = NULL;
	params_usec(&p, ctl->now);
	int r = ctl_query(ctl, sql_ctl_relay_lanes, &p, &res);
	if (r != CTL_OK)
		return r;
	json_t *rows = json_array();
	for (size_t i = 0; i < ctl->settings->relays.n; i++)
		if (json_array_append_new(rows, relay_row(&ctl->settings->relays.items[i], res)) <
		    0) {
			json_decref(rows);
			return ctl_no_memory();
		}
	return output_table(ctl, columns, rows, "the configuration names no relay");
}

static const struct ctl_verb verbs[] = {
    {"ls", "", "Show the relays, and which of them rest after trouble.", run_ls, 0, 0, NULL, NULL,
     false},
    {0},
};

const struct ctl_noun noun_relay = {"relay", "the SMTP servers that mail is handed to", verbs};
