"""Databases for the tests of sql/.

The server is the one of DATABASE_URL, or a private one for the time of the
tests.  A Database has a name of its own, the migrations and a demo school, and
is dropped at the end.  Statements run as the app runs them: prepared, each
parameter sent as text.
"""
import glob
import os
import threading
import time
from urllib.parse import urlencode, urlsplit, parse_qsl

import psycopg2

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUERIES = {os.path.basename(path)[:-4]: path
           for path in sorted(glob.glob(os.path.join(ROOT, "sql/queries/*.sql")))}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def without_prismas_parameters(url):
    parts = urlsplit(url)
    kept = [(k, v) for k, v in parse_qsl(parts.query)
            if k in ("host", "port", "user", "password", "sslmode", "dbname")]
    return parts._replace(query=urlencode(kept)).geturl()


class Session:
    """One connection, as one of the app's."""

    def __init__(self, url, name, plans="auto", user=None):
        more = {"user": user} if user else {}
        self.connection = psycopg2.connect(url, dbname=name, **more)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.prepared = set()
        self.sql(f"set timezone = 'UTC'; set plan_cache_mode = {plans}")

    def sql(self, text, *params):
        self.cursor.execute(text, params or None)
        return self.cursor.fetchall() if self.cursor.description else []

    def call(self, name, params):
        if name not in self.prepared:
            self.cursor.execute(f"prepare {name} as {read(QUERIES[name])}")
            self.prepared.add(name)
        if not params:
            return f"execute {name}"
        values = ", ".join(["%s"] * len(params))
        params = [None if p is None else str(p) for p in params]
        return self.cursor.mogrify(f"execute {name} ({values})", params).decode()

    def run(self, name, *params):
        """The row, as a dictionary, or None.  More than one is a fault."""
        self.cursor.execute(self.call(name, params))
        columns = [(c.name, c.type_code) for c in self.cursor.description]
        rows = self.cursor.fetchall()
        assert len(rows) <= 1, f"{name}: {len(rows)} rows"
        for column, code in columns:
            assert code == (1009 if column == "tags" else 25), f"{name}.{column}: type {code}"
        return dict(zip((c for c, _ in columns), rows[0])) if rows else None

    def explain(self, name, *params):
        self.cursor.execute("explain (analyze, format json) " + self.call(name, params))
        return self.cursor.fetchone()[0][0]["Plan"]

    def close(self):
        self.connection.close()


class Database:
    count = 0

    def __init__(self, url):
        Database.count += 1
        self.url = url
        self.name = f"pupitre_sql_{os.getpid()}_{Database.count}"
        self.server = psycopg2.connect(url)
        self.server.autocommit = True
        self.server.cursor().execute(f"create database {self.name}")
        self.sessions = []

    def session(self, **options):
        self.sessions.append(Session(self.url, self.name, **options))
        return self.sessions[-1]

    def migrate(self, session=None):
        session = session or self.session()
        for path in sorted(glob.glob(os.path.join(ROOT, "sql/migrations/*.sql"))):
            session.sql("begin")
            session.cursor.execute(read(path))
            session.sql("commit")
        return self

    def demo(self, size):
        session = self.session()
        session.sql(f"set pupitre.demo_size = '{size}'")
        session.cursor.execute(read("sql/demo/school.sql"))
        return self

    def waits(self, session, what):
        """Run WHAT, which is to wait for a lock, in a thread; join() it."""
        pid = session.connection.get_backend_pid()
        answer = {}
        thread = threading.Thread(target=lambda: answer.update(row=what()))
        thread.start()
        watch = self.server.cursor()
        for _ in range(1000):
            watch.execute("select wait_event_type from pg_stat_activity where pid = %s", (pid,))
            if watch.fetchone()[0] == "Lock":
                return thread, answer
            time.sleep(0.01)
        raise AssertionError("it does not wait")

    def drop(self):
        for session in self.sessions:
            session.close()
        self.server.cursor().execute(f"drop database {self.name} with (force)")
        self.server.close()
