-- Lists, their editions, and who reads them.
--
-- Every moment that a function needs comes in as a parameter (p_now), from the one clock of the
-- programs, so that tests can live through a year in minutes. now() decides nothing; it only dates
-- rows that nobody asks about.

CREATE DOMAIN name_word AS text
	CHECK (VALUE ~ '^[a-z0-9][a-z0-9-]{0,62}$');

CREATE TYPE subscription_status AS ENUM ('pending', 'active', 'unsubscribed');

-- What to do with a reader whose mail was handed over and whose answer was never seen.
CREATE TYPE doubt_policy AS ENUM ('resend', 'skip');

-- An IANA zone that this server knows; returned as it came. Not a CHECK: the set of zones changes
-- with the server's tzdata, and a row that was right once must stay readable.
CREATE FUNCTION zone_check(p_zone text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
	PERFORM timestamptz 'epoch' AT TIME ZONE p_zone;
	IF p_zone !~ '^[A-Za-z]' THEN
		RAISE invalid_parameter_value;
	END IF;
	RETURN p_zone;
EXCEPTION WHEN invalid_parameter_value THEN
	RAISE EXCEPTION 'time zone "%" is not known', p_zone
		USING ERRCODE = 'invalid_parameter_value', HINT = 'Use an IANA name, such as Europe/Berlin.';
END $$;

CREATE DOMAIN address AS text
	CHECK (VALUE ~ '^[^[:cntrl:]]+@[^@[:cntrl:][:space:]]+$');

CREATE TABLE list (
	id             int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name           name_word NOT NULL UNIQUE, -- in links and List-Id
	title          text NOT NULL CHECK (title <> ''),
	description    text NOT NULL DEFAULT '',
	from_name      text NOT NULL DEFAULT '',  -- the title when empty
	from_addr      address NOT NULL,
	reply_to       address,
	return_path    address NOT NULL,
	cfbl_address   address,                   -- RFC 9477
	base_url       text NOT NULL CHECK (base_url ~ '^https?://[^[:space:]]*[^[:space:]/]$'), -- of digestweb
	site_url       text NOT NULL DEFAULT '',
	lang           text NOT NULL DEFAULT 'en' CHECK (lang ~ '^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$'),
	zone           text NOT NULL DEFAULT 'UTC',
	postal_address text NOT NULL DEFAULT '',
	theme          name_word NOT NULL DEFAULT 'plain',
	doubt          doubt_policy NOT NULL DEFAULT 'resend',
	settings       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'), -- logo, colours
	created_at     timestamptz NOT NULL DEFAULT now()
);

-- One rhythm of a list. The schedule in words, and its parts: 'manual', 'instant', 'daily 07:00',
-- 'weekly mon 08:00', 'monthly 1 09:00' (a day that a month doesn't have is its last day).
CREATE TABLE edition (
	id       int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	list     int NOT NULL REFERENCES list,
	name     name_word NOT NULL,
	schedule text NOT NULL CHECK (schedule ~ ('^(manual|instant'
		|| '|daily ([01][0-9]|2[0-3]):[0-5][0-9]'
		|| '|weekly (mon|tue|wed|thu|fri|sat|sun) ([01][0-9]|2[0-3]):[0-5][0-9]'
		|| '|monthly ([1-9]|[12][0-9]|3[01]) ([01][0-9]|2[0-3]):[0-5][0-9])$')),
	rhythm   text NOT NULL GENERATED ALWAYS AS (split_part(schedule, ' ', 1)) STORED,
	at_time  time GENERATED ALWAYS AS (CASE WHEN schedule LIKE '%:%' THEN make_time(
		right(split_part(schedule, ':', 1), 2)::int, split_part(schedule, ':', 2)::int, 0) END) STORED,
	weekday  int GENERATED ALWAYS AS (CASE WHEN schedule LIKE 'weekly%' THEN
		(strpos('montuewedthufrisatsun', split_part(schedule, ' ', 2)) + 2) / 3 END) STORED, -- ISO: 1 is Monday
	monthday int GENERATED ALWAYS AS (CASE WHEN schedule LIKE 'monthly%' THEN
		split_part(schedule, ' ', 2)::int END) STORED,
	zone_of  text NOT NULL DEFAULT 'list' CHECK (zone_of IN ('list', 'reader')),
	since    timestamptz NOT NULL DEFAULT '-infinity', -- articles seen before this are not for it
	starts   timestamptz NOT NULL,                     -- occurrences before this never open
	gen      bigint NOT NULL DEFAULT 1,                -- rises each time an issue of it opens
	last_occurrence date,                              -- the newest that was opened or found empty
	held     text,                                     -- why nothing opens by itself, if so
	lifetime interval NOT NULL DEFAULT '3 days' CHECK (lifetime > '0'), -- then an issue expires
	is_default boolean NOT NULL DEFAULT false,         -- where joiners go who name none
	UNIQUE (list, name),
	UNIQUE (id, list)
);

CREATE UNIQUE INDEX edition_default ON edition (list) WHERE is_default;

CREATE TABLE subscriber (
	id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	email         address NOT NULL,        -- as typed
	email_norm    address NOT NULL UNIQUE, -- what makes it the same address
	domain        text NOT NULL,           -- ASCII, lower case
	address_no    int NOT NULL DEFAULT 1,  -- rises with each change of address
	name          text NOT NULL DEFAULT '',
	attrs         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attrs) = 'object'),
	lang          text NOT NULL DEFAULT '',
	suppressed_at timestamptz,
	created_at    timestamptz NOT NULL DEFAULT now()
);

