-- The poller: which feeds are due, and what came of a fetch.

-- name: feeds_take
-- Wins the feeds that are due by moving their next_at: while this engine polls one, no other does;
-- when it dies, the lease ($2) runs out and another polls.
UPDATE feed SET next_at = $1::timestamptz + $2::interval
	WHERE id IN (
		SELECT id FROM feed WHERE url IS NOT NULL AND state = 'active' AND next_at <= $1::timestamptz
		ORDER BY next_at LIMIT $3::int FOR NO KEY UPDATE SKIP LOCKED)
	RETURNING id, name, url, is_local, etag, last_modified, drop_lines,
		(extract(epoch FROM every) * 1000000)::bigint AS every, failures

-- name: feed_articles
SELECT fresh, changed, suspect FROM article_put($1::int, $2::jsonb, $3::int, $4::timestamptz)

-- name: feed_done
-- A fetch that went well; $5 NULL keeps the address, $6 the title.
UPDATE feed SET polled_at = $2::timestamptz, next_at = $3::timestamptz, etag = $4, last_modified = $5,
		url = coalesce($6, url), title = coalesce($7, title), failures = 0, last_error = NULL
	WHERE id = $1::int

-- name: feed_unchanged
UPDATE feed SET polled_at = $2::timestamptz, next_at = $3::timestamptz, failures = 0, last_error = NULL
	WHERE id = $1::int

-- name: feed_failed
UPDATE feed SET next_at = $2::timestamptz, failures = failures + 1, last_error = $3,
		state = CASE WHEN $4::boolean THEN 'gone'::feed_state ELSE state END
	WHERE id = $1::int
