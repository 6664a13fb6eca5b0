#include "news/fetch.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>

#include "base/curlloop.h"
#include "base/text.h"
#include "news/peer.h"

enum {
	TIMEOUT_MS = 120000,
	CONNECT_TIMEOUT_MS = 20000,
	LOW_SPEED = 100,
	LOW_SPEED_S = 30,
	MAX_HEADER_BYTES = 256 << 10,
};

static const char default_accept[] =
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml, "
    "application/xml;q=0.9, text/xml;q=0.9, application/json;q=0.8, */*;q=0.5";

struct fetch {
	struct curl_job job; /* first: curl's word comes with it */
	struct fetcher *fetcher;
	struct fetch *next, **prev_next; /* in the queue or among the running */
	CURL *easy;
	struct curl_slist *headers;
	fetch_done *done;
	void *user;
	struct fetch_result result;
	size_t header_bytes;
	size_t max_bytes;
	int redirects;
	bool all_permanent;
	bool running;
	bool allow_private;
	bool allow_file;
	bool refused_peer;
	bool too_large;
	char error[CURL_ERROR_SIZE];
};

struct fetcher {
	struct curl_loop *loop;
	sd_event_source *starter; /* begins what is queued, from the loop */
	struct fetch *running;
	struct fetch *queue, **queue_end;
	unsigned n_running;
};

void fetch_result_free(struct fetch_result *result)
{
	buf_free(&result->body);
	arena_free(&result->arena);
}

