"""What the readers' pages may do, in SQL: tokens, joining, confirming, leaving; and what each role
may do at all."""

import base64
import datetime
import hashlib
import hmac
import struct

import psycopg2
import pytest
from psycopg2 import errors

from queuedb import NOON, Queue

NET = "192.0.2.1"
WHEN = datetime.datetime.fromisoformat(NOON)


@pytest.fixture
def q(cluster, database):
    queue = Queue(cluster, database)
    yield queue
    queue.close()


@pytest.fixture
def web(q):
    connection = q.connect("digestd_web")
    yield connection
    connection.close()


def after(**time):
    return WHEN + datetime.timedelta(**time)


# ---- tokens ------------------------------------------------------------------------------------


def mint(q, purpose="u", list_id=1, subscriber=1, gen=0, expires=0, key=1, secret=None, claim=None):
    """A token as daemon/mail/token.h has it."""
    secret = secret or bytes(q.value("SELECT secret FROM link_key WHERE id = %s", key))
    claim = claim or struct.pack(">BcIQII", key, purpose.encode(), list_id, subscriber, gen, expires)
    mac = hmac.new(secret, claim, hashlib.sha256).digest()[:16]
    return base64.urlsafe_b64encode(claim + mac).rstrip(b"=").decode()


def claim(q, token, purpose="u", now=NOON):
    rows = q.rows("SELECT list, subscriber, gen FROM token_claim(%s, %s, %s)", token, purpose, now)
    return rows[0] if rows else None


@pytest.mark.parametrize("purpose", "ucpv")
def test_a_token_of_ours_claims_what_it_says(q, purpose):
    token = mint(q, purpose, 3, 2 ** 62 + 5, 7)
    assert len(token) == 51
    assert claim(q, token, purpose) == (3, 2 ** 62 + 5, 7)
    for other in set("ucpv") - {purpose}:
        assert claim(q, token, other) is None


def test_the_greatest_numbers_and_the_smallest(q):
    assert claim(q, mint(q, "u", 2 ** 31 - 1, 2 ** 63 - 1, 2 ** 31 - 1)) == (2 ** 31 - 1, 2 ** 63 - 1, 2 ** 31 - 1)
    assert claim(q, mint(q, "u", 0, 0, 0)) == (0, 0, 0)


def test_a_token_ends_at_its_minute(q):
    minute = int(WHEN.timestamp()) // 60
    token = mint(q, "c", expires=minute)
    assert claim(q, token, "c", after(microseconds=-1)) == (1, 1, 0)
    assert claim(q, token, "c", NOON) is None
    assert claim(q, mint(q, "c", expires=minute + 1), "c", NOON)
    assert claim(q, mint(q, "c"), "c", "9999-12-31")


def test_no_other_token_is_ours(q):
    token = mint(q)
    raw = base64.urlsafe_b64decode(token + "=")
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert claim(q, base64.urlsafe_b64encode(changed).rstrip(b"=").decode()) is None, bit
    for text in ("", token[:-1], token + "A", token[:-1] + "=", " " + token[1:], token[:-1] + "\n", token + "\n",
                 token.replace(token[5], "é", 1), "A" * 51, "-" * 51, "_" * 51, "x" * 100000):
        assert claim(q, text) is None, text
    assert q.rows("SELECT * FROM token_claim(NULL, 'u', now())") == []
    assert claim(q, mint(q, secret=b"\0" * 32)) is None
    assert claim(q, mint(q, key=2, secret=b"\0" * 32)) is None
    assert claim(q, mint(q, claim=bytes(22))) is None


def test_keys_rotate_and_a_retired_one_counts_no_more(q):
    q.run("INSERT INTO link_key (id, secret) VALUES (255, gen_random_bytes(32)), (2, gen_random_bytes(64))")
    tokens = {key: mint(q, key=key) for key in (1, 2, 255)}
    assert all(claim(q, token) for token in tokens.values())
    q.run("UPDATE link_key SET retired_at = now() WHERE id = 1")
    assert claim(q, tokens[1]) is None
    assert claim(q, tokens[2]) and claim(q, tokens[255])


# ---- joining -----------------------------------------------------------------------------------


def join(q, web, email="ada@x.example", list_name="news", edition=None, network=NET, now=NOON, name="Ada"):
    return q.value("SELECT web_join(%s, %s, lower(%s), %s, %s, 'de', %s, %s, 'Browser', %s)", list_name, email,
                   email, email.split("@")[1], name, edition, network, now, db=web)


def letters(q, kind="confirm"):
    return q.value("SELECT count(*) FROM letter WHERE kind = %s", kind)


def subscription(q):
    return q.rows("SELECT status::text, token_gen, edition FROM subscription")


