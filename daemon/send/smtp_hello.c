#include "send/smtp_hello.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"

static bool given(const char *text)
{
	return text && text[0];
}

/* The policy in force: a password is never shown to whoever hides the offer of STARTTLS. */
static enum smtp_tls tls_wanted(const struct smtp_target *target)
{
	return target->tls == SMTP_TLS_ALLOWED && given(target->user) ? SMTP_TLS_REQUIRED
								      : target->tls;
}

/* ---- what the server says -------------------------------------------------------------------- */

static void take_feature(struct smtp_features *f, struct str line)
{
	struct str word = line, rest = {0};
	str_cut(line, ' ', &word, &rest);
	static const struct {
		const char *word;
		size_t offset;
	} known[] = {
	    {"PIPELINING", offsetof(struct smtp_features, pipelining)},
	    {"8BITMIME", offsetof(struct smtp_features, eightbit)},
	    {"SMTPUTF8", offsetof(struct smtp_features, smtputf8)},
	    {"CHUNKING", offsetof(struct smtp_features, chunking)},
	    {"ENHANCEDSTATUSCODES", offsetof(struct smtp_features, enhanced)},
	    {"STARTTLS", offsetof(struct smtp_features, starttls)},
	    {"AUTH", offsetof(struct smtp_features, auth)},
	    {"SIZE", offsetof(struct smtp_features, size)},
	};
	for (size_t i = 0; i < ELEMENTS(known); i++)
		if (str_case_is(word, known[i].word))
			*(bool *)((char *)f + known[i].offset) = true;
	if (!str_case_is(word, "SIZE"))
		return;
	f->size_limit = 0;
	for (size_t i = 0; i < rest.n && rest.p[i] >= '0' && rest.p[i] <= '9'; i++)
		if (__builtin_mul_overflow(f->size_limit, 10, &f->size_limit) ||
		    __builtin_add_overflow(f->size_limit, rest.p[i] - '0', &f->size_limit))
			f->size_limit = 0;
}

static enum smtp_stage stage_now(const struct smtp_hello *hello)
{
	if (!hello->greetings)
		return SMTP_GREETING;
	if (!hello->told)
		return SMTP_EHLO;
	enum smtp_tls tls = tls_wanted(hello->target);
	bool upgrades = tls == SMTP_TLS_REQUIRED || tls == SMTP_TLS_ALLOWED;
	if (upgrades && hello->greetings == 1 && hello->features.starttls)
		return SMTP_STARTTLS;
	return SMTP_AUTH;
}

static void take_reply(struct smtp_hello *hello, int code)
{
	if (code == 220) {
		hello->greetings++;
		hello->told = false;
		hello->features = (struct smtp_features){0}; /* RFC 3207, 4.2 */
	} else if (code == 250) {
		hello->told = true;
	} else if (code == 235) {
		hello->logged_in = true;
	} else if (code >= 400) {
		hello->refusal = hello->parser.reply;
		hello->refusal.stage = stage_now(hello);
	}
}

/* CURLOPT_HEADERFUNCTION: a line of a reply at a time. */
static size_t on_line(char *bytes, size_t size, size_t n, void *userdata)
{
	struct smtp_hello *hello = userdata;
	struct str input = {bytes, size * n}, line = str_trim(input);
	if (line.n > 4 && memcmp(line.p, "250", 3) == 0 && hello->greetings && !hello->told)
		take_feature(&hello->features, str_from(line, 4));
	while (input.n) {
		int r = smtp_parse(&hello->parser, &input);
		if (r < 0)
			break; /* curl will say what it thinks of it */
		if (r > 0)
			take_reply(hello, hello->parser.reply.code);
	}
	return size * n;
}

/* ---- what curl is told ----------------------------------------------------------------------- */

/* CURLOPT_SOCKOPTFUNCTION. A kernel that refuses these costs speed, not mail. */
static int set_socket(void *userdata, curl_socket_t fd, curlsocktype purpose)
{
	const struct smtp_hello *hello = userdata;
	if (purpose != CURLSOCKTYPE_IPCXN)
		return CURL_SOCKOPT_OK;
	int on = 1;
	unsigned msec = (unsigned)(hello->target->limits.tcp / USEC_PER_MSEC);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &msec, sizeof(msec));
	return CURL_SOCKOPT_OK;
}

/* "smtp://host:port/ehlo.name"; the path is the name that EHLO gives. */
static int make_url(const struct smtp_target *target, CURL *easy, struct buf *url)
{
	bool v6 = strchr(target->host, ':') != NULL;
	buf_printf(url, "%s://%s%s%s:%d/", target->tls == SMTP_TLS_IMPLICIT ? "smtps" : "smtp",
		   v6 ? "[" : "", target->host, v6 ? "]" : "", target->port);
	if (given(target->ehlo)) {
		char *name = curl_easy_escape(easy, target->ehlo, 0);
		if (!name)
			return -ENOMEM;
		buf_adds(url, name);
		curl_free(name);
	}
	return url->err;
}

