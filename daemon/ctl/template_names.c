/*
 * Names are looked up as Mustache does: the first part in the sections around the tag, from the
 * innermost out, and then in the root; the other parts in what was found.
 */
#include "ctl/template_names.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

enum kind { KIND_NONE, KIND_VALUE, KIND_ANY, KIND_ROOT, KIND_FIELDS, KIND_TEXT };

struct field {
	const char *name;
	enum kind kind;
	const struct field *fields; /* KIND_FIELDS */
};

struct type {
	enum kind kind;
	const struct field *fields;
	const json_t *text;
};

#define VALUE(name)                                                                                \
	{                                                                                          \
		name, KIND_VALUE, NULL                                                             \
	}

static const struct field list_fields[] = {
    VALUE("name"),
    VALUE("title"),
    VALUE("description"),
    VALUE("url"),
    VALUE("site_url"),
    VALUE("lang"),
    VALUE("dir"),
    VALUE("from_name"),
    VALUE("from_addr"),
    VALUE("reply_to"),
    VALUE("return_path"),
    VALUE("postal_address"),
    VALUE("theme"),
    VALUE("logo"),
    VALUE("archive_url"),
    VALUE("cfbl_address"),
    VALUE("full_text"),
    {"colors", KIND_ANY, NULL},
    {0},
};

static const struct field edition_fields[] = {VALUE("name"), VALUE("schedule"), {0}};

static const struct field issue_fields[] = {
    VALUE("uid"),           VALUE("occurrence"), VALUE("subject"),
    VALUE("preheader"),     VALUE("date"),       VALUE("foreword_html"),
    VALUE("foreword_text"), VALUE("date_text"),  {0},
};

static const struct field article_fields[] = {
    VALUE("id"),
    VALUE("title"),
    VALUE("url"),
    VALUE("author"),
    VALUE("summary"),
    VALUE("body_html"),
    VALUE("body_text"),
    VALUE("image"),
    VALUE("image_alt"),
    VALUE("published"),
    VALUE("topics"),
    VALUE("lang"),
    VALUE("dir"),
    VALUE("date_text"),
    VALUE("number"),
    VALUE("has_image"),
    VALUE("first"),
    VALUE("last"),
    {0},
};

static const struct field link_fields[] = {
    VALUE("unsubscribe"), VALUE("preferences"), VALUE("view"),
    VALUE("archive"),     VALUE("confirm"),     {0},
};

static const struct field shared_fields[] = {
    {"list", KIND_FIELDS, list_fields},  {"text", KIND_TEXT, NULL},
    {"preheader", KIND_VALUE, NULL},     {"reader", KIND_ANY, NULL},
    {"links", KIND_FIELDS, link_fields}, {0},
};

static const struct field digest_fields[] = {
    {"edition", KIND_FIELDS, edition_fields},
    {"articles", KIND_FIELDS, article_fields},
    {"lead", KIND_FIELDS, article_fields},
    {"others", KIND_FIELDS, article_fields},
    {"more", KIND_VALUE, NULL},
    {"issue", KIND_FIELDS, issue_fields},
    {0},
};

/* Partials that letters share with digests ask whether there is a lead: in a letter, there isn't.
 */
static const struct field letter_fields[] = {
    {"lead", KIND_FIELDS, article_fields},
    {"params", KIND_ANY, NULL},
    {"issue", KIND_FIELDS, issue_fields},
    {0},
};

static struct type field_of(const struct field *fields, struct str name)
{
	for (; fields->name; fields++)
		if (str_is(name, fields->name))
			return (struct type){fields->kind, fields->fields, NULL};
	return (struct type){0};
}

static struct type root_field(enum template_scope scope, const json_t *text, struct str name)
{
	struct type type = field_of(shared_fields, name);
	if (type.kind == KIND_NONE && scope != TEMPLATE_LETTER)
		type = field_of(digest_fields, name);
	if (type.kind == KIND_NONE && scope != TEMPLATE_DIGEST)
		type = field_of(letter_fields, name);
	if (type.kind == KIND_NONE && scope == TEMPLATE_ANYWHERE)
		type = field_of(article_fields, name);
	type.text = text;
	return type;
}

static struct type part_of(const struct type *type, struct str name)
{
	switch (type->kind) {
	case KIND_ANY: return *type;
	case KIND_FIELDS: return field_of(type->fields, name);
	case KIND_TEXT: {
		const json_t *value = json_object_getn(type->text, name.p, name.n);
		return (struct type){!value                  ? KIND_NONE
				     : json_is_object(value) ? KIND_TEXT
							     : KIND_VALUE,
				     NULL, value};
	}
	default: return (struct type){0};
	}
}

/*
 * The sections around a tag are few, but each is named from within those around it: they are
 * resolved from the outermost in, into `stack`.
 */
struct names {
	enum template_scope scope;
	const json_t *text;
	struct type stack[MUSTACHE_DEPTH];
	size_t depth;
};

static struct type resolve(const struct names *names, const char *name)
{
	struct str rest = str_of(name);
	if (strcmp(name, ".") == 0)
		return names->depth ? names->stack[names->depth - 1]
				    : (struct type){KIND_ROOT, NULL, NULL};
	struct str part = str_take(&rest, '.');
	struct type type = {0};
	for (size_t i = names->depth; i-- > 0 && type.kind == KIND_NONE;)
		if (names->stack[i].kind != KIND_ANY)
			type = part_of(&names->stack[i], part);
	if (type.kind == KIND_NONE)
		type = root_field(names->scope, names->text, part);
	for (size_t i = names->depth; i-- > 0 && type.kind == KIND_NONE;)
		type = part_of(&names->stack[i], part); /* a reader may have any attribute */
	while (rest.n && type.kind != KIND_NONE)
		type = part_of(&type, str_take(&rest, '.'));
	return type;
}

static void enter(struct names *names, const struct mustache_use *section)
{
	if (!section)
		return;
	enter(names, section->inside);
	if (section->kind == MUSTACHE_SECTION && names->depth < MUSTACHE_DEPTH) {
		struct type type = resolve(names, section->name);
		names->stack[names->depth++] = type;
	}
}

bool template_name_known(enum template_scope scope, const json_t *text,
			 const struct mustache_use *use)
{
	struct names names = {.scope = scope, .text = text};
	enter(&names, use->inside);
	return resolve(&names, use->name).kind != KIND_NONE;
}
