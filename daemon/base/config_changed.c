/* What differs between two configurations that were read by the same schema. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"

static bool same_group(const struct config_group *group, const char *a, const char *b);

static bool same_strings(const struct config_strings *a, const struct config_strings *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static bool same_items(const struct config_group *group, const struct config_items *a,
		       const struct config_items *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same_group(group, (const char *)a->items + i * group->size,
				(const char *)b->items + i * group->size))
			return false;
	return true;
}

static bool same_secret(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->text, b->text, a->len) == 0);
}

static bool same(const struct config_key *key, const void *a, const void *b)
{
	switch (key->type) {
	case CONFIG_STRING: return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
	case CONFIG_BOOL: return *(const bool *)a == *(const bool *)b;
	case CONFIG_INT:
	case CONFIG_ENUM: return *(const int *)a == *(const int *)b;
	case CONFIG_SIZE:
	case CONFIG_DURATION: return *(const uint64_t *)a == *(const uint64_t *)b;
	case CONFIG_SECRET: return same_secret(a, b);
	case CONFIG_STRINGS: return same_strings(a, b);
	case CONFIG_LIST: return same_items(key->group, a, b);
	case CONFIG_GROUP: return same_group(key->group, a, b);
	}
	return true;
}

static bool same_group(const struct config_group *group, const char *a, const char *b)
{
	for (const struct config_key *key = group->keys; key->name; key++)
		if (!same(key, a + key->offset, b + key->offset))
			return false;
	return true;
}

static void changed_in(const struct config_group *group, const char *prefix, const char *old,
		       const char *new, void (*tell)(const char *, void *), void *userdata)
{
	for (const struct config_key *key = group->keys; key->name; key++) {
		char path[256];
		snprintf(path, sizeof(path), "%s%s", prefix, key->name);
		if (key->fixed && !same(key, old + key->offset, new + key->offset))
			tell(path, userdata);
		else if (key->type == CONFIG_GROUP && !key->fixed) {
			snprintf(path, sizeof(path), "%s%s.", prefix, key->name);
			changed_in(key->group, path, old + key->offset, new + key->offset, tell,
				   userdata);
		}
	}
}

void config_changed(const struct config_group *root, const void *old, const void *new,
		    void (*tell)(const char *path, void *userdata), void *userdata)
{
	changed_in(root, "", old, new, tell, userdata);
}
