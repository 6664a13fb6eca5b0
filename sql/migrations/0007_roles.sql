-- Who may do what. The roles themselves are made by `digestctl db init`; migrations run as the
-- owner. A function is open to everybody unless said otherwise, so all are closed first.

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC;
REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA public FROM PUBLIC;
-- Those of later migrations too. Not IN SCHEMA: a schema's defaults only add to the general ones.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO digestd_engine, digestd_operator, digestd_web;

-- Engines and operators work with all of it, but can't touch the schema, the record of migrations,
-- or what only grows.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO digestd_engine, digestd_operator;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO digestd_engine, digestd_operator;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO digestd_engine, digestd_operator;
REVOKE UPDATE, DELETE ON subscription_event, anomaly FROM digestd_engine, digestd_operator;
REVOKE ALL ON secret, web_join_log FROM digestd_engine, digestd_operator;
REVOKE INSERT, UPDATE, DELETE ON link_key FROM digestd_engine;
REVOKE DELETE ON suppression FROM digestd_engine;
DO $$ BEGIN
	-- Absent when these files are applied by hand.
	IF to_regclass('schema_migration') IS NOT NULL THEN
		REVOKE INSERT, UPDATE, DELETE ON schema_migration FROM digestd_engine, digestd_operator;
	END IF;
END $$;

-- The pages: these functions, and nothing else.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM digestd_web;
GRANT EXECUTE ON FUNCTION
	web_list(text),
	web_lists(),
	web_join(text, text, text, text, text, text, text, inet, text, timestamptz),
	web_look(text, text, timestamptz),
	web_confirm(text, inet, text, timestamptz),
	web_unsubscribe(text, text, inet, text, timestamptz),
	web_undo(text, inet, text, timestamptz)
	TO digestd_web;