-- Which mail provider stands behind a domain: who throttles one throttles all of its domains.
CREATE TABLE provider_domain (
	domain   text PRIMARY KEY,
	provider name_word NOT NULL
);

INSERT INTO provider_domain (domain, provider) VALUES
	('gmail.com', 'gmail'), ('googlemail.com', 'gmail'),
	('outlook.com', 'microsoft'), ('hotmail.com', 'microsoft'), ('live.com', 'microsoft'),
	('msn.com', 'microsoft'), ('hotmail.co.uk', 'microsoft'), ('hotmail.fr', 'microsoft'),
	('hotmail.de', 'microsoft'), ('outlook.de', 'microsoft'), ('outlook.fr', 'microsoft'),
	('yahoo.com', 'yahoo'), ('yahoo.co.uk', 'yahoo'), ('yahoo.fr', 'yahoo'), ('yahoo.de', 'yahoo'),
	('yahoo.co.in', 'yahoo'), ('ymail.com', 'yahoo'), ('aol.com', 'yahoo'), ('rocketmail.com', 'yahoo'),
	('icloud.com', 'apple'), ('me.com', 'apple'), ('mac.com', 'apple'),
	('gmx.de', 'gmx'), ('gmx.net', 'gmx'), ('gmx.at', 'gmx'), ('gmx.ch', 'gmx'), ('web.de', 'gmx'),
	('t-online.de', 't-online'), ('orange.fr', 'orange'), ('wanadoo.fr', 'orange'),
	('free.fr', 'free'), ('mail.ru', 'mailru'), ('bk.ru', 'mailru'), ('list.ru', 'mailru'),
	('yandex.ru', 'yandex'), ('yandex.com', 'yandex'), ('qq.com', 'qq'), ('163.com', 'netease'),
	('126.com', 'netease'), ('proton.me', 'proton'), ('protonmail.com', 'proton');

CREATE FUNCTION provider_of(p_domain text) RETURNS text
LANGUAGE sql STABLE AS $$
	SELECT coalesce((SELECT provider::text FROM provider_domain WHERE domain = p_domain), 'other')
$$;

-- The tie of one subscriber to one list. The stamps are the edition's `gen` at the moment of the
-- change: joined_gen when the reader became one of this edition's, placed_gen when they last came
-- to stand where they stand (zone, provider group). subscription_put() is the one writer.
CREATE TABLE subscription (
	list         int NOT NULL,
	subscriber   bigint NOT NULL REFERENCES subscriber ON DELETE CASCADE,
	edition      int NOT NULL,
	status       subscription_status NOT NULL,
	zone         text NOT NULL,
	provider     text NOT NULL,
	topics       text[] NOT NULL DEFAULT '{}', -- none: all
	paused_until timestamptz,
	joined_gen   bigint NOT NULL,
	placed_gen   bigint NOT NULL,
	token_gen    int NOT NULL DEFAULT 1,       -- what confirm links are bound to
	created_at   timestamptz NOT NULL,
	status_at    timestamptz NOT NULL,
	consent      jsonb NOT NULL DEFAULT '{}',  -- how, from where and to which words they agreed
	PRIMARY KEY (list, subscriber),
	FOREIGN KEY (edition, list) REFERENCES edition (id, list),
	CHECK (joined_gen <= placed_gen)
);

