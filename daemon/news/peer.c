#include "news/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* The IANA registry of special-purpose IPv4 addresses (RFC 6890), and what was multicast or never
 * given out. */
static const struct {
	uint32_t net;
	unsigned bits;
} special4[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
    {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0586300, 24}, {0xc0a80000, 16},
    {0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 3},
};

/* Of 2000::/3, the only part of IPv6 that is public at all. */
static const struct {
	unsigned char net[4];
	unsigned bits;
} special6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23}, /* Teredo, benchmarks, ORCHID ... */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x20, 0x02, 0x00, 0x00}, 16}, /* 6to4 */
    {{0x3f, 0xff, 0x00, 0x00}, 20}, /* documentation */
};

static bool public4(uint32_t address)
{
	for (size_t i = 0; i < ELEMENTS(special4); i++)
		if ((address ^ special4[i].net) >> (32 - special4[i].bits) == 0)
			return false;
	return true;
}

static uint32_t first_word(const unsigned char *bytes)
{
	uint32_t word;
	memcpy(&word, bytes, sizeof(word));
	return ntohl(word);
}

static bool public6(const unsigned char address[16])
{
	uint32_t start = first_word(address);
	if (start >> 29 != 1)
		return false;
	for (size_t i = 0; i < ELEMENTS(special6); i++)
		if ((start ^ first_word(special6[i].net)) >> (32 - special6[i].bits) == 0)
			return false;
	return true;
}

bool peer_is_public(const struct sockaddr *address)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	switch (address->sa_family) {
	case AF_INET: memcpy(&in, address, sizeof(in)); return public4(ntohl(in.sin_addr.s_addr));
	case AF_INET6: memcpy(&in6, address, sizeof(in6)); return public6(in6.sin6_addr.s6_addr);
	default: return false;
	}
}

bool peer_text_is_public(const char *ip)
{
	char plain[INET6_ADDRSTRLEN + 1];
	struct in_addr in;
	struct in6_addr in6;
	snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(ip, "%"), ip);
	if (inet_pton(AF_INET, plain, &in) == 1)
		return public4(ntohl(in.s_addr));
	return inet_pton(AF_INET6, plain, &in6) == 1 && public6(in6.s6_addr);
}
