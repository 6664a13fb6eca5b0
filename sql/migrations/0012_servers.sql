-- Which database this is, and whether it still has what its engines know. A fail-over, a restore from
-- a backup and a server set back begin another history of the same database, from which acknowledged
-- transactions may be missing. Each history has a mark. An engine that finds another mark than the
-- one that it knows tells the new history first what its journal has of the last day; until the
-- engines that are known have done so, nobody takes a window or opens an issue.

DROP TABLE server;

-- The histories, the newest last.
CREATE TABLE server (
	id                int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	mark              uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
	system_identifier bigint NOT NULL, -- initdb made it
	timeline          int NOT NULL,    -- rises with each fail-over and each restore to a moment
	cause             text NOT NULL CHECK (cause IN ('first seen', 'new timeline', 'another server', 'set back')),
	lost              boolean NOT NULL DEFAULT false, -- an acknowledged transaction isn't in it
	seen_at           timestamptz NOT NULL,
	ready_at          timestamptz      -- takes and openings go on
);

ALTER TABLE engine ADD mark uuid;      -- the newest history that it has told what it knows
ALTER TABLE session ADD synced boolean NOT NULL DEFAULT false; -- its last turn waited for a standby

CREATE FUNCTION server_here(OUT system_identifier bigint, OUT timeline int)
LANGUAGE sql VOLATILE AS $$
	SELECT c.system_identifier, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
	FROM pg_control_system() c
$$;

-- Numbers that the lost part of a history may have given away are not given away again: journals and
-- links speak of readers, letters, sessions and issues by them. As the owner, since engines can't set
-- a sequence.
CREATE FUNCTION server_skip_numbers() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	PERFORM setval('session_id_seq', nextval('session_id_seq') + 1000);
	PERFORM setval('engine_id_seq', nextval('engine_id_seq') + 100);
	PERFORM setval('issue_number', (nextval('issue_number') + 999) % 999999 + 1);
	PERFORM setval('subscriber_id_seq', nextval('subscriber_id_seq') + 1000000);
	PERFORM setval('letter_id_seq', nextval('letter_id_seq') + 1000000);
END $$;

-- An engine comes, with what it remembers (NULL when nothing): the mark, and the last turn of its last
-- session whose COMMIT was answered. Notices a new history, which begins thereby. replay: it has to
-- tell this one what it knows.
CREATE FUNCTION server_seen(p_engine uuid, p_mark uuid, p_session uuid, p_turn bigint, p_now timestamptz,
	OUT system_identifier bigint, OUT timeline int, OUT mark uuid, OUT replay boolean)
LANGUAGE plpgsql AS $$
DECLARE
	h        record;
	s        server%ROWTYPE;
	v_lost   boolean;
	v_cause  text;
BEGIN
	SELECT * INTO h FROM server_here();
	v_lost := p_session IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM session x WHERE x.uuid = p_session AND x.turn >= p_turn);
	FOR i IN 1..2 LOOP
		SELECT * INTO s FROM server ORDER BY id DESC LIMIT 1;
		v_cause := CASE
			WHEN s.id IS NULL THEN 'first seen'
			WHEN s.system_identifier <> h.system_identifier THEN 'another server'
			WHEN s.timeline <> h.timeline THEN 'new timeline'
			-- The same server by its own word, and it has lost a turn that it had acknowledged.
			WHEN v_lost AND (s.mark = p_mark OR NOT EXISTS (SELECT 1 FROM server x WHERE x.mark = p_mark))
				THEN 'set back'
			END;
		EXIT WHEN v_cause IS NULL OR i = 2;
		PERFORM pg_advisory_xact_lock(hashtext('server_seen')); -- and look again: another engine may have been first
	END LOOP;
	IF v_cause IS NOT NULL THEN
		INSERT INTO server (system_identifier, timeline, cause, lost, seen_at, ready_at)
			VALUES (h.system_identifier, h.timeline, v_cause, v_lost, p_now,
				CASE WHEN v_cause = 'first seen' THEN p_now END)
			RETURNING * INTO s;
		IF v_cause <> 'first seen' THEN
			PERFORM server_skip_numbers();
		END IF;
	ELSIF v_lost AND NOT s.lost AND s.ready_at IS NULL THEN
		UPDATE server x SET lost = true WHERE x.id = s.id;
	END IF;
	system_identifier := h.system_identifier;
	timeline := h.timeline;
	mark := s.mark;
	replay := p_mark IS DISTINCT FROM s.mark
		OR EXISTS (SELECT 1 FROM engine e WHERE e.uuid = p_engine AND e.mark IS DISTINCT FROM s.mark);
