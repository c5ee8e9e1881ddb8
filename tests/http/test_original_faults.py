"""The sixteen faults of the original, one named test each."""
import concurrent.futures
import json
import time
import urllib.parse

import pytest


def test_01_deleting_a_course_drops_its_lesson_lists(stack, school):
    owner, owner_token = school.admin()
    user, token = school.user()
    course = school.course(owner)
    school.lesson(course)
    stack.clear()
    paths = [(f"/api/user/courses/{course}/lessons", token),
             (f"/api/admin/courses/{course}/lessons", owner_token)]
    for path, who in paths:
        assert stack.get(path, who).json()["total"] == 1
    assert stack.ask("DELETE", f"/api/admin/courses/{course}", owner_token).status_code == 200
    for path, who in paths:
        assert stack.get(path, who).status_code == 404


def test_02_a_hidden_lesson_is_no_longer_public(stack, school):
    owner, token = school.admin()
    course = school.course(owner)
    lesson = school.lesson(course, "PUBLIC", name=f"Open {school.tag}")
    stack.clear()
    path = f"/api/public/lessons?search={school.tag}"
    assert [item["id"] for item in stack.get(path).json()["data"]] == [lesson]
    r = stack.ask("PATCH", f"/api/admin/courses/{course}/lessons/{lesson}", token,
                  json={"state": "HIDDEN"})
    assert r.status_code == 200
    assert stack.get(path).json()["data"] == []
    stack.ask("PATCH", f"/api/admin/courses/{course}/lessons/{lesson}", token,
              json={"state": "PUBLIC"})
    assert stack.get(path).json()["total"] == 1


def test_03_a_read_during_a_delete_leaves_no_old_row(stack, school):
    """The write is held inside its transaction by a lock; reads meanwhile load
    the old row; after the acknowledgement nobody sees it."""
    owner, token = school.admin()
    course = school.course(owner)
    lesson = school.lesson(course)
    stack.clear()
    path = f"/api/admin/courses/{course}/lessons/{lesson}"
    blocker = stack.db()
    blocker.autocommit = False
    with blocker.cursor() as cursor:
        cursor.execute('select 1 from "Lesson" where id = %s for key share', (lesson,))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        deleting = pool.submit(stack.ask, "DELETE", path, token)
        time.sleep(0.2)
        for _ in range(20):
            assert stack.get(path, token).status_code == 200
        blocker.rollback()
        assert deleting.result().status_code == 200
    blocker.close()
    for _ in range(20):
        assert stack.get(path, token).status_code == 404


def test_04_lessons_are_changed_by_their_creator_only(stack, school):
    owner, _ = school.admin()
    _, rival_token = school.admin()
    _, user_token = school.user()
    course = school.course(owner)
    lesson = school.lesson(course)
    path = f"/api/admin/courses/{course}/lessons/{lesson}"
    for method, body in (("DELETE", None), ("PATCH", {"name": "Stolen"})):
        assert stack.ask(method, path, json=body).status_code == 401
        assert stack.ask(method, path, user_token, json=body).status_code == 403
        assert stack.ask(method, path, rival_token, json=body).status_code == 404
    rows = stack.sql('select name from "Lesson" where id = %s', lesson)
    assert rows[0][0] == f"Lesson {school.tag}"


def test_05_the_test_route_is_closed_and_clears_only_our_keys(stack, school):
    _, token = school.user()
    redis = stack.redis()
    redis.set("somebody:else", "precious")
    redis.set("pupitre-other:k:x", "precious")
    for who, status in ((None, 401), (token, 403), ("wrong-operator-token-0123", 401)):
        for action in ("stats", "clear"):
            r = stack.get(f"/api/test/cache?action={action}", who)
            assert r.status_code == status
    stack.get("/api/public/lessons")
    assert list(redis.scan_iter("pupitre:k:*"))
    stack.clear()
    assert not list(redis.scan_iter("pupitre:k:*"))
    assert redis.get("somebody:else") == b"precious"
    assert redis.get("pupitre-other:k:x") == b"precious"


def test_06_what_does_not_exist_is_404_and_not_kept(stack, school):
    owner, token = school.admin()
    for path in ("/api/user/courses/absent", "/api/user/lessons/absent",
                 "/api/admin/courses/absent"):
        for _ in range(2):
            r = stack.get(path, token)
            assert r.status_code == 404 and r.json()["code"] == "not_found"
    course = f"late-{school.tag}"
    assert stack.get(f"/api/user/courses/{course}", token).status_code == 404
    stack.sql('insert into "Course" (id, name, presentation, image, "creatorId", state)'
              " values (%s, 'Late', 'x', 'https://i.example/x', %s, 'PUBLISHED')", course, owner)
    assert stack.get(f"/api/user/courses/{course}", token).status_code == 200


def test_07_no_session_is_401_and_admins_are_users_too(stack, school):
    _, admin_token = school.admin()
    r = stack.get("/api/user/courses")
    assert r.status_code == 401 and "Location" not in r.headers
    assert stack.get("/api/user/courses", admin_token).status_code == 200


@pytest.mark.parametrize("query", [
    "page=NaN", "page=-1", "page=0", "page=1.5", "page=1e9", "page=1000001", "limit=0",
    "limit=101", "limit=-5", "limit=Infinity", "page=99999999999999999999999", "limit=",
    "page=%00", "page=1&page=2"])
