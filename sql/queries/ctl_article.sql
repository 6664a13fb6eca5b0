-- digestctl article

-- name: ctl_article_feed
SELECT id, drop_lines, is_local FROM feed WHERE name = $1

-- name: ctl_article_put
-- Something added by hand is no flood.
SELECT fresh, changed FROM article_put($1::int, $2::jsonb, NULL, $3::timestamptz)

-- name: ctl_article_retell
-- What a feed's reading doesn't look at when the text is the same: an operator may say it anew.
UPDATE article a SET url = r.url, author = r.author, summary = r.summary, image = r.image,
		image_alt = r.image_alt, lang = r.lang, dir = r.dir, topics = r.topics, updated_at = $3::timestamptz
	FROM jsonb_populate_recordset(NULL::article, $2::jsonb) r
	WHERE a.feed = $1::int AND a.guid = r.guid
		AND (a.url, a.author, a.summary, a.image, a.image_alt, a.lang, a.dir, a.topics)
			<> (r.url, r.author, r.summary, r.image, r.image_alt, r.lang, r.dir, r.topics)
		AND NOT EXISTS (SELECT 1 FROM issue_article ia WHERE ia.article = a.id)

-- name: ctl_article_by_guid
SELECT a.id, a.title, EXISTS (SELECT 1 FROM issue_article ia WHERE ia.article = a.id) AS used
	FROM article a WHERE a.feed = $1::int AND a.guid = $2

-- name: ctl_article_ls
-- Of all feeds or one, newest first.
SELECT a.id, f.name AS feed, a.title, a.author, a.url, a.lang, a.topics, a.published_at, a.backlog, a.revision,
		(SELECT coalesce(array_agg(i.uid ORDER BY i.id), '{}') FROM issue_article ia
			JOIN issue i ON i.id = ia.issue WHERE ia.article = a.id) AS issues
	FROM article a JOIN feed f ON f.id = a.feed
	WHERE $1::int IS NULL OR a.feed = $1::int
	ORDER BY a.published_at DESC, a.id DESC LIMIT $2::int

-- name: ctl_article_show
SELECT a.id, f.name AS feed, a.guid, a.url, a.title, a.author, a.summary, a.image, a.image_alt, a.lang, a.dir,
		a.topics, a.published_at, a.seen_at, a.updated_at, a.revision, a.backlog, a.body_html, a.body_text,
		(SELECT coalesce(array_agg(i.uid ORDER BY i.id), '{}') FROM issue_article ia
			JOIN issue i ON i.id = ia.issue WHERE ia.article = a.id) AS issues
	FROM article a JOIN feed f ON f.id = a.feed WHERE a.id = $1::bigint

-- name: ctl_article_rm
-- No row: there is none, or an issue holds it.
DELETE FROM article a WHERE a.id = $1::bigint
	AND NOT EXISTS (SELECT 1 FROM issue_article ia WHERE ia.article = a.id) RETURNING a.title
