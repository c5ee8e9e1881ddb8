"""What operators see and do: numbers against what is counted outside, actions,
their previews, causes, health, warming, life times."""
import json
import threading
import time

import pytest
from stack import School, Stack, wait_until

CACHE = "/api/test/cache?action="


@pytest.fixture(scope="module")
def seen():
    """Few models of memory, so that all keys are in their sample."""
    s = Stack(PUPITRE_WARM_KEYS=100, PUPITRE_WARM_RATE=1000)
    try:
        yield s.up()
    finally:
        s.down()


@pytest.fixture
def world(seen):
    return School(seen)


def overview(stack):
    r = stack.get(CACHE + "overview", stack.token)
    assert r.status_code == 200, r.text
    return r.json()["data"]


def act(stack, action, **params):
    return stack.ask("POST", CACHE + action, stack.token, params=params)


def data(r):
    assert r.status_code == 200, r.text
    assert r.json()["success"] is True
    return r.json()["data"]


def prefix(seen_now, name):
    return next(p for p in seen_now["cache"]["prefixes"] if p["prefix"] == name)


def answers(seen_now, route, method="GET"):
    return next((r["statuses"] for r in seen_now["requests"]
                 if r["route"] == route and r["method"] == method), {})


def calls_of(stack, text):
    """How often PostgreSQL ran the statement with that text in it."""
    return int(stack.sql("select coalesce(sum(calls), 0) from pg_stat_statements"
                         " where query ~ %s and query !~ 'pg_stat_statements'", text)[0][0])


def delta(after, before, name, what):
    return prefix(after, name)[what] - prefix(before, name)[what]


# ---- numbers

def test_numbers_are_those_counted_outside(seen, world):
    """40 questions asked three times; once with each read refused."""
    _, token = world.user()
    seen.statements()  # makes the extension
    seen.clear()
    seen.get("/api/auth/me", token)
    before = overview(seen)
    ran = calls_of(seen, "alreadyJoined")
    redis = seen.redis()
    stored = sum(1 for _ in redis.scan_iter("pupitre:k:user:courses:*", 1000))
    paths = [f"/api/user/courses?search=number-{i}" for i in range(40)]
    for _ in range(3):
        for path in paths:
            assert seen.get(path, token).status_code == 200
    for path in paths:
        assert seen.get(path).status_code == 401
    assert seen.get("/api/user/courses?page=0", token).status_code == 400
    wait_until(lambda: delta(overview(seen), before, "user:courses", "redisStores") == 40, 2,
               "the last one to be stored")
    after = overview(seen)
    assert delta(after, before, "user:courses", "misses") == 40
    assert calls_of(seen, "alreadyJoined") - ran == 40
    assert delta(after, before, "user:courses", "memoryHits") == 80
    assert delta(after, before, "user:courses", "entries") == 40
    now = sum(1 for _ in redis.scan_iter("pupitre:k:user:courses:*", 1000))
    assert now - stored == 40
    was, now = answers(before, "/api/user/courses"), answers(after, "/api/user/courses")
    assert {k: now[k] - was.get(k, 0) for k in now} == {"200": 120, "401": 40, "400": 1}
    hits = after["latency"]["hit"]["GET /api/user/courses"]
    whole = after["latency"]["request"]["GET /api/user/courses"]
    assert sum(whole["counts"]) == sum(now.values())
    assert sum(hits["counts"]) == prefix(after, "user:courses")["memoryHits"]
    loads = after["latency"]["load"]["user:courses"]
    assert sum(loads["counts"]) == sum(prefix(after, "user:courses")[k] for k in ("misses", "warmed"))
    assert len(after["latency"]["bounds"]) + 1 == len(hits["counts"])


def test_redis_hits_are_counted(seen, world):
    _, token = world.user()
    path = f"/api/user/courses?search=redis-{world.tag}"
    second = seen.second_app(PUPITRE_WARM_KEYS=0)
    second.settle()
    assert seen.get(path, token).status_code == 200
    wait_until(lambda: seen.redis().keys(f"pupitre:k:user:courses:*redis-{world.tag}*"), 2, "it")
    before = second.get(CACHE + "overview", seen.token).json()["data"]
    assert second.get(path, token).status == 200
    after = second.get(CACHE + "overview", seen.token).json()["data"]
    assert delta(after, before, "user:courses", "redisHits") == 1
    assert delta(after, before, "user:courses", "misses") == 0
    second.stop()


