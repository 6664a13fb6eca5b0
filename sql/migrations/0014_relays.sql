-- Breakers of relays: what one engine found, all of them know. Whoever opens or closes one says so, and
-- the others look. While it is open nobody sends there; once its time is over, exactly one tries. How
-- long that is each engine measures by its own monotonic clock from when it looked; `changes` tells
-- whether what it saw still holds (compare-and-set). What hinders one engine alone (its network, a
-- certificate that it hasn't) it keeps to itself as soon as another found the relay well.

-- A relay's trouble. It counts once: not of who tried before the breaker opened and failed after.
CREATE FUNCTION relay_lane_open(p_relay smallint, p_session int, p_rest interval, p_reason text)
	RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO relay_lane (relay, provider, changed_at) VALUES (p_relay, '', clock_timestamp())
		ON CONFLICT DO NOTHING;
	UPDATE relay_lane SET open_until = clock_timestamp() + p_rest, rest = p_rest, reason = p_reason,
			failures = failures + 1, changes = changes + 1, probe = NULL, changed_at = clock_timestamp()
		WHERE relay = p_relay AND provider = '' AND (open_until IS NULL OR probe = p_session);
	IF FOUND THEN
		PERFORM pg_notify('digestd', 'relay');
	END IF;
	RETURN FOUND;
END $$;

-- It took a mail of who tried: free for all.
CREATE FUNCTION relay_lane_close(p_relay smallint, p_changes bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
	UPDATE relay_lane SET open_until = NULL, rest = NULL, reason = '', failures = 0, changes = changes + 1,
			probe = NULL, changed_at = clock_timestamp()
		WHERE relay = p_relay AND provider = '' AND changes = p_changes AND open_until IS NOT NULL;
	IF FOUND THEN
		PERFORM pg_notify('digestd', 'relay');
	END IF;
	RETURN FOUND;
END $$;

-- Lets one session try, if nobody does who lives.
CREATE FUNCTION relay_lane_probe(p_relay smallint, p_session int, p_changes bigint) RETURNS boolean
LANGUAGE sql AS $$
	WITH probing AS (
		UPDATE relay_lane l SET probe = p_session
			WHERE l.relay = p_relay AND l.provider = '' AND l.changes = p_changes AND l.open_until IS NOT NULL
				AND EXISTS (SELECT 1 FROM session s WHERE s.id = p_session AND NOT s.dead)
				AND (l.probe = p_session
					OR NOT EXISTS (SELECT 1 FROM session s WHERE s.id = l.probe AND NOT s.dead))
			RETURNING 1
	)
	SELECT EXISTS (SELECT 1 FROM probing)
$$;

-- It had nothing to try with: another may.
CREATE FUNCTION relay_lane_leave(p_relay smallint, p_session int) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
	UPDATE relay_lane SET probe = NULL WHERE relay = p_relay AND provider = '' AND probe = p_session;
	IF FOUND THEN
		PERFORM pg_notify('digestd', 'relay');
	END IF;
	RETURN FOUND;
END $$;

-- Breakers as a session is to see them. resting: microseconds until it may ask to try; NULL: closed.
-- probed: another one tries now.
CREATE FUNCTION relay_lanes(p_session int)
	RETURNS TABLE (relay smallint, changes bigint, resting bigint, failures int, reason text, probed boolean)
LANGUAGE sql STABLE AS $$
	SELECT l.relay, l.changes, CASE WHEN l.open_until IS NOT NULL THEN (1000000 * extract(epoch FROM
			greatest('0 s', least(l.rest, l.open_until - clock_timestamp()))))::bigint END,
		l.failures, coalesce(l.reason, ''),
		EXISTS (SELECT 1 FROM session s WHERE s.id = l.probe AND NOT s.dead AND s.id <> p_session)
	FROM relay_lane l WHERE l.provider = ''
$$;

GRANT EXECUTE ON FUNCTION relay_lane_open(smallint, int, interval, text),
	relay_lane_close(smallint, bigint),
	relay_lane_probe(smallint, int, bigint),
	relay_lane_leave(smallint, int),
	relay_lanes(int)
	TO digestd_engine;
