/* Pages in each language, and each allocation on the way to one failing. */
#include "failing_alloc.h"

#include <jansson.h>
#include <stdio.h>

#include "base/embed.h"
#include "web/limits.h"
#include "web/pages.h"
#include "web/rhythm.h"
#include "web/visit.h"

static struct pages *load(void)
{
	struct pages *pages = NULL;
	struct why why;
	if (pages_load(NULL, &pages, &why) < 0)
		fail_msg("%s", why.text);
	return pages;
}

static void check_rhythm(struct pages *pages, const char *lang, const char *schedule,
			 const char *text)
{
	_cleanup_buf_ struct buf out = {0};
	assert_int_equal(rhythm_text(pages_words(pages, NULL, lang)->text, str_of(schedule), &out),
			 0);
	assert_string_equal(buf_text(&out), text);
}

static void schedules_are_told_in_words(void **state)
{
	(void)state;
	struct pages *pages = load();
	check_rhythm(pages, "en", "daily 07:00", "Every day at 07:00");
	check_rhythm(pages, "de", "weekly mon 08:00", "Jeden Montag um 08:00 Uhr");
	check_rhythm(pages, "fr", "weekly sun 23:59", "Chaque dimanche à 23:59");
	check_rhythm(pages, "en", "monthly 31 09:00", "Every month on day 31 at 09:00");
	check_rhythm(pages, "en", "manual", "Now and then");
	check_rhythm(pages, "en", "instant", "Each article, as it appears");
	check_rhythm(pages, "en", "every full moon", "every full moon");
	pages_free(pages);
}

static void check_choice(struct pages *pages, const char *accept, const char *fallback,
			 const char *lang)
{
	const struct words *words = pages_words(pages, accept, fallback);
	if (strcmp(words->lang, lang) != 0)
		fail_msg("\"%s\" gives %s, not %s", accept ? accept : "", words->lang, lang);
}

static void the_best_language_is_chosen(void **state)
{
	(void)state;
	struct pages *pages = load();
	check_choice(pages, NULL, NULL, "en");
	check_choice(pages, "de", NULL, "de");
	check_choice(pages, "DE-at", NULL, "de");
	check_choice(pages, "xx, de;q=0.5, fr;q=0.7", NULL, "fr");
	check_choice(pages, "de;q=0.5,fr;q=0.5", NULL, "de");
	check_choice(pages, "de;q=0, ar ; q=0.001", NULL, "ar");
	check_choice(pages, "de;q=1.5, fr;q=x, ur;q=0.3", NULL, "ur");
	check_choice(pages, "*", "fr-CA", "fr");
	check_choice(pages, "xx", "yy", "en");
	check_choice(pages, "de;level=1", NULL, "en");
	pages_free(pages);
}

/* A request that PostgreSQL need not be asked for. */
static int visit_once(const struct site *site, const char *method, const char *path,
		      const char *type, const char *body, struct visit *v)
{
	*v = (struct visit){.site = site, .method = method, .path = path};
	if (visit_route(v) == VISIT_ASKS &&
	    visit_begin(v, str_of(type), str_of(body)) == VISIT_ASKS)
		return 1;
	return 0;
}

static const char *const paths[] = {"/none", "/u/x", "/c/AAAA", "/l/A B", "/static/x"};

static void what_needs_no_database_is_answered_without(void **state)
{
	(void)state;
	struct settings settings = {.templates_dir = ""};
	struct site site = {&settings, load(), NULL};
	for (size_t i = 0; i < ELEMENTS(paths); i++) {
		struct visit v;
		assert_int_equal(visit_once(&site, "GET", paths[i], "", "", &v), 0);
		assert_int_equal(v.answer.status, 404);
		visit_free(&v);
	}
	pages_free(site.pages);
}

/*
 * An error's page, a form and a file, with an allocation failing: either the answer that it would
 * be, or one that says that something went wrong, or none at all, which ends the connection.
 */
static int answer_all(void *ctx)
{
	const struct site *site = ctx;
	static const char part[] = "--x\r\nContent-Disposition: form-data; "
				   "name=List-Unsubscribe\r\n\r\nOne-Click\r\n--x--";
	const struct {
		const char *method, *path, *type, *body;
		unsigned status;
	} asks[] = {
	    {"GET", "/none", "", "", 404},
	    {"DELETE", "/l/news", "", "", 405},
	    {"POST", "/u/x", "application/x-www-form-urlencoded", "List%2DUnsubscribe=One-Click",
	     404},
	    {"POST", "/u/x", "multipart/form-data; boundary=x", part, 404},
	    {"GET", "/static/demo-bees.png", "", "", 200},
	    {"GET", "/robots.txt", "", "", 200},
	};
	int r = 0;
	for (size_t i = 0; i < ELEMENTS(asks); i++) {
		struct visit v;
		assert_int_equal(
		    visit_once(site, asks[i].method, asks[i].path, asks[i].type, asks[i].body, &v),
		    0);
		bool whole = !v.answer.body.err && v.answer.status == asks[i].status;
		if (!whole && !v.answer.body.err)
			assert_int_equal(v.answer.status, 500);
		if (!whole)
			r = -ENOMEM;
		visit_free(&v);
	}
	return r;
}

/*
 * As failing_alloc_sweep(), but what is run may come out whole although an allocation has failed.
 * Of many allocations the later ones are tried at growing steps.
 */
static void sweep(int (*run)(void *ctx), void *ctx)
{
	for (int after = 0; after < 2; after++) {
		unsigned long at = 0;
		do {
			failing_alloc.after = after;
			failing_alloc.hit = false;
			failing_alloc.seen = 0;
			failing_alloc.at = at += 1 + at / 200;
			int r = run(ctx);
			failing_alloc.at = 0;
			if (r < 0)
				assert_true(failing_alloc.hit);
		} while (failing_alloc.hit);
		assert_true(at > 50);
	}
}

/* What jansson lacks memory for it may take for a mistake, and small things it does without. */
static int load_pages(void *ctx)
{
	(void)ctx;
	struct pages *pages;
	int r = pages_load(NULL, &pages, NULL);
	if (r < 0)
		return failing_alloc.hit ? 0 : r;
	assert_string_not_equal(pages_text(pages_words(pages, "ur", NULL), "error.503.text"), "");
	pages_free(pages);
	return 0;
}

static void loading_survives_a_lack_of_memory(void **state)
{
	(void)state;
	sweep(load_pages, NULL);
}

static void answering_survives_a_lack_of_memory(void **state)
{
	(void)state;
	struct settings settings = {.templates_dir = ""};
	struct site site = {&settings, load(), NULL};
	sweep(answer_all, &site);
	pages_free(site.pages);
}

int main(void)
{
	json_set_alloc_funcs(malloc, free);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(schedules_are_told_in_words),
	    cmocka_unit_test(the_best_language_is_chosen),
	    cmocka_unit_test(what_needs_no_database_is_answered_without),
	    cmocka_unit_test(loading_survives_a_lack_of_memory),
	    cmocka_unit_test(answering_survives_a_lack_of_memory),
	};
	return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
