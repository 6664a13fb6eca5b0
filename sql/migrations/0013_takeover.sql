-- What others do for an engine that is gone, and what it tells when it comes back.

-- Closes a window whose engine is taken for gone: who has no answer is in doubt and held for an
-- operator, since the journal is out of reach and each of them may have been sent to. Letters, on
-- which nobody decides, are sent once more, or end in doubt when that was their second. The window
-- keeps in `doubted` who it was. Any number of observers may call this: the first does it. Returns
-- how many are in doubt; NULL: the window was settled already.
CREATE FUNCTION window_orphan(p_session int, p_n int, p_cause text, p_now timestamptz) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
	w     send_window%ROWTYPE;
	c     record;
	v_ids bigint[];
BEGIN
	SELECT * INTO w FROM send_window WHERE session = p_session AND n = p_n AND settled_at IS NULL
		FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	IF w.kind = 'letter' THEN
		WITH lost AS (
			UPDATE letter t SET session = NULL, n = NULL, due_at = p_now, tries = t.tries + 1,
					doubts = t.doubts + 1, reason = 'in doubt: ' || p_cause,
					outcome = CASE WHEN t.doubts > 0 OR t.expires_at <= p_now THEN 'in_doubt'::outcome END,
					ended_at = CASE WHEN t.doubts > 0 OR t.expires_at <= p_now THEN p_now END
				WHERE t.session = p_session AND t.n = p_n AND t.outcome IS NULL RETURNING t.id
		)
		SELECT array_agg(id) INTO v_ids FROM lost;
		SELECT count(*) FILTER (WHERE t.outcome = 'delivered') AS delivered,
				count(*) FILTER (WHERE t.outcome = 'refused') AS refused,
				count(*) FILTER (WHERE t.outcome = 'expired') AS expired,
				count(*) FILTER (WHERE t.outcome = 'skipped') AS skipped,
				count(*) FILTER (WHERE t.outcome = 'in_doubt') AS in_doubt
			INTO c FROM letter t WHERE t.id = ANY (w.members);
	ELSE
		INSERT INTO delivery (issue, subscriber, at, session, n, variant, address_no, outcome, attempt, reason)
			SELECT w.issue, (r.reader).subscriber, p_now, p_session, p_n, coalesce(f.variant, 0),
				coalesce((r.reader).address_no, 0), 'in_doubt', r.tries + 1, 'in doubt, held: ' || p_cause
			FROM window_readers(p_session, p_n, p_now) r
			LEFT JOIN deferral f ON f.issue = w.issue AND f.subscriber = (r.reader).subscriber
			WHERE r.recorded IS NULL
			ORDER BY 2
			ON CONFLICT DO NOTHING;
		-- Their delivery is an older doubt, which was sent again.
		INSERT INTO attempt (issue, subscriber, at, session, n, attempt, cause)
			SELECT w.issue, (r.reader).subscriber, p_now, p_session, p_n, r.tries + 1,
				'in doubt, held: ' || p_cause
			FROM window_readers(p_session, p_n, p_now) r WHERE r.recorded IS NULL
			ON CONFLICT DO NOTHING;
		-- Who was put off while this went on is seen by these statements as it is now.
		SELECT array_agg((r.reader).subscriber) FILTER (WHERE coalesce(r.recorded, 'in_doubt') = 'in_doubt')
			INTO v_ids FROM window_readers(p_session, p_n, p_now) r;
		SELECT count(*) FILTER (WHERE r.recorded = 'delivered') AS delivered,
				count(*) FILTER (WHERE r.recorded = 'refused') AS refused,
				count(*) FILTER (WHERE r.recorded = 'expired') AS expired,
				count(*) FILTER (WHERE r.recorded = 'skipped') AS skipped,
				count(*) FILTER (WHERE coalesce(r.recorded, 'in_doubt') = 'in_doubt') AS in_doubt
			INTO c FROM window_readers(p_session, p_n, p_now) r;
	END IF;
	PERFORM window_settle(p_session, p_n, c.delivered::int, c.refused::int, c.expired::int, c.skipped::int,
		c.in_doubt::int, (w.size - c.delivered - c.refused - c.expired - c.skipped - c.in_doubt)::int, p_now);
	UPDATE send_window SET doubted = coalesce(v_ids, '{}') WHERE session = p_session AND n = p_n;
	RETURN coalesce(cardinality(v_ids), 0);
