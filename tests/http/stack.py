"""The real stack for tests: deploy/stack in a folder and on a port of its own.

A Stack starts and stops PostgreSQL, Redis, the app and nginx, can hurt each of
them, and knows how to ask and to look behind the scenes.  Stack(INSTANCES=3)
has the apps app, app2 and app3 behind its nginx; an Instance asks one of them
through its own socket.  A SecondApp is one more pupitre on the same PostgreSQL
and Redis that nginx does not know.  A School makes rows with ids of their own, so tests do not meet.
"""
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

import psycopg2
import psycopg2.extensions
import redis

import client
import fcgi
import openapi

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("APP_BUILD", "release")
BINARY = os.path.join(ROOT, ".build", BUILD, "pupitre")
REPORTS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(holds, seconds=10.0, what="it"):
    """Polls, bounded; the only way here to wait for something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


class Stack:
    """One private stack.  `settings` are deploy/stack's (INSTANCES, REDIS...)
    and further PUPITRE_... variables."""

    running = []

    def __init__(self, **settings):
        self.folder = tempfile.mkdtemp(prefix="pup-")
        os.chmod(self.folder, 0o755)
        self.run = os.path.join(self.folder, "run")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # What is loaded without being asked for would spoil many a count.
        self.settings = {"PUPITRE_WARM_KEYS": "0", **{k: str(v) for k, v in settings.items()}}
        self.session = client.Session()
        self.seconds = []
        self.overhears = None

    # -- starting and stopping

    def stack(self, *words, check=True, **extra):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PUPITRE_")}
        env.update(RUN_DIR=self.run, PORT=str(self.port), APP=BINARY, DEMO="0")
        env.update(self.settings)
        env.update({k: str(v) for k, v in extra.items()})
        done = subprocess.run(
            [os.path.join(ROOT, "deploy", "stack"), *words],
            env=env, capture_output=True, text=True, timeout=120)
        if check and done.returncode:
            raise AssertionError(f"deploy/stack {words}: {done.stdout}{done.stderr}")
        return done.stdout

    def up(self):
        self.running.append(self)
        self.stack("up")
        self.token = open(os.path.join(self.run, "operator-token")).read()
        return self

    def down(self):
        for second in self.seconds:
            second.stop()
        if self.overhears:
            self.overhears.close()
        self.stack("down", check=False)
        if self in self.running:
            self.running.remove(self)
        reports = self.reports()
        # Started as root, the folder may be a link to a place under /tmp.
        shutil.rmtree(os.path.realpath(self.run), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not reports, reports

    def reports(self):
        """What a sanitizer wrote into an app's log; empty if nothing."""
        text = self.log_text() + "".join(s.log_text() for s in self.seconds)
        at = min((text.find(r) for r in REPORTS if r in text), default=-1)
        return text[max(0, at - 500):at + 4000] if at >= 0 else ""

    def apps(self):
        """The instances' names: app, app2, ..."""
        count = int(self.settings.get("INSTANCES", 1))
        return ["app", *(f"app{n}" for n in range(2, count + 1))]

    def instance(self, part):
        """One of the apps, to be asked without nginx."""
        return Instance(os.path.join(os.path.realpath(self.run), part + ".sock"))

    def witness(self):
        """A socket that stands for the app's, for programs that ask by themselves:
        their answers are checked as ours are."""
        if not self.overhears:
            run = os.path.realpath(self.run)
            self.overhears = fcgi.Witness(os.path.join(run, "witness.sock"),
                                          os.path.join(run, "app.sock"))
        return self.overhears

    def app_restart(self, **settings):
        """Stop every app and start it again, with these settings for good."""
        self.settings.update({k: str(v) for k, v in settings.items()})
        for part in self.apps():
            self.stack("stop", part)
            self.stack("start", part)
        wait_until(lambda: self.get("/readyz").status_code == 200, 20, "readiness")

    def pid(self, part):
        return int(open(os.path.join(self.run, part + ".pids")).read().split()[0])

    def hurt(self, part, sig):
        """A signal to the part's own process: nginx's master, PostgreSQL's
        postmaster.  Their children hear nothing: see hurt_all."""
        os.kill(self.pid(part), sig)

    def hurt_all(self, part, sig):
        """A signal to the part and its children, e.g. to stop PostgreSQL
        whole, or to kill nginx so that it lets the port go."""
        pid = self.pid(part)
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            family = [pid, *map(int, f.read().split())]
        for one in family:
            try:
                os.kill(one, sig)
            except ProcessLookupError:
                pass
        if sig == signal.SIGKILL:
            wait_until(lambda: not any(map(is_alive, family)), 5, f"the end of {part}")

    def second_app(self, **settings):
        """Another pupitre beside the stack's own, with its settings and these;
        None takes one away, e.g. REDIS_URL=None.  It ends with the stack."""
        second = SecondApp(self, settings)
        self.seconds.append(second)
        return second

    def app_environment(self):
        """The variables that the stack's app runs with."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("PUPITRE_")}
        env.update({k: v for k, v in self.settings.items() if k.startswith("PUPITRE_")})
        for line in self.stack("env").splitlines():
            if line.startswith("export "):
                name, value = line[len("export "):].split("=", 1)
                env[name] = value.strip("'")
        return env

    def app(self, *words, **kwargs):
        """Run a pupitre command with the stack's settings; its output."""
        return self.stack("app", *words, **kwargs).strip()

    # -- asking

    def ask(self, method, path, token=None, headers=None, session=None, *, not_ours=None,
            **kwargs):
        """NOT_OURS says why the answer will be none of the API's."""
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        kwargs.setdefault("timeout", 30)
        session = client.Session(not_ours=not_ours) if not_ours else session or self.session
        return session.request(method, self.url + path, headers=headers, allow_redirects=False,
                               **kwargs)

    def get(self, path, token=None, **kwargs):
        return self.ask("GET", path, token, **kwargs)

    def stats(self):
        r = self.get("/api/test/cache?action=stats", self.token)
        assert r.status_code == 200, r.text
        return r.json()["data"]

    def clear(self):
        r = self.ask("POST", "/api/test/cache?action=clear", self.token)
        assert r.status_code == 200, r.text

    # -- behind the scenes

    def db(self):
        connection = psycopg2.connect(
            host=os.path.join(os.path.realpath(self.run), "pg"), dbname="pupitre", user="pupitre")
        connection.autocommit = True
        return connection

    def sql(self, text, *params, settle=True):
        """Run a statement behind the app's back.  If it changes what the app
        may have cached, wait until the app has heard of it."""
        changes = text.lstrip()[:6].lower() in ("insert", "update", "delete", "trunca")
        heard = None
        connection = self.db()
        try:
            with connection.cursor() as cursor:
                connection.autocommit = not changes
                cursor.execute(text, params)
                rows = cursor.fetchall() if cursor.description else []
                if changes:
                    cursor.execute("select xid::text from pupitre.outbox"
                                   " where xid = pg_current_xact_id()")
                    heard = cursor.fetchone()
                    connection.commit()
        finally:
            connection.close()
        if heard and settle:
            self.settle(int(heard[0]))
        return rows

    def settle(self, xid):
        """Until the app has heard of that transaction, if it runs at all."""
        end = time.monotonic() + 3
        while time.monotonic() < end:
            r = self.get("/api/test/cache?action=stats", self.token)
            if r.status_code != 200 or r.json()["data"]["listener"]["seen"] > xid:
                return
            time.sleep(0.002)

    def redis(self):
        path = os.path.join(os.path.realpath(self.run), "redis.sock")
        return redis.Redis(unix_socket_path=path)

    def redis_key(self, key):
        return f"pupitre:k:{key}"

    def statements(self):
        """How many statements on the school's tables PostgreSQL has run."""
        self.sql("create extension if not exists pg_stat_statements")
        return int(self.sql(
            "select coalesce(sum(calls), 0) from pg_stat_statements"
            " where query ~ '\"(Course|Lesson|User|CourseOnUser|LessonOnUser)\"|sessions'"
            " and query !~ 'pg_stat_statements'")[0][0])

    def log_text(self):
        """Of every app, one after the other.  Lines are written some
        milliseconds behind their answers."""
        time.sleep(0.03)
        text = []
        for part in self.apps():
            try:
                with open(os.path.join(self.run, part + ".log"), errors="replace") as f:
                    text.append(f.read())
            except FileNotFoundError:
                pass
        return "".join(text)

    def log_lines(self, event=None):
        lines = []
        for line in self.log_text().splitlines():
            if line.startswith("{"):
                entry = json.loads(line)
                if event in (None, entry["event"]):
                    lines.append(entry)
        return lines


