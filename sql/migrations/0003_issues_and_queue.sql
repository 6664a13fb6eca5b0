-- Issues and the queue: lanes, windows, deliveries, deferrals; engines and their sessions.
--
-- Four things only: an issue has lanes, a lane is eaten in windows, a window's readers end as
-- deliveries or, for a while, as deferrals. There is no row per reader before it is sent to; the
-- window is the only thing that anybody owns.

-- ---- who works here ---------------------------------------------------------------------------

-- A running digestd by its state directory.
CREATE TABLE engine (
	id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	uuid       uuid NOT NULL UNIQUE, -- kept in the state directory, beside the journal
	host       text NOT NULL,
	machine    text NOT NULL,        -- machine-id(5): a copy of the directory elsewhere is not this engine
	first_seen timestamptz NOT NULL,
	retired_at timestamptz           -- by an operator's word: its open windows are in doubt
);

-- One life of an engine. `beat` rises while it lives; who saw it stand still for long enough on
-- its own clock marks it dead by compare-and-set. No wall clock decides.
CREATE TABLE session (
	id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	uuid       uuid NOT NULL UNIQUE,
	engine     int NOT NULL REFERENCES engine,
	boot       text NOT NULL,        -- boot id: another one means that the page cache is gone
	place      text NOT NULL DEFAULT '', -- which file has the engine's identity: a copied one is another
	version    text NOT NULL,
	started_at timestamptz NOT NULL,
	beat       bigint NOT NULL DEFAULT 1,
	turn       bigint NOT NULL DEFAULT 0, -- the last transaction of its outbox: tells after a lost COMMIT
	dead       boolean NOT NULL DEFAULT false,
	ended_at   timestamptz
) WITH (fillfactor = 50);

CREATE UNIQUE INDEX session_alive ON session (engine) WHERE NOT dead;

-- The database's own identity as engines have seen it: a lower timeline is an old primary.
CREATE TABLE server (
	system_identifier bigint NOT NULL,
	timeline          int NOT NULL,
	seen_at           timestamptz NOT NULL,
	ready_at          timestamptz,
	PRIMARY KEY (system_identifier, timeline)
);

CREATE TABLE relay (
	id   smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL UNIQUE CHECK (name <> '')
);

-- Pace and breaker of a relay towards a provider group ('' is the relay as a whole). A breaker is
-- open for all engines alike (0014_relays.sql).
CREATE TABLE relay_lane (
	relay      smallint NOT NULL REFERENCES relay,
	provider   text NOT NULL,
	pace       real,                 -- messages a second; NULL: no limit known
	open_until timestamptz,          -- breaker: nothing is taken for it before then; NULL: closed
	rest       interval,             -- so long from when it opened: no clock that is set makes it longer
	reason     text,
	failures   int NOT NULL DEFAULT 0,
	changes    bigint NOT NULL DEFAULT 0, -- how often it opened and closed: names a state of it
	probe      int REFERENCES session, -- who tries whether it works again
	changed_at timestamptz NOT NULL,
	PRIMARY KEY (relay, provider)
);

-- ---- issues -----------------------------------------------------------------------------------

CREATE TYPE issue_state AS ENUM ('draft', 'open', 'paused', 'cancelled', 'expired', 'done');

CREATE SEQUENCE issue_number AS int MINVALUE 1 MAXVALUE 999999 CYCLE;

-- The month stands in an issue's high digits: 202611000042. Deliveries are partitioned by it.
CREATE FUNCTION issue_id_make(p_now timestamptz) RETURNS bigint
LANGUAGE sql VOLATILE AS $$
	SELECT to_char(p_now AT TIME ZONE 'UTC', 'YYYYMM')::bigint * 1000000 + nextval('issue_number')
$$;

CREATE TABLE issue (
	id         bigint PRIMARY KEY,
	uid        text NOT NULL UNIQUE, -- from list, edition and occurrence; finds it again after a restore
	list       int NOT NULL REFERENCES list,
	edition    int NOT NULL,
	occurrence text NOT NULL,        -- a local date, 'article-N', or a client-made uuid
	gen        bigint NOT NULL,      -- the edition's, before opening this raised it
	state      issue_state NOT NULL,
	subject    text NOT NULL,        -- a template; readers' names may stand in it
	topics     text[] NOT NULL,      -- of its articles
	for_all    boolean NOT NULL,     -- some article has no topic: everybody gets it
	content    jsonb NOT NULL,       -- frozen: engines render from this only
	opened_at  timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	ended_at   timestamptz,
	FOREIGN KEY (edition, list) REFERENCES edition (id, list),
	UNIQUE (edition, occurrence),
	CHECK ((ended_at IS NOT NULL) = (state IN ('cancelled', 'expired', 'done')))
);

