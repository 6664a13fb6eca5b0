#include "base/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/config_names.h"
#include "base/config_value.h"

static void fill_group(struct config_check *c, const struct config_group *group, void *base);

static const config_setting_t *member(const config_setting_t *group, const char *name,
				      const char *suffix)
{
	char full[128];
	snprintf(full, sizeof(full), "%s%s", name, suffix);
	return group ? config_setting_get_member(group, full) : NULL;
}

/* Does the same for a group within a group or list, with its own prefix, and comes back. */
static void fill_inner(struct config_check *c, const struct config_key *key,
		       const config_setting_t *setting, int index, void *base)
{
	const config_setting_t *outer = c->group;
	const char *prefix = c->prefix;
	c->prefix = index < 0
			? arena_printf(&c->config->arena, "%s%s.", prefix, key->name)
			: arena_printf(&c->config->arena, "%s%s[%d].", prefix, key->name, index);
	if (c->prefix) {
		c->group = setting;
		fill_group(c, key->group, base);
	} else {
		c->no_memory = true;
	}
	c->group = outer;
	c->prefix = prefix;
}

static void fill_list(struct config_check *c, const struct config_key *key,
		      const config_setting_t *setting, struct config_items *field)
{
	if (!config_setting_is_list(setting)) {
		config_tell_type(c, key, setting);
		return;
	}
	int n = config_setting_length(setting);
	if (key->max && (n < key->min || n > key->max)) {
		char words[128];
		snprintf(words, sizeof(words), "has %d entries; it may have %d to %d", n,
			 (int)key->min, (int)key->max);
		config_tell(c, setting, key->name, words);
		return;
	}
	char *items = arena_array(&c->config->arena, (size_t)n + 1, key->group->size);
	if (!items) {
		c->no_memory = true;
		return;
	}
	for (int i = 0; i < n; i++) {
		const config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);
		if (config_setting_is_group(item))
			fill_inner(c, key, item, i, items + (size_t)i * key->group->size);
		else
			config_tell_type(c, key, item);
	}
	*field = (struct config_items){items, (size_t)n};
}

static void tell_missing(struct config_check *c, const struct config_key *key)
{
	char words[256];
	snprintf(words, sizeof(words), "is missing: %s", key->help);
	config_tell(c, c->group, key->name, words);
}

static void fill_key(struct config_check *c, const struct config_key *key, char *field)
{
	const config_setting_t *setting = member(c->group, key->name, "");
	if (key->type == CONFIG_SECRET) {
		const config_setting_t *file = member(c->group, key->name, "_file");
		const config_setting_t *credential = member(c->group, key->name, "_credential");
		config_secret(c, key, file, credential, (struct secret *)field);
		return;
	}
	if (!setting && (key->must & c->reader))
		tell_missing(c, key);
	if (key->type == CONFIG_GROUP) {
		if (setting && !config_setting_is_group(setting))
			config_tell_type(c, key, setting);
		else
			fill_inner(c, key, setting, -1, field);
	} else if (key->type == CONFIG_LIST) {
		if (setting)
			fill_list(c, key, setting, (struct config_items *)field);
	} else {
		config_initial(c, key, field);
		if (setting)
			config_value(c, key, setting, field);
	}
}

static void check_names(struct config_check *c, const struct config_group *group)
{
	for (int i = 0; i < config_setting_length(c->group); i++) {
		const config_setting_t *setting = config_setting_get_elem(c->group, (unsigned)i);
		if (strchr(setting->name, '*')) /* told by the scan */
			continue;
		char words[256];
		if (!config_name_known(group, setting->name, words, sizeof(words)))
			config_tell(c, setting, setting->name, words);
	}
}

static void fill_group(struct config_check *c, const struct config_group *group, void *base)
{
	unsigned errors = c->report->errors;
	if (c->group)
		check_names(c, group);
	for (const struct config_key *key = group->keys; key->name; key++)
		fill_key(c, key, (char *)base + key->offset);
	/* Checks over several keys need values that are right each for itself. */
	if (group->check && c->report->errors == errors && !c->no_memory)
		group->check(base, c);
}

__attribute__((format(printf, 4, 0))) static void several_keys(
    struct config_check *c, const char *key,
    void (*report)(struct report *, const char *, unsigned, const char *, ...), const char *format,
    va_list args)
{
	char words[512];
	vsnprintf(words, sizeof(words), format, args);
	const config_setting_t *at = member(c->group, key, "");
	at = at ? at : c->group;
	struct syntax_place place = config_scan_place(c->scan, at ? at->line : 0);
	report(c->report, place.file, at && at->line ? place.line : 0, "%s%s %s", c->prefix, key,
	       words);
}

void config_wrong(struct config_check *check, const char *key, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	several_keys(check, key, report_error, format, args);
	va_end(args);
}

void config_warn(struct config_check *check, const char *key, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	several_keys(check, key, report_warning, format, args);
	va_end(args);
}

unsigned config_reader(const struct config_check *check)
{
	return check->reader;
}

static void destroy(config_t *parsed)
{
	config_destroy(parsed);
}

/* The flat text by libconfig, then the schema over what it made of it. */
static int read_flat(struct config_check *c, const struct config_group *root, void *ret)
{
	_cleanup_(destroy)
	config_t parsed;
	config_init(&parsed);
	if (config_read_string(&parsed, buf_text(&c->scan->flat)) != CONFIG_TRUE) {
		struct syntax_place at =
		    config_scan_place(c->scan, (unsigned)config_error_line(&parsed));
		report_error(c->report, at.file, at.line, "%s", config_error_text(&parsed));
		return -EINVAL;
	}
	c->group = config_root_setting(&parsed);
	fill_group(c, root, ret);
	return c->no_memory ? -ENOMEM : c->report->errors ? -EINVAL : 0;
}

static int load_scanned(struct config *c, const struct config_group *root,
			const struct config_scan *scan, unsigned reader, void *ret,
			struct report *report)
{
	if (scan->broken)
		return -EINVAL;
	struct config_check check = {
	    .config = c, .scan = scan, .report = report, .reader = reader, .prefix = ""};
	return read_flat(&check, root, ret);
}

int config_load(struct config *c, const struct config_group *root, const char *path,
		unsigned reader, void *ret, struct report *report)
{
	_cleanup_config_scan_ struct config_scan scan = {0};
	int r = config_scan_file(&scan, path, report);
	if (r == 0)
		r = load_scanned(c, root, &scan, reader, ret, report);
	report_sort(report);
	return r;
}

int config_load_text(struct config *c, const struct config_group *root, const char *name,
		     struct str text, unsigned reader, void *ret, struct report *report)
{
	_cleanup_config_scan_ struct config_scan scan = {0};
	int r = config_scan_text(&scan, name, text, report);
	if (r == 0)
		r = load_scanned(c, root, &scan, reader, ret, report);
	report_sort(report);
	return r;
}

void config_free(struct config *c)
{
	for (struct config_secret *s = c->secrets; s; s = s->next)
		secret_free(s->secret);
	c->secrets = NULL;
	arena_free(&c->arena);
}
