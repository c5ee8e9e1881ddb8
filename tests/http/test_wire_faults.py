"""What passes between the app and its servers is delayed, dripped, swallowed,
cut off, or answered late, by a proxy in between."""
import itertools
import socket
import threading
import time

import pytest

from proxy import Proxy, before_postgres, before_redis
from stack import School, Stack, wait_until

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def base():
    s = Stack()
    try:
        yield s.up()
    finally:
        s.down()


class World:
    """An app of its own behind a proxy, and a course."""

    def __init__(self, stack, before, **settings):
        self.stack, self.school = stack, School(stack)
        self.proxy, way = before(stack, f"w{next(numbers)}")
        self.prefix = f"w{next(numbers)}:"
        self.app = stack.second_app(**way, PUPITRE_REDIS_PREFIX=self.prefix, **settings)
        self.admin, self.token = self.school.admin()
        self.course = self.school.course(self.admin, name="Before")
        self.path = f"/api/admin/courses/{self.course}"
        self.app.settle()

    def read(self, path=None):
        return self.app.get(path or self.path, self.token)

    def name(self):
        r = self.read()
        assert r.status == 200, r
        return r.json()["course"]["name"]

    def rename(self, name):
        return self.app.ask("PATCH", self.path, self.token, b'{"name":"%s"}' % name.encode())

    def truth(self):
        return self.stack.sql('select name from "Course" where id = %s', self.course)[0][0]

    def end(self):
        self.proxy.tell("pass")
        self.app.stop()
        self.proxy.stop()


@pytest.fixture
def redis_world(base):
    w = World(base, before_redis)
    yield w
    w.end()


@pytest.fixture
def pg_world(base):
    w = World(base, before_postgres)
    yield w
    w.end()


# ---- the proxy itself

def test_the_proxy_does_what_it_is_told(tmp_path):
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    server = socket.socket(socket.AF_UNIX)
    server.bind(there)
    server.listen(8)
    proxy = Proxy(here, there)

    def connect():
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(here)
        accepted, _ = server.accept()
        accepted.settimeout(5)
        return client, accepted

    def took(send, receive, data):
        began = time.monotonic()
        send.sendall(data)
        got = b""
        while len(got) < len(data):
            got += receive.recv(100)
        assert got == data
        return time.monotonic() - began

    client, other = connect()
    assert took(client, other, b"hello") < 1 and took(other, client, b"hello") < 1
    proxy.tell("delay down 200")
    assert took(other, client, b"slow") > 0.19
    proxy.tell("pass")
    proxy.tell("drip up 20")
    assert took(client, other, b"0123456789") > 0.18
    proxy.tell("pass")
    proxy.tell("late 200")
    assert took(other, client, b"late") > 0.19 > took(other, client, b"in time")
    proxy.tell("drop up")
    client.sendall(b"lost")
    time.sleep(0.1)
    proxy.tell("pass")
    took(client, other, b"kept")
    proxy.tell("hang")
    client.sendall(b"held")
    other.settimeout(0.2)
    with pytest.raises(TimeoutError):
        other.recv(10)
    proxy.tell("pass")
    assert other.recv(10) == b"held"
    proxy.tell("cut-at COMMIT before")
    client.sendall(b"now commit it")
    assert other.recv(10) == b""
    client, other = connect()
    proxy.tell("cut-at COMMIT after")
    client.sendall(b"now commit it")
    assert other.recv(20) == b"now commit it"
    assert has_ended(client)
    client, other = connect()
    proxy.tell("cut")
    assert has_ended(client)
    wait_until(lambda: proxy.count()[:3] == [3, 0, 3], 2, "an end of all")
    with pytest.raises(AssertionError):
        proxy.tell("nonsense")
    proxy.stop()


def has_ended(client):
    try:
        return client.recv(10) == b""
    except ConnectionError:
        return True


# ---- Redis

HARM = ["delay both 30", "delay down 400", "drip down 20", "late 500", "cut", "refuse", "hang",
        "drop up", "drop down", "hold-at EVALSHA 200"]


@pytest.mark.parametrize("harm", HARM)
def test_redis_in_trouble_fails_nothing_and_gives_nothing_old(redis_world, harm):
    w = redis_world
    others = [w.school.course(w.admin, name=f"Other {i}") for i in range(8)]
    assert w.name() == "Before"
    w.proxy.tell(harm)
    for i, other in enumerate(others):
        r = w.read(f"/api/admin/courses/{other}")
        assert r.status == 200 and r.json()["course"]["name"] == f"Other {i}"
        assert w.rename(f"Name {i}").status == 200
        assert w.name() == f"Name {i}"
    w.proxy.tell("pass")
    fresh = w.school.course(w.admin)

    def is_used():
        search = f"x{next(numbers)}"
        w.read(f"/api/admin/courses/{fresh}/lessons?search={search}")
        return w.stack.redis().exists(f"{w.prefix}k:admin:lessons:course:courseId:{fresh}"
                                      f":limit:5:page:1:search:{search}")

    wait_until(is_used, 2, "Redis in use again")
    # What memory no longer has comes from Redis, and is not from before.
    assert w.name() == "Name 7"


def test_what_another_instance_left_in_redis_while_we_were_cut_off(base, redis_world):
    """We cannot reach Redis and write; who can must not give the old entry."""
    w = redis_world
    other = base.second_app(PUPITRE_REDIS_PREFIX=w.prefix)
    assert w.name() == "Before"

    def name():
        return other.get(w.path, w.token).json()["course"]["name"]

    assert name() == "Before"
    w.proxy.tell("refuse")
    assert w.rename("Cut off").status == 200
    assert w.name() == "Cut off"
    wait_until(lambda: name() == "Cut off", 1, "the news")
    other.stop()