static long use_ssl(enum smtp_tls tls)
{
	switch (tls) {
	case SMTP_TLS_REQUIRED: return CURLUSESSL_ALL;
	case SMTP_TLS_ALLOWED: return CURLUSESSL_TRY;
	case SMTP_TLS_NONE:
	case SMTP_TLS_IMPLICIT: break;
	}
	return CURLUSESSL_NONE;
}

static CURLcode set_options(struct smtp_hello *hello, CURL *easy, const char *url)
{
	const struct smtp_target *target = hello->target;
	CURLcode bad = CURLE_OK;
#define SET(option, value)                                                                         \
	do {                                                                                       \
		if (!bad)                                                                          \
			bad = curl_easy_setopt(easy, CURLOPT_##option, value);                     \
	} while (0)
	SET(URL, url);
	SET(CONNECT_ONLY, 1L);
	SET(NOSIGNAL, 1L);
	SET(PROXY, "");
	SET(PROTOCOLS_STR, target->tls == SMTP_TLS_IMPLICIT ? "smtps" : "smtp");
	SET(ERRORBUFFER, hello->error);
	SET(HEADERFUNCTION, on_line);
	SET(HEADERDATA, hello);
	SET(SOCKOPTFUNCTION, set_socket);
	SET(SOCKOPTDATA, hello);
	SET(CONNECTTIMEOUT_MS, (long)(target->limits.connect / USEC_PER_MSEC));
	SET(USE_SSL, use_ssl(tls_wanted(target)));
	SET(SSL_VERIFYPEER, target->insecure ? 0L : 1L);
	SET(SSL_VERIFYHOST, target->insecure ? 0L : 2L);
	if (given(target->ca_file))
		SET(CAINFO, target->ca_file);
	if (given(target->user)) {
		SET(USERNAME, target->user);
		SET(PASSWORD, target->password ? target->password : "");
	}
#undef SET
	return bad;
}

int smtp_hello_easy(struct smtp_hello *hello, const struct smtp_target *target, CURL **ret)
{
	if (!given(target->host) || target->port < 1 || target->port > 65535 ||
	    target->host[strcspn(target->host, "/@?#[] ")])
		return -EINVAL;
	*hello = (struct smtp_hello){.target = target};
	CURL *easy = curl_easy_init();
	if (!easy)
		return -ENOMEM;
	_cleanup_buf_ struct buf url = {0};
	int r = make_url(target, easy, &url);
	if (r == 0 && set_options(hello, easy, buf_text(&url)) != CURLE_OK)
		r = -ENOMEM;
	if (r < 0) {
		curl_easy_cleanup(easy);
		return r;
	}
	*ret = easy;
	return 0;
}

/* ---- how it went ----------------------------------------------------------------------------- */

static enum smtp_end end_of(const struct smtp_hello *hello, CURLcode result)
{
	switch (result) {
	case CURLE_LOGIN_DENIED:
		return hello->refusal.code == 421 ? SMTP_END_REFUSED : SMTP_END_AUTH;
	case CURLE_OPERATION_TIMEDOUT: return SMTP_END_TIMEOUT;
	case CURLE_OUT_OF_MEMORY: return SMTP_END_MEMORY;
	case CURLE_USE_SSL_FAILED:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_ENGINE_INITFAILED:
	case CURLE_SSL_SHUTDOWN_FAILED: return SMTP_END_TLS;
	default: break;
	}
	if (hello->refusal.code)
		return SMTP_END_REFUSED;
	switch (result) {
	case CURLE_WEIRD_SERVER_REPLY: return SMTP_END_PROTOCOL;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING: return SMTP_END_CUT;
	default: return SMTP_END_CONNECT;
	}
}

static bool bad(struct smtp_hello *hello, enum smtp_end why, const char *text, enum smtp_end *ret)
{
	snprintf(hello->error, sizeof(hello->error), "%s", text);
	*ret = why;
	return false;
}

bool smtp_hello_secure(const struct smtp_hello *hello)
{
	return hello->target->tls == SMTP_TLS_IMPLICIT || hello->greetings > 1;
}

bool smtp_hello_good(struct smtp_hello *hello, CURLcode result, enum smtp_end *ret_why)
{
	if (result != CURLE_OK) {
		if (!hello->error[0])
			snprintf(hello->error, sizeof(hello->error), "%s",
				 curl_easy_strerror(result));
		*ret_why = end_of(hello, result);
		return false;
	}
	if (tls_wanted(hello->target) == SMTP_TLS_REQUIRED && !smtp_hello_secure(hello))
		return bad(hello, SMTP_END_TLS, "TLS is required and did not begin", ret_why);
	if (given(hello->target->user) && !hello->logged_in)
		return bad(hello, SMTP_END_AUTH, "a user is set, but the server offers no AUTH",
			   ret_why);
	hello->refusal.code = 0; /* EHLO refused, HELO taken: fine */
	return true;
}
