-- Sessions, and the windows that they take and settle.
--
-- A take reads what it returns, however much waits beside it. A plan is kept by its connection, and is
-- made from statistics that lag behind: of an issue that opened a minute ago, or of deferrals that were
-- none an hour ago, the planner believes that there are a few, and reads all of the issue's rows to find
-- one. So readers are looked up by their whole key in subqueries that can't be turned into a join
-- (LIMIT 1, OFFSET 0), rows that were locked are written by their place, and a table that was empty
-- when a plan was made is no reason to read all of it later (enable_seqscan). Compiling (jit) costs
-- more than any of these statements.

-- Begins a session of an engine, which thereby exists. No session comes of it when
--  - the engine was retired: retired_at tells. What it knows of its windows is accepted all the same;
--  - another session of it lives: `rival` and its beat tell. One that ran on the same machine and boot
--    with the same identity file is over, since whoever calls holds the lock on that file. Any other
--    may be the engine itself, and the caller the owner of a copied state directory. So it watches:
--    a rival whose beat goes on is alive; one that it saw stand still for long enough is named, with
--    the beat seen, as p_watched and p_watched_beat, and is dead.
CREATE FUNCTION session_start(p_engine uuid, p_host text, p_machine text, p_session uuid, p_boot text,
	p_version text, p_now timestamptz, p_place text DEFAULT '', p_watched int DEFAULT 0,
	p_watched_beat bigint DEFAULT 0, OUT engine int, OUT session int, OUT retired_at timestamptz,
	OUT rival int, OUT rival_beat bigint, OUT rival_host text)
LANGUAGE plpgsql AS $$
DECLARE
	v_engine engine%ROWTYPE;
	v_living session%ROWTYPE;
BEGIN
	INSERT INTO engine (uuid, host, machine, first_seen) VALUES (p_engine, p_host, p_machine, p_now)
		ON CONFLICT (uuid) DO NOTHING;
	SELECT * INTO v_engine FROM engine e WHERE e.uuid = p_engine FOR NO KEY UPDATE;
	engine := v_engine.id;
	IF v_engine.retired_at IS NOT NULL THEN
		retired_at := v_engine.retired_at;
		RETURN;
	END IF;
	SELECT * INTO v_living FROM session s WHERE s.engine = v_engine.id AND NOT s.dead FOR NO KEY UPDATE;
	IF FOUND AND (v_engine.machine, v_living.boot, v_living.place) <> (p_machine, p_boot, p_place)
			AND (v_living.id, v_living.beat) <> (p_watched, p_watched_beat) THEN
		rival := v_living.id;
		rival_beat := v_living.beat;
		rival_host := v_engine.host;
		RETURN;
	END IF;
	UPDATE engine e SET host = p_host, machine = p_machine WHERE e.id = v_engine.id;
	UPDATE session s SET dead = true, ended_at = coalesce(s.ended_at, p_now)
		WHERE s.engine = v_engine.id AND NOT s.dead;
	INSERT INTO session AS s (uuid, engine, boot, version, started_at, place)
		VALUES (p_session, v_engine.id, p_boot, p_version, p_now, p_place) RETURNING s.id INTO session;
	-- The others give way at once.
	PERFORM pg_notify('digestd', 'session');
END $$;