def test_strict_mode_counts_its_hits_likewise(seen, world):
    """There a hit goes by Redis, and is one of memory all the same."""
    _, token = world.user()
    second = seen.second_app(PUPITRE_MODE="strict")
    second.settle()
    path = f"/api/user/courses?search=strict-{world.tag}"
    for _ in range(20):
        assert second.get(path, token).status == 200
        assert second.get("/api/user/courses/none", token).status == 404
    second.settle()
    now = second.get(CACHE + "overview", seen.token).json()["data"]
    lists, absent = prefix(now, "user:courses"), prefix(now, "user:course:details")
    assert (lists["memoryHits"], lists["misses"], lists["negative"]) == (19, 1, 0)
    assert (absent["memoryHits"], absent["misses"], absent["negative"]) == (19, 1, 19)
    assert sum(now["latency"]["redis"]["user:courses"]["counts"]) == 20
    key = next(k for k in now["hottest"] if world.tag in k["key"])
    assert key["reads"] >= 19
    second.ask("POST", CACHE + "clear", seen.token)
    wait_until(lambda: second.get(CACHE + "overview", seen.token).json()["data"]
               ["warming"]["total"] >= 1, 5, "keys to be warmed")
    second.stop()


def test_hottest_loaded_and_biggest(seen, world):
    owner, admin = world.admin()
    course = world.course(owner)
    seen.clear()
    path = f"/api/admin/courses/{course}"
    for i in range(30):
        seen.get(path, admin)
        if i % 3 == 0:
            r = seen.ask("PATCH", path, admin, json={"name": f"Again {i}"})
            assert r.status_code == 200
    for _ in range(40):
        seen.get("/api/admin/courses", admin)
    wait_until(lambda: any(course in k["key"] for k in overview(seen)["loaded"]), 3, "the survey")
    now = overview(seen)
    loaded = next(k for k in now["loaded"] if course in k["key"])
    assert loaded["prefix"] == "admin:course:details" and loaded["loads"] >= 10
    assert (loaded["cause"], loaded["what"], loaded["tag"]) == (
        "route", "PATCH /api/admin/courses/:courseId", f"course:{course}")
    assert now["loaded"][0]["loads"] >= loaded["loads"]
    reads = [k["reads"] for k in now["hottest"]]
    assert reads == sorted(reads, reverse=True) and reads[0] >= 39
    sizes = [k["bytes"] for k in now["biggest"]]
    assert sizes == sorted(sizes, reverse=True)


def test_the_models_say_what_memory_hits(seen, world):
    """All that is asked for fits, so more memory would not hit more."""
    _, token = world.user()
    for i in range(1500):
        assert seen.get(f"/api/user/courses?search=model-{i % 50}", token).status_code == 200
    time.sleep(1.2)
    now = overview(seen)
    curve = now["curve"]
    assert curve["state"] == "ready" and curve["sampleRate"] == 1
    assert [p["factor"] for p in curve["points"]] == [0.25, 0.5, 1, 2, 4, 8]
    ratios = [p["hitRatio"] for p in curve["points"]]
    uses = sum(p["memoryHits"] + p["misses"] + p["redisHits"] + p["collapsed"]
               for p in now["cache"]["prefixes"])
    hits = sum(p["memoryHits"] for p in now["cache"]["prefixes"])
    assert ratios == sorted(ratios)
    assert abs(ratios[2] - hits / uses) <= 0.02
    assert {s["name"] for s in now["strategies"]} == {"sieve", "lru", "ttl*2", "ttl/2"}


# ---- actions

@pytest.fixture
def warm(seen, world):
    """Two courses of one creator, both in the cache."""
    owner, admin = world.admin()
    one, two = world.course(owner), world.course(owner)
    seen.clear()

    def read(course, what=""):
        r = seen.get(f"/api/admin/courses/{course}{what}", admin)
        return "hit" if "hit" in r.headers["Cache-Status"] else "miss"

    for course in (one, two):
        read(course)
        read(course, "/lessons")
    assert read(one) == read(two) == read(one, "/lessons") == "hit"
    return one, two, read


