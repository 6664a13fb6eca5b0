-- The outbox: sessions, turns, windows.

-- name: schema_newest
-- First of all in a turn: a migration waits for its end, and it for a migration under way.
SELECT max(number) FROM schema_migration

-- name: session_start
SELECT engine, session, retired_at, rival, rival_beat, rival_host
	FROM session_start($1::uuid, $2, $3, $4::uuid, $5, $6, $7::timestamptz, $8, $9::int, $10::bigint)

-- name: session_beat
-- No row: the session was taken for dead.
UPDATE session SET beat = beat + 1 WHERE id = $1::int AND NOT dead RETURNING beat

-- name: session_end
SELECT session_end($1::int, $2::timestamptz)

-- name: sessions_alive
-- The eldest first.
SELECT s.id, s.beat, s.engine, e.host FROM session s JOIN engine e ON e.id = s.engine WHERE NOT s.dead ORDER BY s.id

-- name: session_bury
SELECT $1::int, session_bury($1::int, $2::bigint, $3::timestamptz)

-- name: engines_gone
-- Those that hold windows and have no living session: with their last one, which is their stamp.
SELECT e.id, (SELECT max(s.id) FROM session s WHERE s.engine = e.id), e.retired_at IS NOT NULL, e.host
	FROM (SELECT DISTINCT engine FROM send_window WHERE settled_at IS NULL) w
	JOIN engine e ON e.id = w.engine
	WHERE NOT EXISTS (SELECT 1 FROM session s WHERE s.engine = e.id AND NOT s.dead)

-- name: engine_orphan
SELECT $1::int, engine_orphan($1::int, $2::int, $3, $4::timestamptz)

-- name: windows_doubted
-- Windows of this engine that others closed as lost; whether they were taken from where it is now.
SELECT w.session, w.n, w.kind = 'letter', s.place = $2
	FROM send_window w JOIN session s ON s.id = w.session
	WHERE w.engine = $1::int AND w.doubted IS NOT NULL ORDER BY w.session, w.n

-- name: window_known
SELECT window_known($1::int, $2::int, $3::jsonb, $4::bigint[], $5::boolean, $6::timestamptz)

-- name: session_turn
-- First in each turn of the outbox: holds the session's row to the end of the transaction, and says
-- afterwards whether it was committed. Answers which turn was the last before, on which server and in
-- which history of it; no row: the session isn't there.
UPDATE session s SET turn = $2::bigint, synced = current_setting('synchronous_standby_names') <> ''
		AND current_setting('synchronous_commit') IN ('on', 'remote_apply')
	FROM (SELECT turn FROM session WHERE id = $1::int) old, server_here() h
		LEFT JOIN LATERAL (SELECT mark FROM server ORDER BY id DESC LIMIT 1) m ON true
	WHERE s.id = $1::int RETURNING s.uuid, old.turn, h.system_identifier, h.timeline, m.mark, server_ready()

-- name: session_lock
-- After a COMMIT whose answer was lost: waits for that transaction's end ...
SELECT 1 FROM session WHERE id = $1::int FOR UPDATE

-- name: session_last_turn
-- ... and then this tells whether it was committed.
SELECT turn FROM session WHERE id = $1::int

-- name: relay_id
WITH made AS (
	INSERT INTO relay (name) VALUES ($1) ON CONFLICT (name) DO NOTHING RETURNING id
)
SELECT id FROM made UNION ALL SELECT id FROM relay WHERE name = $1 LIMIT 1

-- name: relay_lanes
SELECT relay, changes, resting, failures, reason, probed FROM relay_lanes($1::int)

-- name: relay_lane_open
SELECT relay_lane_open($1::smallint, $2::int, make_interval(secs => $3::bigint / 1e6), $4)

-- name: relay_lane_close
SELECT relay_lane_close($1::smallint, $2::bigint)

-- name: relay_lane_probe
SELECT relay_lane_probe($1::smallint, $2::int, $3::bigint)

-- name: relay_lane_leave
SELECT relay_lane_leave($1::smallint, $2::int)

-- name: link_keys
SELECT id, secret FROM link_key WHERE retired_at IS NULL ORDER BY id DESC

-- name: issue_load
SELECT i.id, i.uid, i.content, l.doubt, l.id, i.expires_at
	FROM issue i JOIN list l ON l.id = i.list WHERE i.id = $1::bigint

