/*
 * Arguments by the tables of nouns and verbs. --json, --config and --help may stand anywhere;
 * a verb's own options anywhere behind it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "base/version.h"
#include "ctl/ctl.h"
#include "ctl/help.h"

enum { OPT_JSON = 256, OPT_YES, OPT_OWN, OPTIONS = 40 };

/* getopt has told what is wrong; this, where it is told what is right. */
static int say_see(const struct ctl *ctl)
{
	const char *noun = ctl->noun ? ctl->noun->name : NULL;
	const char *verb = ctl->verb ? ctl->verb->name : NULL;
	return ctl_fail(CTL_USAGE, "see: digestctl help%s%s%s%s", noun ? " " : "", noun ? noun : "",
			verb ? " " : "", verb ? verb : "");
}

/* -1: go on; otherwise the exit status. */
static int take_global(struct ctl *ctl, int option)
{
	switch (option) {
	case 'c': ctl->config = optarg; return -1;
	case OPT_JSON: ctl->json = true; return -1;
	case OPT_YES: ctl->yes = true; return -1;
	case 'h': help_show(stdout, ctl->noun, ctl->verb); return CTL_OK;
	case 'V': puts("digestctl " DIGESTD_VERSION); return CTL_OK;
	default: return say_see(ctl);
	}
}

static const struct ctl_noun *find_noun(const char *name)
{
	for (const struct ctl_noun *const *noun = ctl_nouns; *noun; noun++)
		if (strcmp((*noun)->name, name) == 0)
			return *noun;
	return NULL;
}

static const struct ctl_verb *find_verb(const struct ctl_noun *noun, const char *name)
{
	for (const struct ctl_verb *verb = noun->verbs; verb->run; verb++)
		if (!name ? !verb->name : verb->name && strcmp(verb->name, name) == 0)
			return verb;
	return NULL;
}

/* Reads options up to the first word that is none; argv[0] is shown in getopt's messages. */
static int take_leading(struct ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"json", no_argument, NULL, OPT_JSON},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	int option, r = -1;
	while (r < 0 && (option = getopt_long(argc, argv, "+c:hV", options, NULL)) != -1)
		r = take_global(ctl, option);
	return r;
}

static size_t own_options(const struct ctl_verb *verb)
{
	size_t n = 0;
	while (verb->options && verb->options[n].name)
		n++;
	return n;
}

/* Takes the verb's options out of argv[0..argc), whose [0] is shown in getopt's messages. */
static int take_options(struct ctl *ctl, int argc, char **argv)
{
	static const struct option common[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"json", no_argument, NULL, OPT_JSON},
	    {"help", no_argument, NULL, 'h'},
	    {"yes", no_argument, NULL, OPT_YES},
	};
	struct option options[OPTIONS + ELEMENTS(common) + 1] = {0};
	size_t own = own_options(ctl->verb);
	if (own > OPTIONS)
		abort();
	for (size_t i = 0; i < own; i++)
		options[i] = (struct option){ctl->verb->options[i].name,
					     ctl->verb->options[i].argument ? required_argument
									    : no_argument,
					     NULL, OPT_OWN + (int)i};
	memcpy(options + own, common, sizeof(common) - (ctl->verb->asks ? 0 : sizeof(common[0])));

	ctl->given = arena_array(&ctl->arena, (size_t)argc, sizeof(*ctl->given));
	if (!ctl->given)
		return ctl_no_memory();
	int option, r = -1;
	optind = 0; /* glibc: begin anew */
	while (r < 0 && (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (option < OPT_OWN) {
			r = take_global(ctl, option);
			continue;
		}
		ctl->given[ctl->given_count++] = (struct ctl_given){
		    ctl->verb->options[option - OPT_OWN].name, optarg ? optarg : ""};
	}
	ctl->args = argv + optind;
	ctl->arg_count = argc - optind;
	return r;
}

static int check_arguments(const struct ctl *ctl)
{
	const struct ctl_verb *verb = ctl->verb;
	const char *wrong = ctl->arg_count < verb->least                     ? "too few arguments"
			    : verb->most >= 0 && ctl->arg_count > verb->most ? "too many arguments"
									     : NULL;
	if (!wrong)
		return -1;
	fprintf(stderr, "digestctl: %s\n", wrong);
	help_usage(stderr, ctl->noun, verb);
	return CTL_USAGE;
}

static int show_help(struct ctl *ctl, int count, char **words)
{
	if (count > 2)
		return ctl_fail(CTL_USAGE, "too many words; see: digestctl help");
	if (count > 0 && !(ctl->noun = find_noun(words[0])))
		return ctl_fail(CTL_USAGE, "\"%s\" is no noun; see: digestctl help", words[0]);
	if (count > 1 && !(ctl->verb = find_verb(ctl->noun, words[1])))
		return ctl_fail(CTL_USAGE, "\"%s\" is no verb of %s; see: digestctl help %s",
				words[1], words[0], words[0]);
	help_show(stdout, ctl->noun, ctl->verb);
	return CTL_OK;
}

