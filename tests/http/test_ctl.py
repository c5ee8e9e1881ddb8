"""pupitrectl against a real stack: every command, its exit codes, and what it
makes of a broken world."""
import json
import os
import pty
import re
import select
import socket
import subprocess
import threading
import time

import pytest
from stack import BINARY, ROOT, School, Stack, wait_until

CTL = os.path.join(os.path.dirname(BINARY), "pupitrectl")


@pytest.fixture(scope="module")
def seen():
    s = Stack(PUPITRE_WARM_KEYS=50)
    try:
        yield s.up()
    finally:
        s.down()


@pytest.fixture
def world(seen):
    return School(seen)


def environment(stack, **more):
    env = stack.app_environment()
    env["PUPITRE_LISTEN"] = stack.witness().path
    env.update(more)
    return env


def ctl(stack, *words, code=0, **more):
    done = subprocess.run([CTL, *words], env=environment(stack, **more), capture_output=True,
                          text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stdout + done.stderr


def nginx_dump(stack):
    run = os.path.realpath(stack.run)
    path = os.path.join(run, "dump.txt")
    done = subprocess.run(["/usr/sbin/nginx", "-T", "-p", run, "-c", f"{run}/nginx/nginx.conf",
                           "-e", f"{run}/nginx-error.log"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with open(path, "w") as f:
        f.write(done.stdout)
    return path


@pytest.fixture
def warm(seen, world):
    owner, admin = world.admin()
    one, two = world.course(owner), world.course(owner)
    seen.clear()

    def read(course):
        r = seen.get(f"/api/admin/courses/{course}", admin)
        return "hit" if "hit" in r.headers["Cache-Status"] else "miss"

    for course in (one, two, one, two):
        read(course)
    return one, two, read


# ---- seeing

def test_stats(seen, warm):
    text = ctl(seen, "stats")
    assert re.search(r"PostgreSQL\s+up", text) and re.search(r"Redis\s+up", text)
    assert re.search(r"admin:course:details\s+\d+\.\d%", text)
    assert "\033" not in text  # no terminal
    before = seen.witness().checked
    data = json.loads(ctl(seen, "stats", "--json"))["data"]
    assert seen.witness().checked == before + 1  # it asks through there
    assert data["health"]["postgres"]["state"] == "up"


def test_top_keys_and_get(seen, warm):
    one, _, _ = warm
    wait_until(lambda: one in ctl(seen, "top"), 5, "the survey")
    keys = ctl(seen, "keys", "admin:course:details:*").split()
    assert all(k.startswith("admin:course:details:") for k in keys)
    assert sum(one in k for k in keys) == 1
    assert len(ctl(seen, "keys", "--limit", "1").split()) == 1
    key = next(k for k in keys if one in k)
    text = ctl(seen, "get", key)
    assert f"key     {key}" in text and '"id"' in text
    assert json.loads(ctl(seen, "get", "--json", key))["data"]["key"] == key
    assert "No such key" in ctl(seen, "get", "no:such:key", code=1)


def test_hostile_keys_do_not_reach_the_terminal(seen, world):
    _, token = world.user()
    assert seen.get("/api/user/courses?search=%C2%9B31mred", token).status_code in (200, 400)
    seen.get("/api/user/courses?search=" + "%E2%80%AE" + "x", token)
    out = subprocess.run([CTL, "keys", "--limit", "1000"], env=environment(seen),
                         capture_output=True, timeout=30).stdout
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", out)


# ---- acting

@pytest.mark.parametrize("how", ["--tag", "--pattern", "--course"])
def test_invalidate(seen, warm, how):
    one, two, read = warm
    value = {"--tag": f"course:{one}", "--course": one,
             "--pattern": f"admin:course:details:*{one}*"}[how]
    assert "would touch" in ctl(seen, "invalidate", how, value, "--dry-run")
    assert json.loads(ctl(seen, "invalidate", how, value, "-n", "--json"))["data"]["dryRun"]
    assert read(one) == "hit"
    assert "--yes" in ctl(seen, "invalidate", how, value, code=2)
    assert read(one) == "hit"
    assert "done" in ctl(seen, "invalidate", how, value, "--yes")
    assert read(one) == "miss" and read(two) == "hit"


def test_clear_and_warm(seen, warm):
    one, _, read = warm
    assert "would touch" in ctl(seen, "clear", "--dry-run")
    assert "--yes" in ctl(seen, "clear", code=2)
    assert read(one) == "hit"
    assert "done" in ctl(seen, "clear", "-y")
    assert "would touch" in ctl(seen, "warm", "-n")
    assert "done" in ctl(seen, "warm")


def on_terminal(stack, words, send, until, **more):
    """What it prints on a terminal, to which SEND is typed when UNTIL shows."""
    env = environment(stack, **more)
    pid, fd = pty.fork()
    if pid == 0:
        try:
            os.execve(CTL, [CTL, *words], {**env, "TERM": "xterm"})
        finally:
            os._exit(127)
    seen_text, typed = b"", False
    end = time.monotonic() + 15
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                break
            if not piece:
                break
            seen_text += piece
        if not typed and until in seen_text:
            os.write(fd, send)
            typed = True
    os.close(fd)
    _, status = os.waitpid(pid, 0)
    return seen_text.decode(errors="replace"), os.waitstatus_to_exitcode(status)


def test_on_a_terminal_it_asks(seen, warm):
    one, _, read = warm
    words = ["invalidate", "--course", one]
    text, code = on_terminal(seen, words, b"n\n", b"[y/N]")
    assert code == 1 and "nothing was done" in text and read(one) == "hit"
    text, code = on_terminal(seen, words, b"y\n", b"[y/N]")
    assert code == 0 and read(one) == "miss"
    assert "\033[32m" in on_terminal(seen, ["stats"], b"", b"none")[0]
    assert "\033[32m" not in on_terminal(seen, ["stats"], b"", b"none", NO_COLOR="1")[0]


def test_watch(seen, warm):
    text, code = on_terminal(seen, ["watch"], b"q", b"most read")
    assert code == 0 and "PostgreSQL" in text and "requests/s" in text or "rates in" in text
    assert "terminal" in ctl(seen, "watch", code=2)
    text, code = on_terminal(seen, ["watch", "--socket", "/nowhere"], b"q", b"never")
    assert code == 3


# ---- what goes wrong

def test_usage(seen):
    for words in ([], ["nonsense"], ["stats", "more"], ["--nonsense"], ["get"], ["invalidate"],
                  ["invalidate", "--tag", "a", "--course", "b"], ["keys", "x" * 9000]):
        ctl(seen, *words, code=2)
    assert "doctor" in ctl(seen, "--help") and "0.1.0" in ctl(seen, "--version")
    assert "is pupitre running" in ctl(seen, "stats", "--socket", "/nowhere", code=3)
    assert "no id" in ctl(seen, "invalidate", "--course", "no id!", "-y", code=1)


GARBAGE = {
    "nothing": b"",
    "no FastCGI": b"HTTP/1.1 200 OK\r\n\r\n",
    "half a record": b"\x01\x06\x00\x01\x10\x00\x00\x00abc",
    "no head": b"\x01\x06\x00\x01\x00\x03\x00\x00abc\x01\x03\x00\x01\x00\x08\x00\x00" + b"\0" * 8,
    "an empty answer": b"\x01\x03\x00\x01\x00\x08\x00\x00" + b"\0" * 8,
}


def listen(path, answer):
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(4)

    def serve():
        try:
            client, _ = server.accept()
            client.recv(65536)
            answer(client)
            client.close()
        except OSError:
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return server


@pytest.mark.parametrize("what", GARBAGE)
def test_a_socket_that_speaks_nonsense(seen, tmp_path, what):
    path = str(tmp_path / "s")
    server = listen(path, lambda c: c.sendall(GARBAGE[what]))
    ctl(seen, "stats", "--socket", path, code=3)
    server.close()


def test_json_that_makes_no_sense(seen, tmp_path):
    path = str(tmp_path / "s")
    body = b"Status: 200 OK\r\n\r\n[1, 2"
    record = b"\x01\x06\x00\x01" + len(body).to_bytes(2, "big") + b"\0\0" + body
    server = listen(path, lambda c: c.sendall(record + GARBAGE["an empty answer"]))
    assert "no sense" in ctl(seen, "stats", "--socket", path, code=1)
    server.close()


def test_an_answer_without_end(seen, tmp_path):
    path = str(tmp_path / "s")

    def forever(client):
        record = b"\x01\x06\x00\x01\xff\xf8\x00\x00" + b"x" * 65528
        while True:
            client.sendall(record)

    server = listen(path, forever)
    assert "too long" in ctl(seen, "stats", "--socket", path, code=3)
    server.close()


# ---- the doctor

def test_the_doctor_finds_a_sound_stack_sound(seen):
    text = ctl(seen, "doctor", "--nginx", nginx_dump(seen))
    assert "FAIL" not in text and " 0 broken" in text, text
    for what in ("settings", "PostgreSQL", "migrations", "triggers", "Redis", "its listener",
                 "nginx: parameters"):
        assert f"ok    {what}" in text, text


def test_the_doctor_finds_what_is_broken(seen):
    dump = nginx_dump(seen)

    def find(what, **more):
        text = ctl(seen, "doctor", "--nginx", dump, code=1, **more)
        assert f"FAIL  {what}" in text, text
        return text

    seen.sql('alter table "Lesson" disable trigger pupitre_update')
    assert "Lesson: pupitre_update" in find("triggers")
    seen.sql('alter table "Lesson" enable always trigger pupitre_update')
    assert "Course: pupitre_delete" not in ctl(seen, "doctor", "--nginx", dump)
    seen.sql("delete from pupitre.migration where number = 6", settle=False)
    find("migrations")
    seen.app("migrate")
    find("settings", PUPITRE_WORKERS="many")
    find("pupitre", PUPITRE_LISTEN="/nowhere")
    seen.stack("stop", "redis")
    try:
        find("Redis")
        wait_until(lambda: "FAIL  its Redis" in ctl(seen, "doctor", "--nginx", dump, code=1), 5,
                   "the instance's own word")
    finally:
        seen.stack("start", "redis")
    wait_until(lambda: "Redis        up" in ctl(seen, "stats"), 10, "Redis")


@pytest.mark.parametrize("old, new, what", [
    ("fastcgi_param SEC_FETCH_SITE", "# ", "nginx: parameters"),
    ("fastcgi_pass_request_headers off", "fastcgi_pass_request_headers on",
     "nginx: clients' headers"),
    ("fastcgi_keep_conn on", "fastcgi_keep_conn off", "nginx: kept connections"),
    ("deny all", "allow all", "nginx: /metrics"),
    ("fastcgi_param OPERATOR_NETWORK 1", "fastcgi_param PUPITRE_CONTROL 1",
     "nginx: no operator by nginx"),
])
def test_the_doctor_reads_nginx(seen, tmp_path, old, new, what):
    with open(nginx_dump(seen)) as f:
        text = f.read()
    assert old in text
    path = tmp_path / "dump"
    path.write_text(text.replace(old, new))
    assert f"FAIL  {what}" in ctl(seen, "doctor", "--nginx", str(path), code=1)


# ---- beside it

def test_the_man_page_and_the_completion_know_every_command(seen):
    commands = re.findall(r"^  pupitrectl (\w+)", ctl(seen, "--help"), re.M)
    options = set(re.findall(r"--[a-z-]+", ctl(seen, "--help")))
    with open(os.path.join(ROOT, "deploy/man/pupitrectl.1")) as f:
        page = f.read().replace("\\-", "-")
    assert len(commands) == 9
    for command in commands:
        assert re.search(rf"^\.(B|BR|BI) {command}\b", page, re.M), command
    for option in options:
        assert option in page, option
    done = subprocess.run(
        ["bash", "-c", f". {ROOT}/deploy/completion/pupitrectl; COMP_WORDS=(pupitrectl '');"
         "COMP_CWORD=1; _pupitrectl; echo \"${COMPREPLY[@]}\"; COMP_WORDS=(pupitrectl stats --);"
         "COMP_CWORD=2; _pupitrectl; echo \"${COMPREPLY[@]}\""], capture_output=True, text=True)
    first, second = done.stdout.splitlines()
    assert set(first.split()) == set(commands) and set(second.split()) == options
