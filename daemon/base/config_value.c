#include "base/config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"

void config_tell(struct config_check *c, const config_setting_t *at, const char *name,
		 const char *words)
{
	struct syntax_place p = config_scan_place(c->scan, at ? at->line : 0);
	report_error(c->report, p.file, at && at->line ? p.line : 0, "%s%s %s", c->prefix, name,
		     words);
}

static const char *kind_of(const config_setting_t *setting)
{
	switch (setting->type) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64: return "a number";
	case CONFIG_TYPE_FLOAT: return "a number with a point";
	case CONFIG_TYPE_STRING: return "text in quotes";
	case CONFIG_TYPE_BOOL: return "true or false";
	case CONFIG_TYPE_GROUP: return "a group { ... }";
	case CONFIG_TYPE_LIST: return "a list ( ... )";
	case CONFIG_TYPE_ARRAY: return "an array [ ... ]";
	default: return "nothing";
	}
}

void config_tell_type(struct config_check *c, const struct config_key *key,
		      const config_setting_t *setting)
{
	static const char *const wanted[] = {
	    [CONFIG_STRING] = "text in quotes",
	    [CONFIG_BOOL] = "true or false",
	    [CONFIG_INT] = "a whole number",
	    [CONFIG_SIZE] = "a size in quotes, as in \"16 MiB\"",
	    [CONFIG_DURATION] = "a duration in quotes, as in \"90 s\" or \"1 h\"",
	    [CONFIG_ENUM] = "one of its words in quotes",
	    [CONFIG_SECRET] = "a path or name in quotes",
	    [CONFIG_STRINGS] = "an array of texts, as in [ \"a\", \"b\" ]",
	    [CONFIG_GROUP] = "a group, { ... }",
	    [CONFIG_LIST] = "a list of groups, ( { ... }, { ... } )",
	};
	char words[256];
	snprintf(words, sizeof(words), "must be %s, not %s", wanted[key->type], kind_of(setting));
	config_tell(c, setting, setting->name ? setting->name : key->name, words);
}

/* The range in words, by the key's type. */
static int range_error(const struct config_key *key, struct why *why)
{
	char min[UNITS_TEXT], max[UNITS_TEXT];
	switch (key->type) {
	case CONFIG_SIZE:
		units_size_text((uint64_t)key->min, min);
		units_size_text((uint64_t)key->max, max);
		break;
	case CONFIG_DURATION:
		units_duration_text((usec_t)key->min, min);
		units_duration_text((usec_t)key->max, max);
		break;
	default:
		snprintf(min, sizeof(min), "%" PRId64, key->min);
		snprintf(max, sizeof(max), "%" PRId64, key->max);
		break;
	}
	return why_set(why, -ERANGE, "is out of range; it may be %s to %s", min, max);
}

static int set_int(const struct config_key *key, int64_t value, void *field, struct why *why)
{
	if (value < key->min || value > key->max)
		return range_error(key, why);
	*(int *)field = (int)value;
	return 0;
}

/* Sizes and durations are both 64 bits. */
static int set_amount(const struct config_key *key, const char *text, void *field, struct why *why)
{
	uint64_t value;
	int r = key->type == CONFIG_SIZE ? units_size(str_of(text), &value, why)
					 : units_duration(str_of(text), &value, why);
	if (r == -ERANGE)
		return range_error(key, why);
	if (r < 0)
		return r;
	if (value < (uint64_t)key->min || value > (uint64_t)key->max)
		return range_error(key, why);
	*(uint64_t *)field = value;
	return 0;
}

static int set_word(const struct config_key *key, const char *text, void *field, struct why *why)
{
	char all[256] = "";
	for (const struct config_word *w = key->words; w->word; w++) {
		if (strcmp(w->word, text) == 0) {
			*(int *)field = w->value;
			return 0;
		}
		size_t n = strlen(all);
		snprintf(all + n, sizeof(all) - n, "%s\"%s\"", n ? ", " : "", w->word);
	}
	return why_set(why, -EINVAL, "is none of %s", all);
}

static int set_text(struct config_check *c, const struct config_key *key, const char *text,
		    const char **field, struct why *why)
{
	int r = key->check && *text ? key->check(text, why) : 0;
	if (r < 0)
		return r;
	const char *copy = arena_strdup(&c->config->arena, text);
	if (!copy) {
		c->no_memory = true;
		return why_set(why, -ENOMEM, "doesn't fit into memory");
	}
	*field = copy;
	return 0;
}

/* A text from the file: `max_size = "12 MiX" is not a size; ...`. With -EACCES, the check's word
 * that it may hold a secret, the text isn't shown. */
