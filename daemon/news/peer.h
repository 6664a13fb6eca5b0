/*
 * Which addresses on the network a foreign link may lead us to: only those that the whole Internet
 * can reach. Refused are this host, private, shared (CGNAT) and link-local networks, multicast,
 * reserved and documentation ranges, and the IPv6 forms that carry an IPv4 address (mapped, NAT64,
 * 6to4, Teredo), since they lead to any of those.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

bool peer_is_public(const struct sockaddr *address);

bool peer_text_is_public(const char *ip); /* "192.0.2.1", "2001:db8::1", with a %scope or not */
