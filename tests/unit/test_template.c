/* Finding templates, freezing them, and rendering a file. */
#include "embedded.h"
#include "tempdir.h"

#include "mail/template.h"

/* Instead of what the program has within: a small theme. */
const struct embedded_file embedded_files[] = {
    EMBED("templates/mail/card.html.mustache", "shared card"),
    EMBED("templates/mail/foot.html.mustache", "shared foot {{reader.name}}\n"),
    EMBED("templates/mail/foot.txt.mustache", "text foot"),
    EMBED("templates/mail/half/digest.html.mustache", "{{> foot}}"),
    EMBED("templates/mail/letter-confirm.txt.mustache", "Confirm, {{name}}.\n{{> foot}}"),
    EMBED("templates/mail/plain/card.html.mustache", "<b>{{title}}</b>"),
    EMBED("templates/mail/plain/digest.html.mustache",
	  "\xEF\xBB\xBF{{#articles}}{{> card}}{{/articles}}\n  {{> foot}}"),
    EMBED("templates/mail/plain/digest.txt.mustache",
	  "{{#articles}}{{title}}{{/articles}} {{> foot}}"),
    EMBED_END,
};

static void loads(const char *dir, const char *name, const char *expected)
{
	_cleanup_arena_ struct arena arena = {0};
	struct str text;
	struct why why = {""};
	assert_int_equal(template_load(dir, name, &arena, &text, &why), 0);
	assert_int_equal(text.n, strlen(expected));
	assert_memory_equal(text.p, expected, text.n);
}

static void fails(const char *dir, const char *name, int err, const char *words)
{
	_cleanup_arena_ struct arena arena = {0};
	struct str text;
	struct why why = {""};
	assert_int_equal(template_load(dir, name, &arena, &text, &why), err);
	if (!strstr(why.text, words))
		fail_msg("\"%s\" doesn't say \"%s\"", why.text, words);
}

static void the_directory_goes_before_the_program(void **state)
{
	(void)state;
	_cleanup_tempdir_ struct tempdir dir;
	tempdir_make(&dir);
	tempdir_text(&dir, "mail/card.html.mustache", "my card");
	tempdir_text(&dir, "mail/plain", "a file where a folder is looked for");
	loads(NULL, "mail/card.html.mustache", "shared card");
	loads(dir.path, "mail/card.html.mustache", "my card");
	loads(dir.path, "mail/foot.txt.mustache", "text foot");
	loads(dir.path, "mail/plain/card.html.mustache", "<b>{{title}}</b>");
	loads("/nonexistent", "mail/foot.txt.mustache", "text foot");
	fails(dir.path, "mail/none.mustache", -ENOENT, "there is no template mail/none.mustache");
}

static void no_name_leads_out_of_the_directory(void **state)
{
	(void)state;
	static const char *const names[] = {"",        "/etc/passwd", "../x",    "mail/../../x",
					    "mail/..", "mail/./x",    "mail//x", ".x",
					    "mail/",   "a\nb"};
	_cleanup_tempdir_ struct tempdir dir;
	tempdir_make(&dir);
	for (size_t i = 0; i < ELEMENTS(names); i++)
		fails(dir.path, names[i], -EINVAL, "can't be the name of a template");
}

static void what_is_no_text_is_refused(void **state)
{
	(void)state;
	_cleanup_tempdir_ struct tempdir dir;
	tempdir_make(&dir);
	tempdir_write(&dir, "mail/nul", "a\0b", 3);
	tempdir_text(&dir, "mail/latin", "gr\xFC\xDF");
	tempdir_text(&dir, "mail/folder/x", "");
	tempdir_text(&dir, "mail/bom", "\xEF\xBB\xBFtext");
	fails(dir.path, "mail/nul", -EINVAL, "mail/nul: isn't UTF-8 text");
	fails(dir.path, "mail/latin", -EINVAL, "mail/latin: isn't UTF-8 text");
	fails(dir.path, "mail/folder", -EINVAL, "not a regular file");
	loads(dir.path, "mail/bom", "text");
}

static void render(const struct mustache *m, const char *json, const char *expected)
{
	_cleanup_buf_ struct buf out = {0};
	struct why why = {""};
	json_t *data = json_loads(json, 0, NULL);
	assert_int_equal(mustache_render(m, data, MUSTACHE_HTML, &out, &why), 0);
	assert_string_equal(buf_text(&out), expected);
	json_decref(data);
}

