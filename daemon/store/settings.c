#include "store/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *settings_path(const char *given)
{
	const char *path = given ? given : getenv("DIGESTD_CONFIG");
	return path && *path ? path : SETTINGS_PATH;
}

/* All of the table by the same divisor, so that their order is kept. */
static void scale_timing(struct settings_timing *t)
{
	usec_t *const limits[] = {
	    &t->beat,      &t->dead,          &t->stop_after,   &t->orphan_after, &t->look,
	    &t->look_max,  &t->unstarted,     &t->new_timeline, &t->journal_keep, &t->plan,
	    &t->drain,     &t->relay_connect, &t->relay_reply,  &t->relay_data,   &t->relay_block,
	    &t->relay_dot, &t->relay_idle,    &t->relay_tcp,
	};
	for (size_t i = 0; i < ELEMENTS(limits); i++)
		*limits[i] /= (usec_t)t->scale;
}

/* What a key's default depends on another key. */
static void complete(struct settings *s)
{
	for (size_t i = 0; i < s->relays.n; i++) {
		struct settings_relay *r = &s->relays.items[i];
		if (r->port == 0)
			r->port = r->tls == SETTINGS_TLS_IMPLICIT ? 465 : *r->user ? 587 : 25;
	}
	scale_timing(&s->timing);
}

int settings_load(const char *path, enum settings_program program, struct settings **ret,
		  struct report *report)
{
	_cleanup_settings_ struct settings *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	int r = config_load(&s->memory, &settings_schema, path, (unsigned)program, s, report);
	if (r < 0)
		return r;
	complete(s);
	s->program = program;
	s->path = arena_strdup(&s->memory.arena, path);
	if (!s->path)
		return -ENOMEM;
	*ret = steal(s);
	return 0;
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	config_free(&s->memory);
	free(s);
}

const struct settings_login *settings_login(const struct settings *s, enum settings_program program)
{
	switch (program) {
	case SETTINGS_WEB: return &s->database.web;
	case SETTINGS_OPERATOR: return &s->database.operator;
	case SETTINGS_ENGINE: break;
	}
	return &s->database.engine;
}

static void warn_fixed(const char *path, void *userdata)
{
	(void)userdata;
	log_warning("%s was changed: this takes effect at the next start", path);
}

void settings_log_fixed(const struct settings *old, const struct settings *new)
{
	config_changed(&settings_schema, old, new, warn_fixed, NULL);
}

int settings_check_main(const char *path, enum settings_program program)
{
	_cleanup_settings_ struct settings *s = NULL;
	_cleanup_report_ struct report report = {0};
	int r = settings_load(path, program, &s, &report);
	fputs(buf_text(&report.text), stderr);
	if (r < 0) {
		if (report.errors == 0 || report.text.err)
			fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return 1;
	}
	printf("%s: correct\n", path);
	return 0;
}
