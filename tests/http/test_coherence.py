"""Whoever changes the database, and whichever instance is asked: the old value
is not given again."""
import threading
import time

import pytest

from stack import School, Stack, cont, stop, wait_until


@pytest.fixture(scope="module")
def alone():
    """Redis and PostgreSQL of a stack, with two more instances of the app."""
    s = Stack()
    try:
        yield s.up()
    finally:
        s.down()


@pytest.fixture(scope="module")
def bounded(alone):
    return [alone.second_app(), alone.second_app()]


@pytest.fixture(scope="module")
def strict(alone):
    return [alone.second_app(PUPITRE_MODE="strict", PUPITRE_REDIS_PREFIX="strict:")
            for _ in range(3)]


@pytest.fixture
def world(alone):
    return World(alone)


class World:
    def __init__(self, stack):
        self.stack, self.school = stack, School(stack)
        self.admin, self.token = self.school.admin()
        self.course = self.school.course(self.admin, name="Before")
        self.path = f"/api/admin/courses/{self.course}"

    def name(self, app):
        r = app.get(self.path, self.token)
        assert r.status == 200, r.body
        return r.json()["course"]["name"]

    def rename(self, app, name):
        r = app.ask("PATCH", self.path, self.token, b'{"name":"%s"}' % name.encode())
        assert r.status == 200, r.body

    def rename_in_psql(self, name):
        self.stack.sql('update "Course" set name = %s where id = %s', name, self.course,
                       settle=False)


def kind(answer):
    assert "\r\nCache-Status: " in answer.head, answer
    return answer.head.split("\r\nCache-Status: ")[1].split("\r\n")[0]


# ---- behind the app's back

