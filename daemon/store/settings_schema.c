/*
 * The schema of digestd.conf: each key with its type, default, range and one line for people.
 * digestd.conf(5) and systemd/digestd.conf tell of each of them; a test holds them together.
 */
#include "store/settings.h"

#include "store/settings_check.h"

#define AT(field)  .offset = offsetof(struct HERE, field)
#define SECONDS(n) ((int64_t)(n)*1000000)
#define HOURS(n)   SECONDS((n)*3600)
#define DAYS(n)    HOURS((n)*24)
#define KIB(n)     ((int64_t)(n) << 10)
#define MIB(n)     ((int64_t)(n) << 20)

_Static_assert(sizeof(struct settings_relays) == sizeof(struct config_items) &&
		   offsetof(struct settings_relays, n) == offsetof(struct config_items, n),
	       "a typed list has the form of the reader's");

/* ---- database -------------------------------------------------------------------------------- */

#define HERE settings_database
#define LOGIN(role, user, program, line)                                                           \
	{#role,                                                                                    \
	 CONFIG_STRING,                                                                            \
	 AT(role.conninfo),                                                                        \
	 .check = settings_check_conninfo,                                                         \
	 .initial = "host=/run/postgresql dbname=digestd user=" user,                              \
	 .fixed = true,                                                                            \
	 .help = line},                                                                            \
	{                                                                                          \
#role "_password", CONFIG_SECRET, AT(role.password),                               \
		    .whose = program, .fixed = true, .help = "the password of that role"           \
	}

static const struct config_key database_keys[] = {
    LOGIN(engine, "digestd_engine", SETTINGS_ENGINE, "how digestd connects"),
    LOGIN(web, "digestd_web", SETTINGS_WEB, "how digestweb connects"),
    LOGIN(operator, "digestd_operator", SETTINGS_OPERATOR, "how digestctl connects"),
    LOGIN(owner, "digestd_owner", SETTINGS_OPERATOR, "how digestctl db migrate connects"),
    {"listen", CONFIG_STRING, AT(listen), .check = settings_check_conninfo, .fixed = true,
     .help = "how digestd connects for LISTEN, around a pooler"},
    {"pooler", CONFIG_BOOL, AT(pooler), .initial = "false", .fixed = true,
     .help = "a transaction-mode pgbouncer stands in between"},
    {"connect_timeout", CONFIG_DURATION, AT(connect_timeout), "10 s", SECONDS(1), HOURS(1),
     .help = "one try to connect"},
    {"tcp_timeout", CONFIG_DURATION, AT(tcp_timeout), "10 s", SECONDS(1), HOURS(1),
     .help = "bytes that aren't acknowledged so long end a connection"},
    {0},
};
static const struct config_group database = {database_keys, sizeof(struct HERE), NULL};
#undef HERE

/* ---- relays ---------------------------------------------------------------------------------- */

static const struct config_word tls_words[] = {
    {"required", SETTINGS_TLS_REQUIRED},
    {"allowed", SETTINGS_TLS_ALLOWED},
    {"none", SETTINGS_TLS_NONE},
    {"implicit", SETTINGS_TLS_IMPLICIT},
    {NULL, 0},
};

