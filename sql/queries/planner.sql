-- The planner: what is due, and the opening of issues.

-- name: editions_due
-- Nothing while a new history of the database waits for what engines know.
SELECT edition, list, theme, lang, occurrence FROM editions_due($1::timestamptz) WHERE server_ready()

-- name: issue_open
-- $3: article ids, NULL for all that are new; $4: subject, NULL for the list's; $5: templates and text.
SELECT issue_open($1::int, $2, $3::bigint[], $4, $5::jsonb, $6::timestamptz)

-- name: partitions_ahead
SELECT partitions_ahead($1::timestamptz)

-- name: flooded_feeds
SELECT name, flood FROM feed WHERE flood IS NOT NULL
