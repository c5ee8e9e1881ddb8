"""pupitrectl doctor against a real stack: it finds a sound one sound, and what
is broken by name, with what to do about it."""
import os
import re
import socket
import threading

import pytest
from ctl import Pretender, answers, ctl, ctl_json, nginx_dump
from stack import Stack, wait_until


@pytest.fixture(scope="module")
def seen():
    s = Stack()
    try:
        s.up()
        s.dump = nginx_dump(s)
        yield s
    finally:
        s.down()


def doctor(stack, *words, nginx=None, **more):
    """{name: (state, advice)}, with the sums and the exit code looked at."""
    words = ["doctor", "--nginx", str(nginx or stack.dump), *words]
    try:
        found, code = ctl_json(stack, *words, **more), 0
    except AssertionError:
        found, code = ctl_json(stack, *words, code=1, **more), 1
    checks = found["checks"]
    assert all(c.keys() == {"name", "state", "advice"} for c in checks)
    for state, name in (("ok", "ok"), ("warn", "warned"), ("fail", "failed")):
        assert found[name] == sum(c["state"] == state for c in checks)
    assert all(c["advice"] for c in checks if c["state"] != "ok"), checks
    assert code == (found["failed"] > 0)
    assert len({c["name"] for c in checks}) == len(checks)
    return {c["name"]: (c["state"], c["advice"]) for c in checks}


def url(stack, **more):
    run = os.path.realpath(stack.run)
    words = {"host": f"{run}/pg", "user": "pupitre", **more}
    return "postgresql:///pupitre?" + "&".join(f"{k}={v}" for k, v in words.items())


def test_a_sound_stack_is_sound(seen):
    def numbers():
        return seen.redis().hmget("pupitre:meta", "epoch", "seq", "run", "demand")

    before = numbers()
    text = ctl(seen, "doctor", "--nginx", seen.dump)
    assert all(before) and numbers() == before  # it only looks
    assert re.search(r"^\d+ ok, 0 to look at, 0 broken$", text, re.M), text
    for what in ("settings", "PostgreSQL", "PostgreSQL: version", "PostgreSQL: writes", "rights",
                 "migrations", "triggers", "notifications", "Redis", "Redis: version",
                 "Redis: when it is full", "Redis: room", "socket", "its version", "its listener",
                 "nginx: parameters", "nginx: no repetition", "nginx: the page"):
        assert re.search(f"^ok    {what}(:|$)", text, re.M), (what, text)
    found = doctor(seen)
    assert len(found) == text.count("ok    ")
    assert {state for state, _ in found.values()} == {"ok"}


def test_it_finds_what_is_broken(seen):
    def find(what, **more):
        text = ctl(seen, "doctor", "--nginx", seen.dump, code=1, **more)
        assert f"FAIL  {what}" in text, text
        assert doctor(seen, **more)[what][0] == "fail"
        return text

    seen.sql('alter table "Lesson" disable trigger pupitre_update')
    assert "Lesson: pupitre_update" in find("triggers")
    seen.sql('alter table "Lesson" enable always trigger pupitre_update')
    assert "Course: pupitre_delete" not in ctl(seen, "doctor", "--nginx", seen.dump)
    seen.sql("delete from pupitre.migration where number = 6", settle=False)
    assert "1 of 6" in find("migrations")
    seen.app("migrate")
    assert "WORKERS" in find("settings", PUPITRE_WORKERS="many")
    assert "--socket" in find("pupitre", PUPITRE_LISTEN="/nowhere")
    assert "refused" in find("PostgreSQL", DATABASE_URL="postgresql://x@127.0.0.1:1/x")
    assert "redis://HOST" in find("Redis", REDIS_URL="nonsense")
    assert "not a PostgreSQL address" in find("PostgreSQL", DATABASE_URL="mysql://x@y/z")
    seen.stack("stop", "redis")
    try:
        find("Redis")
        wait_until(lambda: "FAIL  its Redis" in ctl(seen, "doctor", "--nginx", seen.dump, code=1),
                   5, "the instance's own word")
    finally:
        seen.stack("start", "redis")
    wait_until(lambda: "Redis        up" in ctl(seen, "stats"), 10, "Redis")


# ---- settings

