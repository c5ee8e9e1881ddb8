"""/metrics: the format, who may read it, and its numbers against those counted
outside; scraped by a real Prometheus; alerts and dashboard."""
import json
import os
import re
import subprocess
import tempfile

import pytest

import fcgi
from client import Session
from stack import ROOT, School, Stack, free_port, wait_until

FOLDER = os.path.join(ROOT, "deploy", "prometheus")


@pytest.fixture(scope="module")
def seen():
    s = Stack(NGINX_LOG=1)
    try:
        yield s.up()
    finally:
        s.down()


@pytest.fixture
def world(seen):
    return School(seen)


def text(stack):
    r = stack.get("/metrics")
    assert r.status_code == 200, r.text
    assert r.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return r.text


def scrape(stack):
    """{name: {frozenset of labels: value}}"""
    found = {}
    for line in text(stack).splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
        of = frozenset(re.findall(r'(\w+)="([^"]*)"', labels or ""))
        assert of not in found.setdefault(name, {}), line
        found[name][of] = float(value)
    return found


def value(metrics, name, **labels):
    """The sum of all that have these labels."""
    wanted = set(labels.items())
    return sum(v for of, v in metrics.get(name, {}).items() if wanted <= of)


def moved(after, before, name, **labels):
    return value(after, name, **labels) - value(before, name, **labels)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=FOLDER)
    return done.returncode, done.stdout + done.stderr


# ---- the format