#define HERE settings_relay
static const struct config_key relay_keys[] = {
    {"name", CONFIG_STRING, AT(name), .check = settings_check_name, .must = ~0u,
     .help = "what logs, commands and the database call it"},
    {"host", CONFIG_STRING, AT(host), .check = settings_check_host, .must = ~0u,
     .help = "its name or address"},
    {"port", CONFIG_INT, AT(port), "0", 0, 65535,
     .help = "0: 465 with implicit TLS, 587 with a user, else 25"},
    {"tls", CONFIG_ENUM, AT(tls), "required", .words = tls_words,
     .help = "STARTTLS required or allowed, none, or implicit"},
    {"tls_verify", CONFIG_BOOL, AT(tls_verify), "true",
     .help = "the certificate must be valid for the host"},
    {"ca_file", CONFIG_STRING, AT(ca_file), .check = settings_check_path,
     .help = "certificates to trust instead of the system's"},
    {"user", CONFIG_STRING, AT(user), .help = "for AUTH"},
    {"password", CONFIG_SECRET, AT(password), .whose = SETTINGS_ENGINE, .help = "for AUTH"},
    {"ehlo", CONFIG_STRING, AT(ehlo), .check = settings_check_host,
     .help = "what digestd calls itself; unset: this host's name"},
    {"connections", CONFIG_INT, AT(connections), "10", 1, 1000,
     .help = "at a time, over all engines"},
    {"messages_per_connection", CONFIG_INT, AT(messages_per_connection), "1000", 0, 1000000,
     .help = "then a new one is opened; 0: no limit"},
    {"rate", CONFIG_INT, AT(rate), "0", 0, 1000000,
     .help = "messages a second over all engines; 0: no limit"},
    {"weight", CONFIG_INT, AT(weight), "1", 0, 1000,
     .help = "its share among the relays; 0: only when no other is well"},
    {"in_flight", CONFIG_INT, AT(in_flight), "1", 1, 16,
     .help = "messages a connection may have unanswered, where CHUNKING is offered"},
    {0},
};
static const struct config_group relay = {relay_keys, sizeof(struct HERE), settings_check_relay};
#undef HERE

/* ---- retry ----------------------------------------------------------------------------------- */

#define HERE settings_backoff
#define BACKOFF(start, most)                                                                       \
	{"first",                                                                                  \
	 CONFIG_DURATION,                                                                          \
	 AT(first),                                                                                \
	 start,                                                                                    \
	 1000,                                                                                     \
	 DAYS(1),                                                                                  \
	 .help = "the first wait is drawn from 0 to this"},                                        \
	    {"factor",                                                                             \
	     CONFIG_INT,                                                                           \
	     AT(factor),                                                                           \
	     "2",                                                                                  \
	     1,                                                                                    \
	     10,                                                                                   \
	     .help = "each further wait may be so many times longer"},                             \
	    {"cap", CONFIG_DURATION, AT(cap), most, 1000, DAYS(7), .help = "but not longer"},      \
	{                                                                                          \
		0                                                                                  \
	}
static const struct config_key breaker_keys[] = {BACKOFF("5 s", "5 min")};
static const struct config_key backoff_keys[] = {BACKOFF("10 min", "4 h")};
static const struct config_group breaker = {breaker_keys, sizeof(struct HERE),
					    settings_check_backoff};
static const struct config_group backoff = {backoff_keys, sizeof(struct HERE),
					    settings_check_backoff};
#undef HERE

#define HERE settings_retry
static const struct config_key retry_keys[] = {
    {"backoff", CONFIG_GROUP, AT(backoff), .group = &backoff,
     .help = "the waits of a reader that was put off"},
    {"expires", CONFIG_DURATION, AT(expires), "2 d", 1000, DAYS(30),
     .help = "an issue isn't tried longer than this"},
    {"letter_expires", CONFIG_DURATION, AT(letter_expires), "1 d", 1000, DAYS(30),
     .help = "a letter isn't tried longer than this"},
    {"breaker", CONFIG_GROUP, AT(breaker), .group = &breaker,
     .help = "the waits of a relay in trouble"},
    {0},
};
static const struct config_group retry = {retry_keys, sizeof(struct HERE), NULL};
#undef HERE

/* ---- window and timing ----------------------------------------------------------------------- */

#define HERE settings_window
static const struct config_key window_keys[] = {
    {"size", CONFIG_INT, AT(size), "1000", 1, 10000, .help = "readers in one, at most"},
    {"length", CONFIG_DURATION, AT(length), "1 s", 1000, SECONDS(60),
     .help = "how much sending one should hold"},
    {"per_provider", CONFIG_INT, AT(per_provider), "2", 1, 16,
     .help = "fresh ones open for one provider group"},
    {"total", CONFIG_INT, AT(total), "16", 1, 256, .help = "open ones in all"},
    {0},
};
static const struct config_group window = {window_keys, sizeof(struct HERE), settings_check_window};
#undef HERE

