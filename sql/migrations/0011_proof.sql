-- What `issue audit` and `db check` stand on: marks in the order in which things happened.
--
-- Moments come from the clocks of many hosts, so no proof can rest on them. The ids of
-- subscription_event can carry one: who writes a subscription holds its edition's row, and so does
-- who opens an issue of it, so that the last id given out at the opening parts what happened before
-- from what happened after. Windows are counted likewise, since a take holds the issue's row and
-- the session's.

ALTER TABLE issue
	ADD COLUMN opened_event bigint,  -- the last id of subscription_event when it opened
	ADD COLUMN ended_event  bigint,  -- and when it ended
	ADD COLUMN held_windows bigint;  -- that were taken before it was paused, or ended: none follows,
	                                 -- but for those that are settled as they are taken, and send nothing

ALTER TABLE session
	ADD COLUMN last_window int;      -- when it was dead: none follows

-- Issues from before these marks: by gen where an event of the edition tells, else by its moment.
UPDATE issue i SET
	opened_event = greatest(
		(SELECT coalesce(max(v.id), 0) FROM subscription_event v
			WHERE v.edition = i.edition AND v.gen <= i.gen AND v.kind <> 'suppress'),
		(SELECT coalesce(max(v.id), 0) FROM subscription_event v
			WHERE v.at <= i.opened_at AND NOT EXISTS (SELECT 1 FROM subscription_event w
				WHERE w.edition = i.edition AND w.gen > i.gen AND w.kind <> 'suppress' AND w.id <= v.id))),
	ended_event = CASE WHEN i.ended_at IS NOT NULL THEN
		(SELECT coalesce(max(v.id), 0) FROM subscription_event v WHERE v.at <= i.ended_at) END,
	held_windows = CASE WHEN i.state <> 'open' THEN
		(SELECT count(*) FROM send_window w WHERE w.issue = i.id AND w.settled_at IS DISTINCT FROM w.taken_at) END;
UPDATE session s SET last_window = (SELECT coalesce(max(n), 0) FROM send_window w WHERE w.session = s.id)
	WHERE s.dead;

-- The statements within see what their rows' holders before committed: the row is locked by then.
CREATE FUNCTION issue_mark() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
	v_event   bigint := coalesce(pg_sequence_last_value('subscription_event_id_seq'), 0);
	v_windows bigint;
BEGIN
	IF TG_OP = 'INSERT' THEN
		NEW.opened_event := v_event;
		RETURN NEW;
	END IF;
	SELECT count(*) INTO v_windows FROM send_window w
		WHERE w.issue = NEW.id AND w.settled_at IS DISTINCT FROM w.taken_at;
	IF OLD.state = 'draft' THEN
		NEW.opened_event := v_event;
	ELSIF OLD.state = 'paused' AND OLD.held_windows < v_windows THEN
		INSERT INTO anomaly (at, kind, issue, detail) VALUES (now(), 'taken while paused', NEW.id,
			jsonb_build_object('windows', v_windows - OLD.held_windows));
	END IF;
	NEW.held_windows := CASE WHEN NEW.state <> 'open' THEN v_windows END;
	NEW.ended_event := CASE WHEN NEW.ended_at IS NOT NULL THEN v_event END;
	RETURN NEW;
END $$;

CREATE TRIGGER issue_mark_opened BEFORE INSERT ON issue
	FOR EACH ROW EXECUTE FUNCTION issue_mark();
CREATE TRIGGER issue_mark BEFORE UPDATE OF state ON issue
	FOR EACH ROW WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION issue_mark();

CREATE FUNCTION session_mark() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	SELECT coalesce(max(n), 0) INTO NEW.last_window FROM send_window w WHERE w.session = NEW.id;
	RETURN NEW;
END $$;

CREATE TRIGGER session_mark BEFORE UPDATE OF dead ON session
	FOR EACH ROW WHEN (NEW.dead AND NOT OLD.dead) EXECUTE FUNCTION session_mark();