def check_fcgi(params, body, answer):
    """An exchange with an app's socket, against the document."""
    query = params.get("QUERY_STRING")
    lines = (line.split(": ", 1) for line in answer.head.split("\r\n") if ": " in line)
    openapi.check(openapi.Exchange(
        params["REQUEST_METHOD"], params["DOCUMENT_URI"] + ("?" + query if query else ""),
        params.get("CONTENT_TYPE"), body, answer.status, {k.lower(): v for k, v in lines},
        answer.body, by_nginx=False))


class Instance:
    """A pupitre, asked through its socket as nginx would ask."""

    def __init__(self, path):
        self.socket = path

    def ask(self, method, path, token=None, body=b"", **params):
        """An fcgi.Answer.  `path` may have a query."""
        path, _, query = path.partition("?")
        if query:
            params["QUERY_STRING"] = query
        if token:
            params.update(SESSION_TOKEN=token, SESSION_SOURCE="bearer")
        if body:
            params.setdefault("CONTENT_TYPE", "application/json")
            params["CONTENT_LENGTH"] = str(len(body))
        connection = fcgi.Connection(self.socket)
        try:
            answer = connection.ask(path, method, body, **params)
        finally:
            connection.close()
        return answer

    def get(self, path, token=None):
        return self.ask("GET", path, token)