# ---- PostgreSQL

def test_a_read_that_is_cut_off_is_asked_again(pg_world):
    w = pg_world
    for i in range(3):
        w.proxy.tell("cut")
        assert w.read(f"{w.path}/lessons?search=c{i}").status == 200
    w.proxy.tell("cut-at \"Lesson\" before")
    assert w.read(f"{w.path}/lessons?search=d").status == 200


def test_postgres_that_hangs_is_503_in_time_and_heals(pg_world):
    w = pg_world
    assert w.name() == "Before"
    w.proxy.tell("hang")
    began = time.monotonic()
    assert w.read(f"{w.path}/lessons").status == 503
    assert time.monotonic() - began < 6
    # What was read before goes on, as stale.
    r = w.read()
    assert r.status == 200 and "detail=stale" in r.head
    w.proxy.tell("pass")
    wait_until(lambda: w.read(f"{w.path}/lessons").status == 200, 5, "recovery")
    w.app.settle()
    assert w.rename("After").status == 200 and w.name() == "After"


@pytest.mark.parametrize("when, status, name", [
    ("before", 503, "Before"), ("after", 200, "Looked up")])
def test_a_commit_without_an_answer_is_looked_up(pg_world, when, status, name):
    w = pg_world
    for _ in range(3):
        assert w.name() in ("Before", "Looked up")
        w.proxy.tell(f"cut-at commit\\0 {when}")
        r = w.rename("Looked up")
        assert (r.status, w.truth()) == (status, name), r
        assert w.name() == name
    assert w.proxy.count()[2] >= 3


def test_a_commit_that_is_held_up_is_decided(pg_world):
    """The app gives up waiting; the server still holds the transaction open.
    It is ended, so that nothing lands after the answer."""
    w = pg_world
    w.proxy.tell("hold-at commit\\0 4000")
    r = w.rename("Too late")
    assert r.status == 503 and r.json()["code"] == "unavailable", r
    time.sleep(2.5)  # beyond the hold
    assert w.truth() == "Before" and w.name() == "Before"


def test_strict_a_commit_that_nobody_can_look_up_stays_pending(base):
    """It is committed, and nobody here can hear of it: no instance gives the
    old row meanwhile."""
    w = World(base, before_postgres, PUPITRE_MODE="strict")
    try:
        assert w.name() == "Before"
        thread = threading.Thread(target=w.rename, args=("Unheard",))
        w.proxy.tell("cut-at commit\\0 after")
        thread.start()
        wait_until(lambda: w.proxy.count()[2] > 0, 5, "the cut")
        w.proxy.tell("refuse")
        thread.join(20)
        assert w.truth() == "Unheard"
        r = w.read()
        assert r.status == 503 or r.json()["course"]["name"] == "Unheard"
        w.proxy.tell("pass")
        wait_until(lambda: w.read().status == 200, 5, "recovery")
        assert w.name() == "Unheard"
    finally:
        w.end()


# ---- killed in between

@pytest.mark.parametrize("mode", ["bounded", "strict"])
def test_killed_between_commit_and_raise(base, mode):
    """Redis hangs for the writer alone; it has committed and waits to raise
    when it is killed.  The others hear of it from the database, and so does it
    when it is there again."""
    w = World(base, before_redis, PUPITRE_MODE=mode, PUPITRE_REDIS_MS=5000)
    settings = {"PUPITRE_MODE": mode, "PUPITRE_REDIS_PREFIX": w.prefix}
    other = base.second_app(**settings)

    def name(app):
        r = app.get(w.path, w.token)
        return r.status == 200 and r.json()["course"]["name"]

    assert w.name() == "Before"
    wait_until(lambda: name(other) == "Before", 5, "the other one")
    thread = threading.Thread(target=rename_or_die, args=(w, "Committed"))
    if mode == "bounded":
        w.proxy.tell("hang")
    else:
        w.proxy.tell("hold-at EVALSHA 300")
    thread.start()
    wait_until(lambda: w.truth() == "Committed", 8, "the commit")
    w.app.process.kill()
    w.app.process.wait()
    thread.join(10)
    wait_until(lambda: name(other) == "Committed", 1, "the news")
    again = base.second_app(**settings)
    assert name(again) == "Committed"
    # What a strict writer left pending has been settled: hits again.
    wait_until(lambda: "hit" in other.get(w.path, w.token).head, 8, "hits")
    assert name(other) == "Committed"
    other.stop()
    again.stop()
    w.end()


def rename_or_die(w, name):
    try:
        w.rename(name)
    except (OSError, EOFError):
        pass


def test_a_slow_redis_is_looked_through_for_a_bounded_time(redis_world):
    """Each of 300 entries is a question of 30 ms; what was not seen is said."""
    w = redis_world
    w.read()
    other = w.stack.second_app(PUPITRE_REDIS_PREFIX=w.prefix)
    other.settle()
    for i in range(300):
        assert other.get(f"/api/user/courses?search=slow-{i}", w.token).status == 200
    redis = w.stack.redis()
    wait_until(lambda: redis.zcard(w.prefix + "index") >= 300, 5, "the last to be stored")
    w.proxy.tell("delay both 15")
    for action in ("keys&limit=1000", "invalidate&tag=course:none", "invalidate&course=none"):
        began = time.monotonic()
        r = w.app.ask("POST", f"/api/test/cache?action={action}", w.stack.token)
        assert r.status == 200, r
        assert r.json()["data"]["complete"] is False
        assert time.monotonic() - began < 4
    other.stop()