/* ---- what curl asks while a transfer runs --------------------------------------------------- */

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct fetch *fetch = user;
	(void)purpose;
	if (!fetch->allow_private && !peer_is_public(&address->addr)) {
		fetch->refused_peer = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Before each request: a connection may be one that another transfer, allowed more, has opened. */
static int check_peer(void *user, char *peer, char *local, int peer_port, int local_port)
{
	struct fetch *fetch = user;
	(void)local, (void)peer_port, (void)local_port;
	bool is_file = !*peer && fetch->allow_file;
	if (is_file || fetch->allow_private || peer_text_is_public(peer))
		return CURL_PREREQFUNC_OK;
	fetch->refused_peer = true;
	return CURL_PREREQFUNC_ABORT;
}

/* Each answer's status line tells whether a redirect is for good; a flood of headers ends here. */
static size_t take_header(char *bytes, size_t size, size_t n, void *user)
{
	struct fetch *fetch = user;
	struct str line = {bytes, size * n}, version, rest;
	fetch->header_bytes += line.n;
	if (fetch->header_bytes > MAX_HEADER_BYTES)
		return 0;
	if (!str_starts(line, "HTTP/") || !str_cut(line, ' ', &version, &rest))
		return line.n;
	bool permanent = str_starts(rest, "301") || str_starts(rest, "308");
	if (rest.n && rest.p[0] == '3' && !str_starts(rest, "304")) {
		fetch->all_permanent = permanent && (fetch->all_permanent || !fetch->redirects);
		fetch->redirects++;
	}
	return line.n;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *user)
{
	struct fetch *fetch = user;
	int r = buf_add(&fetch->result.body, bytes, size * n);
	fetch->too_large |= r == -EOVERFLOW;
	return r < 0 ? 0 : size * n;
}

/* ---- the outcome ----------------------------------------------------------------------------- */

/* What is no text can't be stored, and control characters can't be sent back. */
static bool is_text(const char *value)
{
	for (const char *c = value; *c; c++)
		if (iscntrl((unsigned char)*c))
			return false;
	return text_valid(str_of(value));
}

static char *header_of(struct fetch *fetch, const char *name)
{
	struct curl_header *header;
	if (curl_easy_header(fetch->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK ||
	    !is_text(header->value))
		return NULL;
	return arena_strdup(&fetch->result.arena, header->value);
}

static int explain(struct fetch *fetch, CURLcode code, struct why *why)
{
	const char *words = fetch->error[0] ? fetch->error : curl_easy_strerror(code);
	if (fetch->header_bytes > MAX_HEADER_BYTES)
		return why_set(why, -E2BIG, "the answer has more than %d bytes of headers",
			       MAX_HEADER_BYTES);
	if (fetch->too_large || code == CURLE_FILESIZE_EXCEEDED)
		return why_set(why, -E2BIG, "the answer is larger than %zu bytes",
			       fetch->max_bytes);
	if (fetch->refused_peer)
		return why_set(why, -EACCES,
			       "the address leads into a private network (mark the feed as local "
			       "to allow it)");
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT: return why_set(why, -ETIMEDOUT, "%s", words);
	case CURLE_TOO_MANY_REDIRECTS:
		return why_set(why, -ELOOP, "more than %d redirects", FETCH_MAX_REDIRECTS);
	case CURLE_UNSUPPORTED_PROTOCOL:
		return why_set(why, -EIO, "only http and https addresses are fetched");
	case CURLE_OUT_OF_MEMORY: return why_set(why, -ENOMEM, "no memory left");
	default: break;
	}
	if (fetch->result.body.err == -ENOMEM)
		return why_set(why, -ENOMEM, "no memory left");
	return why_set(why, -EIO, "%s", words);
}

static int explain_status(struct why *why, long status)
{
	const char *words = status == 404                    ? ": there is nothing at this address"
			    : status == 410                  ? ": it is gone for good"
			    : status == 429                  ? ": it was asked too often"
			    : status == 401 || status == 403 ? ": it doesn't let us in"
			    : status >= 500                  ? ": the server is in trouble"
							     : "";
	return why_set(why, -EPROTO, "the server answers %ld%s", status, words);
}

static void conclude(struct fetch *fetch, CURLcode code)
{
	struct fetch_result *result = &fetch->result;
	long status = 0;
	char *url = NULL;
	curl_off_t wait = 0;
	curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(fetch->easy, CURLINFO_EFFECTIVE_URL, &url);
	curl_easy_getinfo(fetch->easy, CURLINFO_RETRY_AFTER, &wait);
	result->http_status = (int)status;
	result->url = arena_strdup(&result->arena, url ? url : "");
	if (!result->url)
		code = CURLE_OUT_OF_MEMORY;
	result->moved_to = fetch->redirects && fetch->all_permanent ? result->url : NULL;
	result->etag = header_of(fetch, "ETag");
	result->last_modified = header_of(fetch, "Last-Modified");
	result->content_type = header_of(fetch, "Content-Type");
	result->retry_after = wait > 0 ? (usec_t)wait * USEC_PER_SEC : 0;

	if (code != CURLE_OK)
		result->err = explain(fetch, code, &result->why);
	else if (status == 304)
		result->status = FETCH_NOT_MODIFIED;
	else if (status != 0 && (status < 200 || status > 299))
		result->err = explain_status(&result->why, status);
	if (result->err)
		result->status = FETCH_FAILED;
}

/* ---- running and queueing -------------------------------------------------------------------- */

static void unlink_fetch(struct fetch *fetch)
{
	struct fetcher *fetcher = fetch->fetcher;
	if (!fetch->prev_next)
		return;
	if (fetch->next)
		fetch->next->prev_next = fetch->prev_next;
	else if (!fetch->running)
		fetcher->queue_end = fetch->prev_next;
	*fetch->prev_next = fetch->next;
	fetch->prev_next = NULL;
	if (fetch->running)
		fetcher->n_running--;
}

static void fetch_free(struct fetch *fetch)
{
	if (!fetch)
		return;
	if (fetch->running)
		curl_loop_remove(fetch->fetcher->loop, fetch->easy);
	unlink_fetch(fetch);
	curl_easy_cleanup(fetch->easy);
	curl_slist_free_all(fetch->headers);
	fetch_result_free(&fetch->result);
	free(fetch);
}
DEFINE_CLEANUP(struct fetch *, fetch_free);

static void start_later(struct fetcher *fetcher)
{
	if (fetcher->queue && fetcher->n_running < FETCH_AT_ONCE)
		sd_event_source_set_enabled(fetcher->starter, SD_EVENT_ONESHOT);
}

static void finish(struct fetch *fetch, CURLcode code)
{
	struct fetcher *fetcher = fetch->fetcher;
	conclude(fetch, code);
	fetch->done(&fetch->result, fetch->user);
	fetch_free(fetch);
	start_later(fetcher);
}

static void on_job_done(struct curl_job *job, CURL *easy, CURLcode code)
{
	(void)easy;
	finish((struct fetch *)job, code);
}

static void run(struct fetch *fetch)
{
	struct fetcher *fetcher = fetch->fetcher;
	unlink_fetch(fetch);
	fetch->prev_next = &fetcher->running;
	fetch->next = fetcher->running;
	if (fetch->next)
		fetch->next->prev_next = &fetch->next;
	fetcher->running = fetch;
	fetcher->n_running++;
	fetch->running = true;
	if (curl_loop_add(fetcher->loop, fetch->easy, &fetch->job) < 0)
		finish(fetch, CURLE_OUT_OF_MEMORY);
}

static int on_start(sd_event_source *source, void *user)
{
	struct fetcher *fetcher = user;
	(void)source;
	while (fetcher->queue && fetcher->n_running < FETCH_AT_ONCE)
		run(fetcher->queue);
	return 0;
}

int fetcher_open(sd_event *event, struct fetcher **ret)
{
	_cleanup_(fetcher_closep)
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));
	if (!fetcher)
		return -ENOMEM;
	fetcher->queue_end = &fetcher->queue;
	int r = curl_loop_open(event, &fetcher->loop);
	if (r < 0)
		return r;
	r = sd_event_add_defer(event, &fetcher->starter, on_start, fetcher);
	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(fetcher->starter, SD_EVENT_OFF);
	if (r < 0)
		return r;
	*ret = steal(fetcher);
	return 0;
}

