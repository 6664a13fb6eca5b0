/* The demo's own articles (tests/data/articles) read as what they are meant to be. */
#include "unit.h"

#include <stdio.h>

#include "base/embed.h"
#include "base/file.h"
#include "news/article.h"

static const struct {
	const char *file;
	const char *dir;
	bool by_hand; /* no address, no picture, no summary of its own */
} demo[] = {
    {"1-ferry.md", "ltr", false},      {"2-bees.md", "ltr", false},
    {"3-lighthouse.md", "ltr", false}, {"4-library-ar.md", "rtl", false},
    {"5-mussels.md", "ltr", false},    {"6-office.md", "ltr", true},
};

static void read_demo(struct arena *arena, size_t n, struct article *ret, char **ret_image)
{
	_cleanup_buf_ struct buf bytes = {0};
	struct article a;
	struct why why;
	char path[64];
	snprintf(path, sizeof(path), "tests/data/articles/%s", demo[n].file);
	if (file_read(path, 1 << 16, &bytes, &why) < 0 ||
	    article_read(arena, buf_str(&bytes), demo[n].file, ARTICLE_GUESS, &a, &why) < 0)
		fail_msg("%s", why.text);
	*ret_image = a.image;
	if (article_settle(arena, &a, NULL, &why) < 0)
		fail_msg("%s: %s", path, why.text);
	*ret = a;
}

static void each_is_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(demo); i++) {
		_cleanup_arena_ struct arena arena = {0};
		struct article a;
		char *image;
		read_demo(&arena, i, &a, &image);
		assert_string_equal(a.dir, demo[i].dir);
		assert_true(*a.title && *a.author && *a.lang && *a.body_html && *a.summary);
		assert_true(a.published > 0);
		assert_true(a.n_topics > 0);
		assert_int_equal(*a.url != '\0', !demo[i].by_hand);
		assert_null(strchr(a.summary, '>'));
	}
}

/* What is at BASE/static/NAME is served from templates/web/static/NAME. */
static void each_picture_is_built_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(demo); i++) {
		_cleanup_arena_ struct arena arena = {0};
		struct article a;
		char *image, path[128];
		read_demo(&arena, i, &a, &image);
		if (demo[i].by_hand)
			continue;
		assert_non_null(image);
		assert_true(*a.image_alt);
		assert_int_equal(strncmp(image, "/static/", 8), 0);
		snprintf(path, sizeof(path), "templates/web%s", image);
		const struct embedded_file *file = embed_find(path);
		assert_non_null(file);
		assert_true(embed_bytes(file).n < 30000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_is_whole),
	    cmocka_unit_test(each_picture_is_built_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
