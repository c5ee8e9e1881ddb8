"""The real stack for tests: deploy/stack in a folder and on a port of its own.

A Stack starts and stops PostgreSQL, Redis, the app and nginx, can hurt each of
them, and knows how to ask and to look behind the scenes.  A School makes rows
with ids of their own, so tests do not meet.
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
import requests

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


class Stack:
    """One private stack.  `settings` are further PUPITRE_... variables."""

    def __init__(self, **settings):
        self.folder = tempfile.mkdtemp(prefix="pup-")
        os.chmod(self.folder, 0o755)
        self.run = os.path.join(self.folder, "run")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {k: str(v) for k, v in settings.items()}
        self.session = requests.Session()

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
        self.stack("up")
        self.token = open(os.path.join(self.run, "operator-token")).read()
        return self

    def down(self):
        self.stack("down", check=False)
        reports = self.reports()
        # Started as root, the folder may be a link to a place under /tmp.
        shutil.rmtree(os.path.realpath(self.run), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not reports, reports

    def reports(self):
        text = self.log_text()
        at = min((text.find(r) for r in REPORTS if r in text), default=-1)
        return text[max(0, at - 500):at + 4000] if at >= 0 else ""

    def app_restart(self, **settings):
        """Stop the app and start it again, with these settings for good."""
        self.settings.update({k: str(v) for k, v in settings.items()})
        self.stack("stop", "app")
        self.stack("start", "app")
        wait_until(lambda: self.get("/readyz").status_code == 200, 20, "readiness")

    def pid(self, part):
        return int(open(os.path.join(self.run, part + ".pids")).read().split()[0])

    def hurt(self, part, sig):
        os.kill(self.pid(part), sig)

    def app(self, *words, **kwargs):
        """Run a pupitre command with the stack's settings; its output."""
        return self.stack("app", *words, **kwargs).strip()

    # -- asking

    def ask(self, method, path, token=None, headers=None, session=None, **kwargs):
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        kwargs.setdefault("timeout", 30)
        return (session or self.session).request(
            method, self.url + path, headers=headers, allow_redirects=False, **kwargs)

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

    def sql(self, text, *params):
        connection = self.db()
        try:
            with connection.cursor() as cursor:
                cursor.execute(text, params)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

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
        try:
            with open(os.path.join(self.run, "app.log"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def log_lines(self, event=None):
        lines = []
        for line in self.log_text().splitlines():
            if line.startswith("{"):
                entry = json.loads(line)
                if event in (None, entry["event"]):
                    lines.append(entry)
        return lines


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