def test_keys_and_get(seen, warm):
    """What is loaded again after a clear may be there, too."""
    one, two, _ = warm
    both = one.rpartition("-")[0]
    found = data(act(seen, "keys", pattern=f"admin:course:details:*{both}*"))
    assert found["matched"] == 2 == len(found["keys"])
    assert {k["prefix"] for k in found["keys"]} == {"admin:course:details"}
    found = data(act(seen, "keys", pattern=f"admin:*{both}*", limit=1))
    assert found["matched"] == 4 and len(found["keys"]) == 1
    assert data(act(seen, "keys", pattern="nothing:*"))["keys"] == []
    key = next(k["key"] for k in data(act(seen, "keys", limit=1000))["keys"] if one in k["key"])
    entry = data(act(seen, "get", key=key))
    assert entry["key"] == key and entry["level"] == "memory" and entry["etag"].startswith('W/"')
    assert entry["body"] and entry["ttlMs"] > 0 and entry["absent"] is False
    assert act(seen, "get", key="no:such:key").status_code == 404
    assert act(seen, "get").status_code == 400


def test_what_is_in_redis_alone_is_seen_and_counted(seen, warm):
    """Another instance has nothing in memory yet, and sees the same entries."""
    one, two, read = warm
    second = seen.second_app(PUPITRE_WARM_KEYS=0)
    second.settle()
    seen.clear()
    second.settle()
    for course in (one, two):
        read(course)
        read(course, "/lessons")
    both = one.rpartition("-")[0]
    wait_until(lambda: len(seen.redis().keys(f"pupitre:k:admin:*{both}*")) == 4, 2, "the last")

    def tell(action, **params):
        query = "".join(f"&{k}={v}" for k, v in params.items())
        r = second.ask("POST", CACHE + action + query, seen.token)
        return json.loads(r.body)["data"]

    found = tell("keys", pattern=f"admin:course:details:*{both}*")
    assert found["matched"] == 2 and found["complete"] is True
    assert {k["level"] for k in found["keys"]} == {"redis"}
    key = next(k["key"] for k in found["keys"] if one in k["key"])
    entry = tell("get", key=key)
    assert entry["level"] == "redis" and one in str(entry["body"]) and entry["ttlMs"] > 0
    assert entry["body"] == data(act(seen, "get", key=key))["body"]
    for what, touched in (({"tag": f"course:{one}"}, 2), ({"course": two}, 2),
                          ({"pattern": f"*details*{one}*"}, 1), ({"tag": "lesson:none"}, 0)):
        preview = tell("invalidate", dryRun=1, **what)
        assert preview["complete"] is True
        assert preview["touched"] == touched, (what, preview)
    assert tell("invalidate", course=one)["touched"] == 2
    assert tell("keys", pattern=f"*details*{one}*")["matched"] == 0
    seen.stack("stop", "redis")
    try:
        assert tell("invalidate", dryRun=1, tag="lesson")["complete"] is False
        assert tell("keys")["complete"] is False
        r = second.ask("POST", CACHE + "invalidate&dryRun=1&pattern=admin:*", seen.token)
        assert r.status == 400 and b"Redis did not answer" in r.body
    finally:
        seen.stack("start", "redis")
        second.stop()
    wait_until(lambda: overview(seen)["health"]["redis"]["state"] == "up", 8, "its return")


def test_sessions_and_guards_are_not_shown(seen, world):
    _, token = world.user()
    seen.get("/api/auth/me", token)
    keys = [k["key"] for k in data(act(seen, "keys", limit=1000))["keys"]]
    assert not [k for k in keys if k.startswith(("session", "guard", "auth:"))]
    assert token not in str(keys)
    begins = tuple(f"pupitre:k:{word}" for word in ("session", "guard", "auth:"))
    inside = []

    def stored():
        # Of a connection to Redis that has gone the app learns by its next question.
        seen.get("/api/auth/me", world.user()[1])
        inside[:] = [k.decode() for k in seen.redis().scan_iter("pupitre:k:*", 1000)
                     if k.decode().startswith(begins)]
        return inside

    wait_until(stored, 5, "sessions in Redis")
    for key in inside:
        assert act(seen, "get", key=key.removeprefix("pupitre:k:")).status_code == 404


