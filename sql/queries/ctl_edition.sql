-- digestctl edition

-- name: ctl_edition_id
-- Of a list; no name: its default edition.
SELECT id, name FROM edition WHERE list = $1::int AND (name = $2 OR ($2::text IS NULL AND is_default))

-- name: ctl_edition_undefault
UPDATE edition SET is_default = false WHERE list = $1::int AND is_default AND name <> $2

-- name: ctl_edition_add
-- A list's first edition is its default. No row: there is one of that name. For manual editions
-- every article counts by itself, for others what is seen from now on.
INSERT INTO edition (list, name, schedule, zone_of, since, starts, lifetime, is_default)
	SELECT $1::int, $2, $3, $4, coalesce($5::timestamptz, CASE WHEN $3 = 'manual' THEN '-infinity'
			ELSE $6::timestamptz END),
		$6::timestamptz, coalesce($7::bigint * interval '1 microsecond', interval '3 days'),
		$8::boolean OR NOT EXISTS (SELECT 1 FROM edition WHERE list = $1::int)
	ON CONFLICT (list, name) DO NOTHING RETURNING id, is_default

-- name: ctl_edition_set
-- NULL leaves what is there. A changed schedule begins now: what it would have had before is past.
UPDATE edition SET schedule = coalesce($3, schedule), zone_of = coalesce($4, zone_of),
		since = coalesce($5::timestamptz, since),
		starts = CASE WHEN $3 <> schedule THEN $6::timestamptz ELSE starts END,
		lifetime = coalesce($7::bigint * interval '1 microsecond', lifetime),
		is_default = is_default OR $8::boolean,
		held = CASE WHEN $9::text IS NULL THEN held ELSE nullif($9, '') END
	WHERE list = $1::int AND name = $2 RETURNING id

-- name: ctl_edition_ls
-- All, or those of one list.
SELECT l.name AS list, e.name, e.schedule, e.zone_of, l.zone, e.is_default, e.since, e.starts,
		extract(epoch FROM e.lifetime)::bigint AS lifetime_seconds,
		CASE WHEN isfinite(e.since) THEN to_char(e.since AT TIME ZONE l.zone, 'YYYY-MM-DD HH24:MI') ELSE 'ever' END
			AS since_local,
		e.held, e.last_occurrence::text AS last_occurrence, n.at AS next,
		to_char(n.at AT TIME ZONE l.zone, 'Dy YYYY-MM-DD HH24:MI') || ' ' || l.zone AS next_local
	FROM edition e JOIN list l ON l.id = e.list
	CROSS JOIN LATERAL (SELECT edition_next(e, greatest($2::timestamptz, e.starts)) AS at) n
	WHERE $1::text IS NULL OR l.name = $1
	ORDER BY l.name, e.id

-- name: ctl_edition_next
-- The next $4 days on which an edition opens, each at the moment of its earliest zone.
WITH RECURSIVE place AS (
	SELECT e AS edition, z AS zone
	FROM edition e CROSS JOIN LATERAL (
		SELECT z FROM edition_zones(e) z
		UNION SELECT l.zone FROM list l WHERE l.id = e.list AND e.zone_of = 'reader'
			AND NOT EXISTS (SELECT 1 FROM edition_zones(e))) p (z)
	WHERE e.list = $1::int AND ($2::text IS NULL OR e.name = $2) AND e.at_time IS NOT NULL
), run AS (
	SELECT edition, zone, occurrence_day(edition, $3::timestamptz AT TIME ZONE zone, 0) AS day, 0 AS i FROM place
	UNION ALL
	SELECT edition, zone, occurrence_day(edition, day + (edition).at_time, 1), i + 1
	FROM run WHERE i <= $4::int
), opening AS (
	SELECT (edition).id, (edition).name, (edition).schedule, day,
		min(occurrence_moment(day, (edition).at_time, zone)) AS at,
		(array_agg(zone ORDER BY occurrence_moment(day, (edition).at_time, zone), zone))[1] AS zone
	FROM run GROUP BY 1, 2, 3, 4, (edition).starts
	HAVING min(occurrence_moment(day, (edition).at_time, zone)) > $3::timestamptz
		AND min(occurrence_moment(day, (edition).at_time, zone)) >= (edition).starts
), numbered AS (
	SELECT *, row_number() OVER (PARTITION BY id ORDER BY day) AS number FROM opening
)
SELECT name AS edition, schedule, day::text AS occurrence, at, zone,
		to_char(at AT TIME ZONE zone, 'Dy YYYY-MM-DD HH24:MI') || ' ' || zone AS at_local
	FROM numbered WHERE number <= $4::int ORDER BY at, id