/* Finds noun and verb. -1: go on, *ret_at is the first word behind them. */
static int find_words(struct ctl *ctl, int argc, char **argv, int *ret_at)
{
	int r = take_leading(ctl, argc, argv);
	if (r >= 0)
		return r;
	int at = optind;
	if (at >= argc) {
		help_show(stderr, NULL, NULL);
		return CTL_USAGE;
	}
	if (strcmp(argv[at], "help") == 0)
		return show_help(ctl, argc - at - 1, argv + at + 1);
	if (!(ctl->noun = find_noun(argv[at])))
		return ctl_fail(CTL_USAGE, "\"%s\" is no noun; see: digestctl help", argv[at]);
	argv[at] = argv[0];
	optind = 0;
	r = argv[at + 1] && argv[at + 1][0] == '-' && !find_verb(ctl->noun, NULL)
		? take_leading(ctl, argc - at, argv + at)
		: -1;
	if (r >= 0)
		return r;
	int verb = at + (optind ? optind : 1);
	if (verb < argc && (ctl->verb = find_verb(ctl->noun, argv[verb]))) {
		*ret_at = verb + 1;
		return -1;
	}
	if ((ctl->verb = find_verb(ctl->noun, NULL))) {
		*ret_at = at + 1;
		return -1;
	}
	if (verb < argc)
		return ctl_fail(CTL_USAGE, "\"%s\" is no verb of %s; see: digestctl help %s",
				argv[verb], ctl->noun->name, ctl->noun->name);
	help_show(stderr, ctl->noun, NULL);
	return CTL_USAGE;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	int at = 1, r = find_words(ctl, argc, argv, &at);
	if (r >= 0)
		return r;
	argv[at - 1] = ctl->verb->name ? arena_printf(&ctl->arena, "digestctl %s %s",
						      ctl->noun->name, ctl->verb->name)
				       : arena_printf(&ctl->arena, "digestctl %s", ctl->noun->name);
	if (!argv[at - 1])
		return ctl_no_memory();
	r = take_options(ctl, argc - at + 1, argv + at - 1);
	if (r < 0)
		r = check_arguments(ctl);
	return r < 0 ? ctl->verb->run(ctl) : r;
}

int ctl_main(int argc, char **argv)
{
	struct ctl ctl = {.now = clock_now()};
	static char name[] = "digestctl";
	if (argc > 0)
		argv[0] = name;
	int status = run(&ctl, argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout))
		status = ctl_fail(status == CTL_OK ? CTL_FAILED : (enum ctl_status)status,
				  "standard output: %s", strerror(errno));
	sync_close(ctl.pg);
	settings_free(ctl.settings);
	arena_free(&ctl.arena);
	return status;
}

/* ---- what was given ---------------------------------------------------------------------------
 */

static void must_exist(const struct ctl *ctl, const char *name)
{
	for (size_t i = 0; i < own_options(ctl->verb); i++)
		if (strcmp(ctl->verb->options[i].name, name) == 0)
			return;
	abort();
}

const char *ctl_each(const struct ctl *ctl, const char *name, size_t *at)
{
	must_exist(ctl, name);
	while (*at < ctl->given_count) {
		const struct ctl_given *given = &ctl->given[(*at)++];
		if (strcmp(given->name, name) == 0)
			return given->value;
	}
	return NULL;
}

const char *ctl_value(const struct ctl *ctl, const char *name)
{
	const char *value, *last = NULL;
	size_t at = 0;
	while ((value = ctl_each(ctl, name, &at)))
		last = value;
	return last;
}

bool ctl_has(const struct ctl *ctl, const char *name)
{
	return ctl_value(ctl, name) != NULL;
}

const char *ctl_arg(const struct ctl *ctl, int i)
{
	return i < ctl->arg_count ? ctl->args[i] : NULL;
}

int ctl_exclude(const struct ctl *ctl, const char *one, const char *other)
{
	return ctl_has(ctl, one) && ctl_has(ctl, other)
		   ? ctl_fail(CTL_USAGE, "--%s and --%s exclude each other", one, other)
		   : CTL_OK;
}

int ctl_must_name(const struct ctl *ctl)
{
	return ctl->given_count == 0
		   ? ctl_fail(CTL_USAGE,
			      "nothing is named that would change; see: digestctl help %s %s",
			      ctl->noun->name, ctl->verb->name)
		   : CTL_OK;
}

int ctl_number(struct ctl *ctl, const char *name, int64_t min, int64_t max, int64_t *ret)
{
	const char *text = ctl_value(ctl, name);
	if (!text)
		return CTL_OK;
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno || end == text || *end || value < min || value > max)
		return ctl_fail(CTL_USAGE, "--%s %s: a number from %lld to %lld is wanted", name,
				text, (long long)min, (long long)max);
	*ret = value;
	return CTL_OK;
}

int ctl_duration(struct ctl *ctl, const char *name, usec_t *ret)
{
	struct why why;
	const char *text = ctl_value(ctl, name);
	if (!text)
		return CTL_OK;
	if (units_duration(str_of(text), ret, &why) < 0)
		return ctl_fail(CTL_USAGE, "--%s %s: %s", name, text, why.text);
	return CTL_OK;
}

int ctl_words(struct ctl *ctl, const char *name, size_t most, char ***ret, size_t *ret_count)
{
	struct str rest = str_of(ctl_value(ctl, name));
	char **words = arena_array(&ctl->arena, most, sizeof(*words));
	size_t count = 0;
	if (!words)
		return ctl_no_memory();
	while (rest.n) {
		struct str word = str_trim(str_take(&rest, ','));
		if (!word.n)
			continue;
		if (count == most)
			return ctl_fail(CTL_USAGE, "--%s: there are more than %zu", name, most);
		if (!(words[count++] = arena_copy(&ctl->arena, word)))
			return ctl_no_memory();
	}
	*ret = words;
	*ret_count = count;
	return CTL_OK;
}
