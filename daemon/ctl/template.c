/* template: the mails' templates, checked and tried out; no database is needed. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "ctl/nouns.h"
#include "ctl/output.h"
#include "ctl/template_check.h"
#include "mail/template.h"

enum { DATA_MOST = 64 << 20, RENDER_MOST = 256 << 20 };

/* ---- render -----------------------------------------------------------------------------------
 */

/* --data JSON, or @FILE. */
static int read_data(struct ctl *ctl, struct buf *out)
{
	struct why why;
	const char *data = ctl_value(ctl, "data");
	if (!data)
		return CTL_OK;
	if (*data != '@')
		return buf_adds(out, data) < 0 ? ctl_no_memory() : CTL_OK;
	if (file_read_any(data + 1, DATA_MOST, out, &why) < 0)
		return ctl_fail(CTL_FAILED, "%s", why.text);
	return CTL_OK;
}

static int run_render(struct ctl *ctl)
{
	struct why why = {""};
	_cleanup_buf_ struct buf data = {0}, out = {.limit = RENDER_MOST};
	const char *partials = ctl_value(ctl, "partials");
	if (partials && access(partials, X_OK) < 0)
		return ctl_fail(errno == ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "--partials %s: %s",
				partials, strerror(errno));
	int r = read_data(ctl, &data);
	if (r != CTL_OK)
		return r;
	const struct template_job job = {
	    .file = ctl_arg(ctl, 0),
	    .data = buf_str(&data),
	    .partials = partials,
	    .escape = ctl_has(ctl, "plain") ? MUSTACHE_NONE : MUSTACHE_HTML,
	    .strict = ctl_has(ctl, "strict"),
	};
	int e = template_render_file(&job, &out, &why);
	if (e < 0)
		return ctl_fail(CTL_FAILED, "%s", why.text[0] ? why.text : strerror(-e));
	if (ctl->json)
		return output_done(ctl,
				   json_pack("{so}", "text", json_stringn(buf_text(&out), out.len)),
				   "%s", "");
	fwrite(buf_text(&out), 1, out.len, stdout);
	return CTL_OK;
}

/* ---- check ------------------------------------------------------------------------------------
 */

static const struct output_column mistake_columns[] = {
    {"file", NULL, OUTPUT_TEXT, NULL},
    {"line", NULL, OUTPUT_INT, NULL},
    {"column", NULL, OUTPUT_INT, NULL},
    {"text", NULL, OUTPUT_TEXT, NULL},
    {0},
};

static void show_mistake(const json_t *mistake)
{
	_cleanup_buf_ struct buf words = {0}, line = {0};
	const json_t *number = json_object_get(mistake, "line");
	buf_adds(&words, json_string_value(json_object_get(mistake, "file")));
	if (json_is_integer(number))
		buf_printf(&words, ":%lld:%lld", (long long)json_integer_value(number),
			   (long long)json_integer_value(json_object_get(mistake, "column")));
	buf_printf(&words, ": %s", json_string_value(json_object_get(mistake, "text")));
	text_shown(buf_str(&words), &line);
	puts(buf_text(&line));
}

static int run_check(struct ctl *ctl)
{
	json_auto_t *mistakes = json_array();
	size_t files = 0, i;
	json_t *mistake;
	int r = mistakes ? template_check(ctl, mistakes, &files) : ctl_no_memory();
	if (r != CTL_OK)
		return r;
	size_t count = json_array_size(mistakes);
	if (ctl->json)
		r = output_table(ctl, mistake_columns, json_incref(mistakes), "");
	else
		json_array_foreach(mistakes, i, mistake) show_mistake(mistake);
	if (r == CTL_OK && !ctl->json && count == 0)
		printf("no mistake in %zu template%s\n", files, files == 1 ? "" : "s");
	return r != CTL_OK ? r : count ? CTL_FAILED : CTL_OK;
}

static const struct ctl_option render_options[] = {
    {"data", "JSON|@FILE", "what the template sees (default: nothing)"},
    {"partials", "DIR", "where its partials are, NAME.mustache"},
    {"strict", NULL, "a partial that is missing is an error"},
    {"plain", NULL, "escape nothing, as in a text part"},
    {0},
};

static const struct ctl_option check_options[] = {
    {"templates", "DIR", "changed templates (default: templates_dir of the configuration)"},
    {0},
};

static const char check_more[] =
    "A THEME is a folder of mail/: its digest and its letters, in HTML and as text, with the\n"
    "partials that they reach. A FILE with a dot or a slash in its name is checked by itself.\n"
    "Exit status: 0 no mistake, 1 there is one.";

static const struct ctl_verb verbs[] = {
    {"check", "[THEME|FILE]...", "Find mistakes in templates.", run_check, 0, -1, check_options,
     check_more, false},
    {"render", "FILE", "Print what a Mustache template gives, and nothing else.", run_render, 1, 1,
     render_options, "FILE may be \"-\", standard input.", false},
    {0},
};

const struct ctl_noun noun_template = {"template", "the templates of mails", verbs};
