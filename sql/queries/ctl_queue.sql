-- digestctl queue

-- name: ctl_queue_issues
-- Issues that haven't ended, and what each waits for.
SELECT i.id AS issue, l.name || '/' || e.name AS edition, i.state::text AS state, i.expires_at, w.*, d.*, n.*,
		CASE
		WHEN i.state <> 'open' THEN i.state::text
		WHEN NOT EXISTS (SELECT 1 FROM session WHERE NOT dead) THEN 'no engine runs'
		WHEN w.living > 0 OR n.lanes_due > 0 THEN 'being sent'
		WHEN n.lanes_left > 0 THEN 'other zones from ' || to_char(n.lanes_from AT TIME ZONE 'UTC', 'DD Mon HH24:MI "UTC"')
		WHEN d.deferred > 0 THEN 'next try ' || to_char(d.next_try AT TIME ZONE 'UTC', 'DD Mon HH24:MI:SS "UTC"')
		WHEN w.in_flight > 0 THEN 'held by an engine that is away'
		WHEN EXISTS (SELECT FROM issue_doubts(i.id) t JOIN delivery v ON v.issue = i.id AND v.subscriber = t.subscriber
			WHERE v.reason LIKE 'in doubt, held:%') THEN 'in doubt: see issue settle'
		ELSE 'about to end'
		END AS why
	FROM issue i JOIN edition e ON e.id = i.edition JOIN list l ON l.id = i.list
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(o.delivered + o.refused + o.expired + o.skipped + o.in_doubt), 0)::bigint AS ended_readers,
			coalesce(sum(o.size) FILTER (WHERE o.settled_at IS NULL), 0)::bigint AS in_flight,
			count(*) FILTER (WHERE o.settled_at IS NULL AND NOT s.dead) AS living
		FROM send_window o JOIN session s ON s.id = o.session WHERE o.issue = i.id) w
	CROSS JOIN LATERAL (
		SELECT count(*) AS deferred, min(due_at) AS next_try FROM deferral
		WHERE issue = i.id AND session IS NULL) d
	CROSS JOIN LATERAL (
		SELECT count(*) FILTER (WHERE NOT eaten) AS lanes_left,
			count(*) FILTER (WHERE NOT eaten AND not_before <= $2::timestamptz) AS lanes_due,
			min(not_before) FILTER (WHERE NOT eaten AND not_before > $2::timestamptz) AS lanes_from
		FROM lane WHERE issue = i.id) n
	WHERE i.ended_at IS NULL AND ($1::bigint IS NULL OR i.id = $1::bigint)
	ORDER BY i.id

-- name: ctl_queue_windows
-- What engines hold, by engine and issue.
SELECT e.id AS engine, e.host, w.kind::text AS kind, w.issue, count(*) AS windows, sum(w.size)::bigint AS readers,
		min(w.taken_at) AS oldest, bool_or(NOT s.dead) AS alive
	FROM send_window w JOIN engine e ON e.id = w.engine JOIN session s ON s.id = w.session
	WHERE w.settled_at IS NULL AND ($1::bigint IS NULL OR w.issue = $1::bigint)
	GROUP BY e.id, e.host, w.kind, w.issue ORDER BY e.id, w.issue, w.kind

-- name: ctl_queue_deferrals
SELECT d.issue, d.provider, d.cause, count(*) AS readers, count(*) FILTER (WHERE d.session IS NOT NULL) AS held,
		min(d.due_at) FILTER (WHERE d.session IS NULL) AS next_try,
		(array_agg(concat_ws(' ', d.code, d.enhanced, d.reply) ORDER BY d.due_at DESC) FILTER (WHERE d.reply IS NOT NULL))[1] AS reply
	FROM issue i JOIN deferral d ON d.issue = i.id
	WHERE i.ended_at IS NULL AND ($1::bigint IS NULL OR i.id = $1::bigint)
	GROUP BY d.issue, d.provider, d.cause ORDER BY d.issue, count(*) DESC, d.provider, d.cause

-- name: ctl_queue_letters
SELECT t.kind::text AS kind, count(*) AS letters, count(*) FILTER (WHERE t.session IS NOT NULL) AS held,
		min(t.due_at) FILTER (WHERE t.session IS NULL) AS due,
		(array_agg(t.reason ORDER BY t.due_at DESC) FILTER (WHERE t.reason IS NOT NULL))[1] AS reason
	FROM letter t WHERE t.outcome IS NULL GROUP BY t.kind ORDER BY t.kind

-- name: ctl_queue_breakers
SELECT r.name AS relay, l.provider, l.open_until, l.failures, l.reason
	FROM relay_lane l JOIN relay r ON r.id = l.relay WHERE l.open_until > $1::timestamptz
	ORDER BY r.name, l.provider

-- name: ctl_queue_lanes
SELECT n.issue, n.zone, n.provider, n.not_before
	FROM issue i JOIN lane n ON n.issue = i.id
	WHERE i.ended_at IS NULL AND NOT n.eaten AND n.not_before > $2::timestamptz
		AND ($1::bigint IS NULL OR i.id = $1::bigint)
	ORDER BY n.not_before, n.issue, n.zone, n.provider LIMIT 100
