-- digestctl explain

-- name: ctl_explain_who
-- By address or ($2) by number.
SELECT p.id, p.email, p.name, p.suppressed_at,
		(SELECT reason FROM suppression x WHERE x.address_hmac = address_hmac(p.email_norm)) AS suppressed_for
	FROM subscriber p WHERE p.email_norm = $1 OR p.id = $2::bigint

-- name: ctl_explain_erased
-- What is left of a reader whose address isn't kept any more: their number, in these.
SELECT EXISTS (SELECT FROM subscription_event WHERE subscriber = $1::bigint)
	OR EXISTS (SELECT FROM letter WHERE subscriber = $1::bigint) AS known

-- name: ctl_explain_subscriptions
SELECT l.name || '/' || e.name AS edition, s.status::text AS status, s.zone, s.provider, s.topics, s.paused_until,
		s.joined_gen, s.placed_gen
	FROM subscription s JOIN list l ON l.id = s.list JOIN edition e ON e.id = s.edition
	WHERE s.subscriber = $1::bigint ORDER BY l.name

-- name: ctl_explain
-- Everything that happened to one reader, and what is going to: $1. $2: of one issue only. $4: so many
-- issues, the newest. Who they were to an issue is what their events say.
WITH known AS (
	SELECT v.list, min(v.at) AS since FROM subscription_event v WHERE v.subscriber = $1::bigint GROUP BY v.list
), chosen AS (
	SELECT i.id, i.list, i.edition, i.gen, i.state, i.opened_at, i.ended_at, i.uid, l.name || '/' || e.name AS name,
		l.doubt, v.edition AS then_edition, v.status AS then_status, s.status, s.edition AS own_edition, s.zone,
		s.provider, s.joined_gen, s.placed_gen, EXISTS (SELECT FROM subscription_event u
			WHERE u.subscriber = $1::bigint AND u.list = i.list AND u.kind = 'undo' AND u.id > i.opened_event
				AND (i.ended_event IS NULL OR u.id <= i.ended_event)) AS undone
	FROM issue i JOIN list l ON l.id = i.list JOIN edition e ON e.id = i.edition
	LEFT JOIN subscription s ON s.list = i.list AND s.subscriber = $1::bigint
	LEFT JOIN LATERAL (SELECT v.edition, v.status FROM subscription_event v
		WHERE v.subscriber = $1::bigint AND v.list = i.list AND v.kind <> 'suppress' AND v.id <= i.opened_event
		ORDER BY v.id DESC LIMIT 1) v ON true
	WHERE CASE WHEN $2::bigint IS NOT NULL THEN i.id = $2::bigint
		ELSE EXISTS (SELECT FROM known k WHERE k.list = i.list AND i.opened_at >= k.since - interval '7 days')
			OR EXISTS (SELECT FROM delivery d WHERE d.issue = i.id AND d.subscriber = $1::bigint)
		END
	ORDER BY i.id DESC LIMIT $4::int
), place AS (
	-- Windows, as people know them: by their engine's host.
	SELECT w.session, w.n, w.issue, w.kind, w.taken_at, w.settled_at, w.members, g.host, s.dead,
		w.session || '.' || w.n || ' of ' || g.host AS name,
		CASE WHEN s.dead THEN '; that engine is gone, they wait until it comes back or is retired' ELSE '' END AS gone,
		w.settled_at > s.ended_at AS late -- by its engine's next life
	FROM chosen c JOIN send_window w ON w.issue = c.id JOIN session s ON s.id = w.session
	JOIN engine g ON g.id = w.engine
), held AS (
	SELECT p.* FROM place p WHERE p.settled_at IS NULL AND p.members @> ARRAY[$1::bigint]
), fact AS (
	-- Each try, and the end, in one shape.
	SELECT a.issue, a.at, a.session, a.n, a.attempt, a.relay, a.code, a.enhanced, a.reply, a.queue_id, a.cause,
		NULL::outcome AS outcome, NULL::int AS variant, NULL::int AS address_no
	FROM chosen c JOIN attempt a ON a.issue = c.id AND a.subscriber = $1::bigint
	UNION ALL
	SELECT d.issue, d.at, d.session, d.n, d.attempt, d.relay, d.code, d.enhanced, d.reason, d.queue_id, NULL,
		d.outcome, d.variant, d.address_no
	FROM chosen c JOIN delivery d ON d.issue = c.id AND d.subscriber = $1::bigint
), told AS (
	SELECT f.*, r.name AS relay_name, p.name AS place, p.host, p.late,
		nullif(concat_ws(' ', f.code, f.enhanced, CASE WHEN f.outcome IS NULL AND f.cause NOT LIKE 'in doubt%'
			OR f.outcome = 'refused' THEN f.reply END), '') AS answer,
		coalesce(f.outcome = 'in_doubt', f.cause LIKE 'in doubt%' AND f.cause NOT LIKE 'in doubt, not sent again%') AS doubt,
		regexp_replace(regexp_replace(s.said, '^in doubt(, held)?: ', ''), ' \(settled: .*$', '') AS why,
		s.said LIKE 'in doubt, held:%' AS lost, -- the journal that would know
		f.reply LIKE '%(settled: not sent again)' AS left_so,
		EXISTS (SELECT FROM fact b WHERE b.issue = f.issue AND (b.outcome = 'in_doubt' OR b.cause LIKE 'in doubt%')
			AND (b.session, b.n, b.attempt) <> (f.session, f.n, f.attempt) AND b.at <= f.at) AS after_doubt
	FROM fact f LEFT JOIN relay r ON r.id = f.relay LEFT JOIN place p ON p.session = f.session AND p.n = f.n
	-- Why it is in doubt: as the reason has it, which an attempt keeps in its cause or its reply.
	CROSS JOIN LATERAL (SELECT CASE WHEN f.cause = 'in doubt' THEN f.reply ELSE coalesce(f.cause, f.reply) END AS said) s
), decided AS (
	SELECT t.*, CASE
		WHEN t.doubt AND t.why = 'the engine was retired' THEN 'an operator, who retired the engine'
		WHEN t.doubt AND t.why LIKE 'the engine %' THEN 'another engine, which found this one gone'
		WHEN t.doubt AND t.lost THEN 'the engine''s next life, without its journal'
		WHEN t.doubt AND t.why = 'the process ended' THEN 'the engine''s next life, from its journal'
		WHEN t.doubt AND (t.why LIKE 'the %' OR t.why IS NULL) THEN 'an engine that settled another''s window'
		WHEN t.doubt THEN 'the connection''s end'
		WHEN t.code IS NOT NULL THEN 'the relay''s reply'
		WHEN t.outcome = 'skipped' THEN 'a look before it was sent'
		WHEN t.outcome = 'expired' THEN 'the time of the issue'
		WHEN t.outcome = 'refused' THEN 'the engine, before anything was sent'
		ELSE 'the engine'
		END AS decided_by
	FROM told t
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
	WHERE v.subscriber = $1::bigint AND ($2::bigint IS NULL OR v.list = (SELECT list FROM chosen))
	UNION ALL
	SELECT t.created_at, 2, t.id, 'letter', NULL, 'the ' || t.kind || ' letter of ' || l.name || ' was queued',
		jsonb_build_object('letter', t.id, 'kind', t.kind)
	FROM letter t JOIN list l ON l.id = t.list WHERE t.subscriber = $1::bigint AND $2::bigint IS NULL
	UNION ALL
	SELECT coalesce(t.ended_at, t.due_at), 3, t.id, 'letter', NULL, 'the ' || t.kind || ' letter of ' || l.name || ' '
		|| CASE WHEN t.outcome IS NULL AND t.session IS NOT NULL THEN 'is being sent by the engine on ' || coalesce(g.host, '?')
			WHEN t.outcome IS NULL AND t.tries = 0 THEN 'waits for its turn'
			WHEN t.outcome IS NULL THEN 'is tried again; so far: ' || coalesce(t.reason, '-')
			WHEN t.outcome = 'in_doubt' THEN 'is in doubt' ELSE 'was ' || t.outcome END
		|| CASE WHEN t.outcome IS NOT NULL THEN coalesce(' by ' || r.name, '')
			|| coalesce(', "' || nullif(concat_ws(' ', t.code, t.enhanced, t.reason), '') || '"', '')
			|| coalesce(', queue id ' || t.queue_id, '') ELSE '' END
		|| CASE WHEN t.doubts > 0 THEN '; a try of it was in doubt and went again with the same Message-ID, so they may'
			|| ' have it twice' ELSE '' END,
		jsonb_build_object('letter', t.id, 'kind', t.kind, 'outcome', t.outcome, 'tries', t.tries, 'doubts', t.doubts,
			'relay', r.name, 'code', t.code, 'queue_id', t.queue_id, 'reason', t.reason)
	FROM letter t JOIN list l ON l.id = t.list LEFT JOIN relay r ON r.id = t.relay
	LEFT JOIN session s ON s.id = t.session LEFT JOIN engine g ON g.id = s.engine
	WHERE t.subscriber = $1::bigint AND $2::bigint IS NULL
	UNION ALL
	SELECT c.opened_at, 4, c.id, 'issue', c.id, 'issue ' || c.id || ' of ' || c.name || ' opened, ' || CASE
			WHEN c.then_edition IS NULL AND c.own_edition IS NULL THEN 'not for them: they aren''t on this list'
			WHEN c.then_edition IS NULL THEN 'not for them: they became one of its readers after it had opened'
				|| coalesce(' (theirs since gen ' || c.joined_gen || ', it opened at gen ' || c.gen || ')', '')
			WHEN c.then_edition <> c.edition THEN 'not for them: they read another edition of the list then'
			WHEN c.then_status = 'unsubscribed' AND c.undone
				THEN 'for them after all: they had left, and took it back before it ended'
			WHEN c.then_status = 'unsubscribed' THEN 'not for them: they had left'
			WHEN c.then_status <> 'active' THEN 'not for them: they were ' || c.then_status
			WHEN c.own_edition = c.edition AND c.joined_gen <= c.gen AND c.placed_gen > c.gen
				THEN 'for them: they changed lanes since, so its end looks for them'
				|| ' (at gen ' || c.placed_gen || ', it opened at gen ' || c.gen || ')'
			ELSE 'for them' || CASE WHEN c.joined_gen <= c.gen AND c.own_edition = c.edition
				THEN ' (theirs since gen ' || c.joined_gen || ', it opened at gen ' || c.gen || ')'
				ELSE ' (it opened at gen ' || c.gen || ')' END END,
		jsonb_build_object('gen', c.gen, 'joined_gen', c.joined_gen, 'placed_gen', c.placed_gen, 'edition', c.name,
			'uid', c.uid, 'for_them', c.then_edition = c.edition AND (c.then_status = 'active'
				OR c.then_status = 'unsubscribed' AND c.undone))
	FROM chosen c
	UNION ALL
	SELECT h.taken_at, 5, h.n, 'window', h.issue, 'issue ' || h.issue || ': taken by the engine on ' || h.host
		|| ' (window ' || h.session || '.' || h.n || '), not known yet' || h.gone,
		jsonb_build_object('session', h.session, 'window', h.n, 'kind', h.kind, 'host', h.host, 'alive', NOT h.dead)
	FROM held h
	WHERE NOT EXISTS (SELECT FROM fact f WHERE f.issue = h.issue AND f.session = h.session AND f.n = h.n)
		AND NOT EXISTS (SELECT FROM deferral f WHERE f.issue = h.issue AND f.subscriber = $1::bigint
			AND f.session = h.session AND f.n = h.n) -- told below
	UNION ALL
	SELECT d.at, 6, d.attempt, CASE WHEN d.outcome IS NULL THEN 'attempt' ELSE 'delivery' END, d.issue,
		'issue ' || d.issue || ': ' || CASE
			WHEN d.outcome IS NULL AND d.cause LIKE 'second fact: %' THEN 'a second word about it: '
				|| substr(d.cause, 14)
			WHEN d.outcome IS NULL AND d.cause LIKE 'in doubt, not sent again%' THEN 'stays in doubt'
			WHEN d.outcome IS NULL AND d.doubt THEN 'try ' || d.attempt || ' is in doubt: ' || h.over
			WHEN d.outcome IS NULL THEN 'try ' || d.attempt
			WHEN d.outcome = 'delivered' THEN 'delivered' WHEN d.outcome = 'refused' THEN 'refused for good'
			WHEN d.outcome = 'skipped' THEN 'not sent' WHEN d.outcome = 'expired' THEN 'given up, its time was over'
			ELSE 'in doubt: ' || h.over END
		|| coalesce(CASE WHEN d.doubt THEN ', relay ' ELSE ' by ' END || d.relay_name, '')
		|| CASE WHEN d.outcome IS NOT NULL AND d.attempt > 1 THEN ' at try ' || d.attempt ELSE '' END
		|| ' (window ' || coalesce(d.place, d.session || '.' || d.n) || ')'
		|| CASE WHEN d.outcome IS NULL AND NOT d.doubt AND d.cause NOT LIKE 'second fact: %'
			THEN ': ' || CASE WHEN d.cause LIKE 'in doubt, not sent again: %'
				THEN 'not sent again: ' || coalesce(d.reply, substr(d.cause, 27)) ELSE d.cause END ELSE '' END
		|| coalesce(', "' || d.answer || '"', '') || coalesce(', queue id ' || d.queue_id, '')
		|| CASE WHEN d.outcome IN ('skipped', 'expired') THEN coalesce(': ' || d.reply, '')
			WHEN d.doubt THEN coalesce(': ' || d.why, '') ELSE '' END
		|| CASE WHEN d.doubt THEN '; decided by ' || d.decided_by ELSE '' END
		|| CASE WHEN d.outcome IS NULL AND d.doubt AND d.cause <> 'in doubt' THEN '; put off to go once more, as the list has it'
			WHEN d.outcome IS NULL AND d.doubt THEN '; it went once more'
			WHEN d.doubt AND d.left_so THEN '; an operator left it at that'
			WHEN d.doubt AND EXISTS (SELECT FROM deferral f WHERE f.issue = d.issue AND f.subscriber = $1::bigint)
				THEN '; an operator has it go once more'
			WHEN d.doubt AND d.after_doubt THEN '; it had gone once more already, so it stays so'
			WHEN d.doubt AND EXISTS (SELECT FROM fact b WHERE b.issue = d.issue AND b.cause LIKE 'in doubt, not sent again%')
				THEN '; it was to go once more'
			WHEN d.doubt AND c.ended_at IS NOT NULL AND (d.lost OR c.doubt <> 'skip')
				THEN '; its issue has ended, so it stays so'
			WHEN d.doubt AND d.lost THEN '; an operator decides (digestctl issue settle ' || d.issue || ')'
			WHEN d.doubt AND c.doubt = 'skip' THEN '; not sent again, as the list has it'
			WHEN d.doubt THEN '; an operator may decide (digestctl issue settle ' || d.issue || ')' ELSE '' END
		|| CASE WHEN d.doubt AND d.outcome IS NOT NULL THEN '; they have it or not'
			WHEN d.outcome = 'delivered' AND d.after_doubt
				THEN '; after a doubt, so they may have it twice, with the same Message-ID'
			WHEN d.cause LIKE 'second fact: delivered' THEN ', so they may have it twice, with the same Message-ID'
			ELSE '' END
		|| CASE WHEN d.late AND NOT d.doubt THEN '; its window was settled by the engine''s next life' ELSE '' END,
		jsonb_build_object('outcome', d.outcome, 'attempt', d.attempt, 'relay', d.relay_name, 'session', d.session,
			'window', d.n, 'host', d.host, 'code', d.code, 'enhanced', d.enhanced, 'cause', d.cause, 'reply', d.reply,
			'reason', d.reply, 'queue_id', d.queue_id, 'variant', d.variant, 'address_no', d.address_no,
			'in_doubt', d.doubt, 'decided_by', d.decided_by, 'policy', CASE WHEN d.doubt THEN c.doubt END,
			'copy_may_exist', d.after_doubt AND d.outcome IS DISTINCT FROM 'skipped'
				OR coalesce(d.cause LIKE 'second fact: delivered', false))
	FROM decided d JOIN chosen c ON c.id = d.issue
	CROSS JOIN LATERAL (SELECT CASE WHEN d.lost THEN 'it may have been handed over'
		ELSE 'handed over, the answer was never seen' END AS over) h
	UNION ALL
	SELECT CASE WHEN f.session IS NULL THEN f.due_at ELSE coalesce(p.taken_at, f.due_at) END, 8, f.tries, 'deferral', f.issue,
		'issue ' || f.issue || ': ' || CASE WHEN c.ended_at IS NOT NULL THEN 'would have been tried again, but it is ' || c.state
			WHEN f.session IS NOT NULL THEN 'is being tried again by the engine on ' || coalesce(p.host, '?') || ' (window '
				|| f.session || '.' || f.n || ')'
			WHEN c.state = 'paused' THEN 'will be tried again, but the issue is paused'
			WHEN f.due_at <= $3::timestamptz THEN 'is due to be tried again' ELSE 'will be tried again' END
		|| ', after ' || f.tries || CASE f.tries WHEN 1 THEN ' try' ELSE ' tries' END || ': ' || f.cause
		|| coalesce(p.gone, ''),
		jsonb_build_object('tries', f.tries, 'doubts', f.doubts, 'cause', f.cause, 'reply', f.reply, 'code', f.code,
			'due_at', f.due_at, 'session', f.session, 'window', f.n, 'host', p.host, 'alive', NOT p.dead)
	FROM chosen c JOIN deferral f ON f.issue = c.id AND f.subscriber = $1::bigint
	LEFT JOIN place p ON p.session = f.session AND p.n = f.n
	UNION ALL
	SELECT coalesce(c.ended_at, $3::timestamptz), 9, c.id, 'waiting', c.id, 'issue ' || c.id || ': ' || CASE
			WHEN r.why_not IS NOT NULL THEN 'nothing was sent: ' || CASE r.why_not WHEN 'paused' THEN 'they pause'
				WHEN 'no topic' THEN 'none of their topics is in it' WHEN 'expired' THEN 'its time is over'
				WHEN 'unsubscribed' THEN 'not an active reader' WHEN 'moved' THEN 'they moved to another edition'
				ELSE r.why_not END
			WHEN c.joined_gen > c.gen THEN 'nothing was sent: they had left, and came back as new readers'
			WHEN c.state = 'done' THEN 'nothing was sent: at their turn they weren''t to be sent to'
			WHEN c.ended_at IS NOT NULL THEN 'nothing was sent: it was ' || c.state || ' before their turn'
			WHEN c.state <> 'open' THEN 'waits: the issue is ' || c.state || CASE WHEN n.cursor < $1::bigint AND NOT n.eaten
				THEN ' (lane ' || n.zone || ', ' || n.provider || ', behind reader ' || n.cursor || ')' ELSE '' END
			WHEN n.issue IS NULL OR n.eaten OR n.cursor >= $1::bigint OR c.placed_gen > c.gen
				THEN 'waits for the end of the issue, which looks for those who changed lanes'
			WHEN n.not_before > $3::timestamptz THEN 'waits for ' || to_char(n.not_before AT TIME ZONE n.zone,
				'YYYY-MM-DD HH24:MI') || ' in ' || n.zone
			ELSE 'waits for its turn (lane ' || n.zone || ', ' || n.provider || ') behind reader ' || n.cursor
				|| ' of ' || $1::bigint END,
		jsonb_build_object('why_not', r.why_not, 'state', c.state, 'zone', n.zone, 'provider', n.provider,
			'cursor', n.cursor, 'not_before', n.not_before)
	FROM chosen c
	CROSS JOIN LATERAL issue_readers(c.id, ARRAY[$1::bigint], $3::timestamptz) r
	LEFT JOIN lane n ON n.issue = c.id AND n.zone = c.zone AND n.provider = c.provider
	WHERE c.then_edition = c.edition AND (c.then_status = 'active' OR c.then_status = 'unsubscribed' AND c.undone)
		AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.issue = c.id AND d.subscriber = $1::bigint)
		AND NOT EXISTS (SELECT 1 FROM deferral d WHERE d.issue = c.id AND d.subscriber = $1::bigint)
		AND NOT EXISTS (SELECT 1 FROM held h WHERE h.issue = c.id)
)
SELECT at, kind, issue, text, detail FROM line
	WHERE $2::bigint IS NULL OR issue = $2::bigint OR kind = 'subscription'
	ORDER BY at, step, seq
