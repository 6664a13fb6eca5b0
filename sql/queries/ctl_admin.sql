-- digestctl key, engine, relay

-- name: ctl_key_ls
SELECT id, created_at, retired_at,
		CASE WHEN retired_at IS NOT NULL THEN 'retired'
			WHEN id = max(id) FILTER (WHERE retired_at IS NULL) OVER () THEN 'signs'
			ELSE 'verifies' END AS state
	FROM link_key ORDER BY id

-- name: ctl_key_lock
LOCK TABLE link_key IN SHARE ROW EXCLUSIVE MODE

-- name: ctl_key_add
-- The highest id is the one that signs. No row: all 255 are used.
INSERT INTO link_key (id, secret, created_at)
	SELECT n, gen_random_bytes(32), $1::timestamptz
	FROM (SELECT coalesce(max(id), 0) + 1 AS n FROM link_key) k WHERE n <= 255 RETURNING id

-- name: ctl_key_find
SELECT retired_at, id = (SELECT max(id) FROM link_key WHERE retired_at IS NULL) AS signs
	FROM link_key WHERE id = $1::int

-- name: ctl_key_retire
UPDATE link_key SET retired_at = $2::timestamptz WHERE id = $1::int AND retired_at IS NULL

-- name: ctl_notify
SELECT pg_notify('digestd', $1)

-- name: ctl_engine_ls
SELECT e.id, e.host, e.uuid::text AS uuid,
		CASE WHEN e.retired_at IS NOT NULL THEN 'retired' WHEN s.id IS NULL THEN 'away' ELSE 'alive' END AS state,
		s.uuid::text AS session, s.beat, s.version, s.started_at AS since, e.first_seen, e.retired_at,
		(SELECT count(*) FROM send_window w WHERE w.engine = e.id AND w.settled_at IS NULL) AS open_windows
	FROM engine e LEFT JOIN session s ON s.engine = e.id AND NOT s.dead
	ORDER BY e.id

-- name: ctl_engine_find
-- By number or by uuid.
SELECT e.id, e.host, e.retired_at, s.id AS session
	FROM engine e LEFT JOIN session s ON s.engine = e.id AND NOT s.dead
	WHERE e.id::text = $1 OR e.uuid::text = lower($1)

-- name: ctl_engine_retire
-- How many are in doubt.
SELECT engine_retire($1::int, $2::timestamptz)

-- name: ctl_relay_lanes
SELECT r.name AS relay, l.provider, l.pace, l.open_until, l.reason, l.failures, l.changed_at,
		l.open_until > $1::timestamptz AS is_open
	FROM relay_lane l JOIN relay r ON r.id = l.relay ORDER BY r.name, l.provider
