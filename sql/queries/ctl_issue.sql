-- digestctl issue

-- name: ctl_issue_target
-- An edition with what its next issue takes from it and from its list.
SELECT e.id AS edition, l.id AS list, l.name || '/' || e.name AS name, l.theme, l.lang, l.base_url,
		l.postal_address, e.held, l.name AS list_name
	FROM edition e JOIN list l ON l.id = e.list WHERE e.id = $1::int

-- name: ctl_issue_articles
-- Those that its next issue would have; $2: of these only, in this order.
SELECT coalesce(array_agg(a.id ORDER BY array_position($2::bigint[], a.id), a.published_at DESC, a.id DESC), '{}')
		AS ids
	FROM edition_articles($1::int, $3::timestamptz, $2::bigint[]) a

-- name: ctl_issue_backlog
-- How many are left out of it unless they are named.
SELECT count(*) AS backlog
	FROM edition e JOIN list_feed lf ON lf.list = e.list JOIN article a ON a.feed = lf.feed
	WHERE e.id = $1::int AND a.backlog

-- name: ctl_issue_article_unfit
-- The first of these that the edition's next issue can't have, and why.
SELECT w.id, CASE
		WHEN a.id IS NULL THEN 'there is none of that number'
		WHEN NOT EXISTS (SELECT 1 FROM list_feed lf WHERE lf.list = e.list AND lf.feed = a.feed)
			THEN 'its source belongs to another list'
		WHEN ia.issue IS NOT NULL THEN 'it went out with issue ' || ia.issue
		WHEN a.published_at > $3::timestamptz THEN 'it is dated in the future'
		ELSE 'it is older than the edition''s articles begin'
		END AS why
	FROM edition e
	CROSS JOIN unnest($2::bigint[]) WITH ORDINALITY w (id, position)
	LEFT JOIN article a ON a.id = w.id
	LEFT JOIN issue_article ia ON ia.edition = e.id AND ia.article = a.id AND ia.revision = a.revision
	WHERE e.id = $1::int AND NOT EXISTS (
		SELECT 1 FROM edition_articles($1::int, $3::timestamptz, $2::bigint[]) n WHERE n.id = w.id)
	ORDER BY w.position LIMIT 1

-- name: ctl_issue_content
SELECT issue_content($1::int, $2, $3, $4::bigint[], $5, $6::jsonb, $7::timestamptz) AS content

-- name: ctl_issue_audience
-- Who would get an issue of these articles that opened now. Counted: a person asks, before opening.
SELECT count(*) AS audience
	FROM subscription s JOIN subscriber p ON p.id = s.subscriber
	CROSS JOIN (SELECT bool_or(topics = '{}') AS for_all,
			(SELECT array_agg(DISTINCT t) FROM article b, unnest(b.topics) t WHERE b.id = ANY ($2::bigint[])) AS topics
		FROM article WHERE id = ANY ($2::bigint[])) a
	WHERE s.edition = $1::int AND s.status = 'active' AND p.suppressed_at IS NULL
		AND (s.paused_until IS NULL OR s.paused_until <= $3::timestamptz)
		AND (a.for_all OR s.topics = '{}' OR s.topics && a.topics)

-- name: ctl_issue_warnings
-- What an operator should know before opening, one line each.
SELECT 'the feed ' || f.name || ' brought a flood: ' || f.flood AS warning
	FROM list_feed lf JOIN feed f ON f.id = lf.feed WHERE lf.list = $1::int AND f.flood IS NOT NULL
