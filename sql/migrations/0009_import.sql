-- Imports of readers. A file is checked and staged whole, then merged in batches, each in a
-- transaction of its own: an issue that opens meanwhile waits for one batch and not for a million
-- readers.

-- Rows that wait to be merged; emptied by whoever staged them. Not logged: what a crash of the
-- server takes away is still in the operator's file. No temporary table, since those don't outlive
-- a transaction behind a pooler.
CREATE UNLOGGED TABLE import_row (
	import     bigint NOT NULL, -- microseconds since 1970 when it began, less than a second off by chance
	n          int NOT NULL,    -- 1, 2, 3 ...
	line       int NOT NULL,    -- of the file
	email      text NOT NULL,
	email_norm text NOT NULL,
	domain     text NOT NULL,
	name       text NOT NULL,   -- '': not told, as with lang
	attrs      jsonb NOT NULL,
	lang       text NOT NULL,
	zone       text,            -- NULL: not told, as with what follows
	topics     text[],
	edition    int,
	status     subscription_status NOT NULL,
	PRIMARY KEY (import, n)
);

-- Which of these addresses are never to be mailed again.
CREATE FUNCTION suppressed_among(p_norms text[]) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
	SELECT m.norm
	FROM unnest(p_norms) m (norm)
	JOIN suppression x ON x.address_hmac = hmac(convert_to(m.norm, 'UTF8'),
		(SELECT value FROM secret WHERE name = 'suppression'), 'sha256')
$$;

