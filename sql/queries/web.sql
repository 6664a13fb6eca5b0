-- What the readers' pages ask: functions only, with the raw token of a link.

-- name: web_lists
SELECT name, title, description FROM web_lists();

-- name: web_list
SELECT content, editions FROM web_list($1);

-- name: web_join
SELECT web_join($1, $2, $3, $4, $5, $6, $7, $8::inet, $9, $10::timestamptz);

-- name: web_look
SELECT content, masked, status, lang FROM web_look($1, $2, $3::timestamptz);

-- name: web_confirm
SELECT web_confirm($1, $2::inet, $3, $4::timestamptz);

-- name: web_unsubscribe
SELECT web_unsubscribe($1, $2, $3::inet, $4, $5::timestamptz);

-- name: web_undo
SELECT web_undo($1, $2::inet, $3, $4::timestamptz);

-- name: web_health
SELECT 1;