def test_promtool_has_nothing_to_say(seen, world):
    _, token = world.user()
    for path in ("/api/user/courses", "/api/public/lessons", "/api/none", "/readyz"):
        seen.get(path, token)
    done = subprocess.run(["promtool", "check", "metrics"], input=text(seen), text=True,
                          capture_output=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    # Before the first word nothing can be missed.
    assert value(scrape(seen), "pupitre_listener_lost_total") == 0


def test_no_id_is_in_it(seen, world):
    owner, admin = world.admin()
    user, token = world.user()
    course = world.course(owner)
    lesson = world.lesson(course)
    world.join(user, course)
    for path in (f"/api/user/courses/{course}", f"/api/user/lessons/{lesson}",
                 f"/api/user/courses?search={world.tag}", f"/api/none/{world.tag}",
                 f"/api/admin/courses/{course}"):
        seen.get(path, admin if "admin" in path else token)
    found = text(seen)
    for secret in (course, lesson, owner, user, token, world.tag, "search"):
        assert secret not in found
    assert 'route="/api/user/courses/:courseId"' in found and 'route="none"' in found


def test_only_the_operators_network_reaches_it(seen):
    assert seen.get("/metrics").status_code == 200  # 127.0.0.1
    app = seen.instance("app")
    assert app.ask("GET", "/metrics").status == 403
    assert app.ask("GET", "/metrics", OPERATOR_NETWORK="1").status == 200
    assert app.ask("GET", "/metrics", seen.token).status == 200
    assert app.ask("GET", "/metrics", "nonsense").status == 403
    assert app.ask("GET", "/metrics", HTTP_OPERATOR_NETWORK="1").status == 403
    # A header of a client does not become the parameter.
    for name in ("OPERATOR_NETWORK", "Operator-Network", "PUPITRE_CONTROL", "Pupitre-Control"):
        r = seen.get("/api/test/cache?action=overview", headers={name: "1"})
        assert r.status_code == 401
    path = os.path.join(os.path.realpath(seen.run), "nginx", "pupitre-operator.conf")
    with open(path) as f:
        allowed = re.findall(r"^(allow|deny) (\S+);", f.read(), re.M)
    assert allowed[-1] == ("deny", "all")
    assert all(net in ("127.0.0.0/8", "::1", "unix:") for _, net in allowed[:-1])


def test_who_may_open_the_socket_is_the_operator(seen):
    connection = fcgi.Connection(seen)
    try:
        r = connection.ask("/api/test/cache", QUERY_STRING="action=overview", PUPITRE_CONTROL="1")
        assert r.status == 200
        r = connection.ask("/api/user/courses", PUPITRE_CONTROL="1")
        assert r.status == 401
    finally:
        connection.close()


# ---- numbers

def test_numbers_are_those_counted_outside(seen, world):
    user, token = world.user()
    owner, admin = world.admin()
    course = world.course(owner)
    seen.statements()
    seen.clear()
    seen.get("/api/auth/me", token)

    def ran():
        return int(seen.sql("select coalesce(sum(calls), 0) from pg_stat_statements where"
                            " query ~ 'alreadyJoined' and query !~ 'pg_stat'")[0][0])

    def evaluated():
        info = seen.redis().info("commandstats")
        return sum(info.get(f"cmdstat_{c}", {"calls": 0})["calls"] for c in ("evalsha", "eval"))

    sql, before = ran(), scrape(seen)
    for _ in range(4):
        for i in range(25):
            assert seen.get(f"/api/user/courses?search=m-{i}", token).status_code == 200
    for i in range(7):
        assert seen.get(f"/api/user/courses/{course}-{i}", token).status_code == 404
    for i in range(3):
        r = seen.ask("PATCH", f"/api/admin/courses/{course}", admin, json={"name": f"Name {i}"})
        assert r.status_code == 200
    first = seen.get("/api/user/courses?search=m-0", token)
    r = seen.get("/api/user/courses?search=m-0", token,
                 headers={"If-None-Match": first.headers["ETag"]})
    assert r.status_code == 304
    wait_until(lambda: moved(scrape(seen), before, "pupitre_cache_stores_total",
                             prefix="user:courses", level="redis") >= 26, 2, "the last store")
    after = scrape(seen)

    def more(name, **labels):
        return moved(after, before, name, **labels)

    route = "/api/user/courses"
    assert more("pupitre_requests_total", route=route, status="200") == 101
    assert more("pupitre_requests_total", route=route, status="304") == 1
    assert more("pupitre_requests_total", route="/api/user/courses/:courseId", status="404") == 7
    assert more("pupitre_requests_total", method="PATCH", status="200") == 3
    assert more("pupitre_request_duration_seconds_count", route=route) == 102
    misses = more("pupitre_cache_misses_total", prefix="user:courses")
    assert misses == ran() - sql == 26  # the three writes made one of them new
    assert more("pupitre_cache_hits_total", prefix="user:courses", level="memory") == 102 - 26
    assert more("pupitre_hit_duration_seconds_count", route=route) == 102 - 26
    assert more("pupitre_cache_stores_total", prefix="user:courses", level="redis") == 26
    assert more("pupitre_cache_load_duration_seconds_count", prefix="user:courses") == 26
    # Once each, whether the writer or the listener was there first.
    assert more("pupitre_cache_raises_total", cause="route") == 3
    assert more("pupitre_cache_raises_total") == 3
    assert more("pupitre_db_commits_total") >= 3
    keys = sum(1 for _ in seen.redis().scan_iter("pupitre:k:user:courses:*", 1000))
    assert value(after, "pupitre_cache_entries", prefix="user:courses") == keys
    # Every call of the app is a command of Redis, and the scripts are among them.
    calls, scripts = scrape(seen), evaluated()
    for i in range(10):
        seen.get(f"/api/user/courses?search=redis-{i}", token)
    wait_until(lambda: evaluated() - scripts >= 20, 2, "ten look-ups, ten stores")
    assert moved(scrape(seen), calls, "pupitre_cache_redis_duration_seconds_count",
                 prefix="user:courses") == 10


def test_numbers_are_those_of_nginx(seen, world):
    """What nginx wrote of each request that came through it, line by line."""
    _, token = world.user()
    path = os.path.join(os.path.realpath(seen.run), "nginx-access.log")
    wait_until(lambda: not seen.get("/healthz").close(), 1, "an answer")
    before, size = scrape(seen), os.path.getsize(path)
    for i in range(20):
        seen.get(f"/api/user/courses?search=n-{i % 7}", token)
        seen.get("/api/user/courses" if i % 3 else "/api/nothing", token if i % 2 else None)
        seen.ask("PUT", "/api/user/courses/none/enrolment", token)
    r = seen.ask("PATCH", "/api/admin/courses/none", token, json={"name": "No admin"})
    wait_until(lambda: r.headers["X-Request-Id"] in open(path).read(), 2, "the last line")
    after = scrape(seen)
    with open(path) as f:
        f.seek(size)
        lines = [line.split() for line in f if " /api/" in line]
    assert len(lines) == 61
    for status in {line[2] for line in lines}:
        by_nginx = sum(line[2] == status for line in lines)
        routes = {dict(of)["route"] for of in after["pupitre_requests_total"]} - {
            "/metrics", "/healthz", "/readyz", "/api/test/cache"}
        by_us = sum(moved(after, before, "pupitre_requests_total", route=route, status=status)
                    for route in routes)
        assert by_us == by_nginx, status
    logged = {line["id"] for line in seen.log_lines("request")}
    assert {line[1] for line in lines} <= logged


def test_counters_never_go_back(seen, world):
    _, token = world.user()
    before = scrape(seen)
    for _ in range(20):
        seen.get("/api/user/courses", token)
    seen.clear()
    after = scrape(seen)
    for name, rows in before.items():
        if name.endswith(("_total", "_count", "_sum", "_bucket")):
            for labels, was in rows.items():
                assert after[name][labels] >= was, (name, labels)


def test_histograms_are_whole(seen, world):
    _, token = world.user()
    seen.get("/api/user/courses", token)
    found = scrape(seen)
    buckets = found["pupitre_request_duration_seconds_bucket"]
    for labels, count in found["pupitre_request_duration_seconds_count"].items():
        of = sorted((float(dict(b)["le"]), n) for b, n in buckets.items() if labels < b)
        assert len(of) == 23 and of[-1] == (float("inf"), count)
        assert [n for _, n in of] == sorted(n for _, n in of)


# ---- Prometheus itself

# What a healthy school of a minute has none of.
EMPTY = {"Bytes"}  # a bound of Redis


def panels():
    with open(os.path.join(FOLDER, "grafana.json")) as f:
        return [p for p in json.load(f)["panels"] if p["type"] != "row"]


def empty_panels(ask):
    """Titles of panels one of whose questions has no answer in Prometheus."""
    found = set()
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$instance", ".*").replace(
                "$__rate_interval", "10s")
            if not ask("query", query=expression)["result"]:
                found.add(panel["title"])
    return found