def test_an_admin_sees_no_more_of_an_entry_than_its_route_gives(seen, world):
    """Not the participants of somebody else's course, with their addresses."""
    owner, admin = world.admin()
    _, other = world.admin()
    user, token = world.user()
    course = world.course(owner)
    world.join(user, course)
    seen.clear()
    for path, who in ((f"/api/admin/courses/{course}/participants", admin),
                      ("/api/admin/courses", admin), ("/api/user/courses", token),
                      ("/api/public/lessons", token)):
        assert seen.get(path, who).status_code == 200
    assert seen.get(f"/api/admin/courses/{course}/participants", other).status_code == 404

    def sees(prefix_, who):
        key = next(k["key"] for k in data(act(seen, "keys"))["keys"] if k["prefix"] == prefix_)
        r = seen.ask("POST", CACHE + "get", who, params={"key": key})
        assert r.status_code in (200, 403), r.text
        return r.status_code == 200

    for prefix_, whose in (("admin:course:participants", admin), ("admin:courses", admin),
                           ("user:courses", None), ("public:lessons", other)):
        assert sees(prefix_, seen.token)
        assert sees(prefix_, admin) == (whose is not None), prefix_
        assert sees(prefix_, other) == (whose == other), prefix_


@pytest.mark.parametrize("how", ["tag", "course", "pattern"])
def test_invalidation_touches_what_its_preview_says(seen, warm, how):
    one, two, read = warm
    what = {"tag": {"tag": f"course:{one}"}, "course": {"course": one},
            "pattern": {"pattern": f"admin:course:details:*{one}*"}}[how]
    preview = data(act(seen, "invalidate", dryRun=1, **what))
    assert preview["dryRun"] is True and preview["touched"] >= preview["matched"] >= 1
    assert read(one) == read(two) == "hit"
    done = data(act(seen, "invalidate", **what))
    assert done["dryRun"] is False and done["touched"] == preview["touched"]
    assert read(two) == "hit" and read(two, "/lessons") == "hit"
    assert read(one) == "miss"
    assert (read(one, "/lessons") == "miss") == (how != "pattern")
    assert wait_for_newest(seen, "operator")["what"] == "POST /api/test/cache"


def test_a_pattern_reaches_what_is_past_its_life_and_still_given(seen, warm):
    one, _, _ = warm
    second = seen.second_app(PUPITRE_TTL_COURSE_DETAIL_S=1, PUPITRE_GRACE_S=60, REDIS_URL=None)
    path = f"/api/admin/courses/{one}"
    token = seen.app("session", "create", "--user", seen.sql(
        'select email from "User" u join "Course" c on c."creatorId" = u.id where c.id = %s',
        one)[0][0])
    seen.sql('alter table "Course" disable trigger pupitre_update')
    try:
        assert second.get(path, token).status == 200
        seen.sql('update "Course" set name = %s where id = %s', "Unheard of", one, settle=False)
        time.sleep(1.1)
        done = second.ask("POST", CACHE + f"invalidate&pattern=*details*{one}*", seen.token)
        assert done.json()["data"]["touched"] == 1
        assert second.get(path, token).json()["course"]["name"] == "Unheard of"
    finally:
        seen.sql('alter table "Course" enable always trigger pupitre_update')
    second.stop()


def test_other_instances_hear_of_an_invalidation(seen, warm):
    one, _, _ = warm
    second = seen.second_app(PUPITRE_WARM_KEYS=0)
    wait_until(lambda: second.heard()["trusted"], 5, "trust")
    path = f"/api/admin/courses/{one}"
    token = seen.app("session", "create", "--user", seen.sql(
        'select email from "User" u join "Course" c on c."creatorId" = u.id where c.id = %s',
        one)[0][0])
    second.get(path, token)
    assert "hit" in second.get(path, token).head
    data(act(seen, "invalidate", pattern=f"admin:course:details:*{one}*"))
    wait_until(lambda: "hit" not in second.get(path, token).head, 2, "the other instance")
    second.stop()


def test_in_strict_mode_an_invalidation_is_done_when_redis_has_it(seen):
    second = seen.second_app(PUPITRE_MODE="strict", PUPITRE_WARM_KEYS=0)
    path = CACHE + "invalidate&tag=course:none"
    assert second.ask("POST", path, seen.token).status == 200
    seen.stack("stop", "redis")
    try:
        assert second.ask("POST", path, seen.token).status == 503
        assert act(seen, "invalidate", tag="course:none").status_code == 200  # bounded
    finally:
        seen.stack("start", "redis")
    wait_until(lambda: second.ask("POST", path, seen.token).status == 200, 8, "its return")
    second.stop()
    wait_until(lambda: overview(seen)["health"]["redis"]["state"] == "up", 8, "its return")


