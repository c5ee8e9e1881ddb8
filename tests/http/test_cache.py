"""The cache seen from outside: statements counted in PostgreSQL, headers, keys."""
import concurrent.futures
import gzip

import client
from stack import wait_until

COURSE = {"name": "Renamed", "presentation": "New text"}


def test_the_second_read_does_no_sql_and_a_write_makes_the_next_one_new(stack, school):
    owner, token = school.admin()
    course = school.course(owner)
    stack.clear()
    path = "/api/admin/courses"
    stack.get(path, token)
    before = stack.statements()
    for _ in range(50):
        r = stack.get(path, token)
        assert "hit; detail=memory" in r.headers["Cache-Status"]
    assert stack.statements() == before
    assert stack.ask("PATCH", f"/api/admin/courses/{course}", token,
                     json=COURSE).status_code == 200
    r = stack.get(path, token)
    assert "fwd=uri-miss" in r.headers["Cache-Status"]
    assert r.json()["data"][0]["name"] == "Renamed"


def test_every_write_shows_in_every_read(stack, school):
    """All reads are warm before each write, and all are new after it."""
    owner, admin = school.admin()
    user, token = school.user()
    course = school.course(owner)
    lesson = school.lesson(course, "PUBLIC", name=f"L {school.tag}")
    school.join(user, course)
    stack.clear()
    reads = {
        "list": (f"/api/user/courses?search={school.tag}", token),
        "details": (f"/api/user/courses/{course}", token),
        "lessons": (f"/api/user/courses/{course}/lessons", token),
        "people": (f"/api/user/courses/{course}/participants", token),
        "lesson": (f"/api/user/lessons/{lesson}", token),
        "progress": (f"/api/user/lessons/{lesson}/progress", token),
        "public": (f"/api/public/lessons?search={school.tag}", None),
        "a_list": ("/api/admin/courses", admin),
        "a_details": (f"/api/admin/courses/{course}", admin),
        "a_lessons": (f"/api/admin/courses/{course}/lessons", admin),
        "a_lesson": (f"/api/admin/courses/{course}/lessons/{lesson}", admin),
        "a_people": (f"/api/admin/courses/{course}/participants", admin),
    }

    def read():
        answers = {name: stack.get(path, who) for name, (path, who) in reads.items()}
        return {name: r.text if r.status_code == 200 else r.status_code
                for name, r in answers.items()}

    def check(changed, method, path, who, **kwargs):
        old = read()
        assert read() == old
        r = stack.ask(method, path, who, **kwargs)
        assert r.status_code < 300, r.text
        new = read()
        assert {n for n in new if new[n] != old[n]} == set(changed.split())

    course_path, lesson_path = f"/api/admin/courses/{course}", \
        f"/api/admin/courses/{course}/lessons/{lesson}"
    check("details list a_list a_details", "PATCH", course_path, admin,
          json={"name": f"Other {school.tag}"})
    check("lesson lessons public a_lesson a_lessons", "PATCH", lesson_path, admin,
          json={"name": f"M {school.tag}"})
    check("lesson public a_lesson a_lessons", "PATCH", lesson_path, admin,
          json={"content": "new"})
    check("lessons public a_lessons", "POST", f"{course_path}/lessons", admin,
          json={"name": f"N {school.tag}", "content": "c", "state": "PUBLIC"})
    check("progress lessons", "PUT", f"/api/user/lessons/{lesson}/progress", token,
          json={"progress": "COMPLETED"})
    check("list details a_details people a_people", "DELETE",
          f"/api/user/courses/{course}/enrolment", token)
    check("list details a_details people a_people", "PUT",
          f"/api/user/courses/{course}/enrolment", token)
    check("lesson lessons public progress a_lesson a_lessons", "PATCH", lesson_path, admin,
          json={"state": "HIDDEN"})
    check("lesson lessons progress a_lesson a_lessons", "PATCH", lesson_path, admin,
          json={"state": "PUBLISHED"})
    check("list details lessons a_details", "PATCH", course_path, admin, json={"state": "DRAFT"})
    check("list details lessons a_details", "PATCH", course_path, admin,
          json={"state": "PUBLISHED"})
    check("lesson lessons progress a_lesson a_lessons", "DELETE", lesson_path, admin)
    check("list details lessons people public a_list a_details a_lessons a_people", "DELETE",
          course_path, admin)


def test_a_thousand_reads_of_a_cold_key_load_once(stack, school):
    owner, _ = school.admin()
    _, token = school.user()
    course = school.course(owner)
    path = f"/api/user/courses/{course}"
    stack.clear()
    stack.get("/api/auth/me", token)
    before = stack.statements()

    def read(_):
        with client.Session() as session:
            return [stack.get(path, token, session=session).status_code for _ in range(20)]

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        statuses = sum(pool.map(read, range(50)), [])
    assert statuses == [200] * 1000
    assert stack.statements() - before == 1