def test_a_join_is_pending_until_its_letter_is_answered(q, web):
    assert join(q, web, "Ada@X.example") == "ok"
    assert q.rows("SELECT email, email_norm, name, lang FROM subscriber") == [("Ada@X.example", "ada@x.example", "Ada",
                                                                                "de")]
    assert subscription(q) == [("pending", 2, q.daily)]
    assert q.rows("SELECT kind::text, address, subscriber IS NOT NULL FROM letter") == [("confirm", "Ada@X.example",
                                                                                         True)]
    consent = q.value("SELECT consent FROM subscription")
    assert consent["way"] == "form" and consent["asked_from"] == NET and consent["agent"] == "Browser"


def test_no_list_and_no_edition_are_told(q, web):
    assert join(q, web, list_name="nothing") == "no list"
    assert join(q, web, edition="nothing") == "no edition"
    assert join(q, web, edition="hand") == "ok"
    assert subscription(q)[0][2] == q.hand
    q.run("UPDATE edition SET is_default = false")
    assert join(q, web, "other@x.example") == "no edition"


def test_an_address_gets_one_letter_a_quarter_hour_and_five_a_day(q, web):
    for minutes, expected in ((0, 1), (1, 1), (14, 1), (15, 2), (29, 2), (30, 3), (45, 4), (60, 5), (75, 5),
                              (600, 5), (24 * 60 - 1, 5), (24 * 60, 6)):
        q.run("UPDATE letter SET outcome = 'delivered', ended_at = now()")
        assert join(q, web, now=after(minutes=minutes)) == "ok"
        assert letters(q) == expected, minutes


def test_the_quarter_hour_counts_over_all_lists(q, web):
    q.run("INSERT INTO list (name, title, from_addr, return_path, base_url) VALUES ('other', 'O', 'a@b.c',"
          " 'a@b.c', 'https://b.c')")
    q.run("INSERT INTO edition (list, name, schedule, starts, is_default) SELECT id, 'hand', 'manual', now(), true"
          " FROM list WHERE name = 'other'")
    assert join(q, web) == "ok" and join(q, web, list_name="other") == "ok"
    assert letters(q) == 1


def test_a_letter_that_waits_is_not_doubled(q, web):
    join(q, web)
    join(q, web, now=after(minutes=20))
    assert letters(q) == 1


@pytest.mark.parametrize("known", ["active", "suppressed", "stranger suppressed"])
def test_the_answer_never_tells_who_is_known(q, web, known):
    if known == "stranger suppressed":
        q.run("INSERT INTO suppression VALUES (address_hmac('ada@x.example'), 'erased', now())")
    else:
        reader = q.reader("ada@x.example")
        if known == "suppressed":
            q.put(reader, "unsubscribe", status="unsubscribed")
            q.run("SELECT subscriber_suppress(%s, 'complaint', %s)", reader, NOON)
    assert join(q, web, "ADA@x.example", name="Eve") == "ok"
    assert letters(q) == 0
    assert q.value("SELECT count(*) FROM subscriber WHERE name = 'Eve'") == 0
    assert q.value("SELECT count(*) FROM subscription WHERE status = 'pending'") == 0


def test_who_left_may_come_back_and_a_stranger_changes_nobodys_name(q, web):
    reader = q.reader("ada@x.example", q.daily)
    q.put(reader, "unsubscribe", status="unsubscribed")
    assert join(q, web, name="Eve") == "ok"
    assert subscription(q) == [("pending", 2, q.daily)] and letters(q) == 1
    assert q.value("SELECT name FROM subscriber") == ""


def test_a_network_is_limited_and_all_of_them(q, web):
    answers = [join(q, web, f"a{n}@x.example") for n in range(31)]
    assert answers == ["ok"] * 30 + ["limited"]
    assert letters(q) == 30
    assert join(q, web, "b@x.example", network="192.0.2.2") == "ok"
    assert join(q, web, "c@x.example", now=after(minutes=59)) == "limited"
    assert join(q, web, "c@x.example", now=after(minutes=60, seconds=1)) == "ok"
    assert q.value("SELECT count(*) FROM web_join_log") == 1
    q.run("INSERT INTO web_join_log SELECT %s, '2001:db8::'::inet + i FROM generate_series(1, 999) i",
          after(minutes=60, seconds=2))
    assert join(q, web, "d@x.example", network="192.0.2.9", now=after(minutes=60, seconds=3)) == "limited"
    assert join(q, web, "d@x.example", network="192.0.2.9", now=after(minutes=61, seconds=3)) == "ok"


# ---- confirming, leaving, coming back -----------------------------------------------------------


