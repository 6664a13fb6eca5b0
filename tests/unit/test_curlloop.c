/* The curl loop: transfers end in their owner's callback, and the timer is not late. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/curlloop.h"

struct transfer {
	struct curl_job job;
	sd_event *event;
	struct curl_loop *loop;
	int calls, again;
	CURLcode result;
	CURL *easy;
	int fd;
};

static CURL *easy_for(const char *url)
{
	CURL *easy = curl_easy_init();
	assert_non_null(easy);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	return easy;
}

static void done(struct curl_job *job, CURL *easy, CURLcode result)
{
	struct transfer *t = (struct transfer *)job; /* its first member */
	t->calls++;
	t->result = result;
	curl_loop_remove(t->loop, easy);
	if (t->again-- > 0)
		assert_int_equal(curl_loop_add(t->loop, easy, job), 0);
	else
		sd_event_exit(t->event, 0);
}

static int set_up(void **state)
{
	struct transfer *t = calloc(1, sizeof(*t));
	assert_non_null(t);
	t->job.done = done;
	t->fd = -1;
	assert_int_equal(sd_event_new(&t->event), 0);
	assert_int_equal(curl_loop_open(t->event, &t->loop), 0);
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	struct transfer *t = *state;
	curl_loop_close(t->loop);
	curl_easy_cleanup(t->easy);
	cleanup_close(&t->fd);
	sd_event_unref(t->event);
	free(t);
	return 0;
}

/* A listening socket on loopback that nobody accepts from. */
static int listener(int backlog, int *ret_port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

/* A transfer from such a listener; with a negative backlog nobody listens. */
static void aim(struct transfer *t, int backlog)
{
	int port;
	char url[64];
	t->fd = listener(backlog, &port);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
	t->easy = easy_for(url);
}

static void a_refused_connection_is_told_to_the_owner(void **state)
{
	struct transfer *t = *state;
	aim(t, -1);
	assert_int_equal(curl_loop_add(t->loop, t->easy, &t->job), 0);
	assert_int_equal(sd_event_loop(t->event), 0);
	assert_int_equal(t->calls, 1);
	assert_int_equal(t->result, CURLE_COULDNT_CONNECT);
}

static void a_time_out_comes_when_it_is_due(void **state)
{
	struct transfer *t = *state;
	aim(t, 4);
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, 60L);
	usec_t start = clock_mono();
	assert_int_equal(curl_loop_add(t->loop, t->easy, &t->job), 0);
	assert_int_equal(sd_event_loop(t->event), 0);
	usec_t took = clock_mono() - start;
	assert_int_equal(t->result, CURLE_OPERATION_TIMEDOUT);
	assert_in_range(took, 50 * USEC_PER_MSEC, 180 * USEC_PER_MSEC); /* 250 ms when inaccurate */
}

static void a_done_callback_may_start_the_next_transfer(void **state)
{
	struct transfer *t = *state;
	char path[] = "/tmp/test_curlloop.XXXXXX", url[64];
	_cleanup_close_ int fd = mkstemp(path);
	assert_true(fd >= 0);
	snprintf(url, sizeof(url), "file://%s", path);
	t->easy = easy_for(url);
	t->again = 3;
	assert_int_equal(curl_loop_add(t->loop, t->easy, &t->job), 0);
	assert_int_equal(sd_event_loop(t->event), 0);
	unlink(path);
	assert_int_equal(t->calls, 4);
	assert_int_equal(t->result, CURLE_OK);
}

static void a_removed_transfer_is_never_reported(void **state)
{
	struct transfer *t = *state;
	aim(t, 4);
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, 30L);
	assert_int_equal(curl_loop_add(t->loop, t->easy, &t->job), 0);
	assert_int_equal(curl_loop_add(t->loop, t->easy, &t->job), -EINVAL);
	sd_event_run(t->event, 10 * USEC_PER_MSEC);
	curl_loop_remove(t->loop, t->easy);
	for (int i = 0; i < 5; i++)
		sd_event_run(t->event, 20 * USEC_PER_MSEC);
	assert_int_equal(t->calls, 0);
}

static void closing_leaves_handles_to_their_owners(void **state)
{
	struct transfer *t = *state;
	aim(t, 4);
	assert_int_equal(curl_loop_add(t->loop, t->easy, &t->job), 0);
	sd_event_run(t->event, 10 * USEC_PER_MSEC);
	curl_loop_close(t->loop);
	t->loop = NULL;
	assert_int_equal(t->calls, 0);
}

#define LIVES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LIVES(a_refused_connection_is_told_to_the_owner),
	    LIVES(a_time_out_comes_when_it_is_due),
	    LIVES(a_done_callback_may_start_the_next_transfer),
	    LIVES(a_removed_transfer_is_never_reported),
	    LIVES(closing_leaves_handles_to_their_owners),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