def test_it_says_where_settings_come_from(seen, tmp_path):
    gone = {"DATABASE_URL": None, "REDIS_URL": None}
    state, advice = doctor(seen, **gone)["settings"]
    assert state == "fail" and "PUPITRE_ENV_FILE=/etc/pupitre/env" in advice
    file = tmp_path / "env"
    file.write_text("REDIS_URL=\n")
    state, advice = doctor(seen, **gone, PUPITRE_ENV_FILE=str(file))["settings"]
    assert state == "fail" and str(file) in advice
    file.write_text(f"DATABASE_URL={url(seen)}\n")
    file.chmod(0o644)
    found = doctor(seen, **gone, PUPITRE_ENV_FILE=str(file))
    assert found["settings"] == ("ok", "from the environment and PUPITRE_ENV_FILE")
    assert found["settings: file"][0] == "warn" and "chmod 600" in found["settings: file"][1]
    assert found["PostgreSQL"][0] == "ok" and found["Redis"][0] == "warn"
    file.chmod(0o600)
    assert doctor(seen, **gone, PUPITRE_ENV_FILE=str(file))["settings: file"][0] == "ok"
    state, advice = doctor(seen, PUPITRE_ENV_FILE="/nowhere")["settings"]
    assert state == "fail" and "/nowhere" in advice


# ---- PostgreSQL

def test_an_old_server_and_a_standby(seen):
    """As told by functions of ours that stand before its own."""
    seen.sql("create schema fake")
    try:
        seen.sql("create function fake.current_setting(text) returns text language sql as $$"
                 " select case $1 when 'server_version' then '13.9' when 'server_version_num'"
                 " then '130009' else pg_catalog.current_setting($1) end $$")
        seen.sql("create function fake.pg_is_in_recovery() returns bool language sql"
                 " as 'select true'")
        before = url(seen, options="-c%20search_path%3Dfake,pg_catalog,public")
        found = doctor(seen, DATABASE_URL=before)
        assert found["PostgreSQL: version"][0] == "fail"
        assert "13.9" in found["PostgreSQL: version"][1] and "14" in found["PostgreSQL: version"][1]
        assert found["PostgreSQL: writes"][0] == "fail"
        assert "primary" in found["PostgreSQL: writes"][1]
    finally:
        seen.sql("drop schema fake cascade")


def test_a_read_only_server(seen):
    read_only = "-c%20default_transaction_read_only%3Don"
    state, advice = doctor(seen, DATABASE_URL=url(seen, options=read_only))["PostgreSQL"]
    assert state == "fail" and "read-only" in advice and "primary" in advice
    found = doctor(seen, DATABASE_URL=url(seen, options=read_only, target_session_attrs="any"))
    assert found["PostgreSQL"][0] == "ok" and found["PostgreSQL: writes"][0] == "fail"


def test_the_rights_of_a_role(seen):
    seen.sql("create role guest login")
    # There are all tables, as "$user" comes first when pupitre makes them.
    as_guest = {"DATABASE_URL": url(seen, user="guest", schema="pupitre")}
    try:
        state, advice = doctor(seen, **as_guest)["rights"]
        assert state == "fail" and "usage on schema pupitre" in advice
        assert "update on pupitre.credential" in advice
        # What sql/README.md says that a role needs.
        everything = "select, insert, update, delete on"
        for right in ("usage on schema pupitre",
                      "select on pupitre.migration, pupitre.outbox, pupitre.outbox_horizon",
                      f"{everything} pupitre.credential, pupitre.hot",
                      f'{everything} "User", "Course", "Lesson", "CourseOnUser", "LessonOnUser"',
                      f"{everything} sessions"):
            seen.sql(f"grant {right} to guest")
            if right.startswith("usage"):
                assert 'insert on "User"' in doctor(seen, **as_guest)["rights"][1]
        assert {s for s, _ in doctor(seen, **as_guest).values()} == {"ok"}
        seen.sql("revoke delete on pupitre.hot from guest")
        assert "lacks: delete on pupitre.hot." in doctor(seen, **as_guest)["rights"][1]
    finally:
        seen.sql("drop owned by guest")
        seen.sql("drop role guest")


class DeafPooler:
    """Passes everything between a client and PostgreSQL but notifications, as a
    pooler does whose server connections belong to nobody between transactions."""

    def __init__(self, folder, server):
        self.upstream = server
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(folder, ".s.PGSQL.5432"))
        self.listener.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.upstream)
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._down, args=(client, server), daemon=True).start()

    @staticmethod
    def _up(client, server):
        try:
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    @staticmethod
    def _down(client, server):
        stream = server.makefile("rb")
        try:
            while head := stream.read(5):
                rest = stream.read(int.from_bytes(head[1:], "big") - 4)
                if head[:1] != b"A":
                    client.sendall(head + rest)
        except OSError:
            pass
        client.close()


