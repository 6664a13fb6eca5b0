/*
 * How a session begins: libcurl looks the name up, connects, reads the greeting, says EHLO, goes
 * over to TLS and logs in (CURLOPT_CONNECT_ONLY). Here are its options, and the reading of what the
 * server said meanwhile, since only the replies tell whether TLS and AUTH really took place.
 *
 * The struct is the session's, {0} at first; the easy handle refers to it until it is freed.
 */
#pragma once

#include "send/smtp.h"

struct smtp_hello {
	const struct smtp_target *target;
	struct smtp_parser parser;
	struct smtp_features features;
	unsigned greetings; /* 220: the first greets, the second begins TLS */
	bool told;          /* the features of the last greeting have come */
	bool logged_in;
	struct smtp_reply refusal; /* the last reply of 4xx or 5xx */
	char error[CURL_ERROR_SIZE];
};

/* An easy handle ready to be added to a curl loop. -ENOMEM, -EINVAL. */
int smtp_hello_easy(struct smtp_hello *hello, const struct smtp_target *target, CURL **ret);

/* Is the session what the target asks for? Otherwise why not, with words in hello->error. */
bool smtp_hello_good(struct smtp_hello *hello, CURLcode result, enum smtp_end *ret_why);

bool smtp_hello_secure(const struct smtp_hello *hello);
