-- Which server this is, and what its history has lost.

-- name: server_which
-- Asked of each new connection; needs nothing of ours.
SELECT c.system_identifier, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
	FROM pg_control_system() c

-- name: server_seen
SELECT s.system_identifier, s.timeline, s.mark, s.replay
	FROM server_seen($1::uuid, $2::uuid, $3::uuid, $4::bigint, $5::timestamptz) s

-- name: server_replayed
SELECT server_replayed($1::uuid, $2::uuid)

-- name: server_wait
SELECT w.ready, w.absent FROM server_wait($1::boolean, make_interval(secs => $2::float8), $3::timestamptz) w

-- name: windows_known
SELECT w.session, w.n FROM windows_known($1::int, make_interval(secs => $2::float8), $3::timestamptz) w

-- name: window_recall
SELECT w.issue, w.kind, w.provider, (w.reader).*, w.tries, w.doubts, w.recorded
	FROM window_recall($1::int, $2::int, $3, $4::bigint, $5::bigint[], $6::timestamptz[], $7::int[],
		$8::boolean[], $9::timestamptz) w

-- name: window_recall_letters
SELECT t.id, t.kind, t.list, t.subscriber, t.address, t.params, t.tries, t.doubts, t.expires_at,
		t.name, t.attrs, t.lang, t.theme, t.token_gen, t.content, t.why_not, t.recorded
	FROM window_recall_letters($1::int, $2::int, $3::bigint[], $4::timestamptz[], $5::int[], $6::timestamptz) t

-- name: recalled_put
SELECT recalled_put($1, $2::jsonb)
