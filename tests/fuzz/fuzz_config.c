/*
 * The configuration's scan, reader and units on anything: they end, tell a reason whenever they
 * refuse, never tell one when they accept, and a number is never another one afterwards.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/config.h"
#include "base/units.h"
#include "store/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s doesn't hold\n", what);
	abort();
}

static void whole_file(struct str text, enum settings_program program)
{
	struct settings s = {0};
	_cleanup_report_ struct report report = {0};
	int r = config_load_text(&s.memory, &settings_schema, "input", text, (unsigned)program, &s,
				 &report);
	must(r == 0 || r == -EINVAL, "0 or -EINVAL");
	must((r == 0) == (report.errors == 0), "refused with a reason, accepted with none");
	must((report.n > 0) == (report.text.len > 0), "lines have text");
	if (r == 0) {
		must(s.timing.look < s.timing.look_max && s.timing.beat < s.timing.dead, "order");
		must(s.window.size >= 1 && s.window.size <= 10000, "range");
		must(s.feeds.max_size >= 1024, "range of sizes");
	}
	config_free(&s.memory);
}

static void amounts(struct str text)
{
	char written[UNITS_TEXT];
	struct why why;
	uint64_t size, back;
	usec_t duration;
	if (units_size(text, &size, &why) == 0) {
		must(size <= UNITS_MAX, "largest size");
		must(units_size(str_of(units_size_text(size, written)), &back, NULL) == 0 &&
			 back == size,
		     "size there and back");
	}
	if (units_duration(text, &duration, &why) == 0) {
		must(duration <= UNITS_MAX, "longest duration");
		must(units_duration(str_of(units_duration_text(duration, written)), &back, NULL) ==
			     0 &&
			 back == duration,
		     "duration there and back");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	whole_file(text, SETTINGS_WEB);
	if (size <= 64)
		amounts(text);
	return 0;
}
