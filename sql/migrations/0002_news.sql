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
	backlog      boolean NOT NULL DEFAULT false, -- was there at the first poll: mailed only by name
	text_hash    bytea NOT NULL,                 -- SHA-256 of title and text: tells an edit, and a flood
	suspect      boolean NOT NULL DEFAULT false, -- came in a flood, and an operator hasn't spoken yet
	UNIQUE (feed, guid)
);

CREATE INDEX article_new ON article (feed, published_at) WHERE NOT backlog;
CREATE INDEX article_hash ON article (feed, text_hash);
CREATE INDEX article_url ON article (feed, url) WHERE url <> '';

-- Takes articles in, in the order of the feed (newest first, as feeds have them). New is what has a
-- new id. Of a feed's first reading all but the first p_backfill are backlog. An edited article is
-- updated until it stands in an issue. When at least p_flood new ids (0: never) come with an address
-- or a text that the feed had before, they are suspect, and feed.flood says so until an operator
-- has spoken. p_flood NULL: an operator adds them, and they are news whatever the feed has been through.
-- Rows are article's columns by name; published_at may be missing.
CREATE FUNCTION article_put(p_feed int, p_rows jsonb, p_flood int, p_now timestamptz,
	OUT fresh int, OUT changed int, OUT suspect int)
LANGUAGE plpgsql
-- A plan made while the table was small would read all of it for each article: a first reading of
-- 10,000 took 30 s by such plans, and takes 0.7 s by fresh ones.
SET plan_cache_mode TO force_custom_plan AS $$
DECLARE
	v_feed  feed%ROWTYPE;
	v_row   jsonb;
	v_new   bigint[] := '{}'::bigint[];
	v_odd   bigint[] := '{}'::bigint[];
	a       article%ROWTYPE;
	v_known boolean;
	v_id    bigint;
	v_place int := 0;
BEGIN
	fresh := 0;
	changed := 0;
	SELECT * INTO STRICT v_feed FROM feed WHERE id = p_feed FOR NO KEY UPDATE;
	FOR v_row IN SELECT * FROM jsonb_array_elements(p_rows) LOOP
		v_place := v_place + 1;
		a := jsonb_populate_record(NULL::article, v_row);
		SELECT id INTO v_id FROM article WHERE feed = p_feed AND guid = a.guid;
		IF FOUND THEN
			UPDATE article SET url = a.url, title = a.title, author = a.author, summary = a.summary,
					body_html = a.body_html, body_text = a.body_text, image = a.image,
					image_alt = a.image_alt, lang = a.lang, dir = a.dir, topics = a.topics,
					text_hash = a.text_hash, updated_at = p_now
				WHERE id = v_id AND text_hash <> a.text_hash
					AND NOT EXISTS (SELECT 1 FROM issue_article WHERE article = v_id);
			IF FOUND THEN
				changed := changed + 1;
			END IF;
			CONTINUE;
		END IF;
		v_known := EXISTS (SELECT 1 FROM article
			WHERE feed = p_feed AND (text_hash = a.text_hash OR (url = a.url AND url <> '')));
		INSERT INTO article (feed, guid, url, title, author, summary, body_html, body_text, image,
				image_alt, lang, dir, topics, published_at, seen_at, backlog, text_hash)
			VALUES (p_feed, a.guid, a.url, a.title, a.author, a.summary, a.body_html, a.body_text, a.image,
				a.image_alt, a.lang, a.dir, a.topics, coalesce(a.published_at, p_now), p_now,
				p_flood IS NOT NULL AND v_feed.polled_at IS NULL AND v_place > v_feed.backfill,
				a.text_hash)
			RETURNING id INTO v_id;
		v_new := v_new || v_id;
		IF v_known THEN
			v_odd := v_odd || v_id;
		END IF;
	END LOOP;
	fresh := cardinality(v_new);
	suspect := 0;
	IF p_flood > 0 AND v_feed.polled_at IS NOT NULL AND cardinality(v_odd) >= p_flood THEN
		suspect := cardinality(v_odd);
		UPDATE article SET suspect = true WHERE id = ANY (v_odd);
		UPDATE feed SET flood = format('%s articles came with new ids on known links or texts at %s',
			cardinality(v_odd), p_now) WHERE id = p_feed;
	END IF;
END $$;

-- An operator's word about a flood: the suspect articles are news after all, or they are backlog.
CREATE FUNCTION flood_settle(p_feed int, p_mail boolean) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
	v_count int;
BEGIN
	UPDATE article SET suspect = false, backlog = NOT p_mail WHERE feed = p_feed AND suspect;
	GET DIAGNOSTICS v_count = ROW_COUNT;
	UPDATE feed SET flood = NULL WHERE id = p_feed;
	RETURN v_count;
END $$;