UNION ALL
SELECT 'the relay ' || r.name || CASE WHEN l.provider <> '' THEN ' to ' || l.provider ELSE '' END
		|| ' rests until ' || to_char(l.open_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
		|| coalesce(': ' || l.reason, '')
	FROM relay_lane l JOIN relay r ON r.id = l.relay WHERE l.open_until > $2::timestamptz
UNION ALL
SELECT 'no engine runs: the issue waits until one does'
	WHERE NOT EXISTS (SELECT 1 FROM session WHERE NOT dead)
UNION ALL
SELECT 'no key signs the links; see: digestctl help key'
	WHERE NOT EXISTS (SELECT 1 FROM link_key WHERE retired_at IS NULL)

-- name: ctl_issue_of_occurrence
SELECT id, uid, state::text AS state FROM issue WHERE edition = $1::int AND occurrence = $2

-- name: ctl_issue_audience_of
-- The readers of an opened issue as they stand now; moved and late ones are told apart by their gens.
SELECT count(*) AS audience
	FROM issue i
	JOIN subscription s ON s.edition = i.edition AND s.status = 'active' AND s.joined_gen <= i.gen
	JOIN subscriber p ON p.id = s.subscriber AND p.suppressed_at IS NULL
	WHERE i.id = $1::bigint AND (i.for_all OR s.topics = '{}' OR s.topics && i.topics)
		AND (s.paused_until IS NULL OR s.paused_until <= $2::timestamptz)

-- name: ctl_issue_numbers
-- Summed from its windows: deliveries are never counted.
SELECT i.id AS issue, i.state::text AS state, i.opened_at, i.ended_at, i.expires_at, w.*, d.*, n.*,
		(SELECT count(*) FROM session WHERE NOT dead) AS engines
	FROM issue i
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(delivered), 0)::bigint AS delivered, coalesce(sum(refused), 0)::bigint AS refused,
			coalesce(sum(expired), 0)::bigint AS expired, coalesce(sum(skipped), 0)::bigint AS skipped,
			coalesce(sum(in_doubt), 0)::bigint AS in_doubt, coalesce(sum(deferred), 0)::bigint AS put_off,
			coalesce(sum(size) FILTER (WHERE settled_at IS NULL), 0)::bigint AS in_flight,
			count(*) AS windows
		FROM send_window WHERE issue = i.id) w
	CROSS JOIN LATERAL (
		SELECT count(*) AS deferred, min(due_at) AS next_try FROM deferral
		WHERE issue = i.id AND session IS NULL) d
	CROSS JOIN LATERAL (
		SELECT count(*) AS lanes, count(*) FILTER (WHERE NOT eaten) AS lanes_left,
			min(not_before) FILTER (WHERE NOT eaten) AS lanes_from FROM lane WHERE issue = i.id) n
	WHERE i.id = $1::bigint

-- name: ctl_issue_ls
-- All live ones and the 20 newest; $2: all. Subject and what it is made of: it's a template.
SELECT i.id AS issue, l.name || '/' || e.name AS edition, i.occurrence, i.state::text AS state, i.subject,
		'' AS subject_short, jsonb_build_object('list', jsonb_build_object('name', l.name, 'title', l.title),
			'edition', i.content -> 'edition', 'issue', i.content -> 'issue',
			'lead', (i.content #> '{articles,0}') - ARRAY['body_html', 'body_text']) AS words,
		i.opened_at, i.ended_at, w.*,
		(SELECT count(*) FROM deferral d WHERE d.issue = i.id) AS deferred
	FROM issue i JOIN edition e ON e.id = i.edition JOIN list l ON l.id = i.list
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(delivered), 0)::bigint AS delivered, coalesce(sum(refused), 0)::bigint AS refused,
			coalesce(sum(skipped + expired), 0)::bigint AS skipped, coalesce(sum(in_doubt), 0)::bigint AS in_doubt
		FROM send_window WHERE issue = i.id) w
	WHERE ($1::text IS NULL OR l.name = $1)
		AND ($2::boolean OR i.ended_at IS NULL OR i.id IN (
			SELECT n.id FROM issue n JOIN list m ON m.id = n.list
			WHERE $1::text IS NULL OR m.name = $1 ORDER BY n.id DESC LIMIT 20))
	ORDER BY i.id DESC