END $$;

-- The engine has told the history of that mark all that it knows.
CREATE FUNCTION server_replayed(p_engine uuid, p_mark uuid) RETURNS void
LANGUAGE sql AS $$
	UPDATE engine SET mark = p_mark WHERE uuid = p_engine
$$;

-- Whether takes and openings may go on: the newest history is this server's, and it is ready.
CREATE FUNCTION server_ready() RETURNS boolean
LANGUAGE sql STABLE AS $$
	SELECT coalesce((SELECT s.ready_at IS NOT NULL
			AND s.timeline = ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
		FROM server s ORDER BY id DESC LIMIT 1), true)
$$;

-- The engines that still have to tell the newest history what they know: those that were alive within
-- the time for which journals are kept. With p_over (the time to wait for them is over) only those
-- that may know of something that the history has lost: not when nothing acknowledged is missing and
-- their last turn had waited for a standby.
CREATE FUNCTION server_absent(p_over boolean, p_keep interval, p_now timestamptz)
	RETURNS TABLE (engine int, host text)
LANGUAGE sql STABLE AS $$
	SELECT e.id, e.host
	FROM (SELECT * FROM server ORDER BY id DESC LIMIT 1) s
	JOIN engine e ON e.mark IS DISTINCT FROM s.mark AND e.retired_at IS NULL
	CROSS JOIN LATERAL (SELECT * FROM session x WHERE x.engine = e.id ORDER BY x.id DESC LIMIT 1) last
	WHERE (NOT last.dead OR coalesce(last.ended_at, last.started_at) > p_now - p_keep)
		AND NOT (p_over AND last.synced AND NOT s.lost AND s.cause = 'new timeline')
$$;

-- Looks whether the newest history is complete as far as anybody knows, and lets takes and openings
-- go on then. Answers one row: whether they do, and who is waited for.
CREATE FUNCTION server_wait(p_over boolean, p_keep interval, p_now timestamptz, OUT ready boolean, OUT absent text)
LANGUAGE plpgsql AS $$
BEGIN
	SELECT string_agg('engine ' || a.engine || ' on ' || a.host, ', ' ORDER BY a.engine) INTO absent
		FROM server_absent(p_over, p_keep, p_now) a;
	IF absent IS NULL THEN
		UPDATE server SET ready_at = p_now
			WHERE id = (SELECT max(id) FROM server) AND ready_at IS NULL;
		IF FOUND THEN
			PERFORM pg_notify('digestd', 'server');
		END IF;
	END IF;
	ready := server_ready();
END $$;

-- Takes wait for the history to be ready, and for their own engine to have told it what it knows.
CREATE OR REPLACE FUNCTION session_lives(p_session int) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM 1 FROM session WHERE id = p_session AND NOT dead FOR SHARE;
	RETURN FOUND AND server_ready();
END $$;

-- ---- what a journal knows and the history has lost ---------------------------------------------

-- Facts about an issue whose row was lost, until the issue opens again: its uid is the same then.
CREATE TABLE recalled (
	uid        text NOT NULL,
	session    int NOT NULL, -- the window that counts them
	n          int NOT NULL,
	subscriber bigint NOT NULL,
	outcome    outcome NOT NULL,
	delivery   jsonb NOT NULL, -- delivery's columns by name
	PRIMARY KEY (uid, subscriber)
);

-- The windows of an engine that this history has settled: all of their facts are in it.
CREATE FUNCTION windows_known(p_engine int, p_keep interval, p_now timestamptz)
	RETURNS TABLE (session int, n int)
LANGUAGE sql STABLE AS $$
	SELECT w.session, w.n FROM send_window w
	WHERE w.engine = p_engine AND w.settled_at IS NOT NULL AND w.settled_at > p_now - 2 * p_keep
	ORDER BY w.session, w.n
$$;

