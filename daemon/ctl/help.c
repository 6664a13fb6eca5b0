#include "ctl/help.h"

static const char common[] = "  -c, --config FILE   the configuration (default: $DIGESTD_CONFIG,\n"
			     "                      else " SETTINGS_PATH ")\n"
			     "      --json          JSON instead of text for people\n"
			     "  -h, --help          this help\n";

void help_usage(FILE *out, const struct ctl_noun *noun, const struct ctl_verb *verb)
{
	fprintf(out, "Usage: digestctl %s%s%s%s%s%s\n", noun->name, verb->name ? " " : "",
		verb->name ? verb->name : "", verb->options || verb->asks ? " [OPTIONS]" : "",
		*verb->arguments ? " " : "", verb->arguments);
}

static void show_verb(FILE *out, const struct ctl_noun *noun, const struct ctl_verb *verb)
{
	help_usage(out, noun, verb);
	fprintf(out, "\n%s\n\n", verb->help);
	for (const struct ctl_option *option = verb->options; option && option->name; option++) {
		int width =
		    fprintf(out, "      --%s%s%s", option->name, option->argument ? " " : "",
			    option->argument ? option->argument : "");
		if (width > 28)
			fprintf(out, "\n%30s%s\n", "", option->help);
		else
			fprintf(out, "%*s%s\n", 30 - width, "", option->help);
	}
	if (verb->asks)
		fputs("      --yes                   don't ask\n", out);
	if (verb->options || verb->asks)
		fputc('\n', out);
	fputs(common, out);
	if (verb->more)
		fprintf(out, "\n%s\n", verb->more);
}

static void show_noun(FILE *out, const struct ctl_noun *noun)
{
	fprintf(out, "Usage: digestctl %s VERB\n\n%s\n\n", noun->name, noun->help);
	for (const struct ctl_verb *verb = noun->verbs; verb->run; verb++)
		fprintf(out, "  %s%s%s%s%s\n      %s\n", noun->name, verb->name ? " " : "",
			verb->name ? verb->name : "", *verb->arguments ? " " : "", verb->arguments,
			verb->help);
	fprintf(out, "\nMore on each: digestctl %s VERB --help\n", noun->name);
}

static void show_program(FILE *out)
{
	fputs("Usage: digestctl [--config FILE] [--json] NOUN VERB ...\n"
	      "\n"
	      "Drives a newsletter. The nouns:\n"
	      "\n",
	      out);
	for (const struct ctl_noun *const *noun = ctl_nouns; *noun; noun++)
		fprintf(out, "  %-12s %s\n", (*noun)->name, (*noun)->help);
	fprintf(out,
		"\n"
		"%s  -V, --version       the version\n"
		"\n"
		"More on each: digestctl help NOUN [VERB]\n"
		"\n"
		"Exit status: 0 done, 1 failed, 2 wrong arguments, 3 not found, 4 answered no\n",
		common);
}

void help_show(FILE *out, const struct ctl_noun *noun, const struct ctl_verb *verb)
{
	if (noun && !verb && !noun->verbs[0].name && !noun->verbs[1].run)
		verb = &noun->verbs[0]; /* all that there is */
	if (verb)
		show_verb(out, noun, verb);
	else if (noun)
		show_noun(out, noun);
	else
		show_program(out);
}
