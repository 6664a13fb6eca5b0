-- digestctl explain

-- name: ctl_explain_who
SELECT p.id, p.email, p.name, p.suppressed_at,
		(SELECT reason FROM suppression x WHERE x.address_hmac = address_hmac(p.email_norm)) AS suppressed_for
	FROM subscriber p WHERE p.email_norm = $1

-- name: ctl_explain_subscriptions
SELECT l.name || '/' || e.name AS edition, s.status::text AS status, s.zone, s.provider, s.topics, s.paused_until,
		s.joined_gen, s.placed_gen
	FROM subscription s JOIN list l ON l.id = s.list JOIN edition e ON e.id = s.edition
	WHERE s.subscriber = $1::bigint ORDER BY l.name

-- name: ctl_explain
-- Everything that happened to one reader, and what is going to: $1. $2: of one issue only. $4: so many
-- issues, the newest.
WITH chosen AS (
	SELECT i.id, i.list, i.edition, i.gen, i.state, i.opened_at, i.ended_at, l.name || '/' || e.name AS name,
		s.edition AS own_edition, s.zone, s.provider, s.joined_gen, s.placed_gen
	FROM issue i JOIN list l ON l.id = i.list JOIN edition e ON e.id = i.edition
	LEFT JOIN subscription s ON s.list = i.list AND s.subscriber = $1::bigint
	WHERE CASE WHEN $2::bigint IS NOT NULL THEN i.id = $2::bigint
		ELSE i.list IN (SELECT list FROM subscription WHERE subscriber = $1::bigint)
			AND (i.opened_at >= s.created_at - interval '7 days'
				OR EXISTS (SELECT 1 FROM delivery d WHERE d.issue = i.id AND d.subscriber = $1::bigint))
		END
	ORDER BY i.id DESC LIMIT $4::int
), held AS (
	SELECT w.issue, w.session, w.n, w.taken_at, w.kind, g.host
	FROM chosen c JOIN send_window w ON w.issue = c.id AND w.settled_at IS NULL
	JOIN engine g ON g.id = w.engine
	WHERE w.members @> ARRAY[$1::bigint]
), line AS (
	SELECT v.at, 1 AS step, v.id AS seq, 'subscription' AS kind, NULL::bigint AS issue,
		l.name || '/' || e.name || ': ' || CASE v.kind
			WHEN 'join' THEN 'asked to join' WHEN 'confirm' THEN 'confirmed' WHEN 'import' THEN 'was imported'
			WHEN 'move' THEN 'moved to this edition'
			WHEN 'zone' THEN 'went from zone ' || coalesce(v.zone_before, '-') || ' to ' || coalesce(v.zone, '-')
			WHEN 'provider' THEN 'came to another mail provider' WHEN 'topics' THEN 'chose topics'
			WHEN 'pause' THEN 'paused' WHEN 'unsubscribe' THEN 'left' WHEN 'undo' THEN 'took leaving back'
			WHEN 'address' THEN 'changed the address' WHEN 'suppress' THEN 'is never to be mailed again'
			WHEN 'erase' THEN 'was erased' ELSE v.kind END
		|| coalesce(' (' || (SELECT string_agg(replace(k, '_', ' ') || ' ' || x, ', ' ORDER BY k) FROM jsonb_each_text(v.detail) j (k, x)
			WHERE right(k, 3) <> '_at' AND k NOT LIKE '%agent' AND x <> '') || ')', '')
		|| CASE WHEN v.status IS DISTINCT FROM v.status_before THEN ', is ' || v.status ELSE '' END AS text,
		jsonb_build_object('event', v.kind, 'edition', l.name || '/' || e.name, 'gen', v.gen, 'status', v.status,
			'status_before', v.status_before, 'detail', v.detail) AS detail
	FROM subscription_event v JOIN list l ON l.id = v.list JOIN edition e ON e.id = v.edition
	WHERE v.subscriber = $1::bigint
	UNION ALL
	SELECT t.created_at, 2, t.id, 'letter', NULL, 'the ' || t.kind || ' letter of ' || l.name || ' was queued',
		jsonb_build_object('letter', t.id, 'kind', t.kind)
	FROM letter t JOIN list l ON l.id = t.list WHERE t.subscriber = $1::bigint AND $2::bigint IS NULL
	UNION ALL
	SELECT coalesce(t.ended_at, t.due_at), 3, t.id, 'letter', NULL, 'the ' || t.kind || ' letter of ' || l.name || ' '
		|| CASE WHEN t.outcome IS NULL AND t.session IS NOT NULL THEN 'is being sent'
			WHEN t.outcome IS NULL AND t.tries = 0 THEN 'waits for its turn'
			WHEN t.outcome IS NULL THEN 'is tried again; so far: ' || coalesce(t.reason, '-')
			WHEN t.outcome = 'in_doubt' THEN 'is in doubt' ELSE 'was ' || t.outcome END
		|| CASE WHEN t.outcome IS NOT NULL THEN coalesce(' by ' || r.name, '')
			|| coalesce(', "' || nullif(concat_ws(' ', t.code, t.enhanced, t.reason), '') || '"', '')
			|| coalesce(', queue id ' || t.queue_id, '') ELSE '' END,
		jsonb_build_object('letter', t.id, 'kind', t.kind, 'outcome', t.outcome, 'tries', t.tries, 'relay', r.name,
			'code', t.code, 'queue_id', t.queue_id, 'reason', t.reason)
	FROM letter t JOIN list l ON l.id = t.list LEFT JOIN relay r ON r.id = t.relay
	WHERE t.subscriber = $1::bigint AND $2::bigint IS NULL
	UNION ALL
	SELECT c.opened_at, 4, c.id, 'issue', c.id, 'issue ' || c.id || ' of ' || c.name || ' opened, ' || CASE
			WHEN c.own_edition IS NULL THEN 'not for them: they aren''t on this list'
			WHEN c.own_edition <> c.edition THEN 'not for them as it is now: they read another edition of the list'
			WHEN c.joined_gen > c.gen THEN 'not for them: they became one of its readers after it had opened'
				|| ' (theirs since gen ' || c.joined_gen || ', it opened at gen ' || c.gen || ')'
			WHEN c.placed_gen > c.gen THEN 'for them: they changed lanes since, so its end looks for them'
				|| ' (at gen ' || c.placed_gen || ', it opened at gen ' || c.gen || ')'
			ELSE 'for them (theirs since gen ' || c.joined_gen || ', it opened at gen ' || c.gen || ')' END,
		jsonb_build_object('gen', c.gen, 'joined_gen', c.joined_gen, 'placed_gen', c.placed_gen, 'edition', c.name)
	FROM chosen c
	UNION ALL
	SELECT h.taken_at, 5, h.n, 'window', h.issue, 'issue ' || h.issue || ': taken by the engine on ' || h.host
		|| ' (window ' || h.session || '.' || h.n || '), not known yet',
		jsonb_build_object('session', h.session, 'window', h.n, 'kind', h.kind, 'host', h.host)
	FROM held h
	UNION ALL
	SELECT a.at, 6, a.attempt, 'attempt', a.issue, 'issue ' || a.issue || ': try ' || a.attempt
		|| coalesce(' by ' || r.name, '') || ' (window ' || a.session || '.' || a.n || '): ' || a.cause
		|| coalesce(', "' || nullif(concat_ws(' ', a.code, a.enhanced, a.reply), '') || '"', ''),
		jsonb_build_object('attempt', a.attempt, 'relay', r.name, 'session', a.session, 'window', a.n,
			'code', a.code, 'enhanced', a.enhanced, 'cause', a.cause, 'reply', a.reply)
	FROM chosen c JOIN attempt a ON a.issue = c.id AND a.subscriber = $1::bigint LEFT JOIN relay r ON r.id = a.relay
	UNION ALL
	SELECT d.at, 7, d.attempt, 'delivery', d.issue, 'issue ' || d.issue || ': '
		|| CASE d.outcome WHEN 'delivered' THEN 'delivered' WHEN 'refused' THEN 'refused for good'
			WHEN 'skipped' THEN 'not sent' WHEN 'expired' THEN 'given up, its time was over'
			ELSE 'in doubt: handed over, the answer was never seen' END
		|| coalesce(CASE d.outcome WHEN 'in_doubt' THEN ', relay ' ELSE ' by ' END || r.name, '') || CASE WHEN d.attempt > 1 THEN ' at try ' || d.attempt ELSE '' END
		|| ' (window ' || d.session || '.' || d.n || ')'
		|| coalesce(', "' || nullif(concat_ws(' ', d.code, d.enhanced,
			CASE WHEN d.outcome = 'refused' THEN d.reason END), '') || '"', '')
		|| coalesce(', queue id ' || d.queue_id, '')
		|| CASE WHEN d.outcome = 'refused' THEN ''
			ELSE coalesce(': ' || regexp_replace(d.reason, '^in doubt: ', ''), '') END,
		jsonb_build_object('outcome', d.outcome, 'attempt', d.attempt, 'relay', r.name, 'session', d.session,
			'window', d.n, 'code', d.code, 'enhanced', d.enhanced, 'reason', d.reason, 'queue_id', d.queue_id,
			'variant', d.variant, 'address_no', d.address_no)
	FROM chosen c JOIN delivery d ON d.issue = c.id AND d.subscriber = $1::bigint LEFT JOIN relay r ON r.id = d.relay
	UNION ALL
	SELECT f.due_at, 8, f.tries, 'deferral', f.issue, 'issue ' || f.issue || ': '
		|| CASE WHEN c.ended_at IS NOT NULL THEN 'would have been tried again, but it is ' || c.state
			WHEN f.session IS NOT NULL THEN 'is being tried again'
			WHEN f.due_at <= $3::timestamptz THEN 'is due to be tried again' ELSE 'will be tried again' END
		|| ', after ' || f.tries || CASE f.tries WHEN 1 THEN ' try' ELSE ' tries' END || ': ' || f.cause,
		jsonb_build_object('tries', f.tries, 'doubts', f.doubts, 'cause', f.cause, 'reply', f.reply, 'code', f.code)
	FROM chosen c JOIN deferral f ON f.issue = c.id AND f.subscriber = $1::bigint
	UNION ALL
	SELECT coalesce(c.ended_at, $3::timestamptz), 9, c.id, 'waiting', c.id, 'issue ' || c.id || ': ' || CASE
			WHEN r.why_not IS NOT NULL THEN 'nothing was sent: ' || CASE r.why_not WHEN 'paused' THEN 'they pause'
				WHEN 'no topic' THEN 'none of their topics is in it' WHEN 'expired' THEN 'its time is over'
				WHEN 'unsubscribed' THEN 'not an active reader' ELSE r.why_not END
			WHEN c.state = 'done' THEN 'nothing was sent: at their turn they weren''t to be sent to'
			WHEN c.ended_at IS NOT NULL THEN 'nothing was sent: it was ' || c.state || ' before their turn'
			WHEN c.state <> 'open' THEN 'waits: the issue is ' || c.state
			WHEN n.issue IS NULL OR n.eaten OR n.cursor >= $1::bigint OR c.placed_gen > c.gen
				THEN 'waits for the end of the issue, which looks for those who changed lanes'
			WHEN n.not_before > $3::timestamptz THEN 'waits for ' || to_char(n.not_before AT TIME ZONE n.zone,
				'YYYY-MM-DD HH24:MI') || ' in ' || n.zone
			ELSE 'waits for its turn (lane ' || n.zone || ', ' || n.provider || ')' END,
		jsonb_build_object('why_not', r.why_not, 'state', c.state)
	FROM chosen c
	CROSS JOIN LATERAL issue_readers(c.id, ARRAY[$1::bigint], $3::timestamptz) r
	LEFT JOIN lane n ON n.issue = c.id AND n.zone = c.zone AND n.provider = c.provider
	WHERE c.joined_gen <= c.gen AND c.own_edition = c.edition
		AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.issue = c.id AND d.subscriber = $1::bigint)
		AND NOT EXISTS (SELECT 1 FROM deferral d WHERE d.issue = c.id AND d.subscriber = $1::bigint)
		AND NOT EXISTS (SELECT 1 FROM held h WHERE h.issue = c.id)
)
SELECT at, kind, issue, text, detail FROM line
	WHERE $2::bigint IS NULL OR issue = $2::bigint OR kind = 'subscription'
	ORDER BY at, step, seq