-- Of readers about whom a journal knows a fact of that issue (by uid; by id when its uid isn't known),
-- takes those whose fact is missing here into a window, so that it can be recorded as any other. A
-- reply is known by its moment; a doubt (not answered) by its try. A reader who is put off is taken
-- as for a retry. Who isn't known here any more becomes an anomaly. Answers like a take; one row
-- without a reader when the issue is here and nothing is missing, none when the issue isn't.
CREATE FUNCTION window_recall(p_session int, p_n int, p_uid text, p_issue bigint, p_ids bigint[],
	p_ats timestamptz[], p_attempts int[], p_answered boolean[], p_now timestamptz)
	RETURNS SETOF window_reader
LANGUAGE plpgsql AS $$
DECLARE
	i          issue%ROWTYPE;
	v_ids      bigint[];
	v_provider text;
BEGIN
	SELECT * INTO i FROM issue WHERE CASE WHEN p_uid IS NULL THEN id = p_issue ELSE uid = p_uid END;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	SELECT array_agg(DISTINCT f.id) INTO v_ids
		FROM unnest(p_ids, p_ats, p_attempts, p_answered) f (id, at, attempt, answered)
		WHERE NOT EXISTS (SELECT 1 FROM delivery d
				WHERE d.issue = i.id AND d.subscriber = f.id AND (d.at = f.at OR NOT f.answered))
			AND NOT EXISTS (SELECT 1 FROM attempt a
				WHERE a.issue = i.id AND a.subscriber = f.id
					AND (a.at = f.at OR NOT f.answered AND a.attempt >= f.attempt))
			AND NOT EXISTS (SELECT 1 FROM deferral d
				WHERE d.issue = i.id AND d.subscriber = f.id
					AND NOT f.answered AND d.tries >= f.attempt);
	INSERT INTO anomaly (at, kind, issue, subscriber, session, n, detail)
		SELECT p_now, 'recalled', i.id, f.id, p_session, p_n,
			jsonb_build_object('at', f.at, 'answered', f.answered, 'error', 'this reader is not known any more')
		FROM unnest(p_ids, p_ats, p_answered) f (id, at, answered)
		WHERE f.id = ANY (v_ids) AND NOT EXISTS (SELECT 1 FROM subscriber p WHERE p.id = f.id);
	SELECT array_agg(p.id ORDER BY p.id) INTO v_ids FROM subscriber p WHERE p.id = ANY (v_ids);
	IF v_ids IS NULL THEN
		RETURN NEXT (i.id, 'fresh', '', NULL, 0, 0, NULL)::window_reader;
		RETURN;
	END IF;
	v_provider := coalesce((SELECT s.provider FROM subscription s
		WHERE s.list = i.list AND s.subscriber = ANY (v_ids) LIMIT 1), 'other');
	UPDATE deferral d SET session = p_session, n = p_n WHERE d.issue = i.id AND d.subscriber = ANY (v_ids);
	PERFORM window_open(p_session, p_n, CASE WHEN FOUND THEN 'retry' ELSE 'fresh' END::window_kind, i.id,
		v_provider, v_ids, p_now);
	RETURN QUERY SELECT w.issue, w.kind, w.provider, ((w.reader).subscriber, (w.reader).email,
			(w.reader).address_no, (w.reader).name, (w.reader).attrs, (w.reader).lang, (w.reader).topics,
			(w.reader).zone, (w.reader).token_gen, NULL)::issue_reader, w.tries, w.doubts, NULL::text
		FROM window_readers(p_session, p_n, p_now) w;
END $$;

-- The same for letters that are queued here and that a journal knows as handed over.
CREATE FUNCTION window_recall_letters(p_session int, p_n int, p_ids bigint[], p_ats timestamptz[],
	p_attempts int[], p_now timestamptz) RETURNS SETOF window_letter
LANGUAGE plpgsql AS $$
DECLARE
	v_ids bigint[];
BEGIN
	WITH held AS (
		UPDATE letter t SET session = p_session, n = p_n
			FROM unnest(p_ids, p_ats, p_attempts) f (id, at, attempt)
			-- A letter made after the fact is another one under its number.
			WHERE t.id = f.id AND t.outcome IS NULL AND t.session IS NULL AND t.tries < f.attempt
				AND t.created_at <= f.at
			RETURNING t.id
	)
	SELECT array_agg(id ORDER BY id) INTO v_ids FROM held;
	IF v_ids IS NULL THEN
		RETURN;
	END IF;
	PERFORM window_open(p_session, p_n, 'letter', NULL, '', v_ids, p_now);
	RETURN QUERY SELECT t.id, t.kind, t.list, t.subscriber, t.address, t.params, t.tries, t.doubts,
			t.created_at, t.expires_at, t.name, t.attrs, t.lang, t.theme, t.token_gen, t.content, NULL::text,
			NULL::text
		FROM letters_readers(p_session, p_n, v_ids, p_now) t;
END $$;

-- Keeps facts about an issue that isn't here: rows are delivery's columns by name. Those of a second
-- telling change nothing.
CREATE FUNCTION recalled_put(p_uid text, p_rows jsonb) RETURNS void
LANGUAGE sql AS $$
	INSERT INTO recalled (uid, session, n, subscriber, outcome, delivery)
		SELECT p_uid, d.session, d.n, d.subscriber, d.outcome, r.row
		FROM jsonb_array_elements(p_rows) r (row), jsonb_populate_record(NULL::delivery, r.row) d
		ON CONFLICT (uid, subscriber) DO UPDATE SET session = excluded.session, n = excluded.n,
			outcome = excluded.outcome, delivery = excluded.delivery
		WHERE recalled.outcome = 'in_doubt'
$$;

-- An issue opens only in a history that is ready; what is known of it from an earlier one is recorded
-- at once: under its new id, in settled windows.
CREATE FUNCTION issue_recall() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	IF TG_WHEN = 'BEFORE' THEN
		IF NOT server_ready() THEN
			RAISE EXCEPTION 'the database was failed over or restored, and its engines haven''t told it yet what they know'
				USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Wait until they have; `digestctl engine ls` shows who is waited for.';
		END IF;
		RETURN NEW;
	END IF;
	INSERT INTO send_window (session, n, engine, kind, issue, provider, size, taken_at, settled_at,
			delivered, refused, in_doubt)
		SELECT r.session, r.n, s.engine, 'fresh', NEW.id, '', count(*), NEW.opened_at, NEW.opened_at,
			count(*) FILTER (WHERE r.outcome = 'delivered'), count(*) FILTER (WHERE r.outcome = 'refused'),
			count(*) FILTER (WHERE r.outcome = 'in_doubt')
		FROM recalled r JOIN session s ON s.id = r.session
		WHERE r.uid = NEW.uid GROUP BY r.session, r.n, s.engine;
	INSERT INTO delivery SELECT d.* FROM recalled r,
			jsonb_populate_record(NULL::delivery, r.delivery || jsonb_build_object('issue', NEW.id)) d
		WHERE r.uid = NEW.uid;
	DELETE FROM recalled WHERE uid = NEW.uid;
	RETURN NULL;
END $$;

CREATE TRIGGER issue_ready BEFORE INSERT ON issue FOR EACH ROW EXECUTE FUNCTION issue_recall();
CREATE TRIGGER issue_recall AFTER INSERT ON issue FOR EACH ROW EXECUTE FUNCTION issue_recall();

-- ---- who may ---------------------------------------------------------------------------------

GRANT SELECT, INSERT, UPDATE ON server TO digestd_engine;
GRANT SELECT, INSERT, UPDATE, DELETE ON recalled TO digestd_engine, digestd_operator;
GRANT SELECT ON server TO digestd_operator;
GRANT EXECUTE ON FUNCTION server_here(), server_skip_numbers(), server_seen(uuid, uuid, uuid, bigint, timestamptz),
	server_replayed(uuid, uuid), server_ready(), server_absent(boolean, interval, timestamptz),
	server_wait(boolean, interval, timestamptz), windows_known(int, interval, timestamptz),
	window_recall(int, int, text, bigint, bigint[], timestamptz[], int[], boolean[], timestamptz),
	window_recall_letters(int, int, bigint[], timestamptz[], int[], timestamptz), recalled_put(text, jsonb)
	TO digestd_engine;
GRANT EXECUTE ON FUNCTION server_ready(), server_absent(boolean, interval, timestamptz), issue_recall(),
	session_lives(int) TO digestd_operator;
