-- digestctl db check, and the part of issue audit that isn't about readers one by one: an invariant
-- a statement, each of which returns the rows that break it: what, who, detail. $1 is an issue where
-- a statement has it, NULL for all of them.

-- name: check_sizes
-- How many rows there are to look at. $1: of one issue, where rows are an issue's.
SELECT (SELECT count(*) FROM subscription) AS subscriptions, (SELECT count(*) FROM subscriber) AS subscribers,
	(SELECT count(*) FROM subscription_event) AS events, (SELECT count(*) FROM edition) AS editions,
	(SELECT count(*) FROM issue WHERE id = coalesce($1::bigint, id)) AS issues,
	(SELECT count(*) FROM issue_article) AS articles,
	(SELECT count(*) FROM lane WHERE issue = coalesce($1::bigint, issue)) AS lanes,
	(SELECT count(*) FROM send_window WHERE $1::bigint IS NULL OR issue = $1::bigint) AS windows,
	(SELECT count(*) FROM delivery WHERE $1::bigint IS NULL OR issue = $1::bigint) AS deliveries,
	(SELECT count(*) FROM attempt WHERE $1::bigint IS NULL OR issue = $1::bigint) AS attempts,
	(SELECT count(*) FROM deferral WHERE $1::bigint IS NULL OR issue = $1::bigint) AS deferrals,
	(SELECT count(*) FROM letter) AS letters, (SELECT count(*) FROM engine) AS engines,
	(SELECT count(*) FROM session) AS sessions,
	(SELECT count(*) FROM pg_inherits WHERE inhparent IN ('delivery'::regclass, 'attempt'::regclass)) AS partitions

-- ---- who gets an issue --------------------------------------------------------------------------

-- name: check_stamps
-- A reader's stamps are gens that their edition has come to; they joined before they were placed.
SELECT 'a stamp above its edition''s gen' AS what, coalesce(p.email, 'reader ' || s.subscriber) AS who,
		format('joined at gen %s, placed at %s; %s/%s is at %s', s.joined_gen, s.placed_gen, l.name, e.name, e.gen)
			AS detail
	FROM subscription s JOIN edition e ON e.id = s.edition JOIN list l ON l.id = e.list
	LEFT JOIN subscriber p ON p.id = s.subscriber
	WHERE s.placed_gen > e.gen OR s.joined_gen > s.placed_gen

-- name: check_stamps_events
-- An active reader's stamps are those that their events gave: they joined when they came to the
-- edition or became active there, and were placed then or at a later change of zone, provider or
-- address, or when they took leaving back.
WITH step AS (
	SELECT v.list, v.subscriber, v.id, v.gen,
		v.edition IS DISTINCT FROM lag(v.edition) OVER w OR v.kind IN ('join', 'confirm', 'import')
			AND v.status = 'active' AND v.status_before IS DISTINCT FROM 'active' AS joins,
		v.kind IN ('undo', 'address') OR v.zone IS DISTINCT FROM lag(v.zone) OVER w AS moves
	FROM subscription_event v WHERE v.kind <> 'suppress'
	WINDOW w AS (PARTITION BY v.list, v.subscriber ORDER BY v.id)
), stamp AS (
	-- The gen of the last event of each kind: the highest of pairs that begin with its id.
	SELECT list, subscriber, (max(ARRAY[id, gen]) FILTER (WHERE joins))[2] AS joined_gen,
		(max(ARRAY[id, gen]) FILTER (WHERE joins OR moves))[2] AS placed_gen, (max(ARRAY[id, gen]))[2] AS last_gen
	FROM step GROUP BY list, subscriber
)
SELECT 'stamps that no event gave' AS what, coalesce(p.email, 'reader ' || s.subscriber) AS who,
		format('joined at gen %s, placed at %s; by the events %s and %s', s.joined_gen, s.placed_gen, t.joined_gen,
			t.placed_gen) AS detail
	FROM subscription s JOIN stamp t ON t.list = s.list AND t.subscriber = s.subscriber
	LEFT JOIN subscriber p ON p.id = s.subscriber
	WHERE s.status = 'active' AND (s.joined_gen <> t.joined_gen OR s.placed_gen < t.placed_gen
		OR s.placed_gen > t.last_gen)