def confirm(q, web, token, now=NOON):
    return q.value("SELECT web_confirm(%s, %s, 'Browser', %s)", token, NET, now, db=web)


def leave(q, web, token, now=NOON):
    return q.value("SELECT web_unsubscribe(%s, 'one-click', %s, 'Gmail', %s)", token, NET, now, db=web)


def undo(q, web, token, now=NOON):
    return q.value("SELECT web_undo(%s, %s, 'Browser', %s)", token, NET, now, db=web)


def look(q, web, token, purpose, now=NOON):
    return q.rows("SELECT content, masked, status, lang FROM web_look(%s, %s, %s)", token, purpose, now, db=web)


def status(q):
    return q.value("SELECT status::text FROM subscription")


@pytest.fixture
def joined(q, web):
    """A pending reader's confirm token."""
    join(q, web)
    return mint(q, "c", q.list, q.value("SELECT id FROM subscriber"), 2)


def test_a_confirm_link_works_once_and_then_says_so(q, web, joined):
    content, masked, shown, lang = look(q, web, joined, "c")[0]
    assert (masked, shown, lang) == ("a…@x.example", "pending", "de")
    assert content["title"] == "News" and not {"from_addr", "return_path", "reply_to", "cfbl_address"} & set(content)
    assert status(q) == "pending", "looking changes nothing"
    assert confirm(q, web, joined) == "confirmed"
    assert status(q) == "active" and letters(q, "welcome") == 1
    assert confirm(q, web, joined) == "already"
    assert letters(q, "welcome") == 1
    consent = q.value("SELECT consent FROM subscription")
    assert consent["way"] == "form" and consent["confirmed_from"] == NET


def test_a_confirm_link_is_bound_to_its_join(q, web, joined):
    q.run("UPDATE subscription SET token_gen = 3")
    assert look(q, web, joined, "c") == []
    assert confirm(q, web, joined) == "no link" and status(q) == "pending"


def test_who_left_is_not_brought_back_by_an_old_confirm_link(q, web, joined):
    confirm(q, web, joined)
    leave(q, web, mint(q, "u", q.list, q.value("SELECT id FROM subscriber")))
    assert confirm(q, web, joined) == "no link" and status(q) == "unsubscribed"


def test_a_list_may_do_without_a_welcome(q, web, joined):
    q.run("UPDATE list SET settings = '{\"welcome\": false}'")
    assert confirm(q, web, joined) == "confirmed" and letters(q, "welcome") == 0


@pytest.mark.parametrize("goodbye", [False, True])
def test_leaving_is_done_once(q, web, goodbye):
    q.run("UPDATE list SET settings = jsonb_build_object('goodbye', %s)", goodbye)
    token = mint(q, "u", q.list, q.reader())
    assert look(q, web, token, "u")[0][2] == "active" and look(q, web, token, "c") == []
    assert leave(q, web, token) == "left" and status(q) == "unsubscribed"
    assert leave(q, web, token) == "already"
    assert letters(q, "goodbye") == int(goodbye)
    assert q.value("SELECT count(*) FROM subscription_event WHERE kind = 'unsubscribe'") == 1


def test_leaving_can_be_undone_for_a_day(q, web):
    token = mint(q, "u", q.list, q.reader())
    assert undo(q, web, token) == "already"
    leave(q, web, token)
    assert undo(q, web, token, after(days=1, seconds=1)) == "no link"
    assert undo(q, web, token, after(days=1)) == "back" and status(q) == "active"


def test_an_undo_confirms_nobody(q, web, joined):
    """Who asked to join, and never confirmed, doesn't become active by leaving and coming back."""
    token = mint(q, "u", q.list, q.value("SELECT id FROM subscriber"))
    assert undo(q, web, token) == "no link"
    leave(q, web, token)
    assert undo(q, web, token) == "no link"
    assert status(q) == "unsubscribed"


def test_links_of_nobody_and_of_another_purpose(q, web):
    reader = q.reader()
    for act in (leave, undo, confirm):
        purpose, other = ("c", "u") if act is confirm else ("u", "c")
        for token in ("", "x" * 51, mint(q, other, q.list, reader, 1), mint(q, purpose, q.list, 999999, 1),
                      mint(q, purpose, 999, reader, 1)):
            assert act(q, web, token) == "no link"
    assert status(q) == "active"


def test_a_list_as_strangers_see_it(q, web):
    content, editions = q.rows("SELECT content, editions FROM web_list('news')", db=web)[0]
    assert content["title"] == "News" and "from_addr" not in content
    assert [edition["name"] for edition in editions] == ["daily", "hand"]
    assert q.rows("SELECT * FROM web_list('other')", db=web) == []
    assert q.rows("SELECT * FROM web_lists()", db=web) == [("news", "News", "")]