END $$;

-- Closes all that an engine holds, if it has no living session and, unless p_session is NULL, has
-- begun none since that one. Returns how many are in doubt; NULL: it lives.
CREATE FUNCTION engine_orphan(p_engine int, p_session int, p_cause text, p_now timestamptz) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
	w        record;
	v_doubts int := 0;
BEGIN
	-- It can't begin a session meanwhile.
	PERFORM 1 FROM engine WHERE id = p_engine FOR NO KEY UPDATE;
	IF EXISTS (SELECT 1 FROM session WHERE engine = p_engine AND (NOT dead OR id > p_session)) THEN
		RETURN NULL;
	END IF;
	FOR w IN SELECT session, n FROM send_window WHERE engine = p_engine AND settled_at IS NULL ORDER BY session, n LOOP
		v_doubts := v_doubts + coalesce(window_orphan(w.session, w.n, p_cause, p_now), 0);
	END LOOP;
	PERFORM pg_notify('digestd', 'letter');
	RETURN v_doubts;
END $$;

-- An operator's word that an engine won't come back: its session ends, what it holds is closed. What
-- it still tells is accepted, but it takes nothing any more. Returns how many are in doubt.
CREATE FUNCTION engine_retire(p_engine int, p_now timestamptz) RETURNS int
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM 1 FROM engine WHERE id = p_engine FOR NO KEY UPDATE;
	PERFORM session_end(id, p_now) FROM session WHERE engine = p_engine AND NOT dead;
	UPDATE engine SET retired_at = p_now WHERE id = p_engine AND retired_at IS NULL;
	RETURN engine_orphan(p_engine, NULL, 'the engine was retired', p_now);
END $$;

-- What an engine that came back knows from its journal about a window that was closed without it.
-- p_replies: rows of delivery by column name, for what was answered; `outcome` NULL: not for good.
-- p_intents: who was handed over. p_trusted: the journal is whole, so that of the others nobody was.
-- Answers become facts; who wasn't sent to is put off at no cost, which the list's policy for doubts
-- doesn't forbid, as it is none. Returns of how many more is known now.
CREATE FUNCTION window_known(p_session int, p_n int, p_replies jsonb, p_intents bigint[], p_trusted boolean,
	p_now timestamptz) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
	w       send_window%ROWTYPE;
	v_row   jsonb;
	v_id    bigint;
	v_known bigint[] := '{}'::bigint[];
	v_count int := 0;
BEGIN
	SELECT * INTO w FROM send_window WHERE session = p_session AND n = p_n AND doubted IS NOT NULL
		FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN 0;
	END IF;
	FOR v_row IN SELECT r FROM jsonb_array_elements(p_replies) r
			WHERE (r ->> 'subscriber')::bigint = ANY (w.doubted) ORDER BY (r ->> 'subscriber')::bigint LOOP
		v_id := (v_row ->> 'subscriber')::bigint;
		v_known := v_known || v_id;
		v_count := v_count + 1;
		IF w.kind = 'letter' THEN
			-- An answer that isn't for good changes nothing: the letter is sent again already.
			PERFORM letters_settle(jsonb_build_array(v_row || jsonb_build_object('id', v_id,
					'tries', t.tries, 'doubts', t.doubts)), p_now)
				FROM letter t WHERE t.id = v_id AND v_row ->> 'outcome' IS NOT NULL;
		ELSIF v_row ->> 'outcome' IS NULL THEN
			PERFORM doubt_unsent(w.issue, v_id, p_session, p_n, true, v_row ->> 'reason', p_now);
		ELSE
			PERFORM rows_put('outcome', jsonb_build_array(v_row), p_now);
		END IF;
		IF (v_row ->> 'suppress')::boolean AND w.kind <> 'letter' THEN
			PERFORM subscriber_suppress(v_id, 'gone', p_now);
		END IF;
	END LOOP;
	IF p_trusted AND w.kind <> 'letter' THEN
		FOREACH v_id IN ARRAY w.doubted LOOP
			CONTINUE WHEN v_id = ANY (p_intents) OR v_id = ANY (v_known);
			IF doubt_unsent(w.issue, v_id, p_session, p_n, false, 'the engine came back', p_now) THEN
				v_count := v_count + 1;
			END IF;
		END LOOP;
	END IF;
	UPDATE send_window SET doubted = NULL WHERE session = p_session AND n = p_n;
	IF v_count > 0 AND w.issue IS NOT NULL THEN
		PERFORM pg_notify('digestd', 'issue ' || w.issue);
	END IF;
	RETURN v_count;
