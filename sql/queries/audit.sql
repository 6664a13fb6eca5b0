-- digestctl issue audit: the sums of an issue, reader by reader.
--
-- Who its readers are is computed from subscription_event alone, by nothing that the queue goes by:
-- neither the stamps of subscriptions nor a function of the takes. What is there of each reader
-- (delivery, deferral, open window) or why nothing is (their events since, their lane's cursor)
-- gives each of them one class; whoever fits in none is wrong.

-- name: audit_begin
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: audit_plan
-- For this transaction. Sorts and joins of a million readers stay in memory; and they are joins of
-- whole tables, whatever statistics that are older than the issue make of its rows.
SELECT set_config('work_mem', '256MB', true), set_config('jit', 'off', true),
	set_config('enable_nestloop', 'off', true)

-- name: audit_issue_find
SELECT i.id AS issue, i.uid, l.name || '/' || e.name AS edition, i.gen, i.state::text AS state, i.opened_at,
		i.ended_at, i.expires_at
	FROM issue i JOIN edition e ON e.id = i.edition JOIN list l ON l.id = i.list WHERE i.id = $1::bigint

-- name: audit_issue_newest
SELECT max(id) AS issue FROM issue WHERE edition = $1::int

-- name: audit_issue
-- Of issue $1 at $2: a row for each class of readers and reason, and (subscriber not NULL) for each
-- reader who is wrong, at most $3 of them (NULL: all). audience: belongs to the sum.
WITH i AS MATERIALIZED (
	SELECT id, list, edition, gen, state, topics, for_all, opened_at, opened_event,
		CASE WHEN ended_at IS NULL THEN 9223372036854775807 ELSE coalesce(ended_event, 9223372036854775807) END
			AS until, ended_at IS NOT NULL AS ended
	FROM issue WHERE id = $1::bigint
), opening AS (
	-- As they stood when it opened.
	SELECT DISTINCT ON (v.subscriber) v.subscriber, v.edition, v.status
	FROM subscription_event v
	WHERE v.list = (SELECT list FROM i) AND v.id <= (SELECT opened_event FROM i) AND v.kind <> 'suppress'
	ORDER BY v.subscriber, v.id DESC
), since AS (
	-- What they did between its opening and its end. Who took leaving back before it ended is one of
	-- its readers again, though they had left before it opened.
	SELECT v.subscriber, bool_or(v.edition <> (SELECT edition FROM i)) AS moved,
		bool_or(v.status <> 'active') AS left, bool_or(v.kind = 'undo') AS undone,
		bool_or(v.kind IN ('topics', 'import', 'join', 'confirm')) AS retold,
		bool_or(v.kind = 'pause') AS paused, bool_or(v.kind = 'erase') AS erased
	FROM subscription_event v
	WHERE v.list = (SELECT list FROM i) AND v.id > (SELECT opened_event FROM i)
		AND v.id <= (SELECT until FROM i)
	GROUP BY v.subscriber
), member AS (
	SELECT o.subscriber, o.status = 'active' AS there, coalesce(s.moved, false) AS moved,
		coalesce(s.left, false) OR o.status <> 'active' AS left, coalesce(s.retold, false) AS retold,
		coalesce(s.paused, false) AS paused, coalesce(s.erased, false) AS erased
	FROM opening o LEFT JOIN since s USING (subscriber)
	WHERE o.edition = (SELECT edition FROM i)
		AND (o.status = 'active' OR o.status = 'unsubscribed' AND s.undone)
), holder AS (
	-- Open windows, by reader. One that has put a reader off, or recorded an end, is done with them.
	SELECT m.subscriber, array_agg(w.session ORDER BY w.session, w.n) AS sessions,
		array_agg(w.n ORDER BY w.session, w.n) AS numbers
	FROM send_window w CROSS JOIN LATERAL unnest(w.members) m (subscriber)
	WHERE w.issue = $1::bigint AND w.settled_at IS NULL
	GROUP BY m.subscriber
), record AS (
	SELECT coalesce(d.subscriber, f.subscriber, h.subscriber) AS subscriber, d.outcome, d.reason,
		d.session AS by_session, d.n AS by_n, f.subscriber IS NOT NULL AS put_off, f.session AS held_session,
		f.n AS held_n, h.sessions, h.numbers
	FROM (SELECT * FROM delivery WHERE issue = $1::bigint) d
	FULL JOIN (SELECT * FROM deferral WHERE issue = $1::bigint) f ON f.subscriber = d.subscriber
	FULL JOIN holder h ON h.subscriber = coalesce(d.subscriber, f.subscriber)
), recorded AS (
	-- Of whom there is a record.
	SELECT r.subscriber, m.subscriber IS NOT NULL AS audience, CASE
		WHEN x.fault IS NOT NULL THEN 'wrong'
		WHEN r.outcome = 'skipped' AND r.reason LIKE '%cancelled' THEN 'cancelled'
		WHEN r.outcome <> 'in_doubt' THEN r.outcome::text
		WHEN h.held THEN 'window'
		WHEN r.outcome = 'in_doubt' AND (NOT r.put_off OR i.ended) THEN 'in_doubt'
		WHEN r.put_off AND i.ended THEN 'cancelled'
		WHEN r.put_off THEN 'deferred'
		ELSE 'window'
		END AS class,
		coalesce(x.fault, CASE WHEN r.outcome = 'skipped' THEN coalesce(r.reason, 'no reason kept') END) AS reason,
		CASE WHEN x.fault IS NOT NULL THEN concat_ws(', ',
			CASE WHEN r.outcome IS NOT NULL THEN r.outcome || ' by window ' || r.by_session || '.' || r.by_n END,
			CASE WHEN r.put_off THEN 'put off' || coalesce(', held by window ' || r.held_session || '.' || r.held_n, '') END,
			CASE WHEN r.sessions IS NOT NULL THEN 'taken by window ' || (SELECT string_agg(s || '.' || n, ', ')
				FROM unnest(r.sessions, r.numbers) u (s, n)) END) END AS found
	FROM i CROSS JOIN record r
	LEFT JOIN member m ON m.subscriber = r.subscriber
	CROSS JOIN LATERAL (SELECT
		r.held_session IS NOT NULL AND r.sessions IS NOT NULL
			AND (r.held_session, r.held_n) IN (SELECT * FROM unnest(r.sessions, r.numbers)) AS held,
		-- Ended by a window that isn't a retry, and taken by another all the same.
		r.sessions IS NOT NULL AND r.outcome IS NOT NULL AND NOT r.put_off
			AND (r.by_session, r.by_n) NOT IN (SELECT * FROM unnest(r.sessions, r.numbers))
			AND EXISTS (SELECT FROM send_window w
				WHERE (w.session, w.n) = (r.by_session, r.by_n) AND w.kind <> 'retry') AS again
		) h
	CROSS JOIN LATERAL (SELECT CASE
		WHEN m.subscriber IS NOT NULL AND NOT r.put_off AND r.sessions IS NULL THEN NULL -- nearly all
		WHEN m.subscriber IS NULL THEN 'not one of its readers'
		WHEN r.held_session IS NOT NULL AND NOT h.held THEN 'held by a window that is not open'
		WHEN r.outcome <> 'in_doubt' AND r.put_off AND NOT h.held THEN 'ended, and waits to be sent to again'
		WHEN r.put_off AND i.ended AND i.state <> 'cancelled' THEN 'put off, and the issue has ended'
		WHEN h.again THEN 'ended, and taken again'
		WHEN r.outcome IS NULL AND NOT r.put_off AND cardinality(r.sessions) > 1 THEN 'in two open windows at once'
		END AS fault) x
), absent AS (
	-- Of whom there is none, with what they and their lane are now.
	SELECT m.*, p.id IS NOT NULL AS exists, s.subscriber IS NOT NULL AS subscribed, s.zone, s.provider,
		p.suppressed_at IS NOT NULL AND NOT (i.ended AND EXISTS (SELECT FROM subscription_event v
			WHERE v.subscriber = m.subscriber AND v.list = i.list AND v.kind = 'suppress' AND v.id > i.until))
			AS suppressed,
		coalesce(s.paused_until > $2::timestamptz, false) AS pausing,
		m.paused OR s.paused_until > i.opened_at AS has_paused,
		NOT (i.for_all OR s.topics = '{}' OR s.topics && i.topics) AS unmeant,
		s.status = 'active' AND s.edition = i.edition AND s.joined_gen <= i.gen AS reads,
		s.placed_gen > i.gen AS placed, l.issue IS NOT NULL AS has_lane,
		l.eaten OR l.cursor >= m.subscriber AS passed, l.cursor, l.eaten, i.state, i.ended, i.for_all
	FROM i CROSS JOIN member m
	LEFT JOIN subscriber p ON p.id = m.subscriber
	LEFT JOIN subscription s ON s.list = i.list AND s.subscriber = m.subscriber
	LEFT JOIN lane l ON l.issue = i.id AND l.zone = s.zone AND l.provider = s.provider
	WHERE NOT EXISTS (SELECT FROM record r WHERE r.subscriber = m.subscriber)
), missing AS (
	SELECT a.subscriber, CASE
		WHEN x.lost THEN 'wrong'
		WHEN x.awaits IS NOT NULL THEN 'waiting'
		WHEN x.excuse = 'left' THEN 'left'
		WHEN x.excuse IS NOT NULL THEN 'skipped'
		WHEN a.state IN ('cancelled', 'expired') AND (a.placed OR NOT a.passed) THEN a.state::text
		ELSE 'wrong'
		END AS class, CASE
		WHEN x.lost THEN 'their subscription is gone'
		WHEN coalesce(x.awaits, x.excuse) IS NOT NULL THEN coalesce(x.awaits, x.excuse)
		WHEN NOT (a.has_lane OR a.placed) THEN 'no lane leads to them'
		WHEN a.passed OR a.state = 'done' THEN 'passed over'
		WHEN NOT a.ended THEN 'not what their events say'
		END AS reason,
		'nothing' || CASE WHEN a.eaten THEN '; lane ' || a.zone || ', ' || a.provider || ' is all taken'
			ELSE coalesce('; lane ' || a.zone || ', ' || a.provider || ' is at reader ' || a.cursor, '') END AS found
	FROM absent a
	CROSS JOIN LATERAL (SELECT a.exists AND NOT a.subscribed AND NOT a.erased AS lost, CASE
		WHEN NOT a.ended AND a.reads AND NOT (a.suppressed OR a.pausing OR a.unmeant) THEN CASE
			WHEN a.placed THEN 'for the end of the issue'
			WHEN NOT a.passed THEN 'for their turn in a lane' END
		END AS awaits, CASE
		WHEN a.erased OR NOT a.exists THEN 'erased'
		WHEN a.suppressed THEN 'suppressed'
		WHEN a.moved THEN 'moved'
		WHEN a.left THEN 'left'
		WHEN a.unmeant OR a.retold AND NOT a.for_all THEN 'no topic'
		WHEN a.pausing OR a.has_paused THEN 'paused'
		END AS excuse) x
), reader AS MATERIALIZED (
	SELECT subscriber, audience, class, reason, found FROM recorded
	UNION ALL
	SELECT subscriber, true, class, reason, found FROM missing
), wrong AS (
	SELECT subscriber, audience, reason, found FROM reader WHERE class = 'wrong'
	ORDER BY subscriber LIMIT $3::bigint
)
SELECT r.class, CASE WHEN r.class IN ('skipped', 'waiting', 'wrong') THEN r.reason END AS reason, r.audience,
		count(*) AS readers, NULL::bigint AS subscriber, NULL::text AS email, NULL::text AS expected, NULL::text AS found
	FROM reader r GROUP BY 1, 2, 3
UNION ALL
SELECT 'wrong', w.reason, w.audience, 1, w.subscriber, p.email,
		CASE w.reason
		WHEN 'not one of its readers' THEN 'nothing'
		WHEN 'held by a window that is not open' THEN 'an open window that holds them'
		WHEN 'ended, and waits to be sent to again' THEN 'their end alone'
		WHEN 'ended, and taken again' THEN 'their end alone'
		WHEN 'put off, and the issue has ended' THEN 'an end'
		WHEN 'in two open windows at once' THEN 'one open window'
		WHEN 'their subscription is gone' THEN 'a subscription'
		WHEN 'no lane leads to them' THEN 'a lane, or an end'
		ELSE 'an end, or why there is none' END, w.found
	FROM wrong w LEFT JOIN subscriber p ON p.id = w.subscriber
	ORDER BY 5 NULLS FIRST, 1, 2