def test_a_pooler_that_passes_no_notifications(seen, tmp_path):
    DeafPooler(str(tmp_path), os.path.join(os.path.realpath(seen.run), "pg", ".s.PGSQL.5432"))
    found = doctor(seen, DATABASE_URL=url(seen, host=tmp_path))
    assert found["PostgreSQL"][0] == "ok" and found["triggers"][0] == "ok"
    assert found["notifications"][0] == "fail" and "session mode" in found["notifications"][1]


# ---- Redis

@pytest.mark.parametrize("policy, bytes_, state, word", [
    ("allkeys-lru", "256mb", "warn", "volatile-lru"),
    ("allkeys-lfu", "256mb", "warn", "volatile-lru"),
    ("noeviction", "256mb", "warn", "refuses writes"),
    ("noeviction", "0", "ok", "no maxmemory"),
    ("volatile-lru", "0", "ok", "no maxmemory"),
    ("volatile-lfu", "256mb", "ok", "volatile-lfu"),
    ("volatile-ttl", "256mb", "ok", "volatile-ttl"),
])
def test_what_redis_does_when_it_is_full(seen, policy, bytes_, state, word):
    redis = seen.redis()
    redis.config_set("maxmemory-policy", policy)
    redis.config_set("maxmemory", bytes_)
    try:
        found = doctor(seen)
        assert found["Redis: when it is full"][0] == state
        assert word in found["Redis: when it is full"][1]
        assert found["Redis: version"][0] == "ok" and found["Redis"][0] == "ok"
    finally:
        redis.config_set("maxmemory", "256mb")
        redis.config_set("maxmemory-policy", "volatile-lru")


def test_redis_has_evicted_keys(seen):
    redis = seen.redis()
    try:
        redis.setex("somebody's", 100, "x" * 1000)
        redis.config_set("maxmemory", "1")
        wait_until(lambda: redis.info("stats")["evicted_keys"] > 0, 5, "an eviction")
        redis.config_set("maxmemory", "256mb")
        state, advice = doctor(seen)["Redis: room"]
        assert state == "warn" and "raise maxmemory" in advice and "evicted" in advice
    finally:
        redis.config_set("maxmemory", "256mb")
        redis.config_resetstat()
    assert doctor(seen)["Redis: room"][0] == "ok"


def test_redis_keeps_to_itself_what_it_does(seen):
    redis = seen.redis()
    redis.execute_command("ACL", "SETUSER", "default", "-info")
    try:
        found = doctor(seen)
        # pupitre itself learns by INFO which process it speaks to.
        assert found["Redis"][0] == "fail" or found["Redis: server"][0] == "warn"
    finally:
        redis.execute_command("ACL", "SETUSER", "default", "+info")
    wait_until(lambda: "Redis        up" in ctl(seen, "stats"), 10, "Redis")


# ---- the instance

def test_the_socket_is_for_few(seen, tmp_path):
    path = os.path.join(os.path.realpath(seen.run), "app.sock")
    mode = os.stat(path).st_mode & 0o777
    os.chmod(path, 0o666)
    try:
        state, advice = doctor(seen, "--socket", path)["socket"]
        assert state == "fail" and "666" in advice and "chmod 660" in advice
    finally:
        os.chmod(path, mode)
    assert doctor(seen, "--socket", path)["socket"] == ("ok", f"{path}, mode 660")
    file = tmp_path / "file"
    file.touch()
    found = doctor(seen, "--socket", str(file))
    assert found["socket"][0] == found["pupitre"][0] == "fail"


@pytest.mark.parametrize("where, value, name, state, word", [
    (["version"], "0.0.9", "its version", "warn", "0.0.9"),
    (["version"], None, "its version", "warn", "does not tell"),
    (["health", "redis", "state"], "open", "its Redis", "fail", "circuit"),
    (["health", "redis", "state"], "down", "its Redis", "fail", "does not reach"),
    (["health", "redis", "state"], "none", "its Redis", "ok", ""),
    (["health", "postgres", "state"], "down", "its PostgreSQL", "fail", "does not reach"),
    (["health", "listener", "trusted"], False, "its listener", "fail", "not hear"),
    (["health", "postgres", "pool", "waiting"], 99, "its pool", "warn", "99 callers"),
])
def test_what_the_instance_says(seen, tmp_path, where, value, name, state, word):
    overview = ctl_json(seen, "stats")
    place = overview["data"]
    for step in where[:-1]:
        place = place[step]
    place[where[-1]] = value
    path = tmp_path / "s"
    with Pretender(path, answers(overview)):
        found = doctor(seen, "--socket", str(path))
    assert found[name][0] == state and word in found[name][1]
    assert {s for n, (s, _) in found.items() if n not in (name, "socket")} == {"ok"}


