/*
 * A curl multi handle that is driven by an sd-event loop: transfers go on while the program does
 * other things, and each tells its owner when it is done.
 *
 * The owner of an easy handle embeds a struct curl_job, sets `done`, and hands both to
 * curl_loop_add(). `done` is called once, from the event loop and never from within curl, so it
 * may remove and free its own handle and add others; it must not close the curl_loop. The easy
 * handle and the job stay the owner's. CURLOPT_PRIVATE belongs to this file.
 *
 * With CURLOPT_CONNECT_ONLY the connection lives as long as the easy handle stays added.
 */
#pragma once

#include <curl/curl.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"

struct curl_loop;

struct curl_job {
	void (*done)(struct curl_job *job, CURL *easy, CURLcode result);
};

/* -ENOMEM and what sd_event_add_time(3) returns. The event loop is referenced. */
int curl_loop_open(sd_event *event, struct curl_loop **ret);

/* Handles that are still added are taken out without a word to their owners; NULL is fine. */
void curl_loop_close(struct curl_loop *loop);
DEFINE_CLEANUP(struct curl_loop *, curl_loop_close);

/* Starts the transfer. -EINVAL when the handle is in a multi already, else -ENOMEM. */
int curl_loop_add(struct curl_loop *loop, CURL *easy, struct curl_job *job);

/* Stops a transfer if it goes on still; `done` won't be called. Closes a CONNECT_ONLY connection.
 */
void curl_loop_remove(struct curl_loop *loop, CURL *easy);

sd_event *curl_loop_event(struct curl_loop *loop);