CHANGES = {
    "a course": ('update "Course" set name = \'Now\' where id = %(course)s',
                 "/api/user/courses/%(course)s"),
    "a lesson": ('update "Lesson" set content = \'Now\' where id = %(lesson)s',
                 "/api/user/lessons/%(lesson)s"),
    "a lesson made hidden": ('update "Lesson" set state = \'HIDDEN\' where id = %(lesson)s',
                             "/api/public/lessons?limit=100&search=%(search)s"),
    "who has joined": ('insert into "CourseOnUser" (id, "userId", "courseId")'
                       " values (%(lesson)s, %(user)s, %(course)s)",
                       "/api/user/courses?limit=100&search=%(search)s"),
    "progress": ('insert into "LessonOnUser" (id, "userId", "lessonId", progress)'
                 " values (%(lesson)s, %(user)s, %(lesson)s, 'COMPLETED')",
                 "/api/user/lessons/%(lesson)s/progress"),
    "a person": ('update "User" set name = \'Now\' where id = %(user)s', "/api/auth/me"),
    "a course that goes": ('delete from "Course" where id = %(course)s',
                           "/api/user/courses/%(course)s"),
    "by hand": ('with x as (select pupitre.invalidate(\'course\'))'
                ' update "Course" set presentation = \'Now\' from x where id = %(course)s',
                "/api/user/courses/%(course)s"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_in_psql_shows(stack, school, what):
    change, path = CHANGES[what]
    user, token = school.user()
    course = school.course(school.admin()[0], name=f"Here {school.tag}")
    names = {"user": user, "course": course, "search": school.tag,
             "lesson": school.lesson(course, "PUBLIC", name=f"Lesson {school.tag}")}
    before = stack.get(path % names, token)
    assert before.status_code == 200
    assert "hit" in stack.get(path % names, token).headers["Cache-Status"]
    connection = stack.db()
    connection.cursor().execute(change, names)
    connection.close()
    wait_until(lambda: stack.get(path % names, token).text != before.text, 1, what)


def test_what_was_absent_is_there_when_psql_makes_it(stack, school):
    admin, token = school.admin()
    path = f"/api/admin/courses/new-{school.tag}"
    for _ in range(3):
        assert stack.get(path, token).status_code == 404
    before = stack.statements()
    assert stack.get(path, token).status_code == 404
    assert stack.statements() == before, "an absence is cached"
    stack.sql('insert into "Course" (id, name, presentation, image, "creatorId")'
              " values (%s, 'Name', 'P', 'https://i.example/', %s)", f"new-{school.tag}", admin)
    assert stack.get(path, token).status_code == 200


def test_a_session_that_is_prolonged_or_ended_in_psql(stack, school):
    user, token = school.user()
    soon = "(now() at time zone 'UTC') + interval '2 s'"
    stack.sql(f"update sessions set expires = {soon} where session_token = %s", token)
    assert stack.get("/api/auth/me", token).status_code == 200
    stack.sql("update sessions set expires = expires + interval '1 day' where session_token = %s",
              token)
    time.sleep(2.2)  # the point is that its first end passes
    assert stack.get("/api/auth/me", token).status_code == 200
    stack.sql("delete from sessions where session_token = %s", token)
    assert stack.get("/api/auth/me", token).status_code == 401


# ---- several instances

def test_bounded_others_learn_of_a_write(world, bounded):
    for i in range(10):
        writer, reader = bounded[i % 2], bounded[(i + 1) % 2]
        world.name(reader)
        world.rename(writer, f"Name {i}")
        assert world.name(writer) == f"Name {i}"
        wait_until(lambda: world.name(reader) == f"Name {i}", 1, "the news")
        assert world.name(reader) == f"Name {i}"


def test_strict_a_write_shows_everywhere_at_once(world, strict):
    for i in range(30):
        writer = strict[i % 3]
        for app in strict:
            world.name(app)
        world.rename(writer, f"Name {i}")
        assert [world.name(app) for app in strict] == [f"Name {i}"] * 3
    wait_until(lambda: "hit; detail=memory" in kind(strict[0].get(world.path, world.token)), 2,
               "hits")


def test_strict_without_redis_reads_go_on_and_writes_are_refused(world, strict):
    stack = world.stack
    assert world.name(strict[0]) == "Before"
    stop(stack, "redis")
    try:
        assert [world.name(app) for app in strict] == ["Before"] * 3
        r = strict[0].ask("PATCH", world.path, world.token, b'{"name":"Not now"}')
        assert r.status == 503 and r.json()["code"] == "not_shared"
        assert "\r\nRetry-After: " in r.head
        assert stack.sql('select name from "Course" where id = %s', world.course) == [("Before",)]
    finally:
        cont(stack, "redis")
    time.sleep(0.6)  # the circuit's half second
    wait_until(lambda: strict[0].ask(
        "PATCH", world.path, world.token, b'{"name":"Again"}').status == 200, 3, "writes again")
    assert [world.name(app) for app in strict] == ["Again"] * 3


def test_strict_wants_redis(alone):
    with pytest.raises(AssertionError, match="needs Redis"):
        alone.second_app(PUPITRE_MODE="strict", REDIS_URL=None)
    alone.seconds.pop() if alone.seconds and alone.seconds[-1].process.poll() else None


def test_clearing_reaches_every_instance(world, bounded):
    path = "/api/test/cache?action="
    for app in bounded:
        world.name(app)
        assert "hit" in kind(app.get(world.path, world.token))
    r = bounded[0].ask("POST", path + "clear", world.stack.token)
    assert r.status == 200, r.body

    def keys(app):
        return app.get(path + "stats", world.stack.token).json()["data"]["levels"]["memory"]["keys"]

    wait_until(lambda: keys(bounded[1]) == 0, 2, "the other one")
    assert keys(bounded[0]) == 0
    assert world.name(bounded[1]) == "Before"


# ---- dead and gone

def test_a_restart_keeps_redis_and_misses_nothing(world):
    """Killed outright; meanwhile somebody writes; its bookmark is in Redis."""
    app = world.stack.second_app(PUPITRE_REDIS_PREFIX="restart:")
    other = School(world.stack).course(world.admin, name="Other")
    path = f"/api/admin/courses/{other}"
    app.settle()
    assert world.name(app) == "Before"
    assert app.get(path, world.token).status == 200
    key = f"restart:k:admin:course:details:courseId:{other}"
    assert world.stack.redis().exists(key)
    wait_until(lambda: world.stack.redis().hget("restart:meta", "bookmark"), 2, "a bookmark")
    time.sleep(2)  # it is as of now; what was changed in its last second is told once more
    app.process.kill()
    app.process.wait()
    world.rename_in_psql("While it was dead")
    app = world.stack.second_app(PUPITRE_REDIS_PREFIX="restart:")

    app.settle()
    assert app.heard()["lost"] == 0, app.log_text()
    assert world.name(app) == "While it was dead"
    assert "detail=redis" in kind(app.get(path, world.token)), "what did not change is still there"
    app.stop()


def test_a_redis_that_forgot_where_it_was_is_not_believed(world):
    app = world.stack.second_app(PUPITRE_REDIS_PREFIX="forget:")
    assert world.name(app) == "Before"
    app.process.kill()
    app.process.wait()
    world.rename_in_psql("While it was dead")
    world.stack.redis().hdel("forget:meta", "bookmark")
    app = world.stack.second_app(PUPITRE_REDIS_PREFIX="forget:")
    assert world.name(app) == "While it was dead"
    app.stop()


def test_killed_between_commit_and_raise(world, bounded):
    """It writes, is halted before it can raise, and is killed: the others hear
    it from the database."""
    doomed = world.stack.second_app()
    for i in range(5):
        for app in bounded:
            world.name(app)
        lock = world.stack.db()
        lock.autocommit = False
        lock.cursor().execute('select from "Course" where id = %s for update', (world.course,))
        done = threading.Thread(target=_try_to_rename, args=(world, doomed, f"Late {i}"))
        done.start()
        waiting = ("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                   " and application_name ~ '^pupitre( |$)'")
        wait_until(lambda: world.stack.sql(waiting)[0][0] > 0, 5, "the write")
        # Its statements run now, one after the other; somewhere among them:
        lock.commit()
        lock.close()
        time.sleep(0.0004 * i)
        doomed.process.kill()
        doomed.process.wait()
        done.join(10)
        doomed = world.stack.second_app()
        truth = world.stack.sql('select name from "Course" where id = %s', world.course)[0][0]
        for app in [*bounded, doomed]:
            wait_until(lambda: world.name(app) == truth, 2, f"the truth, {truth}")
    doomed.stop()


def _try_to_rename(world, app, name):
    try:
        app.ask("PATCH", world.path, world.token, b'{"name":"%s"}' % name.encode())
    except (OSError, EOFError):
        pass  # it was killed


def test_what_is_left_pending_is_settled(world, strict):
    """A transaction that was announced and never committed: misses, then not."""
    redis = world.stack.redis()
    for app in strict:
        world.name(app)
    xid = world.stack.sql("select pg_current_xact_id()::text")[0][0]
    redis.hset("strict:meta", "pending", f"{xid}:1:" + ",".join(
        k.decode() for k in redis.hkeys("strict:meta") if k.isdigit()))
    for k in redis.hkeys("strict:meta"):
        if k.isdigit():
            redis.hset("strict:meta", k, redis.hget("strict:meta", k) + b"!")
    assert world.name(strict[0]) == "Before"
    wait_until(lambda: not redis.hget("strict:meta", "pending"), 5, "an end to it")
    world.name(strict[0])
    assert "hit" in kind(strict[0].get(world.path, world.token))


# ---- PostgreSQL away

def test_an_outage_is_bridged_and_said(alone):
    stack = alone
    world = World(stack)
    app = stack.second_app(PUPITRE_TTL_COURSE_DETAIL_S=2, PUPITRE_GRACE_S=0, PUPITRE_STALE_S=3600)
    hidden = World(stack)
    app.settle()
    assert world.name(app) == "Before" and hidden.name(app) == "Before"
    hidden.rename(app, "New")  # invalidated, and not read again
    stack.stack("stop", "postgres")
    try:
        wait_until(lambda: "stale" in kind(app.get(world.path, world.token)), 8, "stale answers")
        time.sleep(2.1)  # beyond its life
        r = app.get(world.path, world.token)
        assert r.status == 200 and "hit; detail=stale; ttl=-" in kind(r)
        assert r.json()["course"]["name"] == "Before"
        r = app.get(hidden.path, hidden.token)
        assert r.status == 503 and "\r\nRetry-After: " in r.head
        r = app.ask("PATCH", world.path, world.token, b'{"name":"Lost"}')
        assert r.status == 503
    finally:
        stack.stack("start", "postgres")
    wait_until(lambda: "stale" not in kind(app.get(world.path, world.token)), 2, "fresh answers")
    world.rename(app, "After")
    assert world.name(app) == "After"
    assert hidden.name(app) == "New"
    app.stop()


def test_a_listener_that_cannot_listen_is_no_outage(alone):
    """Its place in the outbox cannot be read: every answer is loaded."""
    stack = alone
    world = World(stack)
    app = stack.second_app(PUPITRE_REDIS_PREFIX="deaf:")
    assert world.name(app) == "Before"
    stack.sql("alter table pupitre.outbox_horizon rename to away")
    try:
        def distrusts():
            heard = app.heard()
            return not heard["trusted"] and not heard["databaseDown"]

        wait_until(distrusts, 5, "distrust")
        world.rename_in_psql("Unheard")
        assert world.name(app) == "Unheard"
        assert "hit" not in kind(app.get(world.path, world.token))
    finally:
        stack.sql("alter table pupitre.away rename to outbox_horizon")
    app.stop()


def test_deadlocked_writes_are_run_again(world):
    """The enrolment's order of locks against that of somebody in psql."""
    stack = world.stack
    # Who waits looks for a deadlock once, after this long: there must be one by
    # then, on a busy machine too; and it is the app that is to find it.
    url = stack.app_environment()["DATABASE_URL"] + "&options=-c%20deadlock_timeout%3D3s"
    app = stack.second_app(DATABASE_URL=url, PUPITRE_DB_STATEMENT_MS=20000)
    user, token = world.school.user()
    path = f"/api/user/courses/{world.course}/enrolment"
    assert app.ask("PUT", path, token).status == 200
    other = stack.db()
    other.autocommit = False
    cursor = other.cursor()
    # The app holds the course and wants the enrolment; we the other way round.
    cursor.execute('select from "CourseOnUser" where "userId" = %s for update', (user,))
    answers = []
    thread = threading.Thread(target=lambda: answers.append(app.ask("DELETE", path, token)))
    thread.start()
    waiting = ("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
               " and application_name ~ '^pupitre( |$)'")
    wait_until(lambda: stack.sql(waiting)[0][0] > 0, 5, "the write")
    cursor.execute("set deadlock_timeout = '60 s'")
    cursor.execute('select from "Course" where id = %s for update', (world.course,))
    other.commit()  # it was the app's transaction that was broken up, not this
    other.close()
    thread.join(10)
    assert answers[0].status == 200, (answers, app.log_text()[-2000:])
    assert stack.sql('select count(*) from "CourseOnUser" where "userId" = %s', user) == [(0,)]
    app.stop()