def test_an_instance_that_does_not_say(seen, tmp_path):
    path = tmp_path / "s"
    with Pretender(path, answers({"success": False, "error": "no"}, "403 Forbidden")) as p:
        assert "HTTP 403" in doctor(seen, "-s", str(path))["pupitre"][1]
        p.answer = answers(b"{")
        assert doctor(seen, "-s", str(path))["pupitre"][0] == "fail"
        p.answer = b""
        assert "hung up" in doctor(seen, "-s", str(path))["pupitre"][1]


# ---- nginx

@pytest.mark.parametrize("old, new, what", [
    ("fastcgi_param SEC_FETCH_SITE", "# ", "nginx: parameters"),
    ("fastcgi_pass_request_headers off", "fastcgi_pass_request_headers on",
     "nginx: clients' headers"),
    ("fastcgi_keep_conn on", "fastcgi_keep_conn off", "nginx: kept connections"),
    ("fastcgi_next_upstream off;", "", "nginx: no repetition"),
    ("fastcgi_next_upstream off", "fastcgi_next_upstream error timeout", "nginx: no repetition"),
    ("deny all", "allow all", "nginx: /metrics"),
    ("allow ::1;", "allow all;", "nginx: /metrics"),
    ("fastcgi_param OPERATOR_NETWORK 1", "fastcgi_param PUPITRE_CONTROL 1",
     "nginx: no operator by nginx"),
])
def test_it_reads_nginx(seen, tmp_path, old, new, what):
    with open(seen.dump) as f:
        text = f.read()
    assert old in text
    path = tmp_path / "dump"
    path.write_text(text.replace(old, new))
    assert f"FAIL  {what}" in ctl(seen, "doctor", "--nginx", str(path), code=1)
    # Where it is wrong in one place only, it is wrong.
    for part in re.split(r"(?m)^(?=# configuration file )", text):
        if old in part and part.count(old) < text.count(old):
            path.write_text(text.replace(part, part.replace(old, new)))
            assert doctor(seen, nginx=path)[what][0] == "fail", part[:80]


def test_nginx_may_have_it_elsewhere(seen, tmp_path):
    """Said once for the whole server, and with another program beside."""
    with open(seen.dump) as f:
        text = f.read()
    path = tmp_path / "dump"
    for line in ("fastcgi_keep_conn on;", "fastcgi_next_upstream off;",
                 "fastcgi_pass_request_headers off;"):
        moved = text.replace(line, "").replace("http {", "http {\n\t" + line, 1)
        path.write_text(moved + "\nlocation ~ php { fastcgi_pass 127.0.0.1:9000; }\n"
                                "access_log /var/log/nginx/access.log combined;\n")
        assert {s for s, _ in doctor(seen, nginx=path).values()} == {"ok"}, line


def test_nginx_without_the_page(seen, tmp_path):
    with open(seen.dump) as f:
        parts = re.split(r"(?m)^(?=# configuration file )", f.read())
    path = tmp_path / "dump"
    path.write_text("".join(p for p in parts if "pupitre-admin.conf:\n" not in p[:200]))
    state, advice = doctor(seen, nginx=path)["nginx: the page"]
    assert state == "ok" and "include pupitre-admin.conf" in advice


def test_nginx_that_cannot_be_read(seen, tmp_path):
    state, advice = doctor(seen, nginx="/nowhere")["nginx"]
    assert state == "fail" and "No such file" in advice
    path = tmp_path / "dump"
    path.touch()
    assert doctor(seen, nginx=path)["nginx"] == ("fail", f"{path}: there is nothing in it")
    assert "directory" in doctor(seen, nginx=tmp_path)["nginx"][1]
    path.write_text("http { server { listen 80; } }\n")
    state, advice = doctor(seen, nginx=path)["nginx"]
    assert state == "warn" and "pupitre-server.conf" in advice
    # None to be run.
    found = ctl_json(seen, "doctor", PATH="/nowhere")
    assert [c["state"] for c in found["checks"] if c["name"] == "nginx"] == ["warn"]
