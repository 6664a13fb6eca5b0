/*
 * Whose request it is: the peer of the connection, or whom a trusted proxy names in
 * X-Forwarded-For. Of that header only what our own proxies wrote can be believed, so it is read
 * from its right end until somebody who isn't trusted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/config.h"
#include "base/str.h"

enum { CLIENT_TEXT = 64 };

struct client {
	int family; /* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC: not known */
	uint8_t bytes[16];
};

/* `trusted` as in web.trusted_proxies; `forwarded` is the header's lines, joined by commas. */
void client_of(const struct config_strings *trusted, const struct sockaddr *peer,
	       struct str forwarded, struct client *ret);

/*
 * Its network as PostgreSQL's inet takes it: "192.0.2.0/24", "2001:db8::/64"; for an address that
 * isn't known "0.0.0.0/32", so that all of these together are one network.
 */
const char *client_network(const struct client *client, char text[static CLIENT_TEXT]);

/* Clears all bits of an address but the first. */
void client_cut(struct client *client, unsigned bits);
