#include "base/config_names.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_ = 64 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;
	return m < c ? m : c;
}

/* Levenshtein's distance; of names up to NAME_MAX_, longer ones are far from everything. */
static unsigned distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned row[NAME_MAX_ + 1];
	if (n > NAME_MAX_ || m > NAME_MAX_)
		return NAME_MAX_;
	for (unsigned j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		unsigned corner = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned above = row[j];
			row[j] = min3(above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
			corner = above;
		}
	}
	return row[m];
}

struct search {
	const char *name;
	char nearest[NAME_MAX_ + 1];
	unsigned distance;
	bool found;
};

static void look_at(struct search *s, const char *name, const char *suffix)
{
	char full[NAME_MAX_ + 1];
	snprintf(full, sizeof(full), "%s%s", name, suffix);
	unsigned d = distance(s->name, full);
	s->found |= d == 0;
	if (d < s->distance) {
		s->distance = d;
		memcpy(s->nearest, full, sizeof(full));
	}
}

bool config_name_known(const struct config_group *group, const char *name, char *words, size_t room)
{
	struct search s = {.name = name, .distance = (unsigned)strlen(name) / 3 + 2};
	for (const struct config_key *key = group->keys; key->name; key++) {
		if (key->type != CONFIG_SECRET) {
			look_at(&s, key->name, "");
			continue;
		}
		if (strcmp(key->name, name) == 0) {
			snprintf(words, room,
				 "may not stand here, where everybody sees it: write it into a "
				 "file and name that, %s_file = \"/etc/digestd/NAME\", or "
				 "%s_credential = \"NAME\" of systemd",
				 name, name);
			return false;
		}
		look_at(&s, key->name, "_file");
		look_at(&s, key->name, "_credential");
	}
	if (s.found)
		return true;
	if (*s.nearest)
		snprintf(words, room, "is not a setting; did you mean %s?", s.nearest);
	else
		snprintf(words, room, "is not a setting; digestd.conf(5) lists them");
	return false;
}

static void visit_group(const struct config_group *group, const char *prefix,
			void (*visit)(const char *, const struct config_key *, void *),
			void *userdata)
{
	for (const struct config_key *key = group->keys; key->name; key++) {
		char path[256];
		int n = snprintf(path, sizeof(path), "%s%s", prefix, key->name);
		if (key->type == CONFIG_SECRET) {
			snprintf(path + n, sizeof(path) - (size_t)n, "_file");
			visit(path, key, userdata);
			snprintf(path + n, sizeof(path) - (size_t)n, "_credential");
		}
		visit(path, key, userdata);
		if (key->group) {
			snprintf(path + n, sizeof(path) - (size_t)n, ".");
			visit_group(key->group, path, visit, userdata);
		}
	}
}

void config_names(const struct config_group *root,
		  void (*visit)(const char *path, const struct config_key *key, void *userdata),
		  void *userdata)
{
	visit_group(root, "", visit, userdata);
}