def test_08_page_and_limit_are_bounded_numbers(stack, query):
    r = stack.get("/api/public/lessons?" + query)
    assert r.status_code == 400
    assert [e["field"] for e in r.json()["errors"]] == [query.split("=")[0]]


def test_09_nothing_uses_keys(stack, school):
    _, token = school.admin()
    redis = stack.redis()
    redis.config_resetstat()
    stack.get("/api/admin/courses", token)
    stack.stats()
    stack.clear()
    assert "cmdstat_keys" not in redis.info("commandstats")


def test_10_the_loader_runs_once_and_the_life_is_kept(stack, school):
    """Also when Redis refuses to store: it is out of memory here."""
    owner, token = school.admin()
    course = school.course(owner)
    stack.clear()
    redis = stack.redis()
    redis.config_set("maxmemory-policy", "noeviction")
    redis.config_set("maxmemory", "1")
    try:
        before = stack.statements()
        for _ in range(3):
            assert stack.get(f"/api/user/courses/{course}", token).status_code == 200
        # The session, and the course, once each.
        assert stack.statements() - before <= 2
    finally:
        redis.config_set("maxmemory", "256mb")
        redis.config_set("maxmemory-policy", "volatile-lru")
    stack.clear()
    stack.get(f"/api/user/courses/{course}", token)
    ttl = redis.pttl(stack.redis_key(f"user:course:details:courseId:{course}"))
    assert 3600 * 900 - 2000 < ttl <= 3600 * 1000


def test_11_statistics_of_an_empty_cache_are_numbers(stack):
    stack.clear()
    r = stack.get("/api/test/cache?action=stats", stack.token)
    assert "NaN" not in r.text and "nan" not in r.text and "null" not in r.text
    data = json.loads(r.text)["data"]
    assert data["totalKeys"] == 0 and data["estimatedMemory"] == "0.00 MB"
    assert data["sampleKeys"] == []


def test_12_lists_have_a_tie_breaker_and_ranks_count_up(stack, school):
    owner, token = school.admin()
    course = school.course(owner)
    same = [school.lesson(course, rank="1", created_at="2025-03-01") for _ in range(9)]
    school.lesson(course, rank="10", created_at="2025-02-01")
    school.lesson(course, rank="odd", created_at="2025-02-02")
    stack.clear()
    seen = []
    for page in (1, 2, 3, 4, 5, 6):
        r = stack.get(f"/api/admin/courses/{course}/lessons?limit=2&page={page}", token)
        seen += [item["id"] for item in r.json()["data"]]
    assert [i for i in seen if i in same] == sorted(same)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(
            lambda i: stack.ask("POST", f"/api/admin/courses/{course}/lessons", token,
                                json={"name": f"New {i}", "content": ""}, session=_session()),
            range(8)))
    ranks = sorted(int(a.json()["lesson"]["rank"]) for a in answers)
    assert ranks == list(range(11, 19))


def _session():
    from client import Session
    return Session()


def test_13_wildcards_are_ordinary_and_keys_cannot_be_forged(stack, school):
    owner, token = school.admin()
    for name in ("100% sure", "under_score", "back\\slash", "plain"):
        school.course(owner, name=name)
    stack.clear()

    def find(text):
        r = stack.get("/api/admin/courses?search=" + urllib.parse.quote(text), token)
        return sorted(c["name"] for c in r.json()["data"])

    assert find("%") == ["100% sure"]
    assert find("_") == ["under_score"]
    assert find("\\") == ["back\\slash"]
    assert find("PLAIN") == ["plain"]
    assert find("x:page:9:search:") == []
    keys = stack.stats()["sampleKeys"]
    assert any("search:x%3Apage%3A9%3Asearch%3A" in key for key in keys)
    assert find("x' or '1'='1") == []


def test_14_anonymous_searches_do_not_fill_the_cache(stack):
    """Redis takes a bounded number of keys that anyone can make up."""
    stack.app_restart(PUPITRE_ANONYMOUS_KEYS=20)
    try:
        stack.clear()
        for i in range(60):
            assert stack.get(f"/api/public/lessons?search=made-up-{i}").status_code == 200
        keys = list(stack.redis().scan_iter("pupitre:k:public:lessons:*"))
        assert 0 < len(keys) <= 20
        data = stack.stats()
        assert data["levels"]["memory"]["bytes"] < data["levels"]["memory"]["capacityBytes"]
    finally:
        del stack.settings["PUPITRE_ANONYMOUS_KEYS"]
        stack.app_restart()


def test_15_participants_are_for_those_concerned(stack, school):
    owner, owner_token = school.admin()
    _, rival_token = school.admin()
    member, member_token = school.user()
    _, stranger_token = school.user()
    course = school.course(owner)
    school.join(member, course)
    stack.clear()
    user_path = f"/api/user/courses/{course}/participants"
    admin_path = f"/api/admin/courses/{course}/participants"
    assert stack.get(user_path, stranger_token).status_code == 403
    assert stack.get(admin_path, rival_token).status_code == 404
    assert stack.get(user_path, member_token).status_code == 200
    assert "@" not in stack.get(user_path, member_token).text
    assert "@" in stack.get(admin_path, owner_token).text


def test_16_an_empty_answer_is_a_hit(stack, school):
    _, token = school.admin()
    stack.clear()
    first = stack.get("/api/admin/courses", token)
    assert first.json()["data"] == [] and first.json()["total"] == 0
    second = stack.get("/api/admin/courses", token)
    assert "hit" in second.headers["Cache-Status"]
    assert stack.stats()["prefixes"]["admin:courses"]["hits"] >= 1
