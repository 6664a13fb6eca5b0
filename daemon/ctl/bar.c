#include "ctl/bar.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

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

static void draw(const struct bar *bar, int64_t done, int64_t total, usec_t now)
{
	double seconds = (double)(now - bar->began) / (double)USEC_PER_SEC;
	double rate = seconds > 0 ? (double)done / seconds : 0;
	fprintf(stderr, "\r\033[K%s ", bar->what);
	if (total > 0) {
		int width = columns() - 50;
		if (width > BAR_WIDEST)
			width = BAR_WIDEST;
		double part = done < total ? (double)done / (double)total : 1;
		int full = width > 0 ? (int)(part * width) : 0;
		for (int i = 0; i < width; i++)
			fputs(i < full ? "█" : "░", stderr);
		fprintf(stderr, " %3d%% ", (int)(part * 100));
	}
	fprintf(stderr, "%lld", (long long)done);
	if (total > 0)
		fprintf(stderr, "/%lld", (long long)total);
	fprintf(stderr, "  %.0f/s", rate);
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

void bar_end(struct bar *bar)
{
	if (bar->drawn)
		fputs("\r\033[K", stderr);
	bar->drawn = false;
}