CREATE INDEX issue_live ON issue (id) WHERE ended_at IS NULL;
CREATE INDEX issue_list ON issue (list, id);

-- An open issue's content never changes, and one that has ended stays so.
CREATE FUNCTION issue_keep() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.state <> 'draft' AND (NEW.state = 'draft'
			OR (NEW.id, NEW.list, NEW.edition, NEW.occurrence, NEW.content, NEW.gen, NEW.uid, NEW.subject,
				NEW.topics, NEW.for_all)
			IS DISTINCT FROM (OLD.id, OLD.list, OLD.edition, OLD.occurrence, OLD.content, OLD.gen, OLD.uid,
				OLD.subject, OLD.topics, OLD.for_all)) THEN
		RAISE EXCEPTION 'issue % is open: its content can no longer change', OLD.id
			USING ERRCODE = 'restrict_violation';
	END IF;
	IF OLD.ended_at IS NOT NULL AND NEW.state <> OLD.state THEN
		RAISE EXCEPTION 'issue % has ended (%)', OLD.id, OLD.state
			USING ERRCODE = 'restrict_violation';
	END IF;
	RETURN NEW;
END $$;

CREATE TRIGGER issue_keep BEFORE UPDATE ON issue
	FOR EACH ROW EXECUTE FUNCTION issue_keep();

-- Which article went into which edition: each revision once.
CREATE TABLE issue_article (
	edition  int NOT NULL REFERENCES edition,
	article  bigint NOT NULL REFERENCES article,
	revision int NOT NULL,
	issue    bigint NOT NULL REFERENCES issue,
	position int NOT NULL,
	PRIMARY KEY (edition, article, revision)
);

CREATE INDEX issue_article_issue ON issue_article (issue, position);
CREATE INDEX issue_article_article ON issue_article (article);

