/* KEY_file and KEY_credential: from their settings to the secret. */
#include <errno.h>
#include <stdio.h>

#include "base/config_value.h"

/* The credential's path; NULL when it was told why there is none. */
static const char *credential_path(struct config_check *c, const config_setting_t *at)
{
	struct why why;
	_cleanup_free_ char *path = NULL;
	int r = secret_credential_path(config_setting_get_string(at), &path, &why);
	const char *copy = arena_strdup(&c->config->arena, path);
	if (r < 0)
		config_tell(c, at, at->name, why.text);
	c->no_memory |= r == -ENOMEM || (path && !copy);
	return copy;
}

/* The path that one of the two names; NULL when it isn't for this reader or was told why not. */
static const char *secret_path(struct config_check *c, const struct config_key *key,
			       const config_setting_t *file, const config_setting_t *credential)
{
	const config_setting_t *at = file ? file : credential;
	if (at->type != CONFIG_TYPE_STRING) {
		config_tell_type(c, key, at);
		return NULL;
	}
	if (file && *config_setting_get_string(file) != '/') {
		config_tell(c, at, at->name, "must be the path of a file, beginning with \"/\"");
		return NULL;
	}
	if (key->whose && !(key->whose & c->reader))
		return NULL;
	return file ? config_setting_get_string(file) : credential_path(c, credential);
}

void config_secret(struct config_check *c, const struct config_key *key,
		   const config_setting_t *file, const config_setting_t *credential,
		   struct secret *field)
{
	const config_setting_t *at = file ? file : credential;
	if (file && credential) {
		config_tell(c, credential, credential->name,
			    "is one too many: the file is named already");
		return;
	}
	const char *path = at ? secret_path(c, key, file, credential) : NULL;
	if (!path)
		return;
	struct config_secret *link = arena_alloc(&c->config->arena, sizeof(*link));
	if (!link) {
		c->no_memory = true;
		return;
	}
	struct why why;
	bool is_open;
	int r = secret_read(path, field, &is_open, &why);
	if (r < 0) {
		c->no_memory |= r == -ENOMEM;
		char words[sizeof(why.text) + 32];
		snprintf(words, sizeof(words), "can't be used: %s", why.text);
		config_tell(c, at, at->name, words);
		return;
	}
	*link = (struct config_secret){c->config->secrets, field};
	c->config->secrets = link;
	if (is_open) {
		struct syntax_place p = config_scan_place(c->scan, at->line);
		report_warning(c->report, p.file, p.line,
			       "%s%s: any user of this machine can read %s; chmod o-r it",
			       c->prefix, at->name, path);
	}
}