@pytest.mark.parametrize("email,masked", [("ada@x.example", "a…@x.example"), ("é@x.example", "é…@x.example"),
                                          ("a@b@x.example", "a…@x.example")])
def test_an_address_is_masked(q, email, masked):
    assert q.value("SELECT address_masked(%s)", email) == masked


# ---- roles -------------------------------------------------------------------------------------


def may(q, role, sql):
    connection = q.connect(role, autocommit=False)
    try:
        q.run(sql, db=connection)
        return True
    except errors.InsufficientPrivilege:
        return False
    except psycopg2.Error:
        return True  # it was let in, and failed for another reason
    finally:
        connection.close()


def test_the_pages_role_reads_no_table_and_runs_only_its_functions(q):
    tables = [row[0] for row in q.rows("SELECT c.oid::regclass::text FROM pg_class c WHERE relnamespace ="
                                       " 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')")]
    assert len(tables) > 25
    for table in tables:
        for sql in (f"SELECT * FROM {table}", f"DELETE FROM {table}", f"INSERT INTO {table} DEFAULT VALUES",
                    f"TRUNCATE {table}"):
            assert not may(q, "digestd_web", sql), sql
    granted = {row[0] for row in q.rows(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND has_function_privilege('digestd_web', oid, 'EXECUTE')"
        " AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = pg_proc.oid AND d.deptype = 'e')")}
    assert granted == {"web_list", "web_lists", "web_join", "web_look", "web_confirm", "web_unsubscribe", "web_undo"}
    assert not may(q, "digestd_web", "SELECT nextval('issue_number')")
    assert not may(q, "digestd_web", "CREATE TABLE mine (a int)")


def test_functions_that_run_as_the_owner_look_nothing_up_elsewhere(q):
    """Else who calls one could have it find a table or an operator of their own."""
    assert q.rows("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
                  " AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=public, pg_temp']") == []


@pytest.mark.parametrize("role,sql,allowed", [
    ("engine", "SELECT secret FROM link_key", True),
    ("engine", "INSERT INTO link_key (id, secret) VALUES (9, gen_random_bytes(32))", False),
    ("engine", "UPDATE link_key SET retired_at = now()", False),
    ("engine", "SELECT * FROM secret", False),
    ("engine", "SELECT * FROM web_join_log", False),
    ("engine", "UPDATE subscription_event SET kind = 'join'", False),
    ("engine", "DELETE FROM subscription_event", False),
    ("engine", "DELETE FROM anomaly", False),
    ("engine", "DELETE FROM suppression", False),
    ("engine", "UPDATE schema_migration SET checksum = ''", False),
    ("engine", "DROP TABLE delivery", False),
    ("engine", "TRUNCATE delivery", False),
    ("engine", "ALTER TABLE delivery DISABLE TRIGGER delivery_keep", False),
    ("engine", "SET session_replication_role = replica", False),
    ("engine", "CREATE TABLE mine (a int)", False),
    ("engine", "SELECT partitions_ahead('2031-01-01')", True),
    ("engine", "SELECT window_settle(1, 1, 0, 0, 0, 0, 0, 0, now())", True),
    ("engine", "SELECT address_hmac('a@b.c')", True),
    ("operator", "INSERT INTO link_key (id, secret) VALUES (9, gen_random_bytes(32))", True),
    ("operator", "SELECT * FROM secret", False),
    ("operator", "DELETE FROM suppression", True),
    ("operator", "UPDATE subscription_event SET kind = 'join'", False),
    ("operator", "DELETE FROM anomaly", False),
    ("operator", "INSERT INTO schema_migration (number, name, checksum) VALUES (99, 'x', '')", False),
    ("operator", "DROP TABLE delivery", False),
    ("operator", "TRUNCATE subscriber CASCADE", False),
])
def test_what_a_role_may_do(q, role, sql, allowed):
    assert may(q, "digestd_" + role, sql) == allowed


def test_partitions_made_by_an_engine_are_as_open_as_the_first(q):
    engine = q.connect("digestd_engine")
    assert q.value("SELECT partitions_ahead('2031-05-05')", db=engine) == 4
    q.run("INSERT INTO delivery (issue, subscriber, at, session, n, variant, address_no, outcome, attempt)"
          " VALUES (203105000001, 1, now(), 1, 1, 1, 1, 'delivered', 1)", db=engine)
    assert q.value("SELECT count(*) FROM delivery WHERE issue = 203105000001", db=engine) == 1
    engine.close()
    assert not may(q, "digestd_web", "SELECT * FROM delivery_203105")
