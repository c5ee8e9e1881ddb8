"""Many at once: on one cold key, and on more different ones than may wait; and what
a miss and a hit of either level ask of Redis and of PostgreSQL."""
import json
import selectors
import time

import pytest

from client import Wire
from stack import School, Stack, wait_until

WORKERS, QUEUE = 4, 16


@pytest.fixture(scope="module")
def narrow():
    """A stack in which few may wait, and a statement may take long.  One that does is no
    hindrance to the others, though reads begin one at a time."""
    s = Stack(PUPITRE_WORKERS=WORKERS, PUPITRE_DB_POOL=WORKERS, PUPITRE_QUEUE=QUEUE,
              PUPITRE_DB_STATEMENT_MS=20000, PUPITRE_DB_READS=1)
    try:
        yield s.up()
    finally:
        s.down()


@pytest.fixture
def learner(narrow):
    """A signed-in user whose session is in memory: (school, token)."""
    school = School(narrow)
    admin, _ = school.admin()
    school.course(admin)
    _, token = school.user()
    assert narrow.get("/api/user/courses", token).status_code == 200
    return school, token


class HeldBack:
    """Nobody reads the courses meanwhile; the time of a load, made long."""

    def __init__(self, stack):
        self.stack = stack

    def __enter__(self):
        self.connection = self.stack.db()
        self.connection.autocommit = False
        self.connection.cursor().execute('lock table "Course" in access exclusive mode')
        return self

    def __exit__(self, *_):
        self.connection.rollback()
        self.connection.close()

    def waiting(self):
        cursor = self.connection.cursor()
        cursor.execute("select count(*) from pg_locks where not granted")
        return cursor.fetchone()[0]


class Crowd:
    """A client for each path, on a connection of its own through nginx."""

    def __init__(self, stack, token, paths):
        self.open = selectors.DefaultSelector()
        self.answers = []
        wires = [Wire(stack) for _ in paths]
        for wire, path in zip(wires, paths):
            wire.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      f"Authorization: Bearer {token}\r\n\r\n".encode())
            self.open.register(wire, selectors.EVENT_READ)

    def listen(self, enough, seconds=15):
        """Take answers until `enough` have come."""
        end = time.monotonic() + seconds
        while len(self.answers) < enough and time.monotonic() < end:
            for key, _ in self.open.select(0.1):
                if not key.fileobj.listen():
                    self.open.unregister(key.fileobj)
                    key.fileobj.close()
                    self.answers.append(key.fileobj.answer())
        return list(self.answers)


def lists_read(stack):
    """How often PostgreSQL has run the statement of /api/user/courses."""
    stack.sql("create extension if not exists pg_stat_statements")
    return int(stack.sql("select coalesce(sum(calls), 0) from pg_stat_statements"
                         " where query ~ 'alreadyJoined' and query !~ 'pg_stat_statements'")[0][0])


def test_readers_of_one_cold_key_make_one_statement(narrow, learner):
    _, token = learner
    readers = 400
    path = "/api/user/courses?search=onekey"
    before = lists_read(narrow)
    with HeldBack(narrow) as held:
        crowd = Crowd(narrow, token, [path] * readers)
        wait_until(lambda: held.waiting() == 1, 10, "the one load")
        assert crowd.listen(1, 0.2) == []
    answers = crowd.listen(readers)
    assert [a.status for a in answers] == [200] * readers
    assert len({a.body for a in answers}) == 1
    assert sum("fwd=uri-miss; stored" in a.headers["cache-status"] for a in answers) == 1
    assert lists_read(narrow) - before == 1


def test_what_may_not_wait_is_told_so_at_once_and_hits_go_on(narrow, learner):
    _, token = learner
    clients = 200
    with HeldBack(narrow) as held:
        crowd = Crowd(narrow, token,
                      [f"/api/user/courses?search=different{n}" for n in range(clients)])
        # The loads cannot have ended: whoever is answered was refused.
        refused = crowd.listen(clients - WORKERS - QUEUE)
        assert len(refused) >= clients - WORKERS - QUEUE
        for r in refused:
            assert r.status == 503, r.body
            assert r.headers["retry-after"] == "1"
            assert json.loads(r.body)["code"] == "busy"
        wait_until(lambda: held.waiting() == WORKERS, 10, "the loads")
        for _ in range(20):
            r = narrow.get("/api/user/courses", token)
            assert r.status_code == 200
            assert r.headers["Cache-Status"].startswith("pupitre; hit; detail=memory")
        # A new miss is refused as well.
        assert narrow.get("/api/user/courses?search=late", token).status_code == 503
    answers = crowd.listen(clients)
    assert len(answers) == clients
    loaded = [a for a in answers if a.status == 200]
    assert QUEUE <= len(loaded) <= QUEUE + WORKERS
    assert {a.status for a in answers} == {200, 503}


def test_after_a_storm_everything_works_again(narrow, learner):
    school, token = learner
    with HeldBack(narrow):
        crowd = Crowd(narrow, token,
                      [f"/api/user/courses?search=before{n}" for n in range(100)])
        crowd.listen(100 - WORKERS - QUEUE)
    crowd.listen(100)
    for n in range(100):
        r = narrow.get(f"/api/user/courses?search=after{n}", token)
        assert r.status_code == 200
        assert "fwd=uri-miss; stored" in r.headers["Cache-Status"]
    admin, admin_token = school.admin()
    course = school.course(admin)
    r = narrow.ask("PATCH", f"/api/admin/courses/{course}", admin_token, json={"name": "New name"})
    assert r.status_code == 200
    details = narrow.get(f"/api/user/courses/{course}", token).json()
    assert details["course"]["name"] == "New name"


# -- what is asked of Redis and PostgreSQL


class Overheard:
    """What our clients say to Redis about keys with WORD in them."""

    def __init__(self, stack, word):
        self.redis, self.word = stack.redis(), word
        self.end = "the end of " + word

    def __enter__(self):
        self.monitor = self.redis.monitor()
        self.monitor.__enter__()
        return self

    def __exit__(self, *exc):
        self.monitor.__exit__(*exc)

    def count(self):
        """Scripts so far; what they do inside Redis is not counted."""
        self.redis.echo(self.end)
        n = 0
        while True:
            heard = self.monitor.next_command()
            if self.end in heard["command"]:
                return n
            if heard["client_type"] != "lua" and self.word in heard["command"]:
                assert heard["command"].split()[0].lower() == "evalsha", heard
                n += 1


def ask_how(stack, path, token):
    r = stack.get(path, token)
    assert r.status_code == 200
    return r.headers["Cache-Status"].split("; ttl")[0]


def test_a_miss_is_one_statement_and_two_scripts_a_hit_one_or_none(stack, school):
    admin, _ = school.admin()
    school.course(admin)
    _, token = school.user()
    stack.get("/api/user/courses", token)
    word = f"word{school.tag}"
    path = f"/api/user/courses?search={word}"
    with Overheard(stack, word) as redis:
        before = lists_read(stack)
        assert ask_how(stack, path, token) == "pupitre; fwd=uri-miss; stored"
        assert redis.count() == 2  # is it there; here it is
        assert ask_how(stack, path, token) == "pupitre; hit; detail=memory"
        assert redis.count() == 0
        second = stack.second_app()
        second.settle()
        second.get("/api/user/courses", token)
        redis.count()  # its statistics, which ask for the sizes of entries
        r = second.get(path, token)
        assert "Cache-Status: pupitre; hit; detail=redis" in r.head
        assert redis.count() == 1
        second.stop()
        assert lists_read(stack) - before == 1