static void tell_text(struct config_check *c, const config_setting_t *setting, const char *name,
		      const char *text, int r, const struct why *why)
{
	char words[sizeof(why->text) + 128];
	snprintf(words, sizeof(words), "= \"%.100s\" %s", text, why->text);
	config_tell(c, setting, name, r == -EACCES ? why->text : words);
}

static int set_by_text(struct config_check *c, const struct config_key *key, const char *text,
		       void *field, struct why *why)
{
	switch (key->type) {
	case CONFIG_SIZE:
	case CONFIG_DURATION: return set_amount(key, text, field, why);
	case CONFIG_ENUM: return set_word(key, text, field, why);
	default: return set_text(c, key, text, field, why);
	}
}

static int add_texts(struct config_check *c, struct config_strings *field, size_t n)
{
	const char **items = arena_array(&c->config->arena, n ? n : 1, sizeof(*items));
	if (!items) {
		c->no_memory = true;
		return -ENOMEM;
	}
	field->items = items;
	return 0;
}

void config_initial(struct config_check *c, const struct config_key *key, void *field)
{
	const char *text = key->initial;
	struct config_strings *strings = field;
	struct why why = {0};
	int r = 0;
	switch (key->type) {
	case CONFIG_STRING: r = set_text(c, key, text ? text : "", field, &why); break;
	case CONFIG_BOOL: *(bool *)field = text && strcmp(text, "true") == 0; break;
	case CONFIG_INT: *(int *)field = text ? atoi(text) : 0; break;
	case CONFIG_SIZE:
	case CONFIG_DURATION:
	case CONFIG_ENUM: r = text ? set_by_text(c, key, text, field, &why) : 0; break;
	case CONFIG_STRINGS:
		if (text && add_texts(c, strings, 1) == 0)
			r = set_text(c, key, text, &strings->items[strings->n++], &why);
		break;
	default: break;
	}
	if (r < 0)
		config_tell(c, c->group, key->name, why.text);
}

static void strings_value(struct config_check *c, const struct config_key *key,
			  const config_setting_t *setting, struct config_strings *field)
{
	bool one = setting->type == CONFIG_TYPE_STRING;
	if (!one && !config_setting_is_array(setting) && !config_setting_is_list(setting)) {
		config_tell_type(c, key, setting);
		return;
	}
	size_t n = one ? 1 : (size_t)config_setting_length(setting);
	struct config_strings strings = {0};
	if (add_texts(c, &strings, n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const config_setting_t *item =
		    one ? setting : config_setting_get_elem(setting, (unsigned)i);
		struct why why;
		int r;
		if (item->type != CONFIG_TYPE_STRING) {
			config_tell_type(c, key, item);
			continue;
		}
		const char *text = config_setting_get_string(item);
		r = set_text(c, key, text, &strings.items[strings.n], &why);
		if (r < 0)
			tell_text(c, item, key->name, text, r, &why);
		else
			strings.n++;
	}
	*field = strings;
}

static void number_value(struct config_check *c, const struct config_key *key,
			 const config_setting_t *setting, void *field)
{
	if (setting->type != CONFIG_TYPE_INT && setting->type != CONFIG_TYPE_INT64) {
		config_tell_type(c, key, setting);
		return;
	}
	if (config_scan_refused(c->scan, setting->line))
		return;
	struct why why;
	long long value =
	    setting->type == CONFIG_TYPE_INT ? setting->value.ival : setting->value.llval;
	if (set_int(key, value, field, &why) < 0) {
		char words[sizeof(why.text) + 32];
		snprintf(words, sizeof(words), "= %lld %s", value, why.text);
		config_tell(c, setting, key->name, words);
	}
}

void config_value(struct config_check *c, const struct config_key *key,
		  const config_setting_t *setting, void *field)
{
	if (key->type == CONFIG_STRINGS) {
		strings_value(c, key, setting, field);
	} else if (key->type == CONFIG_INT) {
		number_value(c, key, setting, field);
	} else if (key->type == CONFIG_BOOL) {
		if (setting->type == CONFIG_TYPE_BOOL)
			*(bool *)field = config_setting_get_bool(setting);
		else
			config_tell_type(c, key, setting);
	} else if (setting->type != CONFIG_TYPE_STRING) {
		config_tell_type(c, key, setting);
	} else {
		struct why why;
		const char *text = config_setting_get_string(setting);
		int r = !*text && (key->must & c->reader)
			    ? why_set(&why, -EINVAL, "may not be empty")
			    : set_by_text(c, key, text, field, &why);
		if (r < 0)
			tell_text(c, setting, key->name, text, r, &why);
	}
}
