#include "ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

int ctl_line(struct buf *out, const char *format, va_list args)
{
	_cleanup_buf_ struct buf words = {0};
	int r = buf_vprintf(&words, format, args);
	return r < 0 ? r : text_shown(buf_str(&words), out);
}

static void __attribute__((format(printf, 1, 0))) tell(const char *format, va_list args)
{
	_cleanup_buf_ struct buf line = {0};
	if (ctl_line(&line, format, args) < 0)
		ctl_no_memory();
	else
		fprintf(stderr, "digestctl: %s\n", buf_text(&line));
}

int ctl_fail(enum ctl_status status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	tell(format, args);
	va_end(args);
	return status;
}

int ctl_no_memory(void)
{
	fputs("digestctl: out of memory\n", stderr);
	return CTL_FAILED;
}

int ctl_ask(const struct ctl *ctl, const char *format, ...)
{
	if (ctl->yes)
		return CTL_OK;
	if (!isatty(STDIN_FILENO))
		return ctl_fail(CTL_REFUSED,
				"this needs a yes, and standard input is no terminal: say --yes");
	_cleanup_buf_ struct buf line = {0};
	va_list args;
	va_start(args, format);
	int r = ctl_line(&line, format, args);
	va_end(args);
	if (r < 0)
		return ctl_no_memory();
	fflush(stdout);
	fprintf(stderr, "%s [y/N] ", buf_text(&line));
	char answer[16] = "";
	if (!fgets(answer, sizeof(answer), stdin))
		fputc('\n', stderr);
	if (strcasecmp(answer, "y\n") == 0 || strcasecmp(answer, "yes\n") == 0)
		return CTL_OK;
	return ctl_fail(CTL_REFUSED, "nothing was done");
}

int ctl_settings(struct ctl *ctl)
{
	if (ctl->settings)
		return CTL_OK;
	_cleanup_report_ struct report report = {0};
	int r =
	    settings_load(settings_path(ctl->config), SETTINGS_OPERATOR, &ctl->settings, &report);
	if (r == -ENOMEM)
		return ctl_no_memory();
	fputs(buf_text(&report.text), stderr);
	return r < 0 ? CTL_FAILED : CTL_OK;
}

static int connect_as(struct ctl *ctl, const struct settings_login *login)
{
	struct why why;
	struct db_config config = {
	    .conninfo = login->conninfo,
	    .password = login->password.text,
	    .application = "digestctl",
	    .answer_limit = 3600 * USEC_PER_SEC, /* an import's or a migration's statement */
	};
	if (sync_open(&config, &ctl->pg, &why) < 0)
		return ctl_fail(CTL_FAILED, "%s", why.text);
	return CTL_OK;
}

int ctl_connect(struct ctl *ctl)
{
	if (ctl->pg)
		return CTL_OK;
	int r = ctl_settings(ctl);
	return r != CTL_OK ? r : connect_as(ctl, &ctl->settings->database.operator);
}

int ctl_connect_owner(struct ctl *ctl)
{
	int r = ctl_settings(ctl);
	if (r != CTL_OK)
		return r;
	sync_close(steal(ctl->pg));
	return connect_as(ctl, &ctl->settings->database.owner);
}

/* What the schema's checks mean to somebody who wrote the arguments. */
static const char *constraint_words(const char *constraint)
{
	static const struct {
		const char *constraint, *words;
	} table[] = {
	    {"edition_schedule_check", "that is no schedule; see: digestctl help edition add"},
	    {"list_lang_check", "that is no language tag: en, de, pt-BR, ur ... are"},
	    {"list_base_url_check", "that is no address of pages: https://news.example is, with no"
				    " slash at its end"},
	    {"feed_url_check", "a feed's address begins with http://, https:// or file://"},
	    {"address_check", "that is no e-mail address"},
	};
	for (size_t i = 0; i < ELEMENTS(table); i++)
		if (strcmp(table[i].constraint, constraint) == 0)
			return table[i].words;
	return NULL;
}

int ctl_pg_failed(struct ctl *ctl, const struct why *why)
{
	static const struct db_error none;
	const struct db_error *error = ctl->pg ? sync_error(ctl->pg) : &none;
	const char *words = constraint_words(error->constraint);
	if (words)
		return ctl_fail(CTL_USAGE, "%s", words);
	if (db_error_is(error, "42P01") || db_error_is(error, "42883"))
		return ctl_fail(CTL_FAILED, "%s; is the schema there? See: digestctl db status",
				why->text);
	if (db_error_is(error, "22007") || db_error_is(error, "22008"))
		return ctl_fail(CTL_USAGE, "%s; a moment is written as 2026-03-29T07:00:00+02:00",
				why->text);
	return ctl_fail(db_error_in_class(error, "22") ? CTL_USAGE : CTL_FAILED, "%s", why->text);
}

int ctl_query(struct ctl *ctl, const char *sql, struct db_params *params, struct pg_result **ret)
{
	struct why why;
	int r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;
	if (sync_query(ctl->pg, sql, params, ret, &why) < 0)
		return ctl_pg_failed(ctl, &why);
	return CTL_OK;
}

int ctl_find(struct ctl *ctl, const char *sql, struct db_params *params, struct pg_result **ret,
	     const char *format, ...)
{
	_cleanup_result_ struct pg_result *res = NULL;
	int r = ctl_query(ctl, sql, params, &res);
	if (r != CTL_OK)
		return r;
	if (db_rows(res) == 0) {
		va_list args;
		va_start(args, format);
		tell(format, args);
		va_end(args);
		return CTL_NOT_FOUND;
	}
	if (ret)
		*ret = steal(res);
	return CTL_OK;
}

int ctl_begin(struct ctl *ctl)
{
	struct why why;
	int r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;
	return sync_begin(ctl->pg, &why) < 0 ? ctl_pg_failed(ctl, &why) : CTL_OK;
}

int ctl_commit(struct ctl *ctl)
{
	struct why why;
	return sync_commit(ctl->pg, &why) < 0 ? ctl_pg_failed(ctl, &why) : CTL_OK;
}