def test_entity_tags(stack, school):
    owner, token = school.admin()
    course = school.course(owner)
    stack.clear()
    path = f"/api/admin/courses/{course}"
    first = stack.get(path, token)
    tag = first.headers["ETag"]
    for value in (tag, f'"other", {tag}', "*", tag.replace("W/", "")):
        r = stack.get(path, token, headers={"If-None-Match": value})
        assert r.status_code == 304 and r.content == b"" and r.headers["ETag"] == tag
    assert stack.get(path, token, headers={"If-None-Match": '"x"'}).status_code == 200
    stack.ask("PATCH", path, token, json=COURSE)
    r = stack.get(path, token, headers={"If-None-Match": tag})
    assert r.status_code == 200 and r.headers["ETag"] != tag


def test_a_long_body_goes_out_compressed_and_to_anyone(stack, school):
    owner, token = school.admin()
    course = school.course(owner)
    school.lesson(course, content="All work and no play. " * 2000)
    stack.clear()
    path = f"/api/admin/courses/{course}/lessons"
    answers = {}
    for encoding in ("gzip", "identity"):
        r = client.get(stack, path, f"Authorization: Bearer {token}",
                       f"Accept-Encoding: {encoding}")
        answers[encoding] = (r.headers.get("content-encoding"), r.body)
        assert r.headers["vary"] == "Accept-Encoding"
    assert answers["gzip"][0] == "gzip" and answers["identity"][0] is None
    assert gzip.decompress(answers["gzip"][1]) == answers["identity"][1]
    assert len(answers["gzip"][1]) * 5 < len(answers["identity"][1])


def test_two_users_never_share_a_private_entry(stack, school):
    owner, _ = school.admin()
    user, token = school.user()
    _, other_token = school.user()
    course = school.course(owner, name=f"C {school.tag}")
    school.join(user, course)
    stack.clear()
    path = f"/api/user/courses?search={school.tag}"
    for _ in range(2):
        assert stack.get(path, token).json()["data"][0]["alreadyJoined"] is True
        assert stack.get(path, other_token).json()["data"][0]["alreadyJoined"] is False


def test_redis_is_used_by_a_second_process_and_a_write_reaches_it(stack, school):
    """What memory has evicted comes back from Redis, and not when it is old."""
    owner, token = school.admin()
    course = school.course(owner)
    stack.clear()
    path = f"/api/admin/courses/{course}"
    stack.get(path, token)
    key = stack.redis_key(f"admin:course:details:courseId:{course}")
    redis = stack.redis()
    saved = redis.dump(key)
    assert saved
    stack.ask("PATCH", path, token, json={"name": "Second name"})
    redis.restore(key, 100000, saved, replace=True)
    assert stack.get(path, token).json()["course"]["name"] == "Second name"


def test_lost_metadata_costs_speed_never_truth(stack, school):
    owner, token = school.admin()
    course = school.course(owner)
    stack.clear()
    path = f"/api/admin/courses/{course}"
    stack.get(path, token)
    stack.redis().delete("pupitre:meta")
    stack.ask("PATCH", path, token, json={"name": "Third name"})
    assert stack.get(path, token).json()["course"]["name"] == "Third name"


def test_no_token_is_ever_shown(stack, school):
    user, token = school.user()
    stack.get("/api/user/courses", token)
    own = stack.app("session", "create", "--user", f"{user}@example.org")
    assert stack.get("/api/user/courses", own).status_code == 200
    for secret in (token, own):
        assert secret not in stack.log_text()
        assert secret not in stack.get("/api/test/cache?action=stats", stack.token).text
        for key in stack.redis().scan_iter("*"):
            assert secret.encode() not in key
    stored = [r[0] for r in stack.sql("select session_token from sessions where user_id = %s",
                                      user)]
    assert token in stored and own not in stored


def test_each_request_leaves_one_line(stack, school):
    _, token = school.admin()
    for _ in range(2):
        r = stack.get("/api/admin/courses?search=abc", token)

    def lines():
        return [e for e in stack.log_lines("request") if e["id"] == r.headers["X-Request-Id"]]

    wait_until(lines, 5, "the line")  # it is written after the answer
    line = lines()
    assert len(line) == 1
    line = line[0]
    assert (line["method"], line["route"], line["status"], line["cache"]) == (
        "GET", "/api/admin/courses", 200, "memory")
    assert line["us"] >= 0 and {"redis_us", "db_us", "bytes", "time"} <= set(line)
    assert "total;dur=" in r.headers["Server-Timing"]