-- name: check_events
-- A subscription is what its events lead to: status, edition, zone. It outlives none of them, and is
-- gone only when its reader was erased.
WITH last AS (
	SELECT DISTINCT ON (v.list, v.subscriber) v.list, v.subscriber, v.kind, v.status, v.edition, v.zone
	FROM subscription_event v WHERE v.kind <> 'suppress'
	ORDER BY v.list, v.subscriber, v.id DESC
)
SELECT CASE WHEN v.subscriber IS NULL THEN 'a subscription without events'
		WHEN s.subscriber IS NULL THEN 'events whose subscription is gone'
		ELSE 'a subscription that isn''t what its events lead to' END AS what,
		coalesce(p.email, 'reader ' || coalesce(s.subscriber, v.subscriber)) AS who,
		CASE WHEN v.subscriber IS NULL THEN 'is ' || s.status
		WHEN s.subscriber IS NULL THEN 'would be ' || v.status
		ELSE format('%s of edition %s in %s, by the events %s of edition %s in %s', s.status, s.edition, s.zone,
			v.status, v.edition, v.zone) END AS detail
	FROM last v FULL JOIN subscription s ON s.list = v.list AND s.subscriber = v.subscriber
	LEFT JOIN subscriber p ON p.id = coalesce(s.subscriber, v.subscriber)
	WHERE CASE WHEN v.subscriber IS NULL THEN true
		WHEN s.subscriber IS NULL THEN p.id IS NOT NULL AND v.kind <> 'erase'
		ELSE (s.status, s.edition, s.zone) IS DISTINCT FROM (v.status, v.edition, v.zone) END

-- name: check_event_chain
-- Each event begins where the one before it ended: none is missing between them.
WITH step AS (
	SELECT v.id, v.subscriber, v.kind, v.status_before, v.zone_before, lag(v.status) OVER w AS status,
		lag(v.zone) OVER w AS zone
	FROM subscription_event v WHERE v.kind <> 'suppress'
	WINDOW w AS (PARTITION BY v.list, v.subscriber ORDER BY v.id)
)
SELECT 'an event that doesn''t follow from the one before' AS what,
		coalesce(p.email, 'reader ' || v.subscriber) AS who,
		format('event %s (%s) begins at %s in %s, the one before ended at %s in %s', v.id, v.kind,
			coalesce(v.status_before::text, 'nothing'), coalesce(v.zone_before, 'no zone'),
			coalesce(v.status::text, 'nothing'), coalesce(v.zone, 'no zone')) AS detail
	FROM step v LEFT JOIN subscriber p ON p.id = v.subscriber
	WHERE (v.status_before, v.zone_before) IS DISTINCT FROM (v.status, v.zone)

