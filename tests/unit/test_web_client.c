/* Whose request it is, and how many sign-ups a client, a network and all of them have. */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#include "web/client.h"
#include "web/limits.h"

static const char *trusted_items[] = {"10.0.0.0/8", "2001:db8:ff::/48", "192.0.2.200", "unix"};
static const struct config_strings trusted = {trusted_items, ELEMENTS(trusted_items)};

static void client_from(const char *peer, const char *forwarded, struct client *ret)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	const struct sockaddr *address = (const struct sockaddr *)&local;
	if (inet_pton(AF_INET, peer, &four.sin_addr) == 1)
		address = (const struct sockaddr *)&four;
	else if (inet_pton(AF_INET6, peer, &six.sin6_addr) == 1)
		address = (const struct sockaddr *)&six;
	client_of(&trusted, address, str_of(forwarded), ret);
}

static void check(const char *peer, const char *forwarded, const char *network)
{
	struct client client;
	char text[CLIENT_TEXT];
	client_from(peer, forwarded, &client);
	if (strcmp(client_network(&client, text), network) != 0)
		fail_msg("%s, \"%s\": %s, not %s", peer, forwarded, text, network);
}

static void a_stranger_is_whoever_connects(void **state)
{
	(void)state;
	check("198.51.100.7", "", "198.51.100.0/24");
	check("198.51.100.7", "192.0.2.1", "198.51.100.0/24");
	check("2001:db8:1:2:3:4:5:6", "192.0.2.1", "2001:db8:1:2::/64");
	check("::ffff:198.51.100.7", "", "198.51.100.0/24");
}

static void a_trusted_proxy_names_the_client(void **state)
{
	(void)state;
	check("10.1.2.3", "192.0.2.1", "192.0.2.0/24");
	check("::ffff:10.1.2.3", "192.0.2.1", "192.0.2.0/24");
	check("2001:db8:ff::9", "192.0.2.1", "192.0.2.0/24");
	check("2001:db8:fe::9", "192.0.2.1", "2001:db8:fe::/64");
	check("192.0.2.200", "198.51.100.7", "198.51.100.0/24");
	check("192.0.2.201", "198.51.100.7", "192.0.2.0/24");
	check("unix", "192.0.2.1", "192.0.2.0/24");
	check("unix", "", "0.0.0.0/32");
}

static void only_what_our_proxies_wrote_is_believed(void **state)
{
	(void)state;
	check("10.1.2.3", "203.0.113.5, 192.0.2.1", "192.0.2.0/24");
	check("10.1.2.3", "203.0.113.5, 192.0.2.1, 10.9.9.9", "192.0.2.0/24");
	check("10.1.2.3", "10.5.5.5,10.9.9.9", "10.5.5.0/24");
	check("10.1.2.3", "203.0.113.5, unknown", "10.1.2.0/24");
	check("10.1.2.3", "203.0.113.5, unknown, 10.9.9.9", "10.9.9.0/24");
	check("10.1.2.3", ",,,", "10.1.2.0/24");
}

static void entries_may_have_ports(void **state)
{
	(void)state;
	check("unix", "192.0.2.1:4711", "192.0.2.0/24");
	check("unix", "[2001:db8::1]:4711", "2001:db8::/64");
	check("unix", " [2001:db8::1] ", "2001:db8::/64");
	check("unix", "2001:db8::1", "2001:db8::/64");
	check("unix", "[2001:db8::1", "0.0.0.0/32");
	check("unix", "192.0.2.1.5", "0.0.0.0/32");
}

static const struct settings_web web = {.joins_per_client = 2,
					.joins_per_network = 5,
					.joins_total = 1000,
					.joins_span = 100 * USEC_PER_SEC};

static bool join(struct limits *l, const char *who, unsigned second)
{
	struct client client;
	client_from(who, "", &client);
	return limits_join(l, &web, &client, (1000 + second) * USEC_PER_SEC);
}

static void a_client_and_its_network_have_limits(void **state)
{
	(void)state;
	struct limits *l;
	assert_int_equal(limits_new(&l), 0);
	for (int i = 0; i < 2; i++)
		assert_true(join(l, "192.0.2.1", 0));
	assert_false(join(l, "192.0.2.1", 0));
	assert_true(join(l, "192.0.2.2", 0) && join(l, "192.0.2.3", 0) && join(l, "192.0.2.4", 0));
	assert_false(join(l, "192.0.2.5", 0));
	assert_true(join(l, "192.0.3.5", 0));

	/* All addresses of a /64 are one client, a /48 is a network. */
	assert_true(join(l, "2001:db8:1:1::1", 0) && join(l, "2001:db8:1:1::2", 0));
	assert_false(join(l, "2001:db8:1:1::3", 0));
	assert_true(join(l, "2001:db8:1:2::1", 0) && join(l, "2001:db8:1:3::1", 0) &&
		    join(l, "2001:db8:1:4::1", 0));
	assert_false(join(l, "2001:db8:1:5::1", 0));
	assert_true(join(l, "2001:db8:2:5::1", 0));
	limits_free(l);
}

static void counts_fade_with_time(void **state)
{
	(void)state;
	struct limits *l;
	assert_int_equal(limits_new(&l), 0);
	assert_true(join(l, "192.0.2.1", 0) && join(l, "192.0.2.1", 90));
	assert_false(join(l, "192.0.2.1", 99));
	assert_false(join(l, "192.0.2.1", 110)); /* nine tenths of the last span still count */
	assert_true(join(l, "192.0.2.1", 160));
	assert_false(join(l, "192.0.2.1", 161));
	assert_true(join(l, "192.0.2.1", 1000) && join(l, "192.0.2.1", 1000));
	assert_false(join(l, "192.0.2.1", 1000));
	limits_free(l);
}

static void a_flood_from_everywhere_is_held_in_all_and_only_then(void **state)
{
	(void)state;
	struct limits *l;
	int taken = 0;
	assert_int_equal(limits_new(&l), 0);
	for (unsigned i = 0; i < 100000; i++) {
		char who[32];
		snprintf(who, sizeof(who), "%u.%u.%u.1", 20 + i / 65536, i / 256 % 256, i % 256);
		taken += join(l, who, 0);
	}
	assert_int_equal(taken, 1000);
	limits_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_stranger_is_whoever_connects),
	    cmocka_unit_test(a_trusted_proxy_names_the_client),
	    cmocka_unit_test(only_what_our_proxies_wrote_is_believed),
	    cmocka_unit_test(entries_may_have_ports),
	    cmocka_unit_test(a_client_and_its_network_have_limits),
	    cmocka_unit_test(counts_fade_with_time),
	    cmocka_unit_test(a_flood_from_everywhere_is_held_in_all_and_only_then),
	};
	return cmocka_run_group_tests_name("clients", tests, NULL, NULL);
}