def test_what_makes_no_sense_is_refused(seen, warm):
    one, _, read = warm
    for params in ({}, {"tag": "a", "pattern": "b"}, {"course": "no id!"}):
        r = act(seen, "invalidate", **params)
        assert r.status_code == 400 and r.json()["success"] is False, r.text
    assert act(seen, "keys", limit=0).status_code == 400
    for word in ("true", "false", "2", "01"):
        for action in ("clear", "warm", "invalidate"):
            r = act(seen, action, dryRun=word, **({"course": one} if action == "invalidate" else {}))
            assert r.status_code == 400 and "dryRun" in r.json()["error"]
    assert act(seen, "nonsense").json() == {"success": False, "error": "Invalid action"}
    assert read(one) == "hit"


def test_a_link_on_another_site_can_do_nothing(seen, world, warm):
    one, _, read = warm
    _, admin = world.admin()
    cookie = {"Cookie": f"pupitre.session-token={admin}", "Sec-Fetch-Site": "cross-site"}
    for method in ("GET", "POST"):
        for action in (f"invalidate&course={one}", "clear", "warm"):
            r = seen.ask(method, CACHE + action, headers=cookie)
            assert r.status_code == 403, (method, action, r.text)
    assert read(one) == "hit"
    _, user = world.user()
    for action in ("overview", "keys", "invalidate&tag=all", "warm", "get&key=x"):
        assert seen.ask("POST", CACHE + action, user).status_code == 403


def test_clear_says_what_it_would_drop(seen, warm):
    one, _, read = warm
    assert data(act(seen, "clear", dryRun=1))["touched"] >= 4
    assert read(one) == "hit"
    seen.clear()
    wait_for_newest(seen, "clear")


def test_whose_change_it_was_is_said_of_each_key(seen, world):
    """The latest change of all is somebody else's."""
    owner, admin = world.admin()
    one, two = world.course(owner), world.course(owner)
    for i in range(3):
        for course in (one, two):
            seen.get(f"/api/admin/courses/{course}", admin)
        seen.sql('update "Course" set name = %s where id = %s', f"By hand {i}", one)
        seen.ask("PATCH", f"/api/admin/courses/{two}", admin, json={"name": f"By route {i}"})
    for course in (one, two):
        seen.get(f"/api/admin/courses/{course}", admin)

    def blamed():
        return {k["tag"]: k["cause"] for k in overview(seen)["loaded"] if "tag" in k}

    wait_until(lambda: blamed().get(f"course:{two}") == "route", 6, "the survey")
    assert blamed()[f"course:{one}"] == "database"


def test_the_listeners_delay_is_measured(seen, world):
    owner, _ = world.admin()
    course = world.course(owner)
    before = overview(seen)["latency"]["listener"]
    for i in range(10):
        seen.sql('update "Course" set name = %s where id = %s', f"Name {i}", course)
    slow = seen.db()
    slow.autocommit = False
    slow.cursor().execute('update "Course" set name = %s where id = %s', ("Slowly", course))
    time.sleep(0.6)
    slow.commit()
    slow.close()

    def more():
        now = overview(seen)["latency"]["listener"]
        return [b - a for a, b in zip(before["counts"], now["counts"])], now["sum"]

    wait_until(lambda: sum(more()[0]) >= 11, 3, "eleven changes")
    counts, total = more()
    bounds = overview(seen)["latency"]["bounds"]
    assert sum(counts) == 11
    # The age of a change is that of its statement: one took half a second.
    assert sum(n for n, b in zip(counts, bounds + [99]) if b > 0.5) == 1
    assert sum(n for n, b in zip(counts, bounds) if b <= 0.1) >= 8
    assert 0.5 < total - before["sum"] < 5


def test_what_redis_fails_is_counted_by_prefix(seen, world):
    _, token = world.user()
    before = prefix(overview(seen), "user:courses")
    seen.stack("stop", "redis")
    try:
        for i in range(5):
            r = seen.get(f"/api/user/courses?search=lost-{i}", token)
            assert r.status_code == 200
        after = prefix(overview(seen), "user:courses")
        assert after["redisErrors"] - before["redisErrors"] >= 5
        assert after["errors"] == before["errors"]
    finally:
        seen.stack("start", "redis")
    wait_until(lambda: overview(seen)["health"]["redis"]["state"] == "up", 8, "its return")


