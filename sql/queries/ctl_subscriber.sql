-- digestctl subscriber

-- name: ctl_zones
-- The server's own, without the copies of them that it may have.
SELECT name FROM pg_timezone_names WHERE name ~ '^[A-Za-z]' AND name !~ '^(posix|right)/' ORDER BY lower(name)

-- name: ctl_editions
SELECT id, name FROM edition WHERE list = $1::int ORDER BY id

-- name: ctl_import_forget
-- What an import before left behind because it was cut off.
DELETE FROM import_row WHERE import < $1::bigint

-- name: ctl_import_stage
COPY import_row (import, n, line, email, email_norm, domain, name, attrs, lang, zone, topics, edition, status)
	FROM STDIN

-- name: ctl_import_duplicates
-- The first line of an address counts. The rows were staged a moment ago and nothing is known of them,
-- so that a join of the table with itself may be planned as a loop in a loop; numbers found in one
-- reading and looked up by the key are the same work whatever the planner believes.
DELETE FROM import_row
	WHERE import = $1::bigint AND n = ANY (ARRAY(
		SELECT n FROM (
			SELECT n, min(n) OVER (PARTITION BY email_norm) AS first FROM import_row WHERE import = $1::bigint) r
		WHERE n > first))
	RETURNING line, email

-- name: ctl_import_merge
SELECT verdict, line, email, rows
	FROM import_merge($1::bigint, $2::int, $3::int, $4::int, $5::int, $6::jsonb, $7::boolean, $8::timestamptz)
	ORDER BY line

-- name: ctl_import_end
DELETE FROM import_row WHERE import = $1::bigint

-- name: ctl_subscriber_find
SELECT id, email, suppressed_at FROM subscriber WHERE email_norm = $1

-- name: ctl_subscriber_suppressed
SELECT 1 FROM suppressed_among(ARRAY[$1])

-- name: ctl_subscriber_status
SELECT status FROM subscription WHERE list = $1::int AND subscriber = $2::bigint

-- name: ctl_subscriber_put
SELECT subscriber_put($1, $2, $3, $4, $5::jsonb, $6, $7::timestamptz)

-- name: ctl_subscription_put
SELECT subscription_put($1::int, $2::bigint, $3, $4::int, $5::subscription_status, $6, $7::text[],
	$8::jsonb, $9::timestamptz)

-- name: ctl_subscriber_confirm
-- A confirm letter, whose link is bound to the subscription as it is now.
WITH bound AS (
	UPDATE subscription SET token_gen = token_gen + 1
		WHERE list = $1::int AND subscriber = $2::bigint RETURNING list, subscriber
)
SELECT letter_put('confirm', b.list, b.subscriber, p.email, NULL, $3::bigint * interval '1 microsecond',
		$4::timestamptz)
	FROM bound b JOIN subscriber p ON p.id = b.subscriber

-- name: ctl_subscriber_show
SELECT id, email, name, lang, attrs, suppressed_at, created_at FROM subscriber WHERE email_norm = $1

-- name: ctl_subscriber_subscriptions
SELECT l.name AS list, e.name AS edition, s.status::text AS status, s.zone, s.provider, s.topics,
		s.paused_until, s.created_at, s.status_at, s.consent
	FROM subscription s JOIN list l ON l.id = s.list JOIN edition e ON e.id = s.edition
	WHERE s.subscriber = $1::bigint ORDER BY l.name

-- name: ctl_subscriber_ls
SELECT p.id, p.email, p.name, p.lang, e.name AS edition, s.status::text AS status, s.zone, s.topics,
		p.suppressed_at, s.created_at AS since
	FROM subscription s JOIN subscriber p ON p.id = s.subscriber JOIN edition e ON e.id = s.edition
	WHERE s.list = $1::int AND s.subscriber > $2::bigint
		AND ($3::subscription_status IS NULL OR s.status = $3::subscription_status)
		AND ($4::int IS NULL OR s.edition = $4::int)
	ORDER BY s.subscriber LIMIT $5::int

-- name: ctl_subscriber_count
SELECT count(*) FROM subscription WHERE list = $1::int

-- name: ctl_export_attributes
SELECT DISTINCT k FROM subscription s JOIN subscriber p ON p.id = s.subscriber, jsonb_object_keys(p.attrs) k
	WHERE s.list = $1::int ORDER BY k

-- name: ctl_export_page
-- Attributes come in the order of $4; what is no text there as JSON.
SELECT s.subscriber, p.email, p.name, p.lang, s.zone, s.topics, e.name AS edition,
		CASE WHEN p.suppressed_at IS NOT NULL THEN 'suppressed' ELSE s.status::text END AS status,
		ARRAY(SELECT p.attrs ->> k FROM unnest($4::text[]) WITH ORDINALITY u (k, i) ORDER BY i) AS attributes
	FROM subscription s JOIN subscriber p ON p.id = s.subscriber JOIN edition e ON e.id = s.edition
	WHERE s.list = $1::int AND s.subscriber > $2::bigint ORDER BY s.subscriber LIMIT $3::int

-- name: ctl_export_begin
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: ctl_suppress
-- One of ours, or an address that nobody here has.
SELECT subscriber_suppress($1::bigint, 'operator', $2::timestamptz)

-- name: ctl_suppress_stranger
INSERT INTO suppression (address_hmac, reason, at)
	VALUES (address_hmac($1), 'operator', $2::timestamptz) ON CONFLICT DO NOTHING