static void a_mails_partials_are_of_its_theme_and_part(void **state)
{
	(void)state;
	_cleanup_tempdir_ struct tempdir dir;
	_cleanup_arena_ struct arena arena = {0};
	struct why why = {""};
	struct mustache *m;
	tempdir_make(&dir);
	tempdir_text(&dir, "mail/plain/foot.txt.mustache", "my foot");
	assert_int_equal(template_compile(NULL, "plain", "digest", TEMPLATE_HTML, &arena, &m, &why),
			 0);
	render(m, "{\"articles\":[{\"title\":\"A\"}]}", "<b>A</b>\n  shared foot \n");
	assert_int_equal(
	    template_compile(dir.path, "plain", "digest", TEMPLATE_TEXT, &arena, &m, &why), 0);
	render(m, "{\"articles\":[{\"title\":\"A\"}]}", "A my foot");
	assert_int_equal(
	    template_compile(dir.path, NULL, "letter-confirm", TEMPLATE_TEXT, &arena, &m, &why), 0);
	render(m, "{\"name\":\"Ada\"}", "Confirm, Ada.\ntext foot");
	assert_int_equal(
	    template_compile(dir.path, "plain", "letter-confirm", TEMPLATE_TEXT, &arena, &m, &why),
	    0);
	render(m, "{\"name\":\"Ada\"}", "Confirm, Ada.\nmy foot");
}

/* Whether a digest with this card is refused in line 2 of the card, for this reason. */
static void card_is_refused(const char *card, int err, const char *reason)
{
	_cleanup_tempdir_ struct tempdir dir;
	_cleanup_arena_ struct arena arena = {0};
	struct why why = {""};
	struct mustache *m;
	char expected[256];
	tempdir_make(&dir);
	tempdir_text(&dir, "mail/plain/card.html.mustache", card);
	snprintf(expected, sizeof(expected), "mail/plain/card.html.mustache:2:1: %s", reason);
	assert_int_equal(
	    template_compile(dir.path, "plain", "digest", TEMPLATE_HTML, &arena, &m, &why), err);
	assert_string_equal(why.text, expected);
}

static void mistakes_are_told_with_file_and_line(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct why why = {""};
	struct mustache *m;
	card_is_refused("a\n{{#b}}", -EINVAL, "section {{#b}} is never closed");
	card_is_refused("a\n{{> none}}", -ENOENT, "there is no partial {{> none}}");
	card_is_refused("a\n{{> ../../../etc/passwd}}", -EINVAL,
			"\"../../../etc/passwd\" can't be the name of a template");
	assert_int_equal(template_compile(NULL, "none", "digest", TEMPLATE_HTML, &arena, &m, &why),
			 -ENOENT);
	assert_string_equal(why.text, "theme none has no template digest.html.mustache");
	assert_int_equal(
	    template_compile(NULL, "../plain", "digest", TEMPLATE_HTML, &arena, &m, &why), -EINVAL);
	assert_int_equal(template_compile(NULL, "a/b", "digest", TEMPLATE_HTML, &arena, &m, &why),
			 -EINVAL);
}

static void a_theme_is_frozen_and_thawed(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct why why = {""};
	struct mustache *m;
	json_t *frozen = NULL;
	assert_int_equal(template_collect(NULL, "plain", &frozen, &why), 0);
	json_t *expected = json_pack("{s:s, s:s, s:{s:s, s:s, s:s}}", "html",
				     "{{#articles}}{{> card}}{{/articles}}\n  {{> foot}}", "text",
				     "{{#articles}}{{title}}{{/articles}} {{> foot}}", "partials",
				     "card.html", "<b>{{title}}</b>", "foot.html",
				     "shared foot {{reader.name}}\n", "foot.txt", "text foot");
	assert_true(json_equal(frozen, expected));
	json_decref(expected);

	const char *data = "{\"articles\":[{\"title\":\"A\"}],\"reader\":{\"name\":\"R\"}}";
	assert_int_equal(template_thaw(frozen, TEMPLATE_HTML, &arena, &m, &why), 0);
	render(m, data, "<b>A</b>\n  shared foot R\n");
	assert_int_equal(template_thaw(frozen, TEMPLATE_TEXT, &arena, &m, &why), 0);
	render(m, data, "A text foot");

	json_object_del(json_object_get(frozen, "partials"), "card.html");
	assert_int_equal(template_thaw(frozen, TEMPLATE_HTML, &arena, &m, &why), -ENOENT);
	assert_string_equal(why.text, "digest.html:1:14: there is no partial {{> card}}");
	json_object_del(frozen, "text");
	assert_int_equal(template_thaw(frozen, TEMPLATE_TEXT, &arena, &m, &why), -EINVAL);
	assert_int_equal(template_thaw(NULL, TEMPLATE_TEXT, &arena, &m, &why), -EINVAL);
	json_decref(frozen);
}