-- name: ctl_issue_show
SELECT i.id AS issue, i.uid, l.name || '/' || e.name AS edition, e.schedule, i.occurrence, i.gen, i.subject,
		i.topics, i.for_all, i.content, l.doubt::text AS doubt
	FROM issue i JOIN edition e ON e.id = i.edition JOIN list l ON l.id = i.list WHERE i.id = $1::bigint

-- name: ctl_issue_lanes
SELECT zone, provider, cursor, not_before, eaten, taken_at FROM lane WHERE issue = $1::bigint
	ORDER BY eaten, not_before, zone, provider

-- name: ctl_issue_deferrals
SELECT provider, cause, count(*) AS readers, min(due_at) FILTER (WHERE session IS NULL) AS next_try,
		max(tries) AS most_tries, (array_agg(concat_ws(' ', code, enhanced, reply) ORDER BY first_at DESC) FILTER (WHERE reply IS NOT NULL))[1] AS reply
	FROM deferral WHERE issue = $1::bigint GROUP BY provider, cause ORDER BY count(*) DESC, provider, cause

-- name: ctl_issue_readers
-- A page of what is known of each reader, after $2; $3: of this outcome only. Who is in doubt and put off
-- to be sent to again comes once, as put off.
SELECT r.subscriber, p.email, r.outcome, to_char(r.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at,
		r.attempt, l.name AS relay, r.code, r.enhanced, r.reason, r.queue_id
	FROM (
		(SELECT d.subscriber, d.outcome::text, d.at, d.attempt, d.relay, d.code, d.enhanced, d.reason, d.queue_id
			FROM delivery d WHERE d.issue = $1::bigint AND d.subscriber > $2::bigint
				AND ($3::text IS NULL OR d.outcome::text = $3)
				AND NOT EXISTS (SELECT 1 FROM deferral f
					WHERE f.issue = $1::bigint AND f.subscriber = d.subscriber OFFSET 0)
			ORDER BY d.subscriber LIMIT $4::int)
		UNION ALL
		(SELECT f.subscriber, 'put_off', f.first_at, f.tries, f.relay, f.code, f.enhanced, f.cause, NULL
			FROM deferral f WHERE f.issue = $1::bigint AND f.subscriber > $2::bigint
				AND coalesce($3, 'put_off') = 'put_off'
			ORDER BY f.subscriber LIMIT $4::int)
		ORDER BY subscriber LIMIT $4::int) r
	LEFT JOIN subscriber p ON p.id = r.subscriber
	LEFT JOIN relay l ON l.id = r.relay
	ORDER BY r.subscriber

-- name: ctl_issue_load
SELECT content FROM issue WHERE id = $1::bigint

-- name: ctl_issue_state
SELECT i.state::text AS state, l.name || '/' || e.name AS edition, i.ended_at IS NOT NULL AS ended
	FROM issue i JOIN edition e ON e.id = i.edition JOIN list l ON l.id = i.list WHERE i.id = $1::bigint

-- name: ctl_issue_set_state
-- From $2 to $3, when it is so; whoever listens is told.
UPDATE issue SET state = $3::issue_state,
		ended_at = CASE WHEN $3::issue_state = 'cancelled' THEN $4::timestamptz END
	WHERE id = $1::bigint AND ended_at IS NULL AND state::text = ANY ($2::text[])
	RETURNING pg_notify('digestd', 'issue ' || id)

-- name: ctl_issue_doubts
SELECT count(*) AS undecided FROM issue_doubts($1::bigint)

-- name: ctl_issue_doubts_settle
SELECT issue_doubts_settle($1::bigint, $2::doubt_policy, $3::timestamptz) AS settled

-- name: ctl_issue_suppressed
SELECT reason, at FROM suppression WHERE address_hmac = address_hmac($1)

-- name: ctl_issue_test
-- A letter that carries the issue as it would be.
SELECT letter_put('test', $1::int, NULL, $2, jsonb_build_object('content', $3::jsonb), interval '1 day',
		$4::timestamptz) AS letter
