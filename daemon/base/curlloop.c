#include "base/curlloop.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/log.h"

/*
 * Curl's own sockets are watched level-triggered, as curl expects. sd-event takes the one-shot
 * timer's accuracy as a licence to be late: 0 would mean 250 ms, so the least is asked for.
 */
enum { ACCURACY_USEC = 1 };

struct watch { /* one socket of curl's; in the list of its loop */
	sd_event_source *source;
	struct watch *next, **prev_next;
};

struct curl_loop {
	sd_event *event;
	CURLM *multi;
	sd_event_source *timer;
	struct watch *watches;
};

/* Tells the owners of what is done; they may add and remove handles meanwhile. */
static void report_done(struct curl_loop *loop)
{
	int left;
	CURLMsg *msg;
	while ((msg = curl_multi_info_read(loop->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		CURL *easy = msg->easy_handle; /* msg is gone once the handle is removed */
		CURLcode result = msg->data.result;
		struct curl_job *job = NULL;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&job);
		if (job) /* curl has handles of its own, without one */
			job->done(job, easy, result);
	}
}

static void act(struct curl_loop *loop, curl_socket_t fd, int what)
{
	int running;
	CURLMcode code = curl_multi_socket_action(loop->multi, fd, what, &running);
	if (code != CURLM_OK)
		log_error("libcurl: %s", curl_multi_strerror(code));
	report_done(loop);
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	int what = 0;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP))
		what |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		what |= CURL_CSELECT_ERR;
	act(userdata, fd, what);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source, (void)usec;
	act(userdata, CURL_SOCKET_TIMEOUT, 0);
	return 0;
}

static void watch_free(struct watch *watch)
{
	if (watch->next)
		watch->next->prev_next = watch->prev_next;
	*watch->prev_next = watch->next;
	sd_event_source_disable_unref(watch->source);
	free(watch);
}

static int watch_new(struct curl_loop *loop, curl_socket_t fd, uint32_t events)
{
	_cleanup_free_ struct watch *watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	int r = sd_event_add_io(loop->event, &watch->source, fd, events, on_socket, loop);
	if (r < 0)
		return r;
	watch->prev_next = &loop->watches;
	watch->next = loop->watches;
	if (watch->next)
		watch->next->prev_next = &watch->next;
	loop->watches = watch;
	curl_multi_assign(loop->multi, fd, watch);
	steal(watch);
	return 0;
}

/*
 * CURLMOPT_SOCKETFUNCTION. It says 0 to curl even when a socket can't be watched: -1 would kill
 * the multi handle with all its transfers, whereas this one alone runs into its time-out.
 */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *assigned)
{
	(void)easy;
	struct curl_loop *loop = userdata;
	struct watch *watch = assigned;
	if (what == CURL_POLL_REMOVE) {
		if (watch) {
			curl_multi_assign(loop->multi, fd, NULL);
			watch_free(watch);
		}
		return 0;
	}
	uint32_t events =
	    (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
	int r = watch ? sd_event_source_set_io_events(watch->source, events)
		      : watch_new(loop, fd, events);
	if (r < 0)
		log_error("can't watch a socket of libcurl: %s", strerror(-r));
	return 0;
}

/* CURLMOPT_TIMERFUNCTION */
static int set_timer(CURLM *multi, long msec, void *userdata)
{
	(void)multi;
	struct curl_loop *loop = userdata;
	if (msec < 0)
		return sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
	if (sd_event_source_set_time_relative(loop->timer, (uint64_t)msec * 1000) < 0)
		return -1;
	return sd_event_source_set_enabled(loop->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

static int set_up(struct curl_loop *loop)
{
	loop->multi = curl_multi_init();
	if (!loop->multi)
		return -ENOMEM;
	int r = sd_event_add_time_relative(loop->event, &loop->timer, CLOCK_MONOTONIC, 0,
					   ACCURACY_USEC, on_timer, loop);
	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
	return 0;
}

int curl_loop_open(sd_event *event, struct curl_loop **ret)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) /* counted: closing takes it back */
		return -ENOMEM;
	struct curl_loop *loop = calloc(1, sizeof(*loop));
	if (!loop) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	loop->event = sd_event_ref(event);
	int r = set_up(loop);
	if (r < 0) {
		curl_loop_close(loop);
		return r;
	}
	*ret = loop;
	return 0;
}

void curl_loop_close(struct curl_loop *loop)
{
	if (!loop)
		return;
	curl_multi_cleanup(loop->multi);
	for (struct watch *watch = loop->watches, *next; watch; watch = next) {
		next = watch->next;
		sd_event_source_disable_unref(watch->source);
		free(watch);
	}
	sd_event_source_disable_unref(loop->timer);
	sd_event_unref(loop->event);
	free(loop);
	curl_global_cleanup();
}

int curl_loop_add(struct curl_loop *loop, CURL *easy, struct curl_job *job)
{
	curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
	switch (curl_multi_add_handle(loop->multi, easy)) {
	case CURLM_OK: return 0;
	case CURLM_ADDED_ALREADY: return -EINVAL;
	default: return -ENOMEM;
	}
}

void curl_loop_remove(struct curl_loop *loop, CURL *easy)
{
	curl_multi_remove_handle(loop->multi, easy);
}

sd_event *curl_loop_event(struct curl_loop *loop)
{
	return loop->event;
}