-- The part of an issue's audience in one zone and one provider group.
CREATE TABLE lane (
	issue      bigint NOT NULL REFERENCES issue,
	zone       text NOT NULL,
	provider   text NOT NULL,
	cursor     bigint NOT NULL DEFAULT 0, -- the last subscriber id that was scanned
	not_before timestamptz NOT NULL,
	eaten      boolean NOT NULL DEFAULT false,
	taken_at   timestamptz,
	PRIMARY KEY (issue, zone, provider)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

CREATE INDEX lane_open ON lane (issue) WHERE NOT eaten;

-- ---- windows ----------------------------------------------------------------------------------

CREATE TYPE window_kind AS ENUM ('fresh', 'retry', 'sweep', 'letter');

-- Up to 1,000 readers that one engine took: the unit of ownership and of commit. Its members are
-- dropped when it is settled; its counts stay, and an issue's numbers are summed from them.
CREATE TABLE send_window (
	session    int NOT NULL REFERENCES session,
	n          int NOT NULL CHECK (n > 0),
	engine     int NOT NULL REFERENCES engine,
	kind       window_kind NOT NULL,
	issue      bigint REFERENCES issue,
	provider   text NOT NULL,
	members    bigint[],             -- subscribers, or letters' ids
	size       int NOT NULL CHECK (size BETWEEN 1 AND 1000),
	taken_at   timestamptz NOT NULL,
	settled_at timestamptz,
	delivered  int NOT NULL DEFAULT 0,
	refused    int NOT NULL DEFAULT 0,
	expired    int NOT NULL DEFAULT 0,
	skipped    int NOT NULL DEFAULT 0,
	in_doubt   int NOT NULL DEFAULT 0,
	deferred   int NOT NULL DEFAULT 0,
	-- Whom an observer recorded as in doubt, when the engine was taken for gone; until that engine
	-- has come back and told what it knows of them.
	doubted    bigint[],
	-- A second fact about a member of this open window was kept as an attempt: its counts differ
	-- from what its engine counted.
	second_facts boolean NOT NULL DEFAULT false,
	PRIMARY KEY (session, n),
	CHECK ((kind = 'letter') = (issue IS NULL)),
	CHECK ((members IS NULL) = (settled_at IS NOT NULL)),
	CHECK (members IS NULL OR cardinality(members) = size),
	CHECK (settled_at IS NULL OR delivered + refused + expired + skipped + in_doubt + deferred = size)
);

CREATE INDEX send_window_open ON send_window (engine) WHERE settled_at IS NULL;
CREATE INDEX send_window_doubted ON send_window (engine) WHERE doubted IS NOT NULL;
CREATE INDEX send_window_issue ON send_window (issue);
-- Whether an issue has an open one is asked of these few, not of all the windows that it had.
CREATE INDEX send_window_unsettled ON send_window (issue) WHERE settled_at IS NULL;

-- ---- what came of it --------------------------------------------------------------------------

CREATE TYPE outcome AS ENUM ('delivered', 'refused', 'expired', 'skipped', 'in_doubt');

-- The final fact of one issue for one subscriber. Append-only, but for in doubt becoming known.
-- No foreign key to subscriber: what was sent stays true after an erasure.
CREATE TABLE delivery (
	issue      bigint NOT NULL,
	subscriber bigint NOT NULL,
	at         timestamptz NOT NULL,
	session    int NOT NULL,
	n          int NOT NULL,          -- window of that session
	variant    int NOT NULL,
	address_no int NOT NULL,
	outcome    outcome NOT NULL,
	attempt    smallint NOT NULL,
	relay      smallint,
	code       smallint,              -- SMTP reply code
	enhanced   text,                  -- RFC 3463, '2.1.5'
	reason     text,                  -- of a refusal, a skip or a doubt
	queue_id   text,                  -- the relay's name for the mail
	PRIMARY KEY (issue, subscriber)
) PARTITION BY RANGE (issue);

CREATE FUNCTION delivery_keep() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	-- A doubt goes when it is known that nothing was sent: an attempt says so.
	IF TG_OP = 'DELETE' AND OLD.outcome = 'in_doubt' AND EXISTS (SELECT 1 FROM attempt a
			WHERE (a.issue, a.subscriber, a.session, a.n) = (OLD.issue, OLD.subscriber, OLD.session, OLD.n)
				AND a.cause LIKE 'not sent%') THEN
		RETURN OLD;
	END IF;
	IF TG_OP = 'DELETE' OR OLD.outcome <> 'in_doubt' OR NEW.outcome NOT IN ('delivered', 'refused', 'in_doubt')
			OR (NEW.issue, NEW.subscriber) <> (OLD.issue, OLD.subscriber) THEN
		RAISE EXCEPTION 'the delivery of issue % to subscriber % is a fact and stays', OLD.issue, OLD.subscriber
			USING ERRCODE = 'restrict_violation';
	END IF;
	RETURN NEW;
END $$;

CREATE TRIGGER delivery_keep BEFORE UPDATE OR DELETE ON delivery
	FOR EACH ROW EXECUTE FUNCTION delivery_keep();

-- Every try before the final one, and every second fact.
CREATE TABLE attempt (
	issue      bigint NOT NULL,
	subscriber bigint NOT NULL,
	at         timestamptz NOT NULL,
	session    int NOT NULL,
	n          int NOT NULL,
	attempt    smallint NOT NULL,
	relay      smallint,
	code       smallint,
	enhanced   text,
	cause      text NOT NULL,         -- the class of the reply, 'in doubt', 'second fact', ...
	reply      text,
	queue_id   text,
	PRIMARY KEY (issue, subscriber, session, n, attempt)
) PARTITION BY RANGE (issue);

-- A delivery that was put off. While a retry window holds it, session and n say which.
CREATE TABLE deferral (
	issue      bigint NOT NULL REFERENCES issue,
	subscriber bigint NOT NULL,
	provider   text NOT NULL,
	due_at     timestamptz NOT NULL,
	tries      smallint NOT NULL CHECK (tries >= 0),
	doubts     smallint NOT NULL DEFAULT 0, -- how many of them ended in doubt
	first_at   timestamptz NOT NULL,
	variant    int NOT NULL,
	relay      smallint,
	code       smallint,
	enhanced   text,
	cause      text NOT NULL,
	reply      text,
	session    int,
	n          int,
	PRIMARY KEY (issue, subscriber),
	CHECK ((session IS NULL) = (n IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- Each retry leaves dead entries at the front of this, where the next take reads: hence the vacuum's
-- settings above.
CREATE INDEX deferral_due ON deferral (issue, provider, due_at) WHERE session IS NULL;
CREATE INDEX deferral_held ON deferral (session, n) WHERE session IS NOT NULL;

-- The deferrals of an issue in one provider group. `served` rises with each take over all of them,
-- so the lowest was served longest ago; it is no time, since clocks may be set.
CREATE SEQUENCE retry_turn;

CREATE TABLE retry_lane (
	issue    bigint NOT NULL REFERENCES issue,
	provider text NOT NULL,
	served   bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (issue, provider)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Whoever puts readers off, and how ever.
CREATE FUNCTION retry_lane_make() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
BEGIN
	INSERT INTO retry_lane (issue, provider)
		SELECT DISTINCT n.issue, n.provider FROM put_off n
		WHERE NOT EXISTS (SELECT 1 FROM retry_lane r
			WHERE r.issue = n.issue AND r.provider = n.provider OFFSET 0)
		ORDER BY n.issue, n.provider
		ON CONFLICT DO NOTHING;
	RETURN NULL;
END $$;

CREATE TRIGGER retry_lane_make AFTER INSERT ON deferral
	REFERENCING NEW TABLE AS put_off FOR EACH STATEMENT EXECUTE FUNCTION retry_lane_make();

-- What doesn't fit, and somebody should look at. Nothing is thrown away in silence.
CREATE TABLE anomaly (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at         timestamptz NOT NULL,
	kind       text NOT NULL,
	issue      bigint,
	subscriber bigint,
	session    int,
	n          int,
	detail     jsonb NOT NULL DEFAULT '{}'
);

-- ---- letters ----------------------------------------------------------------------------------

CREATE TYPE letter_kind AS ENUM ('confirm', 'welcome', 'goodbye', 'test', 'address', 'catch_up');

-- A single mail outside an issue. Queued while outcome is NULL.
CREATE TABLE letter (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind       letter_kind NOT NULL,
	list       int NOT NULL REFERENCES list,
	subscriber bigint,                -- NULL: to an address that is nobody's subscription
	address    address NOT NULL,
	params     jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL,
	due_at     timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	tries      smallint NOT NULL DEFAULT 0,
	doubts     smallint NOT NULL DEFAULT 0,
	session    int,
	n          int,
	outcome    outcome,
	ended_at   timestamptz,
	relay      smallint,
	code       smallint,
	enhanced   text,
	reason     text,                  -- of the last try, as long as it is queued
	queue_id   text,
	CHECK ((session IS NULL) = (n IS NULL)),
	CHECK ((outcome IS NULL) = (ended_at IS NULL))
);

CREATE UNIQUE INDEX letter_once ON letter (list, subscriber, kind)
	WHERE outcome IS NULL AND subscriber IS NOT NULL;
CREATE INDEX letter_due ON letter (due_at) WHERE outcome IS NULL AND session IS NULL;
CREATE INDEX letter_held ON letter (session, n) WHERE session IS NOT NULL;
CREATE INDEX letter_subscriber ON letter (subscriber, id);

-- ---- partitions -------------------------------------------------------------------------------

-- Makes the partitions of the month of p_now and of the next; returns how many. LIKE and ATTACH,
-- since CREATE ... PARTITION OF would lock out every writer of the parent. Engines call it, so it
-- runs as the owner.
CREATE FUNCTION partitions_ahead(p_now timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	v_parent text;
	v_month  timestamp;
	v_name   text;
	v_made   int := 0;
BEGIN
	FOREACH v_parent IN ARRAY ARRAY['delivery', 'attempt'] LOOP
		FOR i IN 0..1 LOOP
			v_month := date_trunc('month', p_now AT TIME ZONE 'UTC') + make_interval(months => i);
			v_name := v_parent || to_char(v_month, '_YYYYMM');
			CONTINUE WHEN to_regclass(v_name) IS NOT NULL;
			PERFORM pg_advisory_xact_lock(hashtext('partitions_ahead'));
			-- Another engine may have made it meanwhile: that is seen by a look into the catalogue,
			-- not by to_regclass(), which remembers its answer.
			CONTINUE WHEN EXISTS (SELECT 1 FROM pg_class
				WHERE relname = v_name AND relnamespace = 'public'::regnamespace);
			EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', v_name, v_parent);
			EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', v_parent,
				v_name, to_char(v_month, 'YYYYMM000000'),
				to_char(v_month + interval '1 month', 'YYYYMM000000'));
			v_made := v_made + 1;
		END LOOP;
	END LOOP;
	RETURN v_made;
END $$;

SELECT partitions_ahead(now());
