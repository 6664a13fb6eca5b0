-- From editions to issues: when one is due, what goes into it, and its opening.

-- The moment of an occurrence. PostgreSQL reads 02:30 in a gap as 03:30, and an hour that comes
-- twice as the second one.
CREATE FUNCTION occurrence_moment(p_day date, p_at time, p_zone text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
	SELECT (p_day + p_at) AT TIME ZONE p_zone
$$;

-- The day of that number in a month, or its last.
CREATE FUNCTION month_day(p_month timestamp, p_day int) RETURNS date
LANGUAGE sql IMMUTABLE AS $$
	SELECT least(p_month::date + (p_day - 1), (p_month + interval '1 month')::date - 1)
$$;

-- The local day of an edition's newest occurrence at or before a local time; step -1 and +1 go to
-- the ones before and after it.
CREATE FUNCTION occurrence_day(p_edition edition, p_local timestamp, p_step int) RETURNS date
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	v_month timestamp;
	v_day   date := p_local::date;
BEGIN
	CASE p_edition.rhythm
	WHEN 'daily' THEN
		IF p_local::time < p_edition.at_time THEN
			v_day := v_day - 1;
		END IF;
		RETURN v_day + p_step;
	WHEN 'weekly' THEN
		v_day := v_day - (extract(isodow FROM v_day)::int - p_edition.weekday + 7) % 7;
		IF v_day + p_edition.at_time > p_local THEN
			v_day := v_day - 7;
		END IF;
		RETURN v_day + 7 * p_step;
	WHEN 'monthly' THEN
		v_month := date_trunc('month', p_local);
		IF month_day(v_month, p_edition.monthday) + p_edition.at_time > p_local THEN
			v_month := v_month - interval '1 month';
		END IF;
		RETURN month_day(v_month + make_interval(months => p_step), p_edition.monthday);
	ELSE
		RETURN NULL;
	END CASE;
END $$;

-- The local day of the newest occurrence whose moment has come. Where clocks change, local time alone
-- misleads: the first 02:30 of two is not yet the moment, nor is 03:00 when 02:30 stands for 03:30.
CREATE FUNCTION occurrence_come(p_edition edition, p_now timestamptz, p_zone text) RETURNS date
LANGUAGE sql STABLE AS $$
	SELECT occurrence_day(p_edition, p_now AT TIME ZONE p_zone, CASE
		WHEN occurrence_moment(occurrence_day(p_edition, p_now AT TIME ZONE p_zone, 0),
			(p_edition).at_time, p_zone) > p_now THEN -1 ELSE 0 END)
$$;

-- The places where an edition has readers: a loose scan of subscription_lane, one look a pair.
CREATE FUNCTION edition_lanes(p_edition int) RETURNS TABLE (zone text, provider text)
LANGUAGE sql STABLE AS $$
	WITH RECURSIVE pair AS (
		(SELECT s.zone, s.provider FROM subscription s
			WHERE s.edition = p_edition AND s.status = 'active'
			ORDER BY s.zone, s.provider LIMIT 1)
		UNION ALL
		SELECT n.zone, n.provider FROM pair p CROSS JOIN LATERAL (
			SELECT s.zone, s.provider FROM subscription s
			WHERE s.edition = p_edition AND s.status = 'active'
				AND (s.zone, s.provider) > (p.zone, p.provider)
			ORDER BY s.zone, s.provider LIMIT 1) n
	)
	SELECT pair.zone, pair.provider FROM pair
$$;

-- The zones whose clock an edition goes by: the list's own, or each in which it has readers.
CREATE FUNCTION edition_zones(p_edition edition) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
	SELECT DISTINCT l.zone FROM edition_lanes((p_edition).id) l WHERE (p_edition).zone_of = 'reader'
	UNION
	SELECT zone FROM list WHERE id = (p_edition).list AND (p_edition).zone_of = 'list'
$$;

-- A feed of the list brought so many new ids on known texts that nobody should be mailed them
-- before an operator has looked.
CREATE FUNCTION list_is_flooded(p_list int) RETURNS boolean
LANGUAGE sql STABLE AS $$
	SELECT EXISTS (SELECT 1 FROM list_feed lf JOIN feed f ON f.id = lf.feed
		WHERE lf.list = p_list AND f.flood IS NOT NULL)
$$;

-- The articles that an edition hasn't used, newest first. Never "newer than the last time".
CREATE FUNCTION edition_articles(p_edition int, p_now timestamptz, p_named bigint[] DEFAULT NULL)
	RETURNS SETOF article
LANGUAGE sql STABLE AS $$
	SELECT a.*
	FROM edition e
	JOIN list_feed lf ON lf.list = e.list
	JOIN article a ON a.feed = lf.feed
	WHERE e.id = p_edition AND CASE WHEN p_named IS NULL THEN NOT a.backlog ELSE a.id = ANY (p_named) END
		AND a.published_at <= p_now AND a.seen_at >= e.since
		AND NOT EXISTS (SELECT 1 FROM issue_article ia
			WHERE ia.edition = e.id AND ia.article = a.id AND ia.revision = a.revision)
	ORDER BY a.published_at DESC, a.id DESC
$$;

-- The newest occurrence that has come in the earliest zone, and the moment when it came there; a
-- zone that lags behind has it still to come.
CREATE FUNCTION edition_newest(p_edition edition, p_now timestamptz, OUT day date, OUT moment timestamptz)
LANGUAGE sql STABLE AS $$
	SELECT o.day, min(occurrence_moment(o.day, (p_edition).at_time, z))
	FROM (SELECT max(occurrence_come(p_edition, p_now, z)) AS day
		FROM edition_zones(p_edition) z) o
	CROSS JOIN edition_zones(p_edition) z
	GROUP BY o.day
$$;

-- The newest occurrence of each scheduled edition that has come in its earliest zone, hasn't been
-- opened or found empty, and isn't held. After downtime only the newest one opens.
CREATE FUNCTION editions_due(p_now timestamptz)
	RETURNS TABLE (edition int, list int, theme text, lang text, occurrence text)
LANGUAGE sql STABLE AS $$
	SELECT e.id, e.list, l.theme::text, l.lang, o.day::text
	FROM edition e
	JOIN list l ON l.id = e.list
	CROSS JOIN LATERAL edition_newest(e, p_now) o
	WHERE e.at_time IS NOT NULL AND e.held IS NULL AND NOT list_is_flooded(e.list)
		AND o.day > coalesce(e.last_occurrence, '-infinity')
		AND o.moment >= e.starts
	UNION ALL
	SELECT e.id, e.list, l.theme::text, l.lang, 'article-' || a.id || CASE WHEN a.revision > 1
		THEN '-' || a.revision ELSE '' END
	FROM edition e
	JOIN list l ON l.id = e.list
	CROSS JOIN LATERAL edition_articles(e.id, p_now) a
	WHERE e.rhythm = 'instant' AND e.held IS NULL AND NOT list_is_flooded(e.list)
$$;

-- When an edition opens next, in the list's zone or in the earliest of its readers'.
CREATE FUNCTION edition_next(p_edition edition, p_now timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
	SELECT min(occurrence_moment(occurrence_day(p_edition, o.day + (p_edition).at_time, 1), (p_edition).at_time, z))
	FROM edition_newest(p_edition, p_now) o CROSS JOIN edition_zones(p_edition) z
$$;

-- What templates see of a list.
CREATE FUNCTION list_content(l list) RETURNS jsonb
LANGUAGE sql STABLE AS $$
	SELECT (l).settings || jsonb_strip_nulls(jsonb_build_object(
		'name', (l).name, 'title', (l).title, 'description', (l).description, 'url', (l).base_url,
		'site_url', (l).site_url, 'lang', (l).lang,
		'dir', CASE WHEN (l).lang ~ '^(ar|fa|he|ur|ps|sd|ug|yi|dv|ckb)(-|$)' THEN 'rtl' ELSE 'ltr' END,
		'from_name', CASE WHEN (l).from_name <> '' THEN (l).from_name ELSE (l).title END,
		'from_addr', (l).from_addr, 'reply_to', (l).reply_to, 'return_path', (l).return_path,
		'cfbl_address', (l).cfbl_address, 'postal_address', (l).postal_address, 'theme', (l).theme,
		'archive_url', (l).base_url || '/l/' || (l).name))
$$;

-- What templates see of articles, in the order of p_ids.
CREATE FUNCTION articles_content(p_ids bigint[]) RETURNS jsonb
LANGUAGE sql STABLE AS $$
	SELECT coalesce(jsonb_agg(jsonb_build_object(
		'id', a.id, 'title', a.title, 'url', a.url, 'author', a.author, 'summary', a.summary,
		'body_html', a.body_html, 'body_text', a.body_text, 'image', a.image, 'image_alt', a.image_alt,
		'published', to_char(a.published_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
		'topics', to_jsonb(a.topics), 'lang', a.lang, 'dir', a.dir) ORDER BY p.position), '[]')
	FROM unnest(p_ids) WITH ORDINALITY p (id, position) JOIN article a ON a.id = p.id
$$;

-- The content that an issue of these articles would have: what is frozen at opening, and what a
-- preview shows. p_theme holds "templates" and "text" as the opening program has them.
CREATE FUNCTION issue_content(p_edition int, p_uid text, p_occurrence text, p_articles bigint[],
	p_subject text, p_theme jsonb, p_now timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
	SELECT jsonb_build_object(
		'list', list_content(l),
		'edition', jsonb_build_object('name', e.name, 'schedule', e.schedule),
		'issue', jsonb_build_object('uid', p_uid, 'occurrence', p_occurrence,
			'subject', coalesce(p_subject, l.settings ->> 'subject', '{{lead.title}}'),
			'preheader', coalesce(l.settings ->> 'preheader', '{{lead.summary}}'),
			'date', to_char(p_now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
		'articles', articles_content(p_articles)) || p_theme
	FROM edition e JOIN list l ON l.id = e.list WHERE e.id = p_edition
$$;

-- Opens the issue of an edition's occurrence: freezes its content, raises the edition's gen, makes
-- its lanes. p_articles NULL: all that the edition hasn't used. Returns the issue's id; NULL when
-- the occurrence was opened before or there is nothing new. Any number of engines may try.
CREATE FUNCTION issue_open(p_edition int, p_occurrence text, p_articles bigint[], p_subject text,
	p_theme jsonb, p_now timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
	e          edition%ROWTYPE;
	v_list     list%ROWTYPE;
	v_articles bigint[];
	v_content  jsonb;
	v_id       bigint;
	v_uid      text;
	v_day      date;
BEGIN
	-- Waits for the writers of subscriptions that are under way (they hold it FOR SHARE). What they
	-- wrote is seen by the statements after this one, not by this one: so nothing is read here.
	PERFORM 1 FROM edition WHERE id = p_edition FOR NO KEY UPDATE;
	SELECT * INTO e FROM edition WHERE id = p_edition;
	IF NOT FOUND OR EXISTS (SELECT 1 FROM issue WHERE edition = p_edition AND occurrence = p_occurrence) THEN
		RETURN NULL;
	END IF;
	IF e.at_time IS NOT NULL AND p_occurrence ~ '^\d{4}-\d\d-\d\d$' THEN
		v_day := p_occurrence::date;
		UPDATE edition SET last_occurrence = greatest(last_occurrence, v_day) WHERE id = p_edition;
	END IF;

	SELECT array_agg(a.id ORDER BY array_position(p_articles, a.id), a.published_at DESC, a.id DESC)
		INTO v_articles FROM edition_articles(p_edition, p_now, p_articles) a;
	IF v_articles IS NULL THEN
		RETURN NULL;
	END IF;

	SELECT * INTO v_list FROM list WHERE id = e.list;
	v_id := issue_id_make(p_now);
	v_uid := v_list.name || '.' || e.name || '.' || p_occurrence;
	v_content := issue_content(p_edition, v_uid, p_occurrence, v_articles, p_subject, p_theme, p_now);
	PERFORM partitions_ahead(p_now);

	UPDATE edition SET gen = gen + 1 WHERE id = p_edition;
	INSERT INTO issue (id, uid, list, edition, occurrence, gen, state, subject, topics, for_all, content,
			opened_at, expires_at)
		SELECT v_id, v_uid, e.list, p_edition, p_occurrence, e.gen, 'open', v_content #>> '{issue,subject}',
			coalesce((SELECT array_agg(DISTINCT t) FROM article a, unnest(a.topics) t
				WHERE a.id = ANY (v_articles)), '{}'),
			EXISTS (SELECT 1 FROM article a WHERE a.id = ANY (v_articles) AND a.topics = '{}'),
			v_content, p_now, p_now + e.lifetime;
	INSERT INTO issue_article (edition, article, revision, issue, position)
		SELECT p_edition, a.id, a.revision, v_id, p.position
		FROM unnest(v_articles) WITH ORDINALITY p (id, position) JOIN article a ON a.id = p.id;
	INSERT INTO lane (issue, zone, provider, not_before)
		SELECT v_id, n.zone, n.provider, CASE WHEN e.zone_of = 'reader' AND v_day IS NOT NULL
			THEN greatest(p_now, occurrence_moment(v_day, e.at_time, n.zone)) ELSE p_now END
		FROM edition_lanes(p_edition) n;
	UPDATE issue SET expires_at = coalesce((SELECT max(not_before) FROM lane WHERE issue = v_id), p_now)
		+ e.lifetime WHERE id = v_id;
	PERFORM pg_notify('digestd', 'issue ' || v_id);
	RETURN v_id;
END $$;
