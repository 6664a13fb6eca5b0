#include "ctl/bar.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"

enum { BAR_WIDEST = 40 };

static int columns(void)
{
	struct winsize size;
	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

void bar_begin(struct bar *bar, const struct ctl *ctl, const char *what)
{
	*bar = (struct bar){
	    .what = what,
	    .visible = !ctl->json && isatty(STDERR_FILENO),
	    .began = clock_mono(),
	};
}

/* "1,234/5,000  120/s  31 s left": what stands behind the bar. */
static void add_figures(const struct bar *bar, int64_t done, int64_t total, usec_t now,
			struct buf *out)
{
	double seconds = (double)(now - bar->began) / (double)USEC_PER_SEC;
	double rate = seconds > 0 ? (double)done / seconds : 0;
	buf_printf(out, "%lld", (long long)done);
	if (total > 0)
		buf_printf(out, "/%lld", (long long)total);
	buf_printf(out, "  %.0f/s", rate);
	if (bar->note[0])
		buf_printf(out, "  %s", bar->note);
	if (total > done && rate > 0 && !bar->waits)
		buf_printf(out, "  %.0f s left", (double)(total - done) / rate);
}

static void draw(const struct bar *bar, int64_t done, int64_t total, usec_t now)
{
	_cleanup_buf_ struct buf line = {0}, figures = {0};
	add_figures(bar, done, total, now, &figures);
	buf_printf(&line, "%s ", bar->what);
	if (total > 0) {
		double part = done < total ? (double)done / (double)total : 1;
		int width = columns() - (int)text_width(buf_str(&line)) -
			    (int)text_width(buf_str(&figures)) - 8;
		width = width > BAR_WIDEST ? BAR_WIDEST : width;
		for (int i = 0; i < width; i++)
			buf_adds(&line, i < (int)(part * width) ? "█" : "░");
		buf_printf(&line, " %3d%%  ", (int)(part * 100));
	}
	buf_adds(&line, buf_text(&figures));
	struct str shown = text_head(buf_str(&line), (unsigned)columns() - 1);
	fprintf(stderr, "\r\033[K%.*s", (int)shown.n, shown.p);
	fflush(stderr);
}

void bar_show(struct bar *bar, int64_t done, int64_t total)
{
	usec_t now = clock_mono();
	if (!bar->visible || (bar->drawn && now - bar->drawn_at < 100 * USEC_PER_MSEC))
		return;
	draw(bar, done, total, now);
	bar->drawn = true;
	bar->drawn_at = now;
}

void bar_note(struct bar *bar, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(bar->note, sizeof(bar->note), format, args);
	va_end(args);
}

void bar_end(struct bar *bar)
{
	if (bar->drawn)
		fputs("\r\033[K", stderr);
	bar->drawn = false;
}