def test_redis_says_how_full_it_is(seen):
    redis = seen.redis()
    redis.config_set("maxmemory", 200 << 20)
    redis.config_set("maxmemory-policy", "volatile-lru")
    wait_until(lambda: overview(seen)["health"]["redis"]["maxBytes"] == 200 << 20, 6, "its word")
    found = overview(seen)["health"]["redis"]
    assert found["policy"] == "volatile-lru"
    assert abs(found["usedBytes"] - redis.info("memory")["used_memory"]) < 1 << 20
    assert found["evictedKeys"] == redis.info("stats")["evicted_keys"]
    redis.config_set("maxmemory", 0)


def test_causes(seen, world, warm):
    one, _, _ = warm
    seen.sql('update "Course" set name = %s where id = %s', "By hand", one)
    newest = wait_for_newest(seen, "database", f"course:{one}")
    assert newest["count"] >= 1
    owner, admin = world.admin()
    course = world.course(owner)
    seen.ask("PATCH", f"/api/admin/courses/{course}", admin, json={"name": "By route"})
    newest = wait_for_newest(seen, "route", f"course:{course}")
    assert newest["what"] == "PATCH /api/admin/courses/:courseId"
    assert newest["at"].endswith("Z")


def wait_for_newest(stack, cause, tag=None):
    found = []

    def newest():
        found[:] = overview(stack)["invalidations"][:1]
        return found and found[0]["cause"] == cause and (not tag or tag in found[0]["tags"])

    wait_until(newest, 7, cause)
    return found[0]


# ---- a request, followed

def test_a_request_is_followed_by_its_id_into_postgresql(seen, world):
    owner, admin = world.admin()
    course = world.course(owner)
    seen.sql("create table if not exists public.followed (name text);"
             "create or replace function public.follow() returns trigger language plpgsql as"
             " $$ begin insert into public.followed values"
             " (current_setting('application_name')); return null; end $$;"
             'create or replace trigger follow after update on "Course"'
             " for each statement execute function public.follow()")
    try:
        r = seen.ask("PATCH", f"/api/admin/courses/{course}", admin, json={"name": "Followed"})
        assert r.status_code == 200
        name = seen.sql("select name from public.followed")[-1][0]
        assert name == "pupitre " + r.headers["X-Request-Id"]
        assert r.headers["X-Request-Id"] in [
            line.get("request") or line.get("id") for line in seen.log_lines("request")]
    finally:
        seen.sql('drop trigger follow on "Course"; drop table public.followed;'
                 "drop function public.follow()")


def test_a_load_is_followed_too_at_debug_level(seen, world):
    _, token = world.user()
    second = seen.second_app(PUPITRE_LOG_LEVEL="debug", PUPITRE_WARM_KEYS=0, REDIS_URL=None)
    second.settle()
    lock = seen.db()
    lock.autocommit = False
    lock.cursor().execute('lock table "Course" in access exclusive mode')
    asks = threading.Thread(target=second.ask, args=("GET", "/api/user/courses?search=id", token),
                            kwargs={"REQUEST_ID": f"follow-{world.tag}"})
    asks.start()
    try:
        wait_until(lambda: seen.sql("select query from pg_stat_activity where application_name = %s"
                                    " and wait_event_type = 'Lock'", f"pupitre follow-{world.tag}"),
                   1.5, "its name in PostgreSQL")
    finally:
        lock.rollback()
        lock.close()
    asks.join()
    second.stop()


# ---- the log

def test_an_invalidation_is_logged_with_its_cause_at_debug_level(seen, world):
    owner, admin = world.admin()
    course = world.course(owner)
    second = seen.second_app(PUPITRE_LOG_LEVEL="debug", PUPITRE_WARM_KEYS=0)
    assert second.ask("PATCH", f"/api/admin/courses/{course}", admin,
                      body=b'{"name":"Logged"}').status == 200
    wait_until(lambda: "by route" in second.log_text(), 2, "the line")
    seen.sql('update "Course" set name = %s where id = %s', "By hand too", course)
    wait_until(lambda: "by database" in second.log_text(), 2, "the other line")
    second.stop()


# ---- health

def test_redis_gone_and_back(seen, world):
    _, token = world.user()
    assert overview(seen)["health"]["redis"]["state"] == "up"
    seen.stack("stop", "redis")
    wait_until(lambda: overview(seen)["health"]["redis"]["state"] in ("down", "open"), 5, "bad news")
    health = overview(seen)["health"]["redis"]
    assert health["since"].endswith("Z")
    assert seen.get("/api/user/courses", token).status_code == 200
    seen.stack("start", "redis")
    wait_until(lambda: overview(seen)["health"]["redis"]["state"] == "up", 8, "good news")
    wait_until(lambda: any("Redis is up again" in line["message"]
                           for line in seen.log_lines("dependency")), 12, "its line")
    said = [line["message"] for line in seen.log_lines("dependency") if "Redis" in line["message"]]
    assert 2 <= len(said) <= 4 and "down" in said[0]