-- What becomes of the staged rows p_from <= n < p_to: how many come to each verdict, and with
-- their lines the ones that are left out.
--   added         joins the list: a new subscriber, or one of other lists
--   changed       is on the list, and the file tells something else; so does "unsubscribed" there
--   unchanged
--   unsubscribed  left once, and never comes back this way
--   suppressed    is never to be mailed again
-- Stamps are those of subscription_put(). With p_dry nothing is written.
CREATE FUNCTION import_merge(p_import bigint, p_from int, p_to int, p_list int, p_edition int,
	p_detail jsonb, p_dry boolean, p_now timestamptz)
	RETURNS TABLE (verdict text, line int, email text, rows bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	v_never text[]; -- of these addresses, the suppressed ones
BEGIN
	-- The locks first, in statements of their own: what their holders wrote is seen by the next.
	IF NOT p_dry THEN
		PERFORM 1 FROM edition WHERE list = p_list ORDER BY id FOR SHARE;
		PERFORM 1
			FROM subscription s WHERE s.list = p_list AND s.subscriber = ANY (ARRAY(
				SELECT p.id FROM import_row r CROSS JOIN LATERAL (SELECT p.id FROM subscriber p
					WHERE p.email_norm = r.email_norm OFFSET 0) p
				WHERE r.import = p_import AND r.n >= p_from AND r.n < p_to))
			ORDER BY s.subscriber FOR UPDATE;
	END IF;
	-- People whom nobody knew. In a statement of its own too: the next finds them by their index.
	v_never := ARRAY(SELECT suppressed_among(ARRAY(SELECT r.email_norm FROM import_row r
		WHERE r.import = p_import AND r.n >= p_from AND r.n < p_to)));
	IF NOT p_dry THEN
		INSERT INTO subscriber (email, email_norm, domain, name, attrs, lang, created_at)
			SELECT r.email, r.email_norm, r.domain, r.name, r.attrs, r.lang, p_now FROM import_row r
			WHERE r.import = p_import AND r.n >= p_from AND r.n < p_to AND r.email_norm <> ALL (v_never)
				AND NOT EXISTS (SELECT 1 FROM subscriber p WHERE p.email_norm = r.email_norm)
			ORDER BY r.email_norm
			ON CONFLICT (email_norm) DO NOTHING;
	END IF;
	-- OFFSET 0 has each row looked up by its index: a join of whole tables, which the planner may
	-- take for better, would read a million readers for each batch.
	RETURN QUERY
	WITH batch AS MATERIALIZED (
		SELECT r.*, p.id AS subscriber, s.edition AS edition_before, s.status AS status_before,
			s.zone AS zone_before, e.id AS edition_now, e.gen,
			coalesce(r.zone, s.zone, l.zone) AS zone_now,
			CASE WHEN s.status IS NULL OR r.status <> 'pending' THEN r.status ELSE s.status END AS status_now,
			p.differs,
			CASE
			WHEN p.suppressed_at IS NOT NULL OR r.email_norm = ANY (v_never) THEN 'suppressed'
			WHEN s.status = 'unsubscribed' THEN 'unsubscribed'
			WHEN s.status IS NULL THEN 'added'
			WHEN p.differs OR r.zone <> s.zone OR r.topics <> s.topics OR r.edition <> s.edition
				OR r.status <> 'pending' AND r.status <> s.status THEN 'changed'
			ELSE 'unchanged'
			END AS verdict
		FROM import_row r
		JOIN list l ON l.id = p_list
		LEFT JOIN LATERAL (SELECT p.id, p.suppressed_at, r.name <> '' AND r.name <> p.name
				OR NOT p.attrs @> r.attrs OR r.lang <> '' AND r.lang <> p.lang AS differs
			FROM subscriber p WHERE p.email_norm = r.email_norm OFFSET 0) p ON true
		LEFT JOIN LATERAL (SELECT s.edition, s.status, s.zone, s.topics
			FROM subscription s WHERE s.list = p_list AND s.subscriber = p.id OFFSET 0) s ON true
		JOIN edition e ON e.id = coalesce(r.edition, s.edition, p_edition)
		WHERE r.import = p_import AND r.n >= p_from AND r.n < p_to
), told AS (
		UPDATE subscriber p SET name = CASE WHEN b.name <> '' THEN b.name ELSE p.name END,
				attrs = p.attrs || b.attrs, lang = CASE WHEN b.lang <> '' THEN b.lang ELSE p.lang END
			FROM batch b WHERE p.id = b.subscriber AND b.verdict IN ('added', 'changed')
				AND b.differs AND NOT p_dry
	), joined AS (
		INSERT INTO subscription (list, subscriber, edition, status, zone, provider, topics, joined_gen,
				placed_gen, created_at, status_at, consent)
			SELECT p_list, b.subscriber, b.edition_now, b.status_now, b.zone_now,
				provider_of(b.domain), coalesce(b.topics, '{}'), b.gen, b.gen, p_now, p_now, p_detail
			FROM batch b WHERE b.verdict = 'added' AND NOT p_dry ORDER BY b.subscriber
			ON CONFLICT (list, subscriber) DO NOTHING
			RETURNING subscriber, edition, joined_gen, status, zone
	), moved AS (
		UPDATE subscription s SET edition = b.edition_now, status = b.status_now, zone = b.zone_now,
				topics = coalesce(b.topics, s.topics),
				joined_gen = CASE WHEN b.edition_now <> s.edition OR b.status_now = 'active' AND s.status <> 'active'
					THEN b.gen ELSE s.joined_gen END,
				placed_gen = CASE WHEN b.edition_now <> s.edition OR b.status_now = 'active' AND s.status <> 'active'
					OR b.zone_now <> s.zone THEN b.gen ELSE s.placed_gen END,
				status_at = CASE WHEN b.status_now <> s.status THEN p_now ELSE s.status_at END,
				consent = CASE WHEN b.status_now = 'active' AND s.status <> 'active'
					THEN s.consent || p_detail ELSE s.consent END
			FROM batch b WHERE s.list = p_list AND s.subscriber = b.subscriber AND b.verdict = 'changed'
				AND NOT p_dry
			RETURNING s.subscriber, s.edition, b.gen, b.status_before, s.status, b.zone_before, s.zone
	), noted AS (
		INSERT INTO subscription_event (at, list, subscriber, kind, edition, gen, status_before, status,
				zone_before, zone, detail)
			SELECT p_now, p_list, subscriber, 'import', edition, joined_gen, NULL, status, NULL, zone, p_detail
			FROM joined
			UNION ALL
			SELECT p_now, p_list, subscriber, CASE WHEN status = 'unsubscribed' THEN 'unsubscribe' ELSE 'import' END,
				edition, gen, status_before, status, zone_before, zone, p_detail
			FROM moved
	)
	SELECT b.verdict, NULL::int, NULL::text, count(*) FROM batch b GROUP BY 1
	UNION ALL
	SELECT b.verdict, b.line, b.email, 1 FROM batch b WHERE b.verdict IN ('unsubscribed', 'suppressed');
END $$;

GRANT SELECT, INSERT, DELETE ON import_row TO digestd_operator;
GRANT EXECUTE ON FUNCTION
	suppressed_among(text[]),
	import_merge(bigint, int, int, int, int, jsonb, boolean, timestamptz)
	TO digestd_operator;