END $$;

-- Who was put off when their issue was cancelled isn't tried again: they are skipped, like those
-- whom the cancelling met in a window, and a window of the session counts them. Returns how many.
CREATE FUNCTION deferrals_cancel(p_session int, p_n int, p_limit int, p_now timestamptz) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
	v_issue    bigint;
	v_provider text;
	v_ids      bigint[];
	v_doubts   int;
BEGIN
	WITH RECURSIVE held AS ( -- a loose scan: issues with deferrals are few
		SELECT min(issue) AS issue FROM deferral
		UNION ALL
		SELECT (SELECT min(d.issue) FROM deferral d WHERE d.issue > held.issue) FROM held
		WHERE held.issue IS NOT NULL
	)
	SELECT i.id, d.provider INTO v_issue, v_provider
		FROM held JOIN issue i ON i.id = held.issue
		CROSS JOIN LATERAL (SELECT provider FROM deferral
			WHERE deferral.issue = i.id AND deferral.session IS NULL LIMIT 1) d
		WHERE i.state = 'cancelled' LIMIT 1;
	IF NOT FOUND THEN
		RETURN 0;
	END IF;
	WITH found AS (
		SELECT subscriber FROM deferral WHERE issue = v_issue AND provider = v_provider AND session IS NULL
		LIMIT p_limit FOR UPDATE SKIP LOCKED
	), held AS (
		UPDATE deferral d SET session = p_session, n = p_n FROM found
			WHERE d.issue = v_issue AND d.subscriber = found.subscriber RETURNING d.subscriber
	)
	SELECT array_agg(subscriber) INTO v_ids FROM held;
	IF v_ids IS NULL THEN
		RETURN 0;
	END IF;
	PERFORM window_open(p_session, p_n, 'retry', v_issue, v_provider, v_ids, p_now);
	INSERT INTO attempt (issue, subscriber, at, session, n, attempt, cause)
		SELECT f.issue, f.subscriber, p_now, p_session, p_n, f.tries, 'in doubt, not sent again: cancelled'
		FROM deferral f JOIN delivery d ON d.issue = f.issue AND d.subscriber = f.subscriber
		WHERE f.session = p_session AND f.n = p_n AND d.outcome = 'in_doubt';
	GET DIAGNOSTICS v_doubts = ROW_COUNT;
	INSERT INTO delivery (issue, subscriber, at, session, n, variant, address_no, outcome, attempt, relay, code,
			enhanced, reason)
		SELECT f.issue, f.subscriber, p_now, p_session, p_n, f.variant, coalesce(p.address_no, 0), 'skipped',
			f.tries, f.relay, f.code, f.enhanced, 'cancelled'
		FROM deferral f LEFT JOIN subscriber p ON p.id = f.subscriber
		WHERE f.session = p_session AND f.n = p_n
			AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.issue = f.issue AND d.subscriber = f.subscriber)
		ORDER BY f.subscriber;
	PERFORM window_settle(p_session, p_n, 0, 0, 0, cardinality(v_ids) - v_doubts, v_doubts, 0, p_now);
	RETURN cardinality(v_ids);
END $$;

GRANT EXECUTE ON FUNCTION window_orphan(int, int, text, timestamptz),
	engine_orphan(int, int, text, timestamptz),
	engine_retire(int, timestamptz),
	window_known(int, int, jsonb, bigint[], boolean, timestamptz),
	deferrals_cancel(int, int, int, timestamptz)
	TO digestd_engine, digestd_operator;