def test_a_pool_that_is_too_small_shows(seen, world):
    _, token = world.user()
    second = seen.second_app(PUPITRE_DB_POOL=1, PUPITRE_WARM_KEYS=0, REDIS_URL=None)
    lock = seen.db()
    lock.autocommit = False
    lock.cursor().execute('lock table "Course" in access exclusive mode')
    threads = [threading.Thread(target=second.get, args=(f"/api/user/courses?search=p{i}", token))
               for i in range(4)]
    for t in threads:
        t.start()
    try:
        wait_until(lambda: second.get(CACHE + "stats", seen.token).status == 200, 2, "an answer")
        time.sleep(0.3)
    finally:
        lock.rollback()
        lock.close()
    for t in threads:
        t.join()
    pool = second.get(CACHE + "overview", seen.token).json()["data"]["health"]["postgres"]["pool"]
    assert pool["size"] == 1 and pool["waitSeconds"] > 0.2
    second.stop()


def test_it_is_seen_when_the_queue_is_full(seen, world):
    _, token = world.user()
    second = seen.second_app(PUPITRE_DB_POOL=1, PUPITRE_WORKERS=2, PUPITRE_QUEUE=1,
                             PUPITRE_DB_STATEMENT_MS=1000, PUPITRE_WARM_KEYS=0, REDIS_URL=None)
    second.get("/api/auth/me", token)
    lock = seen.db()
    lock.autocommit = False
    lock.cursor().execute('lock table "Course" in access exclusive mode')
    found = []

    def ask(i):
        found.append(second.get(f"/api/user/courses?search=full{i}", token).status)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
    for t in threads:
        t.start()
    try:
        wait_until(lambda: 503 in found, 3, "a full queue")
        for path in (CACHE + "overview", "/metrics"):
            r = second.ask("GET", path, seen.token, OPERATOR_NETWORK="1")
            assert r.status == 200
    finally:
        lock.rollback()
        lock.close()
        for t in threads:
            t.join()
    second.stop()


# ---- warming

def test_the_hot_keys_come_back_after_a_clear_and_a_start(seen, world):
    owner, admin = world.admin()
    course = world.course(owner)
    path = f"/api/admin/courses/{course}"
    for _ in range(20):
        assert seen.get(path, admin).status_code == 200
    seen.clear()
    wait_until(lambda: any(course in k["key"] for k in data(act(seen, "keys", limit=1000))["keys"]),
               5, "the key to be there unasked")
    warming = overview(seen)["warming"]
    assert warming["cause"] == "clear" and warming["done"] >= 1
    assert "hit" in seen.get(path, admin).headers["Cache-Status"]

    seen.stack("stop", "app")
    seen.redis().flushall()
    seen.stack("start", "app")
    wait_until(lambda: seen.get("/readyz").status_code == 200, 20, "readiness")
    wait_until(lambda: any(course in k["key"] for k in data(act(seen, "keys", limit=1000))["keys"]),
               10, "the key to be there unasked")
    assert overview(seen)["warming"]["cause"] == "start"
    assert "hit" in seen.get(path, admin).headers["Cache-Status"]


def test_other_instances_warm_after_a_clear_too(seen, world):
    _, token = world.user()
    path = f"/api/user/courses?search=both-{world.tag}"
    second = seen.second_app(PUPITRE_WARM_KEYS=100)
    second.settle()
    for _ in range(20):
        seen.get(path, token)
        second.get(path, token)

    def has():
        r = second.ask("GET", CACHE + f"keys&pattern=*both-{world.tag}*", seen.token)
        return [k["level"] for k in r.json()["data"]["keys"]] == ["memory"]

    assert has()
    seen.clear()
    wait_until(lambda: not has(), 3, "the clear")
    wait_until(has, 5, "the key to be there unasked")
    second.stop()