#define HERE settings_timing
#define TIME(name, initial, max, line)                                                             \
	{                                                                                          \
#name, CONFIG_DURATION, AT(name), initial, 1000, max, .help = line                 \
	}
static const struct config_key timing_keys[] = {
    {"scale", CONFIG_INT, AT(scale), "1", 1, 1000, .help = "all others are divided by it"},
    TIME(beat, "5 s", HOURS(1), "a session says that it lives"),
    TIME(dead, "60 s", HOURS(1), "a beat that stands still so long is a dead session's"),
    TIME(stop_after, "40 s", HOURS(1), "no sending so long after the last beat that succeeded"),
    TIME(orphan_after, "1 h", DAYS(7), "windows of a lost engine become in doubt"),
    TIME(look, "1 s", SECONDS(60), "outcomes are written and readers looked up again"),
    TIME(look_max, "2 s", SECONDS(60), "no mail starts on a look-up older than this"),
    TIME(unstarted, "30 s", HOURS(1), "a reader not begun so long is put off"),
    TIME(new_timeline, "60 s", HOURS(1), "wait for other engines after a fail-over"),
    TIME(journal_keep, "24 h", DAYS(30), "journals are kept so long"),
    TIME(plan, "1 s", HOURS(1), "between two turns of the planner"),
    TIME(drain, "60 s", HOURS(1), "at the end: for what is on the wire"),
    TIME(relay_connect, "30 s", HOURS(1), "from connecting to being logged in"),
    TIME(relay_reply, "300 s", HOURS(1), "to EHLO, MAIL, RCPT, RSET"),
    TIME(relay_data, "120 s", HOURS(1), "to DATA"),
    TIME(relay_block, "180 s", HOURS(1), "a write that doesn't move"),
    TIME(relay_dot, "600 s", HOURS(1), "to the final dot"),
    TIME(relay_idle, "10 s", HOURS(1), "an unused connection is kept"),
    TIME(relay_tcp, "15 s", HOURS(1), "bytes that aren't acknowledged end a connection"),
    {0},
};
static const struct config_group timing = {timing_keys, sizeof(struct HERE), settings_check_timing};
#undef HERE

/* ---- feeds, pages, letters ------------------------------------------------------------------- */

#define HERE settings_feeds
static const struct config_key feeds_keys[] = {
    {"poll_interval", CONFIG_DURATION, AT(poll_interval), "15 min", SECONDS(1), DAYS(7),
     .help = "between two looks at a feed that has no rhythm of its own"},
    {"timeout", CONFIG_DURATION, AT(timeout), "60 s", SECONDS(1), HOURS(1),
     .help = "of one fetch, whole"},
    {"max_size", CONFIG_SIZE, AT(max_size), "16 MiB", KIB(1), MIB(256),
     .help = "of one answer, unpacked"},
    {"connections", CONFIG_INT, AT(connections), "8", 1, 256, .help = "fetches at a time"},
    {"redirects", CONFIG_INT, AT(redirects), "5", 0, 20, .help = "followed in one fetch"},
    {"flood", CONFIG_INT, AT(flood), "50", 0, 100000,
     .help = "new articles in one look that hold the edition; 0: never"},
    {"user_agent", CONFIG_STRING, AT(user_agent), "digestd", .check = settings_check_line,
     .help = "what digestd calls itself to feeds"},
    {0},
};
static const struct config_group feeds = {feeds_keys, sizeof(struct HERE), NULL};
#undef HERE

