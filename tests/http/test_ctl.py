"""pupitrectl against a real stack: every command, its exit codes, and what it
makes of a broken world.  Its doctor is test_ctl_doctor.py's."""
import json
import os
import re
import signal
import subprocess
import time

import pytest
from ctl import CTL, END, Pretender, Terminal, answers, ctl, ctl_json, environment, record, types
from stack import ROOT, School, Stack, wait_until


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
    before = seen.witness().checked
    text = ctl(seen, "stats")
    assert seen.witness().checked == before + 1  # it asks through there
    assert re.search(r"PostgreSQL\s+up", text) and re.search(r"Redis\s+up", text)
    assert re.search(r"admin:course:details\s+\d+\.\d%", text)
    assert "\033" not in text  # no terminal
    data = json.loads(ctl(seen, "stats", "--json"))["data"]
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


def test_json_of_every_command(seen, warm):
    one, _, _ = warm
    key = ctl(seen, "keys", f"*{one}*").split()[0]
    for words in (["stats"], ["top"], ["keys"], ["keys", "*"], ["get", key],
                  ["invalidate", "--course", one, "-n"], ["invalidate", "--course", one, "-y"],
                  ["warm"], ["warm", "-n"], ["clear", "-n"], ["clear", "-y"]):
        assert ctl_json(seen, *words)["success"] is True, words
    assert ctl_json(seen, "doctor")["failed"] == 0


# ---- acting

@pytest.mark.parametrize("how", ["--tag", "--pattern", "--course"])
def test_invalidate(seen, warm, how):
    one, two, read = warm
    value = {"--tag": f"course:{one}", "--course": one,
             "--pattern": f"admin:course:details:*{one}*"}[how]
    touched = ctl(seen, "invalidate", how, value, "--dry-run")
    assert re.fullmatch(r"invalidate would touch (1 entry|[2-9] entries)\n", touched)
    assert json.loads(ctl(seen, "invalidate", how, value, "-n", "--json"))["data"]["dryRun"]
    assert read(one) == "hit"
    assert "--yes" in ctl(seen, "invalidate", how, value, code=2)
    assert read(one) == "hit"
    assert re.search(r"done, (1 entry|[2-9] entries)\n",
                     ctl(seen, "invalidate", how, value, "--yes"))
    assert read(one) == "miss" and read(two) == "hit"


def test_clear_and_warm(seen, warm):
    one, _, read = warm
    assert re.search(r"would touch ([2-9]|\d\d+) entries", ctl(seen, "clear", "--dry-run"))
    assert "--yes" in ctl(seen, "clear", code=2)
    assert read(one) == "hit"
    assert "done" in ctl(seen, "clear", "-y")
    assert "would touch" in ctl(seen, "warm", "-n")
    assert "done" in ctl(seen, "warm")


def test_on_a_terminal_it_asks(seen, warm):
    one, _, read = warm
    words = ["invalidate", "--pattern", f"admin:course:details:*{one}*"]
    t = Terminal(seen, words, (b"[y/N]", types(b"n\n")))
    assert "touches 1 entry." in t.text
    assert t.code == 1 and "nothing was done" in t.text and read(one) == "hit"
    t = Terminal(seen, words, (b"[y/N]", types(b"y\n")))
    assert t.code == 0 and read(one) == "miss"
    assert "\033[32m" in Terminal(seen, ["stats"]).text
    assert "\033[32m" not in Terminal(seen, ["stats"], NO_COLOR="1").text
    assert "\033[32m" not in Terminal(seen, ["stats"], TERM="dumb").text


# ---- watching

LEFT = "\033[?1049l"  # xterm goes back to the screen that it had before


def test_watch(seen, warm):
    t = Terminal(seen, ["watch"], (b"latest invalidations", types(b"q")))
    assert t.code == 0 and "PostgreSQL" in t.text and "rates in" in t.text
    assert not t.cooked and t.after and LEFT in t.text
    t = Terminal(seen, ["watch"], (b"requests/s", types(b"Q")))  # the second look
    assert t.code == 0 and "hits/s in memory" in t.text
    assert "terminal" in ctl(seen, "watch", code=2)
    t = Terminal(seen, ["watch", "--socket", "/nowhere"])
    assert t.code == 3 and LEFT not in t.text
    t = Terminal(seen, ["watch"], TERM="no-such-terminal")
    assert t.code == 1 and "terminal" in t.text and t.after


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_watch_gives_the_terminal_back(seen, sig):
    t = Terminal(seen, ["watch"], (b"latest invalidations", lambda pid, _: os.kill(pid, sig)))
    assert t.code == 0 and not t.cooked and t.after and LEFT in t.text