static void half_a_theme_is_not_frozen(void **state)
{
	(void)state;
	struct why why = {""};
	json_t *frozen = NULL;
	assert_int_equal(template_collect(NULL, "half", &frozen, &why), -ENOENT);
	assert_string_equal(why.text, "theme half has no template digest.txt.mustache");
	assert_null(frozen);
}

static int render_file(const struct tempdir *dir, const char *data, bool strict, struct buf *out,
		       struct why *why)
{
	char file[128], partials[128];
	snprintf(file, sizeof(file), "%s/t.mustache", dir->path);
	snprintf(partials, sizeof(partials), "%s/partials", dir->path);
	struct template_job job = {
	    .file = file, .data = str_of(data), .partials = partials, .strict = strict};
	buf_reset(out);
	return template_render_file(&job, out, why);
}

static void a_file_is_rendered_with_its_partials(void **state)
{
	(void)state;
	_cleanup_tempdir_ struct tempdir dir;
	_cleanup_buf_ struct buf out = {0};
	struct why why = {""};
	tempdir_make(&dir);
	tempdir_text(&dir, "t.mustache", "{{> a}} {{x}}{{> none}}{{.}}\n");
	tempdir_text(&dir, "partials/a.mustache", "[{{x}}]");
	assert_int_equal(render_file(&dir, "{\"x\":\"<\"}", false, &out, &why), 0);
	assert_string_equal(buf_text(&out), "[&lt;] &lt;{&quot;x&quot;:&quot;&lt;&quot;}\n");
	assert_int_equal(render_file(&dir, "7", false, &out, &why), 0);
	assert_string_equal(buf_text(&out), "[] 7\n");
	assert_int_equal(render_file(&dir, " \n", false, &out, &why), 0);
	assert_string_equal(buf_text(&out), "[] {}\n");
	assert_int_equal(render_file(&dir, "{\n\"x\": }", false, &out, &why), -EINVAL);
	assert_true(str_starts(str_of(why.text), "data:2:"));
	assert_int_equal(render_file(&dir, "{}", true, &out, &why), -ENOENT);
	assert_non_null(strstr(why.text, "t.mustache:1:14: there is no partial {{> none}}"));
	assert_int_equal(out.len, 0);
}

static void a_file_stays_within_its_folder(void **state)
{
	(void)state;
	_cleanup_tempdir_ struct tempdir dir;
	_cleanup_buf_ struct buf out = {0};
	struct why why = {""};
	tempdir_make(&dir);
	tempdir_text(&dir, "t.mustache", "{{> ../t}}");
	tempdir_text(&dir, "partials/a.mustache", "");
	assert_int_equal(render_file(&dir, "", false, &out, &why), -EINVAL);
	assert_non_null(strstr(why.text, "t.mustache:1:1: \"../t\" can't be the name"));
	tempdir_text(&dir, "t.mustache", "{{> a}}ok");
	char file[128];
	snprintf(file, sizeof(file), "%s/t.mustache", dir.path);
	struct template_job job = {.file = file};
	assert_int_equal(template_render_file(&job, &out, &why), 0);
	assert_string_equal(buf_text(&out), "ok");
	job.file = "/nonexistent/t.mustache";
	assert_int_equal(template_render_file(&job, &out, &why), -ENOENT);
	assert_string_equal(why.text, "/nonexistent/t.mustache: No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_directory_goes_before_the_program),
	    cmocka_unit_test(no_name_leads_out_of_the_directory),
	    cmocka_unit_test(what_is_no_text_is_refused),
	    cmocka_unit_test(a_mails_partials_are_of_its_theme_and_part),
	    cmocka_unit_test(mistakes_are_told_with_file_and_line),
	    cmocka_unit_test(a_theme_is_frozen_and_thawed),
	    cmocka_unit_test(half_a_theme_is_not_frozen),
	    cmocka_unit_test(a_file_is_rendered_with_its_partials),
	    cmocka_unit_test(a_file_stays_within_its_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