#define HERE settings_web
static const struct config_key web_keys[] = {
    {"listen", CONFIG_STRING, AT(listen), "systemd", .check = settings_check_listen, .fixed = true,
     .help = "\"systemd\", \"unix:/PATH\" or \"ADDRESS:PORT\""},
    {"base_url", CONFIG_STRING, AT(base_url), .check = settings_check_url,
     .help = "where readers reach the pages of lists that name no address of their own"},
    {"trusted_proxies", CONFIG_STRINGS, AT(trusted_proxies), "unix",
     .check = settings_check_network, .help = "whose X-Forwarded-For is believed"},
    {"connections", CONFIG_INT, AT(connections), "256", 1, 10000, .fixed = true,
     .help = "at a time"},
    {"timeout", CONFIG_DURATION, AT(timeout), "15 s", SECONDS(1), SECONDS(600), .fixed = true,
     .help = "of a connection that doesn't move"},
    {"max_request", CONFIG_SIZE, AT(max_request), "64 KiB", KIB(1), MIB(16),
     .help = "the body of a request"},
    {"joins_per_client", CONFIG_INT, AT(joins_per_client), "10", 1, 1000000,
     .help = "sign-ups from one address in joins_span"},
    {"joins_per_network", CONFIG_INT, AT(joins_per_network), "50", 1, 1000000,
     .help = "sign-ups from one network in joins_span"},
    {"joins_total", CONFIG_INT, AT(joins_total), "1000", 1, 1000000,
     .help = "sign-ups in all in joins_span"},
    {"joins_span", CONFIG_DURATION, AT(joins_span), "1 h", SECONDS(1), DAYS(7),
     .help = "the span that sign-ups are counted in"},
    {0},
};
static const struct config_group web = {web_keys, sizeof(struct HERE), NULL};
#undef HERE

#define HERE settings_letters
static const struct config_key letters_keys[] = {
    {"confirm_expires", CONFIG_DURATION, AT(confirm_expires), "3 d", SECONDS(1), DAYS(90),
     .help = "the link in a confirm letter"},
    {0},
};
static const struct config_group letters = {letters_keys, sizeof(struct HERE), NULL};
#undef HERE

/* ---- the whole ------------------------------------------------------------------------------- */

static const struct config_word log_words[] = {
    {"error", LOG_ERROR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
    {"info", LOG_INFO},   {"debug", LOG_DEBUG},     {NULL, 0},
};

#define HERE settings
static const struct config_key root_keys[] = {
    {"state_dir", CONFIG_STRING, AT(state_dir), "/var/lib/digestd", .check = settings_check_path,
     .fixed = true, .help = "holds the engine's identity and its journal"},
    {"templates_dir", CONFIG_STRING, AT(templates_dir), "/etc/digestd/templates",
     .check = settings_check_path, .help = "files here go before the built-in ones"},
    {"log_level", CONFIG_ENUM, AT(log_level), "info", .words = log_words,
     .help = "what the log tells"},
    {"database", CONFIG_GROUP, AT(database), .group = &database, .help = "PostgreSQL"},
    {"relays", CONFIG_LIST, AT(relays), .min = 1, .max = 64, .group = &relay,
     .must = SETTINGS_ENGINE, .help = "the SMTP servers that mail is handed to"},
    {"retry", CONFIG_GROUP, AT(retry), .group = &retry, .help = "when mail is tried again"},
    {"window", CONFIG_GROUP, AT(window), .group = &window, .help = "what an engine takes at once"},
    {"timing", CONFIG_GROUP, AT(timing), .group = &timing, .fixed = true, .help = "time limits"},
    {"feeds", CONFIG_GROUP, AT(feeds), .group = &feeds, .help = "how articles are fetched"},
    {"web", CONFIG_GROUP, AT(web), .group = &web, .help = "the readers' pages"},
    {"letters", CONFIG_GROUP, AT(letters), .group = &letters, .help = "single mails"},
    {0},
};
const struct config_group settings_schema = {root_keys, sizeof(struct HERE), settings_check_root};
#undef HERE