class SecondApp(Instance):
    """See Stack.second_app."""

    def __init__(self, stack, settings):
        self.stack = stack
        name = f"second-{len(stack.seconds) + 1}"
        run = os.path.realpath(stack.run)
        super().__init__(os.path.join(run, name + ".sock"))
        self.log = os.path.join(run, name + ".log")
        env = {**stack.app_environment(), "PUPITRE_LISTEN": self.socket,
               **{k: str(v) for k, v in settings.items() if v is not None}}
        for gone in (k for k, v in settings.items() if v is None):
            env.pop(gone, None)
        # As root, as the user that owns the folder.
        who = {} if os.getuid() else {
            "user": os.stat(run).st_uid, "group": os.stat(run).st_gid, "extra_groups": []}
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [os.path.join(run, "pupitre")], env=env, cwd="/", stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, **who)
        wait_until(self._is_ready, 15, "the second app")

    def _is_ready(self):
        assert self.process.poll() is None, self.log_text()
        try:
            return self.ask("GET", "/readyz").status == 200
        except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError):
            return False  # not made yet, not listening yet, or gone while it was asked

    def heard(self):
        """What the app says of its listener."""
        r = self.get("/api/test/cache?action=stats", self.stack.token)
        assert r.status == 200, r
        return r.json()["data"]["listener"]

    def settle(self):
        """Until it has heard of all that is committed now."""
        seen = int(self.stack.sql("select pg_snapshot_xmax(pg_current_snapshot())::text")[0][0])
        wait_until(lambda: self.heard()["seen"] >= seen and self.heard()["trusted"], 10,
                   "the app's hearing of it")

    def log_text(self):
        time.sleep(0.03)  # see Stack.log_text
        with open(self.log, errors="replace") as f:
            return f.read()

    def stop(self):
        """TERM, and its exit code; safe to call twice."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(5)


class School:
    """Rows made directly in the database, each with an id of its own."""

    def __init__(self, stack):
        self.stack = stack
        self.tag = uuid.uuid4().hex[:10]
        self.count = itertools.count(1)

    def _id(self, kind):
        return f"{kind}-{self.tag}-{next(self.count)}"

    def user(self, role="USER", name=None):
        """An account with a session as Auth.js makes it: (id, token)."""
        user, token = self._id("user"), str(uuid.uuid4())
        self.stack.sql(
            'insert into "User" (id, name, email, image, role) values (%s, %s, %s, %s, %s)',
            user, name or f"Name of {user}", f"{user}@example.org", f"https://i.example/{user}",
            role)
        self.stack.sql(
            "insert into sessions (id, session_token, user_id, expires)"
            " values (%s, %s, %s, (now() at time zone 'UTC') + interval '1 day')",
            self._id("session"), token, user)
        return user, token

    def admin(self, **kwargs):
        return self.user(role="ADMIN", **kwargs)

    def course(self, creator, state="PUBLISHED", name=None, **columns):
        course = self._id("course")
        self.stack.sql(
            'insert into "Course" (id, name, presentation, image, "creatorId", state, "createdAt")'
            " values (%s, %s, %s, %s, %s, %s, coalesce(%s, (now() at time zone 'UTC')))",
            course, name or f"Course {self.tag}", "About it", "https://i.example/c.png", creator,
            state, columns.get("created_at"))
        return course

    def lesson(self, course, state="PUBLISHED", name=None, rank="1", content="# Text",
               created_at=None):
        lesson = self._id("lesson")
        self.stack.sql(
            'insert into "Lesson" (id, name, rank, content, state, "courseId", "createdAt")'
            " values (%s, %s, %s, %s, %s, %s, coalesce(%s, (now() at time zone 'UTC')))",
            lesson, name or f"Lesson {self.tag}", rank, content, state, course, created_at)
        return lesson

    def join(self, user, course, canceled=False):
        self.stack.sql(
            'insert into "CourseOnUser" (id, "userId", "courseId", "canceledAt")'
            " values (%s, %s, %s, case when %s then now() at time zone 'UTC' end)",
            self._id("join"), user, course, canceled)


def stop(stack, part):
    stack.hurt(part, signal.SIGSTOP)


def cont(stack, part):
    stack.hurt(part, signal.SIGCONT)
