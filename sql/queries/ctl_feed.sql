-- digestctl feed

-- name: ctl_feed_id
SELECT id, url IS NOT NULL AS polled FROM feed WHERE name = $1

-- name: ctl_feed_add
-- No row: there is one of that name.
INSERT INTO feed (name, url, title, is_local, drop_lines, every, backfill, created_at)
	VALUES ($1, $2, coalesce($3, ''), $4::boolean, $5::text[],
		$6::bigint * interval '1 microsecond', $7::int, $8::timestamptz)
	ON CONFLICT (name) DO NOTHING RETURNING id

-- name: ctl_feed_set
-- NULL leaves what is there. Another address is another feed: its first poll takes a backlog.
UPDATE feed SET url = coalesce($2, url), title = coalesce($3, title),
		is_local = coalesce($4::boolean, is_local), drop_lines = coalesce($5::text[], drop_lines),
		every = coalesce($6::bigint * interval '1 microsecond', every),
		backfill = coalesce($7::int, backfill), state = coalesce($8::feed_state, state),
		polled_at = CASE WHEN $2 <> url THEN NULL ELSE polled_at END,
		etag = CASE WHEN $2 <> url THEN NULL ELSE etag END,
		last_modified = CASE WHEN $2 <> url THEN NULL ELSE last_modified END,
		next_at = CASE WHEN $2 <> url THEN '-infinity' ELSE next_at END
	WHERE id = $1::int

-- name: ctl_feed_flood
-- Its suspect articles are news ($2), or old.
SELECT flood_settle($1::int, $2::boolean)

-- name: ctl_feed_list
INSERT INTO list_feed (list, feed) VALUES ($1::int, $2::int) ON CONFLICT DO NOTHING

-- name: ctl_feed_unlist
DELETE FROM list_feed WHERE list = $1::int AND feed = $2::int

-- name: ctl_feed_poll
-- Its moment is now, and whoever listens is told.
UPDATE feed SET next_at = least(next_at, $2::timestamptz) WHERE id = $1::int RETURNING pg_notify('digestd', 'feed ' || id)

-- name: ctl_feed_ls
SELECT f.id, f.name, f.url, f.title, f.is_local, f.state::text AS state, f.drop_lines,
		extract(epoch FROM f.every)::bigint AS every_seconds, f.next_at, f.polled_at, f.backfill, f.failures,
		f.last_error, f.flood,
		(SELECT coalesce(array_agg(l.name::text ORDER BY l.name), '{}') FROM list_feed lf
			JOIN list l ON l.id = lf.list WHERE lf.feed = f.id) AS lists,
		(SELECT count(*) FROM article a WHERE a.feed = f.id) AS articles
	FROM feed f
	WHERE $1::text IS NULL OR EXISTS (SELECT 1 FROM list_feed lf JOIN list l ON l.id = lf.list
		WHERE lf.feed = f.id AND l.name = $1)
	ORDER BY f.name

-- name: ctl_feed_articles_used
SELECT 1 FROM article a JOIN issue_article ia ON ia.article = a.id WHERE a.feed = $1::int LIMIT 1

-- name: ctl_feed_rm_articles
DELETE FROM article WHERE feed = $1::int

-- name: ctl_feed_rm_lists
DELETE FROM list_feed WHERE feed = $1::int

-- name: ctl_feed_rm
DELETE FROM feed WHERE id = $1::int
