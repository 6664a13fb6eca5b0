-- Doubts about which an operator decides: mails that were handed over and whose answer was never
-- seen, where the list's policy has done what it does, or the engine's journal was lost.

-- They are few in any issue, and looked for by issue.
CREATE INDEX delivery_doubt ON delivery (issue, subscriber) WHERE outcome = 'in_doubt';

-- Those of an issue that nobody has decided about, each with the window that it is counted in: that
-- of the newest doubt. Not those who wait to be sent to again, nor those of a window that is open.
CREATE FUNCTION issue_doubts(p_issue bigint) RETURNS TABLE (subscriber bigint, session int, n int)
LANGUAGE sql STABLE AS $$
	SELECT d.subscriber, w.session, w.n
	FROM delivery d
	CROSS JOIN LATERAL (
		SELECT t.session, t.n FROM (
			SELECT a.session, a.n, a.at FROM attempt a
			WHERE a.issue = d.issue AND a.subscriber = d.subscriber AND a.cause LIKE 'in doubt%' AND a.at > d.at
			UNION ALL SELECT d.session, d.n, d.at) t
		ORDER BY t.at DESC LIMIT 1) newest
	JOIN send_window w ON w.session = newest.session AND w.n = newest.n AND w.settled_at IS NOT NULL
	WHERE d.issue = p_issue AND d.outcome = 'in_doubt'
		AND coalesce(d.reason, '') NOT LIKE '%(settled: not sent again)'
		AND NOT EXISTS (SELECT 1 FROM deferral f WHERE f.issue = d.issue AND f.subscriber = d.subscriber)
$$;

-- Settles them. 'resend': each is put off until now, once more with the same Message-ID; the delivery
-- stays in doubt until the answer is known, and the windows that counted a doubt count a deferral
-- instead, since another window is going to count its end. 'skip': they stay in doubt, and say so.
-- Returns how many there were.
CREATE FUNCTION issue_doubts_settle(p_issue bigint, p_decision doubt_policy, p_now timestamptz) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
	i     issue%ROWTYPE;
	v_ids bigint[];
BEGIN
	-- A sweep that would end the issue comes before this or after it.
	PERFORM 1 FROM issue WHERE id = p_issue FOR UPDATE;
	SELECT * INTO i FROM issue WHERE id = p_issue;
	IF p_decision = 'skip' THEN
		WITH settled AS (
			UPDATE delivery d SET reason = concat_ws(' ', d.reason, '(settled: not sent again)')
				FROM issue_doubts(p_issue) t
				WHERE d.issue = p_issue AND d.subscriber = t.subscriber RETURNING d.subscriber
		)
		SELECT array_agg(subscriber) INTO v_ids FROM settled;
		RETURN coalesce(cardinality(v_ids), 0);
	END IF;
	IF i.ended_at IS NOT NULL OR i.expires_at <= p_now THEN
		RAISE EXCEPTION 'issue % has ended: nothing of it can be sent again', p_issue
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	WITH doubt AS MATERIALIZED (
		SELECT * FROM issue_doubts(p_issue)
	), counted AS (
		UPDATE send_window w SET in_doubt = w.in_doubt - t.k, deferred = w.deferred + t.k
			FROM (SELECT session, n, count(*)::int AS k FROM doubt GROUP BY session, n) t
			WHERE w.session = t.session AND w.n = t.n AND w.in_doubt >= t.k
	), put_off AS (
		INSERT INTO deferral (issue, subscriber, provider, due_at, tries, doubts, first_at, variant, relay,
				cause, reply)
			SELECT d.issue, d.subscriber, coalesce(s.provider, 'other'), p_now, d.attempt, 1, d.at, d.variant,
				d.relay, 'in doubt', 'settled: to be sent again'
			FROM doubt t
			JOIN delivery d ON d.issue = p_issue AND d.subscriber = t.subscriber
			LEFT JOIN subscription s ON s.list = i.list AND s.subscriber = t.subscriber
			RETURNING subscriber
	)
	SELECT array_agg(subscriber) INTO v_ids FROM put_off;
	PERFORM pg_notify('digestd', 'issue ' || p_issue);
	RETURN coalesce(cardinality(v_ids), 0);
END $$;

GRANT EXECUTE ON FUNCTION issue_doubts(bigint), issue_doubts_settle(bigint, doubt_policy, timestamptz)
	TO digestd_engine, digestd_operator;
