/*
 * Fetches all addresses given at once and prints the outcomes as JSON, for tests/system/
 * test_fetch.py; with the order in which they ended, and the longest time (ms) that the event loop
 * did nothing else meanwhile.
 * Usage: fetch_driver [name=value ...] url ...; names are those of struct fetch_request; "now=1"
 * uses fetch_now().
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "news/fetch.h"

enum { TICK_USEC = 10000, MOST = 64 };

static struct {
	json_t *list;
	sd_event *event;
	sd_event_source *ticker;
	int left, ended;
	usec_t last_tick, longest_gap;
} run;

static json_t *outcome(const struct fetch_result *r)
{
	static const char *const words[] = {"ok", "not modified", "failed"};
	struct str head = str_head(buf_str(&r->body), 200);
	return json_pack(
	    "{ss si ss? ss? ss? ss? ss? sI sI so? si ss}", "status", words[r->status],
	    "http_status", r->http_status, "url", r->url, "moved_to", r->moved_to, "etag", r->etag,
	    "last_modified", r->last_modified, "content_type", r->content_type, "retry_after",
	    (json_int_t)(r->retry_after / USEC_PER_SEC), "bytes", (json_int_t)r->body.len, "body",
	    json_stringn(head.p, head.n), "err", -r->err, "why", r->why.text);
}

static void on_done(struct fetch_result *result, void *user)
{
	size_t place = *(size_t *)user;
	json_t *line = outcome(result);
	json_object_set_new(line, "order", json_integer(run.ended++));
	json_array_set_new(run.list, place, line);
	if (--run.left == 0)
		sd_event_exit(run.event, 0);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *user)
{
	(void)usec, (void)user;
	usec_t now = clock_mono();
	if (run.last_tick && now - run.last_tick > run.longest_gap)
		run.longest_gap = now - run.last_tick;
	run.last_tick = now;
	sd_event_source_set_time_relative(source, TICK_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static unsigned number(const char *value)
{
	return (unsigned)strtoul(value, NULL, 10);
}

static void take_option(struct fetch_request *q, const char *name, const char *value)
{
	if (strcmp(name, "etag") == 0)
		q->etag = value;
	else if (strcmp(name, "last_modified") == 0)
		q->last_modified = value;
	else if (strcmp(name, "max_bytes") == 0)
		q->max_bytes = number(value);
	else if (strcmp(name, "timeout_ms") == 0)
		q->timeout_ms = number(value);
	else if (strcmp(name, "low_speed_s") == 0)
		q->low_speed_s = number(value);
	else if (strcmp(name, "allow_private") == 0)
		q->allow_private = number(value);
	else if (strcmp(name, "allow_file") == 0)
		q->allow_file = number(value);
}

static int one_now(const struct fetch_request *q)
{
	struct fetch_result result;
	int r = fetch_now(q, &result);
	if (r < 0)
		return r;
	json_array_append_new(run.list, outcome(&result));
	fetch_result_free(&result);
	return 0;
}

static int all_at_once(struct fetch_request *q, char **urls, int n)
{
	static size_t places[MOST];
	_cleanup_(fetcher_closep)
	struct fetcher *fetcher = NULL;
	int r = sd_event_new(&run.event);
	if (r < 0)
		return r;
	r = sd_event_add_time_relative(run.event, &run.ticker, CLOCK_MONOTONIC, TICK_USEC, 1,
				       on_tick, NULL);
	if (r < 0)
		return r;
	r = fetcher_open(run.event, &fetcher);
	for (int i = 0; r == 0 && i < n && i < MOST; i++) {
		places[i] = (size_t)i;
		q->url = urls[i];
		json_array_append_new(run.list, json_null());
		run.left++;
		r = fetch_start(fetcher, q, on_done, &places[i]);
	}
	return r < 0 ? r : sd_event_loop(run.event);
}

int main(int argc, char **argv)
{
	struct fetch_request q = {0};
	bool now = false;
	int i = 1;
	for (char *equals; i < argc && !strstr(argv[i], "://") && (equals = strchr(argv[i], '='));
	     i++) {
		*equals = '\0';
		now |= strcmp(argv[i], "now") == 0;
		take_option(&q, argv[i], equals + 1);
	}
	run.list = json_array();
	q.url = argv[i];
	int r = now ? one_now(&q) : all_at_once(&q, argv + i, argc - i);
	sd_event_source_unref(run.ticker);
	sd_event_unref(run.event);
	json_auto_t *all = json_pack("{si so sI}", "returned", r, "results", run.list, "gap_ms",
				     (json_int_t)(run.longest_gap / USEC_PER_MSEC));
	json_dumpf(all, stdout, JSON_INDENT(1));
	return putchar('\n') < 0;
}