def test_warming_on_demand(seen, world):
    owner, admin = world.admin()
    course = world.course(owner)
    path = f"/api/admin/courses/{course}"
    for _ in range(20):
        seen.get(path, admin)
    seen.clear()
    wait_until(lambda: overview(seen)["warming"]["state"] == "idle", 10, "the end of it")
    data(act(seen, "invalidate", course=course))
    before = overview(seen)
    keys = data(act(seen, "warm", dryRun=1))["keys"]
    assert keys >= 1 and overview(seen)["warming"]["lastAt"] == before["warming"]["lastAt"]
    assert data(act(seen, "warm"))["keys"] == keys
    wait_until(lambda: overview(seen)["warming"]["cause"] == "operator", 3, "the warming")
    wait_until(lambda: overview(seen)["warming"]["done"] == keys, 10, "its end")
    # Nobody has asked, so nothing was missed.
    assert delta(overview(seen), before, "admin:course:details", "misses") == 0
    assert delta(overview(seen), before, "admin:course:details", "warmed") >= 1
    assert "hit" in seen.get(path, admin).headers["Cache-Status"]


def test_warming_what_is_there_is_no_use_of_it(seen, world):
    _, token = world.user()
    path = f"/api/user/courses?search=warm-{world.tag}"
    for _ in range(20):
        seen.get(path, token)
    seen.clear()
    wait_until(lambda: overview(seen)["warming"]["state"] == "idle", 10, "the end of it")
    assert "hit" in seen.get(path, token).headers["Cache-Status"]
    before = overview(seen)
    data(act(seen, "warm"))
    wait_until(lambda: overview(seen)["warming"]["cause"] == "operator", 3, "the warming")
    wait_until(lambda: overview(seen)["warming"]["state"] == "idle", 10, "its end")
    assert overview(seen)["warming"]["done"] >= 1
    for counter in ("memoryHits", "redisHits", "misses"):
        assert delta(overview(seen), before, "user:courses", counter) == 0


def test_warming_keeps_its_rate_and_can_be_off(seen, world):
    owner, admin = world.admin()
    for _ in range(12):
        path = f"/api/admin/courses/{world.course(owner)}"
        for _ in range(5):
            seen.get(path, admin)
    seen.clear()  # notes them
    wait_until(lambda: overview(seen)["warming"]["state"] == "idle", 10, "the end of it")
    slow = seen.second_app(PUPITRE_WARM_RATE=4, REDIS_URL=None)
    began = time.monotonic()

    def warming():
        return slow.get(CACHE + "overview", seen.token).json()["data"]["warming"]

    wait_until(lambda: warming()["done"] >= 8, 20, "eight keys")
    assert warming()["total"] >= 12
    assert time.monotonic() - began > 1.2
    slow.stop()
    off = seen.second_app(PUPITRE_WARM_KEYS=0)
    r = off.ask("POST", CACHE + "warm", seen.token)
    assert r.status == 400 and r.json()["success"] is False
    off.stop()


def test_lists_of_what_cannot_be_a_key_do_no_harm(seen):
    seen.sql("insert into pupitre.hot values ('nonsense', 1000000),"
             " ('admin:courses:limit:5:page:%%zz', 1000000), ('', 1000000),"
             " ('user:courses:limit:5', 1000000)")
    try:
        total = data(act(seen, "warm"))["keys"]
        wait_until(lambda: overview(seen)["warming"]["done"] == total, 10, "its end")
    finally:
        seen.sql("delete from pupitre.hot where reads = 1000000", settle=False)


# ---- life times

def test_life_times_adapt_within_their_bounds(seen, world):
    owner, admin = world.admin()
    course = world.course(owner)
    second = seen.second_app(PUPITRE_ADAPTIVE_TTL=2, PUPITRE_WARM_KEYS=0)
    path = f"/api/admin/courses/{course}"

    def factor():
        now = second.get(CACHE + "overview", seen.token).json()["data"]
        return prefix(now, "admin:course:details")["ttlFactor"]

    assert factor() == 1
    for i in range(50):
        second.get(path, admin)
        second.ask("PATCH", path, admin, body=b'{"name":"Name %d"}' % i)
    second.get(path, admin)
    wait_until(lambda: factor() > 1, 15, "a longer life")
    assert factor() == 1.5
    ttl = int(second.get(path, admin).head.split("ttl=")[1].split()[0].rstrip(";"))
    second.ask("PATCH", path, admin, body=b'{"name":"Name"}')
    second.get(path, admin)
    ttl = int(second.get(path, admin).head.split("ttl=")[1].split()[0].rstrip(";"))
    assert 3600 < ttl <= 5400
    second.stop()
