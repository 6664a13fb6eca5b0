-- Where articles come from, and the articles.

CREATE TYPE feed_state AS ENUM ('active', 'paused', 'gone');

-- A source of articles: a feed that is polled, or (url NULL) a name under which articles are added
-- by hand.
CREATE TABLE feed (
	id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name          name_word NOT NULL UNIQUE,
	url           text CHECK (url ~ '^(https?|file)://'),
	title         text NOT NULL DEFAULT '',
	is_local      boolean NOT NULL DEFAULT false, -- private addresses are allowed
	state         feed_state NOT NULL DEFAULT 'active',
	drop_lines    text[] NOT NULL DEFAULT '{}',   -- globs: paragraphs to leave out
	every         interval NOT NULL DEFAULT '15 minutes' CHECK (every > '0'),
	next_at       timestamptz NOT NULL DEFAULT '-infinity', -- moved by compare-and-set: one engine polls
	polled_at     timestamptz,                    -- the last success; NULL: the first takes a backlog
	backfill      int NOT NULL DEFAULT 0 CHECK (backfill >= 0), -- how many of the backlog count as new
	etag          text,
	last_modified text,
	failures      int NOT NULL DEFAULT 0,
	last_error    text,
	flood         text,                           -- why its lists' editions wait for an operator's word
	created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE list_feed (
	list int NOT NULL REFERENCES list,
	feed int NOT NULL REFERENCES feed,
	PRIMARY KEY (list, feed)
);

CREATE INDEX list_feed_feed ON list_feed (feed);

CREATE TABLE article (
	id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	feed         int NOT NULL REFERENCES feed,
	guid         text NOT NULL CHECK (guid <> ''),
	url          text NOT NULL DEFAULT '',
	title        text NOT NULL,
	author       text NOT NULL DEFAULT '',
	summary      text NOT NULL DEFAULT '',
	body_html    text NOT NULL DEFAULT '',       -- through the allow-list already
	body_text    text NOT NULL DEFAULT '',
	image        text NOT NULL DEFAULT '',
	image_alt    text NOT NULL DEFAULT '',
	lang         text NOT NULL DEFAULT '',
	dir          text NOT NULL DEFAULT 'ltr' CHECK (dir IN ('ltr', 'rtl')),
	topics       text[] NOT NULL DEFAULT '{}',
	published_at timestamptz NOT NULL,           -- what it counts from: its date, or when it was first seen
	seen_at      timestamptz NOT NULL,
	updated_at   timestamptz,                    -- the last edit that was taken over
	revision     int NOT NULL DEFAULT 1,         -- rises only by an editor's word: "corrected since"
	backlog      boolean NOT NULL DEFAULT false, -- was there at the first poll: never mailed by itself
	text_hash    bytea NOT NULL,                 -- SHA-256 of title and text: tells an edit, and a flood
	UNIQUE (feed, guid)
);

CREATE INDEX article_new ON article (feed, published_at) WHERE NOT backlog;
CREATE INDEX article_hash ON article (feed, text_hash);
CREATE INDEX article_url ON article (feed, url) WHERE url <> '';