-- name: issue_pause
UPDATE issue SET state = 'paused' WHERE id = $1::bigint AND state = 'open'

-- name: issue_look
-- Who of these may no longer be sent to, and why; 'held': not now, since the issue is paused.
SELECT r.subscriber, coalesce(r.why_not, CASE WHEN i.state = 'cancelled' THEN 'cancelled' ELSE 'held' END)
	FROM issue i CROSS JOIN issue_readers(i.id, $2::bigint[], $3::timestamptz) r
	WHERE i.id = $1::bigint AND (r.why_not IS NOT NULL OR i.state IN ('cancelled', 'paused'))

-- name: window_take_letters
SELECT t.id, t.kind, t.list, t.subscriber, t.address, t.params, t.tries, t.doubts, t.expires_at,
		t.name, t.attrs, t.lang, t.theme, t.token_gen, t.content, t.why_not, t.recorded
	FROM window_take_letters($1::int, $2::int, $3::int, $4::timestamptz) t

-- name: window_take_retry
SELECT w.issue, w.kind, w.provider, (w.reader).*, w.tries, w.doubts, w.recorded
	FROM window_take_retry($1::int, $2::int, $3::int, $4::text[], $5::timestamptz) w

-- name: window_take_fresh
SELECT w.issue, w.kind, w.provider, (w.reader).*, w.tries, w.doubts, w.recorded
	FROM window_take_fresh($1::int, $2::int, $3::int, $4::text[], $5::timestamptz) w

-- name: window_take_sweep
SELECT w.issue, w.kind, w.provider, (w.reader).*, w.tries, w.doubts, w.recorded
	FROM window_take_sweep($1::int, $2::int, $3::int, $4::text[], $5::timestamptz) w

-- name: windows_open
-- What this engine has taken and not settled, in this life or before.
SELECT w.session, w.n, w.kind, s.place = $2
	FROM send_window w JOIN session s ON s.id = w.session
	WHERE w.engine = $1::int AND w.settled_at IS NULL ORDER BY w.session, w.n

-- name: journal_needed
-- The oldest session of an engine, up to the present one, whose journal may be asked for: it has a
-- window that isn't settled, or one that others closed and that the engine hasn't told of yet.
WITH needed AS MATERIALIZED (
	SELECT session FROM send_window WHERE engine = $1::int AND settled_at IS NULL
	UNION ALL
	SELECT session FROM send_window WHERE engine = $1::int AND doubted IS NOT NULL
)
SELECT least($2::int, min(session)) FROM needed

-- name: window_readers
SELECT w.issue, w.kind, w.provider, (w.reader).*, w.tries, w.doubts, w.recorded
	FROM window_readers($1::int, $2::int, $3::timestamptz) w

-- name: window_letters
SELECT t.id, t.kind, t.list, t.subscriber, t.address, t.params, t.tries, t.doubts, t.expires_at,
		t.name, t.attrs, t.lang, t.theme, t.token_gen, t.content, t.why_not, t.recorded
	FROM send_window w CROSS JOIN LATERAL letters_readers(w.session, w.n, w.members, $3::timestamptz) t
	WHERE w.session = $1::int AND w.n = $2::int AND w.members IS NOT NULL

-- name: deliveries_put_each
SELECT rows_put('outcome', $1::jsonb, $2::timestamptz)

-- name: attempts_put_each
SELECT rows_put('attempt', $1::jsonb, $2::timestamptz)

-- name: deferrals_put
SELECT deferral_put($1::jsonb)

-- name: deferrals_put_each
SELECT rows_put('deferral', $1::jsonb, $2::timestamptz)

-- name: letters_settle
SELECT letters_settle($1::jsonb, $2::timestamptz)

-- name: subscribers_suppress
SELECT subscriber_suppress(id, 'gone', $2::timestamptz) FROM unnest($1::bigint[]) id

-- name: window_settle
SELECT window_settle($1::int, $2::int, $3::int, $4::int, $5::int, $6::int, $7::int, $8::int, $9::timestamptz)

-- name: anomaly_put
INSERT INTO anomaly (at, kind, issue, subscriber, session, n, detail)
	VALUES ($1::timestamptz, $2, $3::bigint, $4::bigint, $5::int, $6::int, $7::jsonb)
