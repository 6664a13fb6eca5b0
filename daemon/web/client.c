#include "web/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_ipv6(struct client *c, const struct in6_addr *address)
{
	*c = (struct client){.family = AF_INET6};
	memcpy(c->bytes, address, sizeof(*address));
	if (IN6_IS_ADDR_V4MAPPED(address)) {
		*c = (struct client){.family = AF_INET};
		memcpy(c->bytes, address->s6_addr + 12, 4);
	}
}

static bool parse(struct str s, struct client *ret)
{
	char text[INET6_ADDRSTRLEN];
	struct in_addr four;
	struct in6_addr six;
	if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(AF_INET, text, &four) == 1) {
		*ret = (struct client){.family = AF_INET};
		memcpy(ret->bytes, &four, sizeof(four));
		return true;
	}
	if (inet_pton(AF_INET6, text, &six) != 1)
		return false;
	set_ipv6(ret, &six);
	return true;
}

/* Some proxies write a port too: "192.0.2.1:4711", "[2001:db8::1]:4711". */
static bool parse_entry(struct str s, struct client *ret)
{
	struct str before, after;
	s = str_trim(s);
	if (s.n && *s.p == '[' && str_cut(str_from(s, 1), ']', &before, &after))
		return parse(before, ret);
	if (str_cut(s, ':', &before, &after) && !memchr(after.p, ':', after.n))
		return parse(before, ret);
	return parse(s, ret);
}

static bool is_within(const struct client *c, const char *network)
{
	struct client other, mine = *c;
	struct str address = str_of(network), bits = {"", 0};
	if (strcmp(network, "unix") == 0)
		return c->family == AF_UNIX;
	bool cut = str_cut(str_of(network), '/', &address, &bits);
	if (!parse(address, &other) || other.family != c->family)
		return false;
	unsigned count = cut ? (unsigned)atoi(bits.p) : 128;
	if (other.family == AF_INET && memchr(address.p, ':', address.n))
		count =
		    count > 96 ? count - 96 : 0; /* of an IPv4 address that is written as IPv6 */
	client_cut(&other, count);
	client_cut(&mine, count);
	return memcmp(&mine, &other, sizeof(mine)) == 0;
}

static bool is_trusted(const struct config_strings *trusted, const struct client *c)
{
	for (size_t i = 0; i < trusted->n; i++)
		if (is_within(c, trusted->items[i]))
			return true;
	return false;
}

static void of_peer(const struct sockaddr *peer, struct client *ret)
{
	*ret = (struct client){.family = AF_UNSPEC};
	if (!peer)
		return;
	ret->family = peer->sa_family;
	if (peer->sa_family == AF_INET)
		memcpy(ret->bytes, &((const struct sockaddr_in *)peer)->sin_addr, 4);
	else if (peer->sa_family == AF_INET6)
		set_ipv6(ret, &((const struct sockaddr_in6 *)peer)->sin6_addr);
}

void client_of(const struct config_strings *trusted, const struct sockaddr *peer,
	       struct str forwarded, struct client *ret)
{
	struct client next;
	of_peer(peer, ret);
	while (forwarded.n && is_trusted(trusted, ret)) {
		const char *comma = memrchr(forwarded.p, ',', forwarded.n);
		size_t at = comma ? (size_t)(comma - forwarded.p) + 1 : 0;
		if (!parse_entry(str_from(forwarded, at), &next))
			break;
		*ret = next;
		forwarded.n = comma ? at - 1 : 0;
	}
}

void client_cut(struct client *client, unsigned bits)
{
	for (unsigned i = 0; i < sizeof(client->bytes); i++) {
		unsigned here = bits > i * 8 ? bits - i * 8 : 0;
		if (here < 8)
			client->bytes[i] &= (uint8_t)(0xff00U >> here);
	}
}

const char *client_network(const struct client *client, char text[static CLIENT_TEXT])
{
	char address[INET6_ADDRSTRLEN];
	struct client network = *client;
	unsigned bits = client->family == AF_INET6 ? 64 : 24;
	client_cut(&network, bits);
	if ((client->family != AF_INET && client->family != AF_INET6) ||
	    !inet_ntop(client->family, network.bytes, address, sizeof(address)))
		strcpy(text, "0.0.0.0/32");
	else
		snprintf(text, CLIENT_TEXT, "%s/%u", address, bits);
	return text;
}