-- The lanes of an issue are found and eaten along the first; who moved meanwhile, by the second.
CREATE INDEX subscription_lane ON subscription (edition, zone, provider, subscriber)
	WHERE status = 'active';
CREATE INDEX subscription_moved ON subscription (edition, placed_gen)
	WHERE status = 'active';
CREATE INDEX subscription_subscriber ON subscription (subscriber);

-- What happened to a subscription; only grows, and outlives the subscriber's erasure.
CREATE TABLE subscription_event (
	id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at            timestamptz NOT NULL,
	list          int NOT NULL,
	subscriber    bigint NOT NULL,
	kind          text NOT NULL CHECK (kind IN ('join', 'confirm', 'import', 'move', 'zone', 'provider',
		'topics', 'pause', 'unsubscribe', 'undo', 'address', 'suppress', 'erase')),
	edition       int NOT NULL,
	gen           bigint NOT NULL, -- of the edition at that moment
	status_before subscription_status,
	status        subscription_status,
	zone_before   text,
	zone          text,
	detail        jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX subscription_event_subscriber ON subscription_event (subscriber, id);
CREATE INDEX subscription_event_left ON subscription_event (edition, gen) WHERE kind = 'unsubscribe';

-- Keys: those of links rotate (`digestctl key rotate`); the one that hides suppressed addresses
-- stays, since nobody could make its entries anew.
CREATE TABLE link_key (
	id         smallint PRIMARY KEY CHECK (id BETWEEN 1 AND 255),
	secret     bytea NOT NULL CHECK (length(secret) >= 32),
	created_at timestamptz NOT NULL DEFAULT now(),
	retired_at timestamptz -- links that it signed no longer count
);

CREATE TABLE secret (
	name  text PRIMARY KEY,
	value bytea NOT NULL CHECK (length(value) >= 32)
);

INSERT INTO secret (name, value) VALUES ('suppression', gen_random_bytes(32));

-- Addresses never to be mailed again, by HMAC: an entry outlives erasure and tells nobody.
CREATE TABLE suppression (
	address_hmac bytea PRIMARY KEY CHECK (length(address_hmac) = 32),
	reason       text NOT NULL CHECK (reason IN ('gone', 'complaint', 'operator', 'erased')),
	at           timestamptz NOT NULL
);

CREATE FUNCTION address_hmac(p_email_norm text) RETURNS bytea
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
	SELECT hmac(convert_to(p_email_norm, 'UTF8'), value, 'sha256') FROM secret WHERE name = 'suppression'
$$;

-- Never mail this address again; each of its subscriptions notes why.
CREATE FUNCTION subscriber_suppress(p_subscriber bigint, p_reason text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO suppression (address_hmac, reason, at)
		SELECT address_hmac(email_norm), p_reason, p_now FROM subscriber WHERE id = p_subscriber
		ON CONFLICT DO NOTHING;
	UPDATE subscriber SET suppressed_at = p_now WHERE id = p_subscriber AND suppressed_at IS NULL;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	INSERT INTO subscription_event (at, list, subscriber, kind, edition, gen, status_before, status,
			zone, detail)
		SELECT p_now, s.list, s.subscriber, 'suppress', s.edition, e.gen, s.status, s.status, s.zone,
			jsonb_build_object('reason', p_reason)
		FROM subscription s JOIN edition e ON e.id = s.edition WHERE s.subscriber = p_subscriber;
END $$;

-- Finds the subscriber of an address or makes one; a name, attributes or language that are given
-- replace what is there. Returns the id.
CREATE FUNCTION subscriber_put(p_email text, p_email_norm text, p_domain text, p_name text,
	p_attrs jsonb, p_lang text, p_now timestamptz) RETURNS bigint
LANGUAGE sql AS $$
	INSERT INTO subscriber AS s (email, email_norm, domain, name, attrs, lang, created_at, suppressed_at)
		VALUES (p_email, p_email_norm, p_domain, coalesce(p_name, ''), coalesce(p_attrs, '{}'),
			coalesce(p_lang, ''), p_now,
			(SELECT at FROM suppression WHERE address_hmac = address_hmac(p_email_norm)))
		ON CONFLICT (email_norm) DO UPDATE SET
			name = CASE WHEN excluded.name <> '' THEN excluded.name ELSE s.name END,
			attrs = s.attrs || excluded.attrs,
			lang = CASE WHEN excluded.lang <> '' THEN excluded.lang ELSE s.lang END
		RETURNING id
$$;

-- The one way to write a subscription. Makes it, or changes what is given (NULL: as it is), stamps
-- the gens as each kind of change demands, and notes the event. Returns the new status.
--   A join, a confirmation and a change of edition make a reader one of the edition's from now on:
--   both stamps; who is active already joins nothing, and keeps the issue that is going out. A change
--   of zone or provider moves them between lanes, and an undone unsubscribe may leave them behind a
--   cursor that has passed: placed_gen only, so that the sweep finds them.
CREATE FUNCTION subscription_put(p_list int, p_subscriber bigint, p_kind text, p_edition int,
	p_status subscription_status, p_zone text, p_topics text[], p_detail jsonb, p_now timestamptz)
	RETURNS subscription_status
LANGUAGE plpgsql AS $$
DECLARE
	v_was     int; -- the edition before
	v_edition int;
	v_gen     bigint;
	v_old     subscription%ROWTYPE;
	v_new     subscription%ROWTYPE;
BEGIN
	-- Editions are locked before the subscription, always: an opener waits for our edition, and
	-- an importer that holds it may wait for this very subscription.
	LOOP
		SELECT edition INTO v_was FROM subscription WHERE list = p_list AND subscriber = p_subscriber;
		v_edition := coalesce(p_edition, v_was, (SELECT id FROM edition WHERE list = p_list AND is_default));
		IF v_edition IS NULL THEN
			RAISE EXCEPTION 'the list has no default edition, and none was named'
				USING ERRCODE = 'invalid_parameter_value';
		END IF;
		PERFORM 1 FROM edition WHERE id IN (v_edition, v_was) ORDER BY id FOR SHARE;
		SELECT gen INTO v_gen FROM edition WHERE id = v_edition;
		SELECT * INTO v_old FROM subscription WHERE list = p_list AND subscriber = p_subscriber FOR UPDATE;
		EXIT WHEN v_old.edition IS NOT DISTINCT FROM v_was;
	END LOOP;

	v_new := v_old;
	v_new.status := coalesce(p_status, v_old.status, 'active');
	v_new.zone := coalesce(CASE WHEN p_zone IS NOT NULL THEN zone_check(p_zone) END, v_old.zone,
		(SELECT zone FROM list WHERE id = p_list));
	v_new.provider := (SELECT provider_of(domain) FROM subscriber WHERE id = p_subscriber);
	v_new.topics := coalesce(p_topics, v_old.topics, '{}');
	IF v_was IS NULL OR v_edition <> v_was
			OR p_kind IN ('join', 'confirm', 'import') AND v_old.status <> 'active' THEN
		v_new.joined_gen := v_gen;
		v_new.placed_gen := v_gen;
	ELSIF v_new.zone <> v_old.zone OR v_new.provider <> v_old.provider OR p_kind IN ('undo', 'address') THEN
		v_new.placed_gen := v_gen;
	END IF;

	IF v_was IS NULL THEN
		INSERT INTO subscription (list, subscriber, edition, status, zone, provider, topics,
				joined_gen, placed_gen, created_at, status_at, consent)
			VALUES (p_list, p_subscriber, v_edition, v_new.status, v_new.zone, v_new.provider,
				v_new.topics, v_gen, v_gen, p_now, p_now, coalesce(p_detail, '{}'))
			ON CONFLICT DO NOTHING;
		IF NOT FOUND THEN -- somebody else made it this moment: theirs is changed instead
			RETURN subscription_put(p_list, p_subscriber, p_kind, p_edition, p_status, p_zone, p_topics,
				p_detail, p_now);
		END IF;
	ELSE
		UPDATE subscription SET edition = v_edition, status = v_new.status, zone = v_new.zone,
				provider = v_new.provider, topics = v_new.topics,
				joined_gen = v_new.joined_gen, placed_gen = v_new.placed_gen,
				status_at = CASE WHEN v_new.status <> v_old.status THEN p_now ELSE status_at END,
				consent = CASE WHEN p_kind IN ('join', 'confirm', 'import')
					THEN consent || coalesce(p_detail, '{}') ELSE consent END
			WHERE list = p_list AND subscriber = p_subscriber;
	END IF;
	INSERT INTO subscription_event (at, list, subscriber, kind, edition, gen, status_before, status,
			zone_before, zone, detail)
		VALUES (p_now, p_list, p_subscriber, p_kind, v_edition, v_gen, v_old.status, v_new.status,
			v_old.zone, v_new.zone, coalesce(p_detail, '{}'));
	RETURN v_new.status;
END $$;