def test_prometheus_scrapes_it(seen, world):
    _, token = world.user()
    for _ in range(5):
        seen.get("/api/user/courses", token)
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/v1/"
    with tempfile.TemporaryDirectory(prefix="pup-prom-") as folder:
        with open(os.path.join(FOLDER, "prometheus.yml")) as f:
            config = f.read().replace("127.0.0.1:8080", f"127.0.0.1:{seen.port}")
        config = config.replace("pupitre-alerts.yml", os.path.join(FOLDER, "pupitre-alerts.yml"))
        config = config.replace("scrape_interval: 5s", "scrape_interval: 1s")
        path = os.path.join(folder, "prometheus.yml")
        with open(path, "w") as f:
            f.write(config)
        with open(os.path.join(folder, "log"), "w") as log:
            server = subprocess.Popen(
                ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, cwd=folder)

        session = Session(not_ours="Prometheus' own API")

        def ask(path, **params):
            try:
                return session.get(url + path, params=params, timeout=5).json()["data"]
            except (OSError, ValueError, KeyError):
                return None

        def answered():
            r = ask("query", query='sum(pupitre_requests_total{route="/api/user/courses"})')
            return r and r["result"] and float(r["result"][0]["value"][1])

        try:
            wait_until(lambda: answered(), 20, "a scrape")
            expected = value(scrape(seen), "pupitre_requests_total", route="/api/user/courses")
            wait_until(lambda: answered() == expected, 5, "the number")
            target = ask("targets")["activeTargets"][0]
            assert target["health"] == "up" and target["lastError"] == ""
            rules = [r for g in ask("rules")["groups"] for r in g["rules"]]
            assert len(rules) == 16 and {r["health"] for r in rules} <= {"ok", "unknown"}
            assert float(ask("query", query="up")["result"][0]["value"][1]) == 1
            # What the dashboard asks, as Grafana would.
            wait_until(lambda: empty_panels(ask) <= EMPTY, 15, "every panel's numbers")
            assert empty_panels(ask) <= EMPTY
        finally:
            server.terminate()
            server.wait(20)


# ---- alerts and dashboard

def test_the_alert_rules_are_sound_and_tested():
    assert run("promtool", "check", "rules", "pupitre-alerts.yml")[0] == 0
    code, said = run("promtool", "test", "rules", "pupitre-alerts_test.yml")
    assert code == 0, said
    with open(os.path.join(FOLDER, "pupitre-alerts.yml")) as f:
        alerts = re.findall(r"- alert: (\w+)", f.read())
    with open(os.path.join(FOLDER, "pupitre-alerts_test.yml")) as f:
        tests = f.read()
    for alert in alerts:
        assert f"{alert} fires" in tests and f"{alert} is quiet" in tests
    code, said = run("promtool", "check", "config", "prometheus.yml")
    assert code == 0, said


def names_in(expression):
    return set(re.findall(r"\b((?:pupitre|process)_\w+)", expression))


def test_alerts_and_dashboard_ask_for_what_there_is(seen, world):
    _, token = world.user()
    seen.get("/api/user/courses", token)
    seen.get("/api/user/courses", token)
    there = set(scrape(seen))
    assert len(panels()) >= 20 and len({p["id"] for p in panels()}) == len(panels())
    asked = set().union(*(names_in(t["expr"]) for p in panels() for t in p["targets"]))
    with open(os.path.join(FOLDER, "pupitre-alerts.yml")) as f:
        asked |= names_in(re.sub(r"annotations:.*?(?=- alert|$)", "", f.read(), flags=re.S))
    families = {name for name in asked if name not in there}
    assert not families, families
    # The other way: what is counted can be seen.
    counted = {re.sub(r"_(bucket|sum|count)$", "", n) for n in there if n.startswith("pupitre_")}
    shown = {re.sub(r"_(bucket|sum|count)$", "", n) for n in asked}
    assert counted - shown <= {"pupitre_build_info", "pupitre_redis_configured",
                               "pupitre_workers", "pupitre_queue_limit"}
