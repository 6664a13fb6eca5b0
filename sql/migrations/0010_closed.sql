-- Functions are closed to everybody but those they are granted to. Default privileges of a schema
-- can't take back what PostgreSQL gives everybody by default (ALTER DEFAULT PRIVILEGES, "Notes"),
-- so those of 0007 had left each later function open, to the pages' role too.

REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM PUBLIC;
