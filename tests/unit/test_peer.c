/* Which addresses a foreign link may lead us to. */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "news/peer.h"

static void is(const char *ip, bool expected)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	bool four = inet_pton(AF_INET, ip, &in.sin_addr) == 1;
	if (!four)
		assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
	const struct sockaddr *address = four ? (struct sockaddr *)&in : (struct sockaddr *)&in6;
	if (peer_is_public(address) != expected || peer_text_is_public(ip) != expected)
		fail_msg("%s", ip);
}

static void public_addresses_pass(void **state)
{
	(void)state;
	static const char *const good[] = {
	    "1.1.1.1",         "8.8.8.8",      "9.255.255.255",   "11.0.0.0",    "100.63.255.255",
	    "100.128.0.0",     "126.0.0.1",    "128.0.0.1",       "172.15.0.1",  "172.32.0.1",
	    "192.167.0.1",     "192.169.0.1",  "198.17.255.255",  "198.20.0.0",  "223.255.255.255",
	    "2606:4700::1111", "2a00:1450::1", "2001:4860::8888", "2001:200::1", "3ffe::1",
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		is(good[i], true);
}

static void all_others_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "0.0.0.0",
	    "0.1.2.3",
	    "10.0.0.1",
	    "100.64.0.1",
	    "100.127.255.1",
	    "127.0.0.1",
	    "127.255.255.254",
	    "169.254.169.254",
	    "172.16.0.1",
	    "172.31.255.255",
	    "192.0.0.8",
	    "192.0.2.1",
	    "192.88.99.1",
	    "192.168.1.1",
	    "198.18.0.1",
	    "198.19.255.255",
	    "198.51.100.1",
	    "203.0.113.1",
	    "224.0.0.1",
	    "239.1.1.1",
	    "240.0.0.1",
	    "255.255.255.255",
	    "::",
	    "::1",
	    "::ffff:8.8.8.8",
	    "::ffff:127.0.0.1",
	    "::127.0.0.1",
	    "64:ff9b::a00:1",
	    "64:ff9b:1::1",
	    "100::1",
	    "fc00::1",
	    "fdff::1",
	    "fe80::1",
	    "fec0::1",
	    "ff02::1",
	    "2001::1",
	    "2001:20::1",
	    "2001:db8::1",
	    "2002:7f00:1::",
	    "3fff::1",
	    "4000::1",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is(bad[i], false);
	assert_false(peer_text_is_public("fe80::1%eth0"));
	assert_true(peer_text_is_public("2606:4700::1111%1"));
	assert_false(peer_text_is_public("nonsense"));
	assert_false(peer_is_public(&(struct sockaddr){.sa_family = AF_UNIX}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(public_addresses_pass),
	    cmocka_unit_test(all_others_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
