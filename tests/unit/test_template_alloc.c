/* Each allocation in finding, freezing and rendering templates and locales fails once. */
#include "embedded.h"
#include "failing_alloc.h"
#include "tempdir.h"

#include "mail/locale.h"
#include "mail/template.h"
const struct embedded_file embedded_files[] = {
    EMBED("templates/locale/de.json", "{\"mail\":{\"hello\":\"Hallo\"}}"),
    EMBED("templates/locale/en.json", "{\"mail\":{\"hello\":\"Hello\",\"bye\":\"Bye\"}}"),
    EMBED("templates/mail/foot.html.mustache", "<hr>"),
    EMBED("templates/mail/plain/digest.html.mustache", "{{title}}{{> foot}}"),
    EMBED("templates/mail/plain/digest.txt.mustache", "{{title}}"),
    EMBED_END,
};

static int freeze_and_thaw(void *ctx)
{
	(void)ctx;
	_cleanup_arena_ struct arena arena = {0};
	json_auto_t *frozen = NULL;
	struct why why;
	struct mustache *m;
	int r = template_collect(NULL, "plain", &frozen, &why);
	if (r == 0)
		r = template_thaw(frozen, TEMPLATE_HTML, &arena, &m, &why);
	return r;
}

/* When memory runs out within a token, jansson calls it an invalid one. */
static int as_memory(int r)
{
	return r == -EINVAL ? -ENOMEM : r;
}

static int read_locale(void *ctx)
{
	(void)ctx;
	json_auto_t *strings = NULL;
	struct why why;
	return as_memory(locale_load(NULL, "de-AT", &strings, &why));
}

static int render_file(void *ctx)
{
	const struct template_job *job = ctx;
	_cleanup_buf_ struct buf out = {0};
	struct why why;
	return as_memory(template_render_file(job, &out, &why));
}

static void mails_may_run_out_of_memory(void **state)
{
	(void)state;
	assert_true(failing_alloc_sweep(freeze_and_thaw, NULL) > 10);
}

static void locales_may_run_out_of_memory(void **state)
{
	(void)state;
	assert_true(failing_alloc_sweep(read_locale, NULL) > 10);
}

static void files_may_run_out_of_memory(void **state)
{
	(void)state;
	_cleanup_tempdir_ struct tempdir dir;
	char file[128];
	tempdir_make(&dir);
	tempdir_text(&dir, "t.mustache", "{{> a}}{{b}}");
	tempdir_text(&dir, "a.mustache", "{{b.c}}");
	snprintf(file, sizeof(file), "%s/t.mustache", dir.path);
	struct template_job job = {
	    .file = file, .data = STR("{\"b\":{\"c\":\"text\"}}"), .partials = dir.path};
	assert_true(failing_alloc_sweep(render_file, &job) > 10);
}

int main(void)
{
	json_set_alloc_funcs(malloc, free);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mails_may_run_out_of_memory),
	    cmocka_unit_test(locales_may_run_out_of_memory),
	    cmocka_unit_test(files_may_run_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