void fetcher_close(struct fetcher *fetcher)
{
	if (!fetcher)
		return;
	while (fetcher->running)
		fetch_free(fetcher->running);
	while (fetcher->queue)
		fetch_free(fetcher->queue);
	sd_event_source_disable_unref(fetcher->starter);
	curl_loop_close(fetcher->loop);
	free(fetcher);
}

/* ---- a request becomes an easy handle -------------------------------------------------------- */

static int add_header(struct fetch *fetch, const char *name, const char *value)
{
	_cleanup_buf_ struct buf line = {0};
	for (const char *c = value; *c; c++)
		if (iscntrl((unsigned char)*c))
			return -EINVAL;
	if (buf_printf(&line, "%s%s%s", name, *name ? ": " : "", value) < 0)
		return -ENOMEM;
	struct curl_slist *more = curl_slist_append(fetch->headers, buf_text(&line));
	if (!more)
		return -ENOMEM;
	fetch->headers = more;
	return 0;
}

static int add_headers(struct fetch *fetch, const struct fetch_request *q)
{
	int r = add_header(fetch, "Accept", q->accept ? q->accept : default_accept);
	if (r == 0 && q->etag && *q->etag)
		r = add_header(fetch, "If-None-Match", q->etag);
	if (r == 0 && q->last_modified && *q->last_modified)
		r = add_header(fetch, "If-Modified-Since", q->last_modified);
	for (const char *const *h = q->headers; r == 0 && h && *h; h++)
		r = add_header(fetch, "", *h);
	return r;
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
	return value ? value : otherwise;
}

static int set_options(struct fetch *fetch, const struct fetch_request *q)
{
	CURL *c = fetch->easy;
	CURLcode bad = 0;
#define SET(option, value) bad |= curl_easy_setopt(c, option, value)
	SET(CURLOPT_URL, q->url);
	SET(CURLOPT_ERRORBUFFER, fetch->error);
	SET(CURLOPT_HTTPHEADER, fetch->headers);
	SET(CURLOPT_USERAGENT, q->user_agent ? q->user_agent : "digestd");
	SET(CURLOPT_PROTOCOLS_STR, q->allow_file ? "http,https,file" : "http,https");
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 1L);
	SET(CURLOPT_MAXREDIRS, (long)FETCH_MAX_REDIRECTS);
	SET(CURLOPT_ACCEPT_ENCODING, "");
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)fetch->max_bytes);
	SET(CURLOPT_TIMEOUT_MS, (long)or_default(q->timeout_ms, TIMEOUT_MS));
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)or_default(q->connect_timeout_ms, CONNECT_TIMEOUT_MS));
	SET(CURLOPT_LOW_SPEED_LIMIT, (long)or_default(q->low_speed, LOW_SPEED));
	SET(CURLOPT_LOW_SPEED_TIME, (long)or_default(q->low_speed_s, LOW_SPEED_S));
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, fetch);
	SET(CURLOPT_PREREQFUNCTION, check_peer);
	SET(CURLOPT_PREREQDATA, fetch);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, fetch);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, fetch);
#undef SET
	return bad ? -ENOMEM : 0;
}

int fetch_start(struct fetcher *fetcher, const struct fetch_request *request, fetch_done *done,
		void *user)
{
	if (!request->url || !*request->url)
		return -EINVAL;
	_cleanup_(fetch_freep)
	struct fetch *fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return -ENOMEM;
	fetch->fetcher = fetcher;
	fetch->job.done = on_job_done;
	fetch->done = done;
	fetch->user = user;
	fetch->allow_private = request->allow_private;
	fetch->allow_file = request->allow_file;
	fetch->max_bytes = request->max_bytes ? request->max_bytes : FETCH_MAX_BYTES;
	fetch->result.body.limit = fetch->max_bytes;
	fetch->easy = curl_easy_init();
	int r = fetch->easy ? add_headers(fetch, request) : -ENOMEM;
	if (r == 0)
		r = set_options(fetch, request);
	if (r < 0)
		return r;
	fetch->prev_next = fetcher->queue_end;
	*fetcher->queue_end = fetch;
	fetcher->queue_end = &fetch->next;
	start_later(fetcher);
	steal(fetch);
	return 0;
}

/* ---- waiting for one ------------------------------------------------------------------------- */

struct waiting {
	sd_event *event;
	struct fetch_result *ret;
};

static void on_now_done(struct fetch_result *result, void *user)
{
	struct waiting *waiting = user;
	*waiting->ret = *result;
	*result = (struct fetch_result){0};
	sd_event_exit(waiting->event, 0);
}

int fetch_now(const struct fetch_request *request, struct fetch_result *ret)
{
	_cleanup_(sd_event_unrefp)
	sd_event *event = NULL;
	_cleanup_(fetcher_closep)
	struct fetcher *fetcher = NULL;
	int r = sd_event_new(&event);
	if (r < 0)
		return r;
	r = fetcher_open(event, &fetcher);
	if (r < 0)
		return r;
	struct waiting waiting = {event, ret};
	r = fetch_start(fetcher, request, on_now_done, &waiting);
	return r < 0 ? r : sd_event_loop(event);
}