-- Ends a session in order. Returns whether it was alive.
CREATE FUNCTION session_end(p_session int, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
	UPDATE session SET dead = true, ended_at = p_now WHERE id = p_session AND NOT dead;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM pg_notify('digestd', 'session');
	RETURN true;
END $$;

-- An observer that saw the beat stand still for long enough, on its own clock, says so: the session
-- is dead unless it has moved since. One whose row is held by a transaction that hangs is left for
-- the next time.
CREATE FUNCTION session_bury(p_session int, p_beat bigint, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM 1 FROM session WHERE id = p_session AND beat = p_beat AND NOT dead FOR NO KEY UPDATE SKIP LOCKED;
	RETURN FOUND AND session_end(p_session, p_now);
END $$;

-- What is known of one reader of an issue at this moment; why_not NULL: may be sent to.
CREATE TYPE issue_reader AS (
	subscriber bigint,
	email      text,
	address_no int,
	name       text,
	attrs      jsonb,
	lang       text,
	topics     text[],
	zone       text,
	token_gen  int,
	why_not    text -- 'erased', 'suppressed', 'unsubscribed', 'moved', 'paused', 'no topic', 'expired'
);

-- Looks the readers of an issue up: the one place that says who may be sent to. Ids that a caller
-- took first, their rows after (a join from the other side would read the whole list).
CREATE FUNCTION issue_readers(p_issue bigint, p_ids bigint[], p_now timestamptz) RETURNS SETOF issue_reader
LANGUAGE sql STABLE AS $$
	SELECT m.id, p.email, p.address_no, p.name, p.attrs, CASE WHEN p.lang <> '' THEN p.lang ELSE i.lang END,
		s.topics, s.zone, s.token_gen,
		CASE
		WHEN p.id IS NULL THEN 'erased'
		WHEN p.suppressed_at IS NOT NULL THEN 'suppressed'
		WHEN s.status IS DISTINCT FROM 'active' THEN 'unsubscribed'
		WHEN s.edition <> i.edition THEN 'moved'
		WHEN s.paused_until > p_now THEN 'paused'
		WHEN NOT (i.for_all OR s.topics = '{}' OR s.topics && i.topics) THEN 'no topic'
		WHEN i.expires_at <= p_now THEN 'expired'
		END
	FROM (SELECT i.list, i.edition, i.for_all, i.topics, i.expires_at, l.lang
		FROM issue i JOIN list l ON l.id = i.list WHERE i.id = p_issue) i
	CROSS JOIN unnest(p_ids) m (id)
	LEFT JOIN LATERAL (SELECT * FROM subscriber WHERE subscriber.id = m.id LIMIT 1) p ON true
	LEFT JOIN LATERAL (SELECT * FROM subscription
		WHERE subscription.list = i.list AND subscription.subscriber = m.id LIMIT 1) s ON true
$$;

-- A row of a taken window: the window's own columns, then one reader. A take that moved on without
-- finding a reader answers one row whose subscriber is NULL: ask again.
CREATE TYPE window_reader AS (
	issue    bigint,
	kind     window_kind,
	provider text,
	reader   issue_reader,
	tries    smallint,
	doubts   smallint,
	recorded text -- what this window came to for them already: an outcome, or 'deferred'
);

-- Only a living session takes. Holds it so until the transaction ends.
CREATE FUNCTION session_lives(p_session int) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM 1 FROM session WHERE id = p_session AND NOT dead FOR SHARE;
	RETURN FOUND;
END $$;

CREATE FUNCTION window_open(p_session int, p_n int, p_kind window_kind, p_issue bigint, p_provider text,
	p_members bigint[], p_now timestamptz) RETURNS void
LANGUAGE sql AS $$
	INSERT INTO send_window (session, n, engine, kind, issue, provider, members, size, taken_at)
		SELECT id, p_n, engine, p_kind, p_issue, p_provider, p_members, cardinality(p_members), p_now
		FROM session WHERE id = p_session
$$;

-- Takes the next fresh window: of the issue that was served longest ago, the lane that was; none of
-- the providers in p_busy. Empty when there is nothing to take.
CREATE FUNCTION window_take_fresh(p_session int, p_n int, p_limit int, p_busy text[], p_now timestamptz)
	RETURNS SETOF window_reader
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
	v_lane    lane%ROWTYPE;
	v_edition int;
	v_gen     bigint;
	v_count   int;
	v_last    bigint;
	v_ids     bigint[];
	v_readers issue_reader[];
BEGIN
	IF NOT session_lives(p_session) THEN
		RETURN;
	END IF;
	SELECT l.* INTO v_lane
		FROM issue i
		CROSS JOIN LATERAL (SELECT max(taken_at) AS at FROM lane WHERE lane.issue = i.id) served
		JOIN lane l ON l.issue = i.id
		WHERE i.ended_at IS NULL AND i.state = 'open' AND i.expires_at > p_now
			AND NOT l.eaten AND l.not_before <= p_now AND l.provider <> ALL (p_busy)
		ORDER BY served.at NULLS FIRST, l.taken_at NULLS FIRST, l.not_before
		LIMIT 1 FOR NO KEY UPDATE OF l SKIP LOCKED FOR SHARE OF i SKIP LOCKED;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	SELECT edition, gen INTO v_edition, v_gen FROM issue WHERE id = v_lane.issue;

	WITH scanned AS MATERIALIZED (
		SELECT subscriber, joined_gen, placed_gen FROM subscription
		WHERE edition = v_edition AND zone = v_lane.zone AND provider = v_lane.provider
			AND status = 'active' AND subscriber > v_lane.cursor
		ORDER BY subscriber LIMIT p_limit
	)
	SELECT count(*), max(subscriber),
			array_agg(subscriber ORDER BY subscriber) FILTER (WHERE joined_gen <= v_gen AND placed_gen <= v_gen)
		INTO v_count, v_last, v_ids FROM scanned;
	-- The cursor moves to the last row that was scanned, not to the last that was taken.
	UPDATE lane SET cursor = coalesce(v_last, cursor), eaten = v_count < p_limit, taken_at = p_now
		WHERE issue = v_lane.issue AND zone = v_lane.zone AND provider = v_lane.provider;

	SELECT array_agg(r) INTO v_readers FROM issue_readers(v_lane.issue, v_ids, p_now) r
		WHERE r.why_not IS NULL
			AND NOT EXISTS (SELECT 1 FROM delivery d
				WHERE d.issue = v_lane.issue AND d.subscriber = r.subscriber OFFSET 0)
			AND NOT EXISTS (SELECT 1 FROM deferral d
				WHERE d.issue = v_lane.issue AND d.subscriber = r.subscriber OFFSET 0);
	IF v_readers IS NULL THEN
		RETURN NEXT (v_lane.issue, 'fresh', v_lane.provider, NULL, 0, 0, NULL)::window_reader;
		RETURN;
	END IF;
	PERFORM window_open(p_session, p_n, 'fresh', v_lane.issue, v_lane.provider,
		(SELECT array_agg((r).subscriber) FROM unnest(v_readers) r), p_now);
	RETURN QUERY SELECT v_lane.issue, 'fresh'::window_kind, v_lane.provider,
		(r.subscriber, r.email, r.address_no, r.name, r.attrs, r.lang, r.topics, r.zone, r.token_gen,
			r.why_not)::issue_reader, 0::smallint, 0::smallint, NULL::text
		FROM unnest(v_readers) r;
END $$;

-- The readers of a window as they are now, with why_not when they may no longer be sent to, tries from
-- their deferral.
CREATE FUNCTION window_members(p_session int, p_n int, p_kind window_kind, p_issue bigint, p_provider text,
	p_ids bigint[], p_now timestamptz) RETURNS SETOF window_reader
LANGUAGE sql STABLE AS $$
	SELECT p_issue, p_kind, p_provider,
		(r.subscriber, r.email, r.address_no, r.name, r.attrs, r.lang, r.topics, r.zone, r.token_gen,
			r.why_not)::issue_reader,
		coalesce(f.tries, 0::smallint), coalesce(f.doubts, 0::smallint),
		CASE
		WHEN (d.session, d.n) = (p_session, p_n) THEN d.outcome::text
		WHEN f.issue IS NOT NULL AND (f.session, f.n) IS DISTINCT FROM (p_session, p_n) THEN 'deferred'
		-- Put off, and come to an end in another window since.
		WHEN f.issue IS NULL AND d.issue IS NOT NULL THEN 'deferred'
		END
	FROM issue_readers(p_issue, p_ids, p_now) r
	LEFT JOIN LATERAL (SELECT * FROM delivery
		WHERE delivery.issue = p_issue AND delivery.subscriber = r.subscriber LIMIT 1) d ON true
	LEFT JOIN LATERAL (SELECT * FROM deferral
		WHERE deferral.issue = p_issue AND deferral.subscriber = r.subscriber LIMIT 1) f ON true
$$;

-- Takes deferrals that are due, of one issue and provider group: of those that have some, the one that
-- was served longest ago, and of its deferrals the first that came due. So issues and providers take
-- turns, whoever waits longest in his own comes first, and nobody waits for ever. Who may no longer be
-- sent to comes along with why_not set, to be recorded as skipped or expired.
CREATE FUNCTION window_take_retry(p_session int, p_n int, p_limit int, p_busy text[],
	p_now timestamptz) RETURNS SETOF window_reader
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
	v_issue    bigint;
	v_provider text;
	v_places   tid[];
	v_ids      bigint[];
BEGIN
	IF NOT session_lives(p_session) THEN
		RETURN;
	END IF;
	FOR v_issue, v_provider IN
		SELECT l.issue, l.provider
		FROM (SELECT r.issue, r.provider FROM issue i JOIN retry_lane r ON r.issue = i.id
			WHERE i.ended_at IS NULL AND i.state = 'open' AND r.provider <> ALL (p_busy)
			ORDER BY r.served, r.issue, r.provider OFFSET 0) l
		CROSS JOIN LATERAL (SELECT 1 FROM deferral d
			WHERE d.issue = l.issue AND d.provider = l.provider AND d.session IS NULL AND d.due_at <= p_now
			ORDER BY d.due_at LIMIT 1) d
	LOOP
		-- Held until the commit, so that a pause or a cancel comes before the take or after it.
		PERFORM 1 FROM issue WHERE id = v_issue AND state = 'open' FOR SHARE SKIP LOCKED;
		CONTINUE WHEN NOT FOUND;
		SELECT array_agg(place) INTO v_places FROM (
			SELECT ctid AS place FROM deferral
			WHERE issue = v_issue AND provider = v_provider AND session IS NULL AND due_at <= p_now
			ORDER BY due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) due;
		EXIT WHEN v_places IS NOT NULL; -- else another engine is taking what there is
	END LOOP;
	IF v_places IS NULL THEN
		RETURN;
	END IF;
	WITH held AS (
		UPDATE deferral SET session = p_session, n = p_n WHERE ctid = ANY (v_places) RETURNING subscriber
	)
	SELECT array_agg(subscriber ORDER BY subscriber) INTO v_ids FROM held;
	-- Who serves it at the same time says so, too: one of them is enough.
	UPDATE retry_lane SET served = nextval('retry_turn') WHERE ctid = (SELECT ctid FROM retry_lane
		WHERE issue = v_issue AND provider = v_provider FOR NO KEY UPDATE SKIP LOCKED);
	PERFORM window_open(p_session, p_n, 'retry', v_issue, v_provider, v_ids, p_now);
	RETURN QUERY SELECT * FROM window_members(p_session, p_n, 'retry', v_issue, v_provider, v_ids, p_now);
END $$;

-- Those of an open window, for who settles it after a crash.
CREATE FUNCTION window_readers(p_session int, p_n int, p_now timestamptz)
	RETURNS SETOF window_reader
LANGUAGE sql STABLE AS $$
	SELECT m.* FROM send_window w
	CROSS JOIN LATERAL window_members(w.session, w.n, w.kind, w.issue, w.provider, w.members, p_now) m
	WHERE w.session = p_session AND w.n = p_n AND w.members IS NOT NULL AND w.issue IS NOT NULL
$$;

-- Who belongs to an issue's audience but moved between its lanes after it opened, and was neither
-- sent to nor put off. A single SELECT, so that it is planned within the statement that asks.
CREATE FUNCTION issue_moved(p_issue bigint, p_edition int, p_gen bigint, p_now timestamptz)
	RETURNS TABLE (provider text, subscriber bigint)
LANGUAGE sql STABLE AS $$
	SELECT s.provider, s.subscriber
	FROM subscription s
	JOIN LATERAL issue_readers(p_issue, ARRAY[s.subscriber], p_now) r ON r.why_not IS NULL
	WHERE s.edition = p_edition AND s.status = 'active' AND s.placed_gen > p_gen AND s.joined_gen <= p_gen
		AND NOT EXISTS (SELECT 1 FROM delivery d
			WHERE d.issue = p_issue AND d.subscriber = s.subscriber OFFSET 0)
		AND NOT EXISTS (SELECT 1 FROM deferral d
			WHERE d.issue = p_issue AND d.subscriber = s.subscriber OFFSET 0)
$$;

-- The end of an issue. Of one whose lanes are eaten and that has no open window, takes those who
-- belong to its audience but moved between its lanes; when there is none and nobody is put off, the
-- issue is done. One past its time expires once nobody is put off any more. Answers like a take.
CREATE FUNCTION window_take_sweep(p_session int, p_n int, p_limit int, p_busy text[], p_now timestamptz)
	RETURNS SETOF window_reader
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
	i          issue%ROWTYPE;
	v_provider text;
	v_ids      bigint[];
BEGIN
	IF NOT session_lives(p_session) THEN
		RETURN;
	END IF;
	IF deferrals_cancel(p_session, p_n, p_limit, p_now) > 0 THEN
		-- There may be more: asked again.
		RETURN NEXT (0, 'sweep', '', NULL, 0, 0, NULL)::window_reader;
		RETURN;
	END IF;
	FOR i IN
		SELECT * FROM issue WHERE ended_at IS NULL AND state = 'open'
			AND (expires_at <= p_now OR NOT EXISTS (SELECT 1 FROM lane l WHERE l.issue = issue.id AND NOT l.eaten))
		ORDER BY id FOR UPDATE SKIP LOCKED
	LOOP
		-- Locked above, looked at here: a take that was under way is seen by this statement.
		CONTINUE WHEN EXISTS (SELECT 1 FROM send_window w WHERE w.issue = i.id AND w.settled_at IS NULL);
		IF i.expires_at > p_now THEN
			CONTINUE WHEN EXISTS (SELECT 1 FROM lane l WHERE l.issue = i.id AND NOT l.eaten);
			SELECT m.provider, array_agg(m.subscriber ORDER BY m.subscriber) INTO v_provider, v_ids
				FROM (
					SELECT m.provider, m.subscriber FROM issue_moved(i.id, i.edition, i.gen, p_now) m
					WHERE m.provider <> ALL (p_busy) ORDER BY m.provider, m.subscriber LIMIT p_limit
				) m GROUP BY m.provider ORDER BY m.provider LIMIT 1;
			IF v_ids IS NOT NULL THEN
				PERFORM window_open(p_session, p_n, 'sweep', i.id, v_provider, v_ids, p_now);
				RETURN QUERY SELECT * FROM window_readers(p_session, p_n, p_now);
				RETURN;
			END IF;
			-- A busy provider's readers are still to be swept.
			CONTINUE WHEN EXISTS (SELECT 1 FROM issue_moved(i.id, i.edition, i.gen, p_now) m
				WHERE m.provider = ANY (p_busy));
		END IF;
		CONTINUE WHEN EXISTS (SELECT 1 FROM deferral d WHERE d.issue = i.id);
		-- A journal was lost, and an operator hasn't decided yet: afterwards it couldn't be sent again.
		CONTINUE WHEN i.expires_at > p_now AND EXISTS (SELECT 1 FROM delivery d
			WHERE d.issue = i.id AND d.outcome = 'in_doubt' AND d.reason LIKE 'in doubt, held:%'
				AND d.reason NOT LIKE '%(settled: %' AND NOT EXISTS (SELECT 1 FROM attempt a
					WHERE a.issue = d.issue AND a.subscriber = d.subscriber AND a.at > d.at));
		UPDATE issue SET ended_at = p_now, state = CASE WHEN EXISTS (SELECT 1 FROM lane l
			WHERE l.issue = i.id AND NOT l.eaten) THEN 'expired'::issue_state ELSE 'done' END WHERE id = i.id;
		PERFORM pg_notify('digestd', 'ended ' || i.id);
	END LOOP;
END $$;

-- ---- settling ---------------------------------------------------------------------------------
-- Facts are accepted from anyone at any time: nothing below asks who is alive.

-- Moves one reader of a settled window from one of its counts to another; an open window's are
-- counted when it is settled. Only a doubt or a deferral can become something else.
CREATE FUNCTION window_recount(p_session int, p_n int, p_from text, p_to text) RETURNS void
LANGUAGE sql AS $$
	UPDATE send_window SET
		in_doubt = in_doubt - (p_from = 'in_doubt')::int + (p_to = 'in_doubt')::int,
		deferred = deferred - (p_from = 'deferred')::int + (p_to = 'deferred')::int,
		delivered = delivered + (p_to = 'delivered')::int,
		refused = refused + (p_to = 'refused')::int,
		expired = expired + (p_to = 'expired')::int,
		skipped = skipped + (p_to = 'skipped')::int
	WHERE session = p_session AND n = p_n AND settled_at IS NOT NULL
		AND CASE p_from WHEN 'in_doubt' THEN in_doubt WHEN 'deferred' THEN deferred END > 0
$$;

-- The window that counts a reader's doubt: that of the newest. None while they are put off, since
-- another window is going to count their end.
CREATE FUNCTION doubt_window(p_issue bigint, p_subscriber bigint, OUT session int, OUT n int)
LANGUAGE sql STABLE AS $$
	SELECT t.session, t.n
	FROM (
		SELECT a.session, a.n, a.at FROM attempt a
		WHERE a.issue = p_issue AND a.subscriber = p_subscriber AND a.cause LIKE 'in doubt%'
		UNION ALL
		SELECT d.session, d.n, d.at FROM delivery d
		WHERE d.issue = p_issue AND d.subscriber = p_subscriber AND d.outcome = 'in_doubt'
	) t
	WHERE NOT EXISTS (SELECT 1 FROM deferral f WHERE f.issue = p_issue AND f.subscriber = p_subscriber)
	ORDER BY t.at DESC LIMIT 1
$$;

-- A doubt became known: its window counts it so. Another window that counted it, counts a deferral:
-- the reader's end is in that one.
CREATE FUNCTION doubt_recount(p_issue bigint, p_subscriber bigint, p_session int, p_n int, p_to text)
	RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	v_session int;
	v_n       int;
BEGIN
	SELECT t.session, t.n INTO v_session, v_n FROM doubt_window(p_issue, p_subscriber) t;
	IF (v_session, v_n) = (p_session, p_n) THEN
		PERFORM window_recount(p_session, p_n, 'in_doubt', p_to);
		RETURN;
	END IF;
	PERFORM window_recount(p_session, p_n, 'deferred', p_to);
	PERFORM window_recount(v_session, v_n, 'in_doubt', 'deferred');
END $$;

-- Records one outcome, for when COPY met a row that doesn't fit. A second fact about the same reader
-- makes a doubt known, and then nobody sends again who hasn't begun to; or it is kept as an attempt.
-- The counts of windows follow. p_row has delivery's columns by name.
CREATE FUNCTION delivery_put(p_row jsonb) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
	v_old   delivery%ROWTYPE;
	d       delivery%ROWTYPE;
	v_cause text;
BEGIN
	d := jsonb_populate_record(NULL::delivery, p_row);
	INSERT INTO delivery SELECT d.* ON CONFLICT DO NOTHING;
	IF FOUND THEN
		RETURN;
	END IF;
	SELECT * INTO v_old FROM delivery WHERE issue = d.issue AND subscriber = d.subscriber FOR UPDATE;
	IF (v_old.session, v_old.n, v_old.attempt, v_old.outcome) = (d.session, d.n, d.attempt, d.outcome) THEN
		RETURN;
	END IF;
	IF v_old.outcome = 'in_doubt' AND d.outcome IN ('delivered', 'refused') THEN
		PERFORM doubt_recount(d.issue, d.subscriber, d.session, d.n, d.outcome::text);
		UPDATE delivery SET at = d.at, session = d.session, n = d.n, variant = d.variant,
				outcome = d.outcome, attempt = d.attempt, relay = d.relay, code = d.code,
				enhanced = d.enhanced, reason = d.reason, queue_id = d.queue_id
			WHERE issue = d.issue AND subscriber = d.subscriber;
		DELETE FROM deferral WHERE issue = d.issue AND subscriber = d.subscriber AND session IS NULL;
		d := v_old;
		v_cause := 'in doubt';
	ELSE
		v_cause := CASE WHEN v_old.outcome <> 'in_doubt' THEN 'second fact: ' || d.outcome
			WHEN d.outcome = 'in_doubt' THEN 'in doubt'
			ELSE 'in doubt, not sent again: ' || d.outcome END;
		UPDATE send_window SET second_facts = true
			WHERE session = d.session AND n = d.n AND settled_at IS NULL AND v_cause <> 'in doubt';
	END IF;
	INSERT INTO attempt (issue, subscriber, at, session, n, attempt, relay, code, enhanced, cause, reply,
			queue_id)
		VALUES (d.issue, d.subscriber, d.at, d.session, d.n, d.attempt, d.relay, d.code, d.enhanced,
			v_cause, d.reason, d.queue_id)
		-- What had been known of that try was that it is in doubt.
		ON CONFLICT (issue, subscriber, session, n, attempt) DO UPDATE SET at = excluded.at,
				relay = excluded.relay, code = excluded.code, enhanced = excluded.enhanced,
				cause = excluded.cause, reply = excluded.reply, queue_id = excluded.queue_id
			WHERE attempt.cause LIKE 'in doubt%' AND excluded.cause LIKE 'second fact%';
END $$;

-- An engine knows of a reader in doubt that this window's try wasn't accepted: the doubt goes, an
-- attempt says so, and the reader is put off; or, when the issue has ended or an operator said that
-- it is not to be sent again, expired or skipped. When an older try is in doubt, too, that one stays.
-- Nothing happens to who is put off already, or was tried again by another window since. p_spent:
-- there was an answer, and it was a try.
CREATE FUNCTION doubt_unsent(p_issue bigint, p_subscriber bigint, p_session int, p_n int, p_spent boolean,
	p_cause text, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
	d          delivery%ROWTYPE;
	i          issue%ROWTYPE;
	v_provider text;
	v_end      outcome;
	v_attempt  int;
BEGIN
	PERFORM 1 FROM issue WHERE id = p_issue FOR SHARE; -- a sweep comes before this or after it
	SELECT * INTO i FROM issue WHERE id = p_issue;
	SELECT * INTO d FROM delivery WHERE issue = p_issue AND subscriber = p_subscriber
		AND outcome = 'in_doubt' FOR UPDATE;
	IF NOT FOUND OR NOT EXISTS (SELECT 1 FROM doubt_window(p_issue, p_subscriber) t
			WHERE (t.session, t.n) = (p_session, p_n)) THEN
		RETURN false;
	END IF;
	v_end := CASE WHEN i.state = 'cancelled' OR d.reason LIKE '%(settled: not sent again)' THEN 'skipped'::outcome
		WHEN i.ended_at IS NOT NULL OR i.expires_at <= p_now THEN 'expired'::outcome END;
	v_attempt := d.attempt;
	IF (d.session, d.n) = (p_session, p_n) THEN
		INSERT INTO attempt (issue, subscriber, at, session, n, attempt, cause)
			VALUES (p_issue, p_subscriber, p_now, p_session, p_n, d.attempt, 'not sent: ' || p_cause)
			ON CONFLICT (issue, subscriber, session, n, attempt) DO UPDATE SET cause = excluded.cause;
		DELETE FROM delivery WHERE issue = p_issue AND subscriber = p_subscriber;
		PERFORM window_recount(p_session, p_n, 'in_doubt', coalesce(v_end::text, 'deferred'));
		IF v_end IS NOT NULL THEN
			d.outcome := v_end;
			d.at := p_now;
			d.reason := 'not sent: ' || p_cause;
			INSERT INTO delivery SELECT d.*;
			RETURN true;
		END IF;
	ELSE
		UPDATE attempt SET cause = 'not sent: ' || p_cause
			WHERE issue = p_issue AND subscriber = p_subscriber AND session = p_session AND n = p_n
			RETURNING attempt INTO v_attempt;
		PERFORM window_recount(p_session, p_n, 'in_doubt', 'deferred');
		IF v_end IS NOT NULL THEN
			PERFORM window_recount(t.session, t.n, 'deferred', 'in_doubt')
				FROM doubt_window(p_issue, p_subscriber) t;
			RETURN true;
		END IF;
	END IF;
	SELECT provider INTO v_provider FROM send_window WHERE session = p_session AND n = p_n;
	INSERT INTO deferral (issue, subscriber, provider, due_at, tries, doubts, first_at, variant, cause)
		VALUES (p_issue, p_subscriber, v_provider, p_now,
			v_attempt - CASE WHEN p_spent THEN 0 ELSE 1 END,
			(SELECT count(*) FROM attempt a WHERE a.issue = p_issue AND a.subscriber = p_subscriber
				AND a.cause LIKE 'in doubt%'), d.at, d.variant, 'not sent: ' || p_cause)
		ON CONFLICT DO NOTHING;
	RETURN true;
END $$;

-- Puts readers off: makes their deferral or moves it on, and lets go of it; but for one whose end is
-- known by another window. One whose window was taken for lost meanwhile was recorded as in doubt: a
-- deferral is an answer, or says that nothing was sent. Rows are deferral's columns by name.
CREATE FUNCTION deferral_put(p_rows jsonb) RETURNS void
LANGUAGE sql AS $$
	SELECT CASE WHEN r.cause LIKE 'in doubt%' THEN window_recount(t.session, t.n, 'in_doubt', 'deferred') IS NULL
			ELSE doubt_unsent(r.issue, r.subscriber, t.session, t.n, false, r.cause, r.first_at) END
		FROM jsonb_populate_recordset(NULL::deferral, p_rows) r
		JOIN delivery e ON e.issue = r.issue AND e.subscriber = r.subscriber AND e.outcome = 'in_doubt'
		CROSS JOIN LATERAL doubt_window(r.issue, r.subscriber) t
		JOIN send_window w ON w.session = t.session AND w.n = t.n AND w.doubted IS NOT NULL;
	INSERT INTO deferral AS d
		SELECT r.* FROM jsonb_populate_recordset(NULL::deferral, p_rows) r
		WHERE NOT EXISTS (SELECT 1 FROM delivery e
			WHERE e.issue = r.issue AND e.subscriber = r.subscriber AND e.outcome <> 'in_doubt' OFFSET 0)
		ORDER BY r.issue, r.subscriber
		ON CONFLICT (issue, subscriber) DO UPDATE SET
			due_at = excluded.due_at, tries = excluded.tries, doubts = excluded.doubts,
			variant = excluded.variant, relay = excluded.relay, code = excluded.code,
			enhanced = excluded.enhanced, cause = excluded.cause, reply = excluded.reply,
			session = NULL, n = NULL
$$;

-- Records rows one by one, for when one among them doesn't fit: that one becomes an anomaly of the
-- kind of its rows. Returns how many of those there were.
CREATE FUNCTION rows_put(p_kind text, p_rows jsonb, p_now timestamptz) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
	v_row     jsonb;
	v_strange int := 0;
BEGIN
	FOR v_row IN SELECT * FROM jsonb_array_elements(p_rows) LOOP
		BEGIN
			CASE p_kind
			WHEN 'outcome' THEN
				PERFORM delivery_put(v_row);
			WHEN 'attempt' THEN
				INSERT INTO attempt SELECT (jsonb_populate_record(NULL::attempt, v_row)).* ON CONFLICT DO NOTHING;
			WHEN 'deferral' THEN
				PERFORM deferral_put(jsonb_build_array(v_row));
			END CASE;
		EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
			v_strange := v_strange + 1;
			INSERT INTO anomaly (at, kind, detail)
				VALUES (p_now, p_kind, jsonb_build_object('row', v_row, 'error', sqlerrm));
		END;
	END LOOP;
	RETURN v_strange;
END $$;

-- Closes a window: its members go, its counts stay; deferrals that it still holds have found their
-- end and go with it. A reader of whom another window's fact counts is a deferral of this one.
-- Settling twice changes nothing. Returns whether it was open.
CREATE FUNCTION window_settle(p_session int, p_n int, p_delivered int, p_refused int, p_expired int,
	p_skipped int, p_in_doubt int, p_deferred int, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
	w       send_window%ROWTYPE;
	v_cause text;
BEGIN
	SELECT * INTO w FROM send_window WHERE session = p_session AND n = p_n AND settled_at IS NULL FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	UPDATE send_window SET settled_at = p_now, members = NULL, delivered = p_delivered,
			refused = p_refused, expired = p_expired, skipped = p_skipped, in_doubt = p_in_doubt,
			deferred = p_deferred
		WHERE session = p_session AND n = p_n;
	FOR v_cause IN SELECT a.cause FROM attempt a
		WHERE w.second_facts AND a.issue = w.issue AND a.subscriber = ANY (w.members)
			AND a.session = p_session AND a.n = p_n
			AND (a.cause LIKE 'second fact: %' OR a.cause LIKE 'in doubt, not sent again: %')
	LOOP
		UPDATE send_window SET
				delivered = delivered - (v_cause LIKE '%: delivered')::int,
				refused = refused - (v_cause LIKE '%: refused')::int,
				expired = expired - (v_cause LIKE '%: expired')::int,
				skipped = skipped - (v_cause LIKE '%: skipped')::int,
				in_doubt = in_doubt - (v_cause LIKE '%: in_doubt')::int + (v_cause LIKE 'in doubt%')::int,
				deferred = deferred + (v_cause LIKE 'second fact%')::int
			WHERE session = p_session AND n = p_n;
	END LOOP;
	DELETE FROM deferral WHERE session = p_session AND n = p_n;
	RETURN true;
END $$;
