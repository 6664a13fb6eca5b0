-- Letters, and what the readers' pages may do. digestweb's role can execute the web_ functions and
-- nothing else: tokens are verified in here, and neither a key nor a table can be read from there.

-- ---- letters ----------------------------------------------------------------------------------

-- Queues a letter; a second one of the same kind to the same subscription while one waits is the
-- same letter. Returns its id, or NULL when one waits already.
CREATE FUNCTION letter_put(p_kind letter_kind, p_list int, p_subscriber bigint, p_address text,
	p_params jsonb, p_lifetime interval, p_now timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
	v_id bigint;
BEGIN
	INSERT INTO letter (kind, list, subscriber, address, params, created_at, due_at, expires_at)
		VALUES (p_kind, p_list, p_subscriber, p_address, coalesce(p_params, '{}'), p_now, p_now,
			p_now + p_lifetime)
		ON CONFLICT DO NOTHING RETURNING id INTO v_id;
	IF v_id IS NOT NULL THEN
		PERFORM pg_notify('digestd', 'letter');
	END IF;
	RETURN v_id;
END $$;

-- A letter that was taken, with what it is rendered from; why_not: don't send it, record that.
CREATE TYPE window_letter AS (
	id         bigint,
	kind       letter_kind,
	list       int,
	subscriber bigint,
	address    text,
	params     jsonb,
	tries      smallint,
	doubts     smallint,
	created_at timestamptz,
	expires_at timestamptz,
	name       text,
	attrs      jsonb,
	lang       text,
	theme      text,
	token_gen  int,
	content    jsonb, -- list_content()
	why_not    text,
	recorded   text
);

-- The letters of a window as they stand now.
CREATE FUNCTION letters_readers(p_session int, p_n int, p_ids bigint[], p_now timestamptz)
	RETURNS SETOF window_letter
LANGUAGE sql STABLE AS $$
	SELECT t.id, t.kind, t.list, t.subscriber, t.address, t.params, t.tries, t.doubts, t.created_at,
		t.expires_at, coalesce(p.name, ''), coalesce(p.attrs, '{}'),
		CASE WHEN p.lang <> '' THEN p.lang ELSE l.lang END, l.theme::text, coalesce(s.token_gen, 0),
		list_content(l),
		CASE
		WHEN t.expires_at <= p_now THEN 'expired'
		WHEN t.subscriber IS NULL THEN NULL
		WHEN p.id IS NULL THEN 'erased'
		WHEN p.suppressed_at IS NOT NULL THEN 'suppressed'
		WHEN t.kind = 'confirm' AND s.status IS DISTINCT FROM 'pending' THEN 'not pending'
		WHEN t.kind = 'welcome' AND s.status IS DISTINCT FROM 'active' THEN 'unsubscribed'
		END,
		CASE
		WHEN t.outcome IS NOT NULL THEN t.outcome::text
		-- Nobody's, or another window's since.
		WHEN (t.session, t.n) IS DISTINCT FROM (p_session, p_n) THEN 'deferred'
		END
	FROM unnest(p_ids) m (id)
	JOIN letter t ON t.id = m.id
	JOIN list l ON l.id = t.list
	LEFT JOIN subscriber p ON p.id = t.subscriber
	LEFT JOIN subscription s ON s.list = t.list AND s.subscriber = t.subscriber
$$;

-- Takes the letters that are due into a window.
CREATE FUNCTION window_take_letters(p_session int, p_n int, p_limit int, p_now timestamptz)
	RETURNS SETOF window_letter
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
	v_ids bigint[];
BEGIN
	IF NOT session_lives(p_session) THEN
		RETURN;
	END IF;
	WITH held AS (
		UPDATE letter SET session = p_session, n = p_n WHERE ctid = ANY (ARRAY(
			SELECT ctid FROM letter WHERE outcome IS NULL AND session IS NULL AND due_at <= p_now
			ORDER BY due_at LIMIT p_limit FOR UPDATE SKIP LOCKED)) RETURNING id
	)
	SELECT array_agg(id ORDER BY id) INTO v_ids FROM held;
	IF v_ids IS NULL THEN
		RETURN;
	END IF;
	PERFORM window_open(p_session, p_n, 'letter', NULL, '', v_ids, p_now);
	RETURN QUERY SELECT * FROM letters_readers(p_session, p_n, v_ids, p_now);
END $$;

-- Records what came of letters: an outcome ends one, none (NULL) puts it off until due_at. Rows are
-- letter's columns by name: id, outcome, due_at, tries, doubts, relay, code, enhanced, reason,
-- queue_id. A letter whose end is known keeps it; a doubt becomes known.
CREATE FUNCTION letters_settle(p_rows jsonb, p_now timestamptz) RETURNS void
LANGUAGE sql AS $$
	UPDATE letter t SET outcome = r.outcome, ended_at = CASE WHEN r.outcome IS NOT NULL THEN p_now END,
			due_at = coalesce(r.due_at, t.due_at), tries = r.tries, doubts = coalesce(r.doubts, 0::smallint),
			relay = r.relay, code = r.code, enhanced = r.enhanced, reason = r.reason,
			queue_id = r.queue_id, session = NULL, n = NULL
		FROM jsonb_populate_recordset(NULL::letter, p_rows) r
		WHERE t.id = r.id
			AND (t.outcome IS NULL OR t.outcome = 'in_doubt' AND r.outcome IN ('delivered', 'refused'))
$$;

-- ---- link tokens ------------------------------------------------------------------------------

-- What a link's token claims, when one of our keys signed it; no row otherwise. The layout is that
-- of daemon/mail/token.h: key id, purpose, list, subscriber, gen, minutes of expiry, 16 bytes of
-- HMAC-SHA-256 over what precedes; in base64url (RFC 4648, section 5).
CREATE FUNCTION token_claim(p_token text, p_purpose text, p_now timestamptz)
	RETURNS TABLE (list int, subscriber bigint, gen int)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_raw     bytea;
	v_secret  bytea;
	v_nonce   bytea := gen_random_bytes(32);
	v_expires bigint;
BEGIN
	IF p_token !~ '^[A-Za-z0-9_-]{51}$' THEN
		RETURN;
	END IF;
	v_raw := decode(translate(p_token, '-_', '+/') || '=', 'base64');
	SELECT k.secret INTO v_secret FROM link_key k WHERE k.id = get_byte(v_raw, 0) AND k.retired_at IS NULL;
	-- bytea's "=" promises no constant time, so HMACs of both under a fresh key are compared.
	IF NOT FOUND
			OR hmac(substr(hmac(substr(v_raw, 1, 22), v_secret, 'sha256'), 1, 16), v_nonce, 'sha256')
				<> hmac(substr(v_raw, 23, 16), v_nonce, 'sha256')
			OR chr(get_byte(v_raw, 1)) <> p_purpose THEN
		RETURN;
	END IF;
	v_expires := ('x' || encode(substr(v_raw, 19, 4), 'hex'))::bit(32)::bigint;
	IF v_expires > 0 AND to_timestamp(v_expires * 60) <= p_now THEN
		RETURN;
	END IF;
	list := ('x' || encode(substr(v_raw, 3, 4), 'hex'))::bit(32)::int;
	subscriber := ('x' || encode(substr(v_raw, 7, 8), 'hex'))::bit(64)::bigint;
	gen := ('x' || encode(substr(v_raw, 15, 4), 'hex'))::bit(32)::int;
	RETURN NEXT;
END $$;

-- ---- pages ------------------------------------------------------------------------------------

-- What a page may show of an address: a forwarded mail puts its links into another's hand.
CREATE FUNCTION address_masked(p_email text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT left(p_email, 1) || '…' || substring(p_email FROM '@[^@]*$')
$$;

-- Joins asked for, by network, for the limits; rows of the last hour only.
CREATE TABLE web_join_log (
	at      timestamptz NOT NULL,
	network inet NOT NULL
);

CREATE INDEX web_join_log_network ON web_join_log (network, at);
CREATE INDEX web_join_log_at ON web_join_log (at);

-- A list as strangers may see it; no row when there is none of that name.
CREATE FUNCTION web_list(p_name text) RETURNS TABLE (content jsonb, editions jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
	SELECT list_content(l) - ARRAY['return_path', 'cfbl_address', 'from_addr', 'reply_to'],
		(SELECT coalesce(jsonb_agg(jsonb_build_object('name', e.name, 'schedule', e.schedule,
			'is_default', e.is_default) ORDER BY e.id), '[]') FROM edition e WHERE e.list = l.id)
	FROM list l WHERE l.name = p_name
$$;

-- The lists, for the front page.
CREATE FUNCTION web_lists() RETURNS TABLE (name text, title text, description text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
	SELECT l.name, l.title, l.description FROM list l ORDER BY l.title
$$;

-- Somebody asks to join. The answer never tells whether the address is known: 'ok' in every case
-- but for 'no list', 'no edition' and 'limited' (this network asked 30 times in an hour, or all
-- of them 1,000 times in a minute). A letter goes out unless the address is suppressed, active
-- already, or had one within a quarter of an hour or five within a day, over all lists.
CREATE FUNCTION web_join(p_list text, p_email text, p_email_norm text, p_domain text, p_name text,
	p_lang text, p_edition text, p_network inet, p_agent text, p_now timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	v_list       int;
	v_edition    int;
	v_subscriber bigint;
	v_status     subscription_status;
	v_consent    jsonb;
BEGIN
	SELECT id INTO v_list FROM list WHERE name = p_list;
	IF NOT FOUND THEN
		RETURN 'no list';
	END IF;
	SELECT id INTO v_edition FROM edition
		WHERE list = v_list AND (name = p_edition OR (coalesce(p_edition, '') = '' AND is_default));
	IF NOT FOUND THEN
		RETURN 'no edition';
	END IF;

	DELETE FROM web_join_log WHERE at < p_now - interval '1 hour';
	IF (SELECT count(*) >= 30 FROM web_join_log WHERE network = p_network AND at > p_now - interval '1 hour')
			OR (SELECT count(*) >= 1000 FROM web_join_log WHERE at > p_now - interval '1 minute') THEN
		RETURN 'limited';
	END IF;
	INSERT INTO web_join_log (at, network) VALUES (p_now, p_network);

	IF EXISTS (SELECT 1 FROM suppression WHERE address_hmac = address_hmac(p_email_norm)) THEN
		RETURN 'ok';
	END IF;
	SELECT id INTO v_subscriber FROM subscriber WHERE email_norm = p_email_norm;
	IF v_subscriber IS NULL THEN
		-- A stranger's word changes nothing that a known reader has said: the name is taken only here.
		v_subscriber := subscriber_put(p_email, p_email_norm, p_domain, p_name, '{}', p_lang, p_now);
	END IF;
	SELECT status INTO v_status FROM subscription WHERE list = v_list AND subscriber = v_subscriber;
	IF v_status = 'active' THEN
		RETURN 'ok';
	END IF;
	IF EXISTS (SELECT 1 FROM letter WHERE subscriber = v_subscriber AND kind = 'confirm'
				AND created_at > p_now - interval '15 minutes')
			OR (SELECT count(*) >= 5 FROM letter WHERE subscriber = v_subscriber AND kind = 'confirm'
				AND created_at > p_now - interval '1 day') THEN
		RETURN 'ok';
	END IF;
	v_consent := jsonb_build_object('way', 'form', 'asked_at', p_now, 'asked_from', host(p_network),
		'agent', left(p_agent, 200));
	IF v_status IS NULL OR v_status = 'unsubscribed' THEN
		PERFORM subscription_put(v_list, v_subscriber, 'join', v_edition, 'pending', NULL, NULL, v_consent, p_now);
		UPDATE subscription SET token_gen = token_gen + 1 WHERE list = v_list AND subscriber = v_subscriber;
	END IF;
	PERFORM letter_put('confirm', v_list, v_subscriber, (SELECT email FROM subscriber WHERE id = v_subscriber),
		NULL, interval '1 day', p_now);
	RETURN 'ok';
END $$;

-- What the page behind a link shows before anything is done; no row when the link isn't ours or its
-- time is over. p_purpose: 'c' confirm, 'u' unsubscribe.
CREATE FUNCTION web_look(p_token text, p_purpose text, p_now timestamptz)
	RETURNS TABLE (content jsonb, masked text, status text, lang text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
	SELECT list_content(l) - ARRAY['return_path', 'cfbl_address', 'from_addr', 'reply_to'],
		address_masked(p.email), s.status::text, CASE WHEN p.lang <> '' THEN p.lang ELSE l.lang END
	FROM token_claim(p_token, p_purpose, p_now) t
	JOIN subscription s ON s.list = t.list AND s.subscriber = t.subscriber
	JOIN subscriber p ON p.id = t.subscriber
	JOIN list l ON l.id = t.list
	WHERE p_purpose <> 'c' OR s.token_gen = t.gen
$$;

-- The button of a confirm page: 'confirmed', 'already', or 'no link' (not ours, too old, or another
-- join came after it).
CREATE FUNCTION web_confirm(p_token text, p_network inet, p_agent text, p_now timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	t record;
	s subscription%ROWTYPE;
BEGIN
	SELECT * INTO t FROM token_claim(p_token, 'c', p_now);
	IF NOT FOUND THEN
		RETURN 'no link';
	END IF;
	SELECT * INTO s FROM subscription WHERE list = t.list AND subscriber = t.subscriber;
	IF NOT FOUND OR s.token_gen <> t.gen OR s.status = 'unsubscribed' THEN
		RETURN 'no link';
	ELSIF s.status = 'active' THEN
		RETURN 'already';
	END IF;
	PERFORM subscription_put(t.list, t.subscriber, 'confirm', NULL, 'active', NULL, NULL, jsonb_build_object(
		'confirmed_at', p_now, 'confirmed_from', host(p_network), 'confirm_agent', left(p_agent, 200)), p_now);
	IF (SELECT coalesce((settings ->> 'welcome')::boolean, true) FROM list WHERE id = t.list) THEN
		PERFORM letter_put('welcome', t.list, t.subscriber, (SELECT email FROM subscriber WHERE id = t.subscriber),
			NULL, interval '1 day', p_now);
	END IF;
	RETURN 'confirmed';
END $$;

-- Leaving, by the page's button or by one-click (RFC 8058): 'left', 'already' or 'no link'.
CREATE FUNCTION web_unsubscribe(p_token text, p_way text, p_network inet, p_agent text, p_now timestamptz)
	RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	t        record;
	v_status subscription_status;
BEGIN
	SELECT * INTO t FROM token_claim(p_token, 'u', p_now);
	IF NOT FOUND THEN
		RETURN 'no link';
	END IF;
	SELECT status INTO v_status FROM subscription WHERE list = t.list AND subscriber = t.subscriber;
	IF NOT FOUND THEN
		RETURN 'no link';
	ELSIF v_status = 'unsubscribed' THEN
		RETURN 'already';
	END IF;
	PERFORM subscription_put(t.list, t.subscriber, 'unsubscribe', NULL, 'unsubscribed', NULL, NULL,
		jsonb_build_object('way', p_way, 'from', host(p_network), 'agent', left(p_agent, 200)), p_now);
	IF (SELECT coalesce((settings ->> 'goodbye')::boolean, false) FROM list WHERE id = t.list) THEN
		PERFORM letter_put('goodbye', t.list, t.subscriber, (SELECT email FROM subscriber WHERE id = t.subscriber),
			NULL, interval '1 day', p_now);
	END IF;
	RETURN 'left';
END $$;

-- "That was a mistake": 'back', 'already' or 'no link'. For a day, by the link that left. It gives back
-- what there was: who had never confirmed isn't made active by leaving.
CREATE FUNCTION web_undo(p_token text, p_network inet, p_agent text, p_now timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	t        record;
	s        subscription%ROWTYPE;
	v_before subscription_status;
BEGIN
	SELECT * INTO t FROM token_claim(p_token, 'u', p_now);
	IF NOT FOUND THEN
		RETURN 'no link';
	END IF;
	SELECT * INTO s FROM subscription WHERE list = t.list AND subscriber = t.subscriber;
	IF NOT FOUND OR s.status = 'pending' OR (s.status = 'unsubscribed' AND s.status_at < p_now - interval '1 day') THEN
		RETURN 'no link';
	ELSIF s.status = 'active' THEN
		RETURN 'already';
	END IF;
	SELECT e.status_before INTO v_before FROM subscription_event e
		WHERE e.list = t.list AND e.subscriber = t.subscriber AND e.kind = 'unsubscribe'
			AND e.status_before <> 'unsubscribed'
		ORDER BY e.id DESC LIMIT 1;
	IF v_before IS DISTINCT FROM 'active' THEN
		RETURN 'no link';
	END IF;
	PERFORM subscription_put(t.list, t.subscriber, 'undo', NULL, 'active', NULL, NULL,
		jsonb_build_object('from', host(p_network), 'agent', left(p_agent, 200)), p_now);
	RETURN 'back';
END $$;
