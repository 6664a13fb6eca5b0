-- digestctl list

-- name: ctl_list_id
SELECT id FROM list WHERE name = $1

-- name: ctl_list_add
-- No row: there is one of that name.
INSERT INTO list (name, title, description, from_name, from_addr, reply_to, return_path, cfbl_address,
		base_url, site_url, lang, zone, postal_address, theme, doubt, created_at)
	VALUES ($1, $2, $3, $4, $5, nullif($6, ''), $7, nullif($8, ''), $9, $10, $11, zone_check($12), $13,
		$14, $15::doubt_policy, $16::timestamptz)
	ON CONFLICT (name) DO NOTHING RETURNING id

-- name: ctl_list_set
-- NULL leaves what is there.
UPDATE list SET title = coalesce($2, title), description = coalesce($3, description),
		from_name = coalesce($4, from_name), from_addr = coalesce($5, from_addr),
		reply_to = CASE WHEN $6::text IS NULL THEN reply_to ELSE nullif($6, '') END,
		return_path = coalesce($7, return_path),
		cfbl_address = CASE WHEN $8::text IS NULL THEN cfbl_address ELSE nullif($8, '') END,
		base_url = coalesce($9, base_url), site_url = coalesce($10, site_url),
		lang = coalesce($11, lang), zone = CASE WHEN $12::text IS NULL THEN zone ELSE zone_check($12) END,
		postal_address = coalesce($13, postal_address), theme = coalesce($14, theme),
		doubt = coalesce($15::doubt_policy, doubt)
	WHERE name = $1 RETURNING id

-- name: ctl_list_setting
-- A key of one or two parts; no value takes it away.
UPDATE list SET settings = CASE
		WHEN $3::jsonb IS NULL THEN settings #- $2::text[]
		WHEN cardinality($2::text[]) = 1 THEN jsonb_set(settings, $2::text[], $3::jsonb)
		ELSE jsonb_set(settings || jsonb_build_object(($2::text[])[1],
				CASE WHEN jsonb_typeof(settings -> ($2::text[])[1]) = 'object'
					THEN settings -> ($2::text[])[1] ELSE '{}' END),
			$2::text[], $3::jsonb)
		END
	WHERE id = $1::int

-- name: ctl_list_ls
SELECT l.name, l.title, l.from_addr, l.lang, l.zone, l.theme,
		(SELECT coalesce(array_agg(e.name::text ORDER BY e.id), '{}') FROM edition e WHERE e.list = l.id) AS editions,
		(SELECT coalesce(array_agg(f.name::text ORDER BY f.id), '{}') FROM list_feed lf
			JOIN feed f ON f.id = lf.feed WHERE lf.list = l.id) AS feeds
	FROM list l ORDER BY l.name

-- name: ctl_list_show
-- Its readers are counted: it's for one list, and asked for by a person.
SELECT l.name, l.title, l.description, l.from_name, l.from_addr, l.reply_to, l.return_path, l.cfbl_address,
		l.base_url, l.site_url, l.lang, l.zone, l.postal_address, l.theme, l.doubt::text AS doubt, l.settings,
		l.created_at,
		(SELECT coalesce(array_agg(e.name || ' (' || e.schedule || ')' ORDER BY e.id), '{}')
			FROM edition e WHERE e.list = l.id) AS editions,
		(SELECT coalesce(array_agg(f.name::text ORDER BY f.id), '{}') FROM list_feed lf
			JOIN feed f ON f.id = lf.feed WHERE lf.list = l.id) AS feeds,
		n.active, n.pending, n.unsubscribed
	FROM list l CROSS JOIN LATERAL (
		SELECT count(*) FILTER (WHERE s.status = 'active') AS active,
			count(*) FILTER (WHERE s.status = 'pending') AS pending,
			count(*) FILTER (WHERE s.status = 'unsubscribed') AS unsubscribed
		FROM subscription s WHERE s.list = l.id) n
	WHERE l.name = $1