-- name: check_event_gens
-- The gens of an edition's events rise with their ids, up to the edition's own; and the opening of an
-- issue parts them. (Suppressions don't hold the edition.)
WITH step AS (
	SELECT edition, gen, min(id) AS first, max(id) AS last FROM subscription_event
	WHERE kind <> 'suppress' GROUP BY edition, gen
), ordered AS (
	SELECT s.*, max(s.last) OVER (PARTITION BY s.edition ORDER BY s.gen
		ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
	FROM step s
)
SELECT 'events whose gens are not in order' AS what, 'edition ' || o.edition AS who,
		format('event %s has gen %s, event %s a lower one', o.first, o.gen, o.before) AS detail
	FROM ordered o WHERE o.before > o.first
UNION ALL
SELECT 'an event above its edition''s gen', 'edition ' || s.edition,
		format('event %s has gen %s, the edition is at %s', s.last, s.gen, coalesce(e.gen::text, 'none'))
	FROM step s LEFT JOIN edition e ON e.id = s.edition WHERE e.gen IS NULL OR s.gen > e.gen
UNION ALL
SELECT 'an opening that doesn''t part its edition''s events', 'issue ' || i.id,
		format('it opened at gen %s after event %s; events %s to %s have gen %s', i.gen, i.opened_event, s.first,
			s.last, s.gen)
	FROM issue i JOIN step s ON s.edition = i.edition
	WHERE i.state <> 'draft' AND CASE WHEN s.gen <= i.gen THEN s.last > i.opened_event
		ELSE s.first <= i.opened_event END

-- name: check_provider
-- A reader stands with the provider group of their address's domain.
SELECT 'a reader with another''s provider group' AS what, p.email AS who,
		format('stands with %s, the domain belongs to %s', s.provider, coalesce(d.provider::text, 'other')) AS detail
	FROM subscription s JOIN subscriber p ON p.id = s.subscriber
	LEFT JOIN provider_domain d ON d.domain = p.domain
	WHERE s.provider <> coalesce(d.provider::text, 'other')

-- name: check_suppression
-- Who is suppressed is so by address and as a reader: neither without the other.
WITH never AS MATERIALIZED (
	SELECT norm FROM suppressed_among(ARRAY(SELECT p.email_norm::text FROM subscriber p
		WHERE p.suppressed_at IS NOT NULL OR EXISTS (SELECT FROM suppression))) norm
)
SELECT CASE WHEN p.suppressed_at IS NULL THEN 'a suppressed address that may be mailed'
		ELSE 'a suppressed reader whose address isn''t' END AS what, p.email AS who,
		CASE WHEN p.suppressed_at IS NULL THEN 'suppressed_at is empty' ELSE 'suppressed ' || p.suppressed_at END AS detail
	FROM subscriber p LEFT JOIN never n ON n.norm = p.email_norm
	WHERE (p.suppressed_at IS NULL) <> (n.norm IS NULL)

-- ---- issues ------------------------------------------------------------------------------------

-- name: check_issue_once
-- An occurrence of an edition opens once, at a gen of its own below the edition's, with a uid of its
-- own.
WITH twin AS (
	SELECT i.*, count(*) OVER (PARTITION BY i.edition, i.occurrence) AS occurrences,
		count(*) OVER (PARTITION BY i.uid) AS uids, count(*) OVER (PARTITION BY i.edition, i.gen) AS gens
	FROM issue i WHERE i.state <> 'draft'
)
SELECT CASE WHEN t.occurrences > 1 THEN 'an occurrence that opened twice' WHEN t.uids > 1 THEN 'a uid of two issues'
		WHEN t.gens > 1 THEN 'two issues at one gen' ELSE 'an issue that didn''t raise the gen' END AS what,
		'issue ' || t.id AS who, format('%s, gen %s; the edition is at %s', t.uid, t.gen, e.gen) AS detail
	FROM twin t JOIN edition e ON e.id = t.edition
	WHERE t.occurrences > 1 OR t.uids > 1 OR t.gens > 1 OR t.gen >= e.gen

-- name: check_articles
-- An edition uses a revision of an article once; an issue's articles are those of its content.
SELECT 'an article that an edition used twice' AS what,
		format('article %s, revision %s', a.article, a.revision) AS who,
		'issues ' || string_agg(a.issue::text, ', ' ORDER BY a.issue) AS detail
	FROM issue_article a GROUP BY a.edition, a.article, a.revision HAVING count(*) > 1
UNION ALL
SELECT 'an issue whose content has other articles', 'issue ' || i.id,
		format('%s in its content, %s recorded', jsonb_array_length(i.content -> 'articles'), a.n)
	FROM issue i CROSS JOIN LATERAL (
		SELECT count(*) AS n, bool_and(x.edition = i.edition AND i.content -> 'articles'
			@> jsonb_build_array(jsonb_build_object('id', x.article))) AS same
		FROM issue_article x WHERE x.issue = i.id) a
	WHERE i.state <> 'draft' AND (NOT coalesce(a.same, true)
		OR a.n <> jsonb_array_length(coalesce(i.content -> 'articles', '[]')))

-- name: check_issue_state
-- An issue that has ended says when. Done: all its lanes are eaten. Done or expired: nobody is put
-- off or being sent to.
SELECT 'an issue whose end and state differ' AS what, 'issue ' || i.id AS who,
		format('%s, ended %s', i.state, coalesce(i.ended_at::text, 'never')) AS detail
	FROM issue i WHERE ($1::bigint IS NULL OR i.id = $1::bigint)
		AND (i.ended_at IS NOT NULL) <> (i.state IN ('cancelled', 'expired', 'done'))
UNION ALL
SELECT 'a done issue with lanes left', 'issue ' || i.id, format('lane %s, %s is not all taken', l.zone, l.provider)
	FROM issue i JOIN lane l ON l.issue = i.id AND NOT l.eaten
	WHERE i.state = 'done' AND ($1::bigint IS NULL OR i.id = $1::bigint)
UNION ALL
SELECT 'an issue that ended with readers put off', 'issue ' || i.id, format('%s, with %s put off', i.state, count(*))
	FROM issue i JOIN deferral f ON f.issue = i.id
	WHERE i.state IN ('done', 'expired') AND ($1::bigint IS NULL OR i.id = $1::bigint) GROUP BY i.id
UNION ALL
SELECT 'an issue that ended with a window open', 'issue ' || i.id, format('%s, with window %s.%s open', i.state,
		w.session, w.n)
	FROM issue i JOIN send_window w ON w.issue = i.id AND w.settled_at IS NULL
	WHERE i.state IN ('done', 'expired') AND ($1::bigint IS NULL OR i.id = $1::bigint)

-- name: check_issue_takes
-- Nothing is taken of an issue that is paused or has ended, but by a window that is settled at once: it
-- ends what a cancelled issue left put off.
SELECT CASE WHEN i.ended_at IS NULL THEN 'a paused issue that was taken of' ELSE 'an ended issue that was taken of' END
		AS what, 'issue ' || i.id AS who,
		format('%s windows when it was held, %s now', i.held_windows, w.windows) AS detail
	FROM issue i CROSS JOIN LATERAL (SELECT count(*) AS windows FROM send_window w
		WHERE w.issue = i.id AND w.settled_at IS DISTINCT FROM w.taken_at) w
	WHERE i.held_windows <> w.windows AND ($1::bigint IS NULL OR i.id = $1::bigint)

-- name: check_lanes
-- A lane's cursor is at or beyond everybody whom a fresh window took from it. Who moved between lanes
-- since tells nothing.
WITH fresh AS (
	SELECT w.issue, d.subscriber FROM delivery d
	JOIN send_window w ON w.session = d.session AND w.n = d.n AND w.issue = d.issue AND w.kind = 'fresh'
	WHERE $1::bigint IS NULL OR d.issue = $1::bigint
	UNION ALL
	SELECT w.issue, m FROM send_window w CROSS JOIN LATERAL unnest(w.members) m
	WHERE w.kind = 'fresh' AND w.settled_at IS NULL AND ($1::bigint IS NULL OR w.issue = $1::bigint)
)
SELECT 'a lane whose cursor is behind a reader' AS what, 'reader ' || max(f.subscriber) AS who,
		format('lane %s, %s of issue %s is at %s: %s readers beyond it were taken', l.zone, l.provider, l.issue,
			l.cursor, count(*)) AS detail
	FROM fresh f JOIN issue i ON i.id = f.issue
	JOIN subscription s ON s.list = i.list AND s.subscriber = f.subscriber AND s.edition = i.edition
		AND s.placed_gen <= i.gen
	JOIN lane l ON l.issue = i.id AND l.zone = s.zone AND l.provider = s.provider
	WHERE l.cursor < f.subscriber GROUP BY l.issue, l.zone, l.provider, l.cursor

-- ---- windows -----------------------------------------------------------------------------------

-- name: check_windows
-- A window is its session's engine's; while it is open it has its members, afterwards their counts.
SELECT 'a window that is not whole' AS what, format('window %s.%s', w.session, w.n) AS who,
		CASE WHEN s.id IS NULL THEN 'its session is gone'
		WHEN s.engine <> w.engine THEN format('of engine %s, its session is of engine %s', w.engine, s.engine)
		WHEN w.settled_at IS NULL THEN format('%s members of %s', coalesce(cardinality(w.members), 0), w.size)
		ELSE format('%s counted of %s', w.delivered + w.refused + w.expired + w.skipped + w.in_doubt + w.deferred, w.size)
		END AS detail
	FROM send_window w LEFT JOIN session s ON s.id = w.session
	WHERE ($1::bigint IS NULL OR w.issue = $1::bigint) AND (s.id IS NULL OR s.engine <> w.engine
		OR w.settled_at IS NULL AND coalesce(cardinality(w.members), 0) <> w.size
		OR w.settled_at IS NOT NULL AND (w.members IS NOT NULL
			OR w.delivered + w.refused + w.expired + w.skipped + w.in_doubt + w.deferred <> w.size))

-- name: check_window_takes
-- A session that is dead takes nothing.
SELECT 'a window that a dead session took' AS what, format('window %s.%s', w.session, w.n) AS who,
		format('its session was dead after window %s', s.last_window) AS detail
	FROM send_window w JOIN session s ON s.id = w.session
	WHERE s.dead AND w.n > s.last_window AND ($1::bigint IS NULL OR w.issue = $1::bigint)

-- name: check_window_orphans
-- No window of an engine that was retired stays open: another engine settles it.
SELECT 'an open window of a retired engine' AS what, format('window %s.%s', w.session, w.n) AS who,
		format('%s readers, engine %s on %s', w.size, e.id, e.host) AS detail
	FROM send_window w JOIN engine e ON e.id = w.engine JOIN session s ON s.id = w.session
	WHERE w.settled_at IS NULL AND e.retired_at IS NOT NULL AND s.dead
		AND ($1::bigint IS NULL OR w.issue = $1::bigint)

-- name: check_window_members
-- Nobody is in two open windows of an issue, but for one that has put them off (another took them
-- again) or has recorded their end.
WITH member AS (
	SELECT w.issue, w.session, w.n, m AS subscriber
	FROM send_window w CROSS JOIN LATERAL unnest(w.members) m
	WHERE w.settled_at IS NULL AND w.issue IS NOT NULL AND ($1::bigint IS NULL OR w.issue = $1::bigint)
), claim AS (
	SELECT m.* FROM member m
	WHERE NOT EXISTS (SELECT FROM deferral f WHERE f.issue = m.issue AND f.subscriber = m.subscriber
			AND (f.session, f.n) IS DISTINCT FROM (m.session, m.n))
		AND NOT EXISTS (SELECT FROM delivery d WHERE d.issue = m.issue AND d.subscriber = m.subscriber
			AND d.outcome <> 'in_doubt')
)
SELECT 'a reader in two open windows' AS what, coalesce(p.email, 'reader ' || c.subscriber) AS who,
		format('issue %s: windows %s', c.issue, c.windows) AS detail
	FROM (SELECT issue, subscriber, string_agg(session || '.' || n, ', ' ORDER BY session, n) AS windows
		FROM claim GROUP BY issue, subscriber HAVING count(*) > 1) c
	LEFT JOIN subscriber p ON p.id = c.subscriber
UNION ALL
SELECT 'a reader twice in a window', coalesce(p.email, 'reader ' || m.subscriber),
		format('issue %s: window %s.%s', m.issue, m.session, m.n)
	FROM (SELECT issue, session, n, subscriber FROM member GROUP BY 1, 2, 3, 4 HAVING count(*) > 1) m
	LEFT JOIN subscriber p ON p.id = m.subscriber

-- name: check_window_counts
-- What a settled window counts is what its readers' rows say: the end of each is counted by the window
-- of their delivery; a doubt by the window of the newest one, unless they are put off; in all others
-- they count as put off.
WITH fact AS (
	SELECT d.session, d.n, count(*) FILTER (WHERE d.outcome = 'delivered') AS delivered,
		count(*) FILTER (WHERE d.outcome = 'refused') AS refused, count(*) FILTER (WHERE d.outcome = 'expired') AS expired,
		count(*) FILTER (WHERE d.outcome = 'skipped') AS skipped
	FROM delivery d WHERE $1::bigint IS NULL OR d.issue = $1::bigint GROUP BY d.session, d.n
), unsure AS (
	SELECT d.* FROM delivery d WHERE d.outcome = 'in_doubt' AND ($1::bigint IS NULL OR d.issue = $1::bigint)
		AND NOT EXISTS (SELECT FROM deferral f WHERE f.issue = d.issue AND f.subscriber = d.subscriber)
), doubt AS (
	SELECT t.session, t.n, count(*) AS in_doubt FROM (
		SELECT DISTINCT ON (u.issue, u.subscriber) u.session, u.n FROM (
			SELECT issue, subscriber, session, n, at FROM unsure
			UNION ALL
			SELECT a.issue, a.subscriber, a.session, a.n, a.at FROM attempt a
			JOIN unsure d ON d.issue = a.issue AND d.subscriber = a.subscriber WHERE a.cause LIKE 'in doubt%') u
		ORDER BY u.issue, u.subscriber, u.at DESC) t
	GROUP BY t.session, t.n
), later AS (
	SELECT a.session, a.n, count(*) AS deferred FROM attempt a
	WHERE a.cause NOT LIKE 'in doubt%' AND a.cause NOT LIKE 'second fact%' AND a.cause NOT LIKE 'not sent%'
		AND ($1::bigint IS NULL OR a.issue = $1::bigint)
	GROUP BY a.session, a.n
), sum AS (
	SELECT w.*, coalesce(f.delivered, 0) AS rows_delivered, coalesce(f.refused, 0) AS rows_refused,
		coalesce(f.expired, 0) AS rows_expired, coalesce(f.skipped, 0) AS rows_skipped,
		coalesce(d.in_doubt, 0) AS rows_in_doubt, coalesce(l.deferred, 0) AS rows_deferred
	FROM send_window w LEFT JOIN fact f USING (session, n) LEFT JOIN doubt d USING (session, n)
	LEFT JOIN later l USING (session, n)
	WHERE w.settled_at IS NOT NULL AND w.kind <> 'letter' AND ($1::bigint IS NULL OR w.issue = $1::bigint)
)
SELECT 'a window whose counts are not its rows''' AS what, format('window %s.%s of issue %s', session, n, issue) AS who,
		format('counts %s delivered, %s refused, %s expired, %s skipped, %s in doubt, %s put off;'
			|| ' rows are %s, %s, %s, %s, %s, and at least %s', delivered, refused, expired, skipped, sum.in_doubt,
			sum.deferred, rows_delivered, rows_refused, rows_expired, rows_skipped, rows_in_doubt, rows_deferred) AS detail
	FROM sum
	WHERE (delivered, refused, expired, skipped, in_doubt)
			<> (rows_delivered, rows_refused, rows_expired, rows_skipped, rows_in_doubt)
		OR deferred < rows_deferred

-- ---- deliveries, attempts, deferrals -------------------------------------------------------------

-- name: check_delivery_once
-- A reader has one delivery of an issue, of an issue that there is.
SELECT 'two deliveries of an issue to a reader' AS what, coalesce(p.email, 'reader ' || d.subscriber) AS who,
		format('issue %s: %s deliveries', d.issue, d.rows) AS detail
	FROM (SELECT issue, subscriber, count(*) AS rows FROM delivery
		WHERE $1::bigint IS NULL OR issue = $1::bigint GROUP BY issue, subscriber HAVING count(*) > 1) d
	LEFT JOIN subscriber p ON p.id = d.subscriber
UNION ALL
SELECT 'deliveries of no issue', 'issue ' || d.issue, d.rows || ' deliveries'
	FROM (SELECT issue, count(*) AS rows FROM delivery GROUP BY issue) d
	WHERE $1::bigint IS NULL AND NOT EXISTS (SELECT FROM issue i WHERE i.id = d.issue)

-- name: check_delivery_window
-- A delivery, and a try, was made by a window of its issue; while that is open its reader is a member.
WITH made AS (
	SELECT 'a delivery' AS kind, d.issue, d.subscriber, d.session, d.n FROM delivery d
	WHERE $1::bigint IS NULL OR d.issue = $1::bigint
	UNION ALL
	SELECT 'a try', a.issue, a.subscriber, a.session, a.n FROM attempt a
	WHERE $1::bigint IS NULL OR a.issue = $1::bigint
), member AS (
	SELECT w.session, w.n, m AS subscriber FROM send_window w CROSS JOIN LATERAL unnest(w.members) m
	WHERE w.settled_at IS NULL AND w.issue IS NOT NULL
)
SELECT CASE WHEN w.session IS NULL THEN m.kind || ' by a window that never was'
		WHEN w.issue IS DISTINCT FROM m.issue THEN m.kind || ' by a window of something else'
		ELSE m.kind || ' by a window of which they are no member' END AS what,
		coalesce(p.email, 'reader ' || m.subscriber) AS who, format('issue %s: window %s.%s', m.issue, m.session, m.n) AS detail
	FROM made m LEFT JOIN send_window w ON w.session = m.session AND w.n = m.n
	LEFT JOIN member o ON o.session = m.session AND o.n = m.n AND o.subscriber = m.subscriber
	LEFT JOIN subscriber p ON p.id = m.subscriber
	WHERE w.session IS NULL OR w.issue IS DISTINCT FROM m.issue OR w.settled_at IS NULL AND o.subscriber IS NULL

-- name: check_delivery_deferral
-- Whose end is known isn't put off, but for as long as a retry that has them is open.
SELECT 'an end that waits to be sent to again' AS what, coalesce(p.email, 'reader ' || d.subscriber) AS who,
		format('issue %s: %s by window %s.%s, put off until %s', d.issue, d.outcome, d.session, d.n, f.due_at) AS detail
	FROM deferral f JOIN delivery d ON d.issue = f.issue AND d.subscriber = f.subscriber
	LEFT JOIN send_window w ON w.session = f.session AND w.n = f.n AND w.settled_at IS NULL
	LEFT JOIN subscriber p ON p.id = d.subscriber
	WHERE d.outcome <> 'in_doubt' AND ($1::bigint IS NULL OR d.issue = $1::bigint)
		AND w.session IS NULL

-- name: check_deferral_window
-- A deferral is held by an open retry window of its issue that has its reader, or by none; and a retry
-- window holds those of its readers whom it hasn't settled.
SELECT 'a deferral that no open window holds' AS what, coalesce(p.email, 'reader ' || f.subscriber) AS who,
		format('issue %s: window %s.%s %s', f.issue, f.session, f.n, CASE WHEN w.session IS NULL THEN 'never was'
			WHEN w.settled_at IS NOT NULL THEN 'is settled' WHEN w.kind <> 'retry' THEN 'is no retry'
			WHEN w.issue <> f.issue THEN 'is of another issue' ELSE 'doesn''t have them' END) AS detail
	FROM deferral f LEFT JOIN send_window w ON w.session = f.session AND w.n = f.n
	LEFT JOIN subscriber p ON p.id = f.subscriber
	WHERE f.session IS NOT NULL AND ($1::bigint IS NULL OR f.issue = $1::bigint)
		AND (w.session IS NULL OR w.settled_at IS NOT NULL OR w.kind <> 'retry' OR w.issue <> f.issue
			OR NOT w.members @> ARRAY[f.subscriber])
UNION ALL
SELECT 'a retry without a deferral', coalesce(p.email, 'reader ' || m.subscriber),
		format('issue %s: window %s.%s', w.issue, w.session, w.n)
	FROM send_window w CROSS JOIN LATERAL unnest(w.members) m (subscriber)
	LEFT JOIN deferral f ON f.issue = w.issue AND f.subscriber = m.subscriber
	LEFT JOIN delivery d ON d.issue = w.issue AND d.subscriber = m.subscriber
	LEFT JOIN subscriber p ON p.id = m.subscriber
	WHERE w.kind = 'retry' AND w.settled_at IS NULL AND ($1::bigint IS NULL OR w.issue = $1::bigint)
		AND f.issue IS NULL AND d.issue IS NULL

-- name: check_doubts
-- A doubt is sent again once: nobody waits for a second time.
SELECT 'a doubt that is sent again twice' AS what, coalesce(p.email, 'reader ' || f.subscriber) AS who,
		format('issue %s: %s of %s tries in doubt', f.issue, f.doubts, f.tries) AS detail
	FROM deferral f LEFT JOIN subscriber p ON p.id = f.subscriber
	WHERE f.doubts > 1 AND ($1::bigint IS NULL OR f.issue = $1::bigint)

-- ---- letters, sessions -------------------------------------------------------------------------

-- name: check_letters
-- One letter of a kind is queued for a subscription; one that ended says when, and is nobody's; one
-- that is held is in an open window of letters.
SELECT 'a letter that is queued twice' AS what, min(t.address) AS who,
		format('%s letters %s', t.kind, string_agg(t.id::text, ', ' ORDER BY t.id)) AS detail
	FROM letter t WHERE t.outcome IS NULL AND t.subscriber IS NOT NULL
	GROUP BY t.list, t.subscriber, t.kind HAVING count(*) > 1
UNION ALL
SELECT 'a letter whose end and outcome differ', t.address, format('letter %s: %s, ended %s', t.id,
		coalesce(t.outcome::text, 'queued'), coalesce(t.ended_at::text, 'never'))
	FROM letter t WHERE (t.outcome IS NULL) <> (t.ended_at IS NULL)
UNION ALL
SELECT 'a letter that no open window holds', t.address, format('letter %s: window %s.%s', t.id, t.session, t.n)
	FROM letter t LEFT JOIN send_window w ON w.session = t.session AND w.n = t.n
	WHERE t.session IS NOT NULL AND (w.session IS NULL OR w.settled_at IS NOT NULL OR w.kind <> 'letter'
		OR NOT w.members @> ARRAY[t.id])

-- name: check_sessions
-- An engine lives one life at a time, and none once it was retired.
SELECT 'an engine with two sessions alive' AS what, format('engine %s on %s', e.id, e.host) AS who,
		'sessions ' || string_agg(s.id::text, ', ' ORDER BY s.id) AS detail
	FROM engine e JOIN session s ON s.engine = e.id AND NOT s.dead GROUP BY e.id, e.host HAVING count(*) > 1
UNION ALL
SELECT 'a retired engine that is alive', format('engine %s on %s', e.id, e.host), 'session ' || s.id
	FROM engine e JOIN session s ON s.engine = e.id AND NOT s.dead WHERE e.retired_at IS NOT NULL

-- ---- what the rest stands on -------------------------------------------------------------------

-- name: check_partitions
-- There are partitions for this month and the next, and for the month of each issue; each has the key
-- that lets nobody in twice. $1: now.
WITH month AS (
	SELECT to_char(($1::timestamptz AT TIME ZONE 'UTC') + make_interval(months => m), 'YYYYMM') AS month
	FROM generate_series(0, 1) m
	UNION SELECT left(id::text, 6) FROM issue
)
SELECT 'a partition that is missing' AS what, t.parent || '_' || m.month AS who, 'rows of this month have no place' AS detail
	FROM month m CROSS JOIN (VALUES ('delivery'), ('attempt')) t (parent)
	WHERE NOT EXISTS (SELECT FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
		WHERE h.inhparent = t.parent::regclass AND c.relname = t.parent || '_' || m.month)
UNION ALL
SELECT 'a partition without its key', h.inhrelid::regclass::text, 'no valid primary key'
	FROM pg_inherits h WHERE h.inhparent IN ('delivery'::regclass, 'attempt'::regclass)
		AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = h.inhrelid AND x.indisprimary AND x.indisvalid)

-- name: check_guards
-- The constraints, unique indexes and triggers that keep the rest true are there and at work.
SELECT 'a guard that is gone or off' AS what, g.relation AS who, g.kind || ' ' || g.name AS detail
	FROM (VALUES ('index', 'issue', 'issue_uid_key'), ('index', 'issue', 'issue_edition_occurrence_key'),
			('index', 'issue_article', 'issue_article_pkey'), ('index', 'lane', 'lane_pkey'),
			('index', 'send_window', 'send_window_pkey'), ('index', 'deferral', 'deferral_pkey'),
			('index', 'delivery', 'delivery_pkey'), ('index', 'attempt', 'attempt_pkey'),
			('index', 'letter', 'letter_once'), ('index', 'session', 'session_alive'),
			('index', 'subscription', 'subscription_pkey'), ('index', 'subscriber', 'subscriber_email_norm_key'),
			('index', 'article', 'article_feed_guid_key'), ('trigger', 'issue', 'issue_keep'),
			('trigger', 'issue', 'issue_mark'), ('trigger', 'issue', 'issue_mark_opened'),
			('trigger', 'session', 'session_mark'), ('trigger', 'delivery', 'delivery_keep')) g (kind, relation, name)
	WHERE CASE g.kind WHEN 'index' THEN NOT EXISTS (SELECT FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
			WHERE x.indrelid = g.relation::regclass AND c.relname = g.name AND x.indisunique AND x.indisvalid)
		ELSE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = g.relation::regclass AND t.tgname = g.name
			AND t.tgenabled IN ('O', 'A')) END