def test_watch_says_when_there_is_no_answer(seen, tmp_path):
    overview = json.dumps(ctl_json(seen, "stats")).encode()
    with Pretender(tmp_path / "s", answers(overview)) as p:
        def fall_silent(*_):
            p.answer = b""

        t = Terminal(seen, ["watch", "-s", str(tmp_path / "s")], (b"latest", fall_silent),
                     (b"OLD: no answer", types(b"q")))
        assert t.code == 0 and "OLD: no answer" in t.text


def line_of(process):
    return json.loads(process.stdout.readline())


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_watch_for_programs(seen, sig):
    with subprocess.Popen([CTL, "watch", "--json"], env=environment(seen), text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        began = time.monotonic()
        one, two = line_of(process), line_of(process)
        assert 1.5 < time.monotonic() - began < 6
        assert one["action"] == two["action"] == "overview"
        assert 1500 < two["data"]["nowMs"] - one["data"]["nowMs"] < 6000
        process.send_signal(sig)
        assert process.wait(10) == 0 and process.stdout.read() == ""


def test_watch_for_programs_goes_on_when_there_is_no_answer(seen, tmp_path):
    path = str(tmp_path / "s")
    assert "No such file" in ctl_json(seen, "watch", "-s", path, code=3)["error"]
    with Pretender(path, answers({"data": {"n": 1}})) as p, subprocess.Popen(
            [CTL, "watch", "--json", "-s", path], text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE) as process:
        assert line_of(process)["data"]["n"] == 1
        p.answer = b""
        assert "hung up" in line_of(process)["error"]
        p.answer = answers({"data": {"n": 3}})
        assert line_of(process)["data"]["n"] == 3
        process.terminate()
        assert process.wait(10) == 0


# ---- wrong usage

WRONG = [
    ([], "say what to do"), (["nonsense"], "no command"), (["stats", "more"], "no word"),
    (["get", "a", "b"], "one word"), (["--nonsense"], "no option --nonsense"),
    (["stats", "-x"], "no option -x"), (["clear", "--yes=1"], "no value"), (["get"], "a key"),
    (["get", ""], "empty"), (["keys", ""], "empty"), ([""], "no command"),
    (["invalidate"], "one of"), (["invalidate", "--tag", "a", "--course", "b"], "one of"),
    (["invalidate", "--tag", ""], "empty"), (["invalidate", "--pattern="], "empty"),
    (["keys", "--limit", "x"], "1 to 1000"), (["keys", "--limit", "0"], "1 to 1000"),
    (["keys", "--limit", "-1"], "1 to 1000"), (["keys", "--limit", "1001"], "1 to 1000"),
    (["keys", "--limit", "9" * 30], "1 to 1000"), (["keys", "--limit", "2", "--limit", "3"], "twice"),
    (["keys", "--limit"], "a value"), (["-s"], "a value"), (["stats", "-s", ""], "empty"),
    (["stats", "--tag", "a"], "for invalidate"), (["stats", "--limit", "1"], "for keys"),
    (["top", "--yes"], "for invalidate"), (["get", "k", "-n"], "for invalidate"),
    (["stats", "--nginx", "f"], "for doctor"), (["keys", "--pattern", "a"], "keys takes"),
    (["--", "--json"], "no command"), (["keys", "x" * 9000], "too long"),
]


@pytest.mark.parametrize("words, why", WRONG, ids=lambda x: " ".join(x)[:30] if x else "none")
def test_wrong_usage(words, why):
    def run(*words):
        return subprocess.run([CTL, *words], capture_output=True, text=True, timeout=10,
                              stdin=subprocess.DEVNULL)

    done = run(*words)
    assert done.returncode == 2 and why in done.stderr and done.stdout == "", done
    done = run("--json", *words)
    assert done.returncode == 2 and done.stderr == "", done
    answer = json.loads(done.stdout)
    assert answer["success"] is False and why in answer["error"]


def test_options_stand_anywhere(seen):
    for words in (["keys", "*", "--limit", "1"], ["--limit", "1", "keys", "*"],
                  ["keys", "--limit=1", "--", "*"]):
        ctl(seen, *words)
        ctl(seen, *words, POSIXLY_CORRECT="1")
    assert "doctor" in ctl(seen, "--help") and "0.1.0" in ctl(seen, "--version")


def test_what_cannot_be_written_has_failed(seen):
    with open("/dev/full", "w") as full:
        done = subprocess.run([CTL, "stats"], env=environment(seen), stdout=full, timeout=30,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "No space" in done.stderr


# ---- what goes wrong

def test_refusals(seen):
    assert "is pupitre running" in ctl(seen, "stats", "--socket", "/nowhere", code=3)
    assert "is pupitre running" in ctl_json(seen, "stats", "-s", "/nowhere", code=3)["error"]
    assert "too long" in ctl(seen, "stats", "--socket", "/" + "x" * 200, code=3)
    assert "no id" in ctl(seen, "invalidate", "--course", "no id!", "-y", code=1)
    assert "HTTP 404" in ctl_json(seen, "get", "no:such:key", code=1)["error"]


GARBAGE = {
    "nothing": (b"", "hung up"),
    "no FastCGI": (b"HTTP/1.1 200 OK\r\n\r\n", "FastCGI"),
    "half a record": (b"\x01\x06\x00\x01\x10\x00\x00\x00abc", "cut off"),
    "no end": (record(b"Status: 200 OK\r\n\r\n{}"), "cut off"),
    "no head": (record(b"abc") + END, "no head"),
    "an empty answer": (END, "no head"),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_a_socket_that_speaks_nonsense(seen, tmp_path, what):
    path = str(tmp_path / "s")
    said, why = GARBAGE[what]
    with Pretender(path, said):
        for words in (["stats"], ["clear", "-y"]):
            assert why in ctl(seen, *words, "--socket", path, code=3)
            assert why in ctl_json(seen, *words, "--socket", path, code=3)["error"]


@pytest.mark.parametrize("body", [b"", b"[1, 2", b'{"success":true,"data":{"keys":[{"key":"a',
                                  b"{} {}", b"<html>", b"{}\0{}", b"[" * 100, b"[1,]"])
def test_json_that_makes_no_sense(seen, tmp_path, body):
    path = str(tmp_path / "s")
    with Pretender(path, answers(body)):
        for words in (["stats"], ["top"], ["keys"], ["get", "k"], ["clear", "-y"], ["warm"]):
            assert "no sense" in ctl(seen, *words, "--socket", path, code=1)
            assert "no sense" in ctl_json(seen, *words, "--socket", path, code=1)["error"]


@pytest.mark.parametrize("body", [[], {}, {"data": 1}, {"data": {}}, {"data": {"cache": []}},
                                  {"data": {"health": 1, "requests": [{"statuses": 1}]}}])
def test_json_that_is_another_answer(seen, tmp_path, body):
    path = str(tmp_path / "s")
    with Pretender(path, answers(body)):
        for words in (["stats"], ["top"], ["keys"], ["get", "k"], ["clear", "-y"]):
            assert "no sense" in ctl(seen, *words, "--socket", path, code=1)


def test_an_answer_without_end(seen, tmp_path):
    path = str(tmp_path / "s")

    def forever(client, _):
        while True:
            client.sendall(record(b"x" * 65528))

    with Pretender(path, forever):
        assert "too long" in ctl(seen, "stats", "--socket", path, code=3)


def test_no_answer_at_all(seen, tmp_path):
    path = str(tmp_path / "s")
    with Pretender(path, lambda client, _: client.recv(1)):
        began = time.monotonic()
        assert "in time" in ctl(seen, "stats", "--socket", path, code=3)
        assert 9 < time.monotonic() - began < 13


# ---- what a cache may hold

HOSTILE = "\x1b]0;owned\x07\x9b31m\x7f\u202e\x85 \u00e9"
ODD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def test_hostile_keys_do_not_reach_the_terminal(seen, world):
    _, token = world.user()
    assert seen.get("/api/user/courses?search=%C2%9B31mred", token).status_code in (200, 400)
    seen.get("/api/user/courses?search=" + "%E2%80%AE" + "x", token)
    seen.get("/api/user/courses?search=" + "%C3%A9t%C3%A9", token)
    for words in (["keys", "--limit", "1000"], ["keys", "--json"]):
        assert not ODD.search(ctl(seen, *words))
    assert "été" in ctl(seen, "keys", "--limit", "1000")


def hostile_answer():
    key = {"key": "k" + HOSTILE, "prefix": HOSTILE, "etag": HOSTILE, "reads": 1}
    return {"success": True, "action": HOSTILE, "data": {
        **key, "body": {HOSTILE: [HOSTILE]}, "keys": [key], "matched": 1, "hottest": [key],
        "instance": HOSTILE, "version": HOSTILE, "mode": HOSTILE, "startedAt": HOSTILE,
        "health": {"postgres": {"state": HOSTILE}, "redis": {"state": HOSTILE}},
        "cache": {"prefixes": [{"prefix": HOSTILE, "misses": 1}]},
        "invalidations": [{"at": HOSTILE * 5, "cause": HOSTILE, "what": HOSTILE,
                           "tags": [HOSTILE]}]}}


@pytest.mark.parametrize("raw", [True, False])
def test_nothing_hostile_is_printed(seen, tmp_path, raw):
    path = str(tmp_path / "s")
    body = json.dumps(hostile_answer(), ensure_ascii=not raw).encode()
    with Pretender(path, answers(body)) as p:
        for words in (["stats"], ["top"], ["keys"], ["get", "k"], ["doctor"]):
            text = ctl(seen, *words, "-s", path, code=int(words == ["doctor"]))
            assert not ODD.search(text) and "?" in text and "é" in text, (words, text)
            if words != ["doctor"]:
                text = ctl(seen, *words, "-s", path, "--json")
                assert not ODD.search(text) and json.loads(text) == hostile_answer()
        t = Terminal(seen, ["watch", "-s", path], (b"latest", types(b"q")), LC_ALL="C.UTF-8")
        assert t.code == 0 and "é" in t.text
        assert not re.search("owned\x07|\x9b|\u202e|\x85|\\[0;owned\x1b", t.text)
        for status in ("400 Bad Request", "503 Service Unavailable"):
            for name in ("error", "detail"):
                p.answer = answers({name: HOSTILE}, status)
                text = ctl(seen, "stats", "-s", path, code=1)
                assert not ODD.search(text) and "owned" in text
                assert "owned" in ctl_json(seen, "stats", "-s", path, code=1)["error"]
        # Not even JSON, and not UTF-8.
        p.answer = answers(b'{"error":"\x1b[31m\x9b\xff"}', "400 Bad Request")
        assert not ODD.search(ctl(seen, "stats", "-s", path, code=1))


# ---- beside it

def complete(*words):
    """What bash offers for the last of these."""
    script = (f'. {ROOT}/deploy/completion/pupitrectl; COMP_WORDS=("$@"); COMP_CWORD={len(words)};'
              ' _pupitrectl; echo "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", "pupitrectl", *words],
                          capture_output=True, text=True)
    assert done.stderr == "", done.stderr
    return set(done.stdout.split())


def test_the_man_page_knows_everything(seen):
    commands = re.findall(r"^  pupitrectl (\w+)", ctl(seen, "--help"), re.M)
    options = set(re.findall(r"--[a-z-]+", ctl(seen, "--help")))
    with open(os.path.join(ROOT, "deploy/man/pupitrectl.1")) as f:
        page = f.read().replace("\\-", "-")
    assert len(commands) == 9 and all(option in page for option in options)
    for command in commands:
        assert re.search(rf"^\.(B|BR|BI) {command}\b", page, re.M), command


def test_the_completion_offers_what_suits(seen, tmp_path):
    commands = set(re.findall(r"^  pupitrectl (\w+)", ctl(seen, "--help"), re.M))
    options = set(re.findall(r"--[a-z-]+", ctl(seen, "--help")))
    always = {"--socket", "--json", "--help", "--version"}
    assert complete("") == commands and complete("--") == options
    assert complete("w") == {"warm", "watch"} and complete("-s", "stats", "") == commands
    assert complete("stats", "--") == always and complete("keys", "--l") == {"--limit"}
    assert complete("doctor", "--") == always | {"--nginx"}
    assert complete("clear", "--") == always | {"--dry-run", "--yes"}
    assert complete("invalidate", "--tag", "x", "--") == always | {
        "--tag", "--pattern", "--course", "--dry-run", "--yes"}
    (tmp_path / "dump.txt").touch()
    for words in (["-s"], ["--socket"], ["--socket", "="], ["doctor", "--nginx"]):
        assert complete(*words, f"{tmp_path}/d") == {f"{tmp_path}/dump.txt"}
    assert complete("stats", "") == complete("keys", "--limit", "") == set()
    # Each is taken by the program as well.
    for command in commands - {"watch"}:
        for option in complete(command, "--") - {"--help", "--version"}:
            with_value = option not in ("--json", "--dry-run", "--yes")
            done = subprocess.run([CTL, command, option, *["1"] * with_value, "--socket=/nowhere"
                                   if option != "--socket" else "--json"],
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL)
            assert " is for " not in done.stderr and "no option" not in done.stderr, done