UNION ALL
SELECT 'a constraint that was never proven', c.conrelid::regclass::text, c.conname
	FROM pg_constraint c WHERE NOT c.convalidated AND c.connamespace = 'public'::regnamespace

-- name: check_sequences
-- No sequence gives out an id that is taken.
SELECT 'a sequence behind its table' AS what, s.name AS who, format('at %s, the highest id is %s', coalesce(s.at, 0), s.top) AS detail
	FROM (
		SELECT 'subscription_event' AS name, pg_sequence_last_value('subscription_event_id_seq') AS at, (SELECT max(id) FROM subscription_event) AS top
		UNION ALL SELECT 'subscriber', pg_sequence_last_value('subscriber_id_seq'), (SELECT max(id) FROM subscriber)
		UNION ALL SELECT 'article', pg_sequence_last_value('article_id_seq'), (SELECT max(id) FROM article)
		UNION ALL SELECT 'letter', pg_sequence_last_value('letter_id_seq'), (SELECT max(id) FROM letter)
		UNION ALL SELECT 'anomaly', pg_sequence_last_value('anomaly_id_seq'), (SELECT max(id) FROM anomaly)
		UNION ALL SELECT 'list', pg_sequence_last_value('list_id_seq'), (SELECT max(id) FROM list)
		UNION ALL SELECT 'edition', pg_sequence_last_value('edition_id_seq'), (SELECT max(id) FROM edition)
		UNION ALL SELECT 'feed', pg_sequence_last_value('feed_id_seq'), (SELECT max(id) FROM feed)
		UNION ALL SELECT 'engine', pg_sequence_last_value('engine_id_seq'), (SELECT max(id) FROM engine)
		UNION ALL SELECT 'session', pg_sequence_last_value('session_id_seq'), (SELECT max(id) FROM session)
	) s WHERE s.top > coalesce(s.at, 0)

-- name: check_anomalies
-- What didn't fit, and somebody should look at: told, and no invariant by itself.
SELECT a.kind AS what, coalesce('reader ' || coalesce(a.subscriber::text, a.detail #>> '{row,subscriber}') || ' of ', '')
			|| coalesce('issue ' || coalesce(a.issue::text, a.detail #>> '{row,issue}'), 'window ' || a.session || '.' || a.n,
			'anomaly ' || a.id) AS who,
		concat_ws(' ', a.at, a.detail) AS detail
	FROM anomaly a WHERE $1::bigint IS NULL OR a.issue = $1::bigint
		OR a.detail #>> '{row,issue}' = $1::bigint::text
	ORDER BY a.id DESC

-- name: check_issues
-- Those whose sums are proven: all that are live, and the $1 newest.
SELECT id AS issue FROM issue WHERE ended_at IS NULL OR id IN (SELECT id FROM issue ORDER BY id DESC LIMIT $1::bigint)
	ORDER BY id
