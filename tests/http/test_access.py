"""Each role against each route and method: exact statuses."""
import pytest

from stack import School


class World:
    def __init__(self, stack):
        s = School(stack)
        self.owner, self.owner_token = s.admin()
        self.rival, self.rival_token = s.admin()
        self.member, self.member_token = s.user()
        self.stranger, self.stranger_token = s.user()
        self.course = s.course(self.owner)
        self.draft = s.course(self.owner, "DRAFT")
        self.public = s.lesson(self.course, "PUBLIC")
        self.published = s.lesson(self.course, "PUBLISHED")
        self.hidden = s.lesson(self.course, "HIDDEN")
        s.join(self.member, self.course)
        stack.clear()

    def token(self, who):
        return None if who == "nobody" else getattr(self, who + "_token")


@pytest.fixture(scope="module")
def world(stack):
    return World(stack)


WHO = ("nobody", "stranger", "member", "rival", "owner")

# path, then the status for each of WHO
READS = [
    ("/api/public/lessons", 200, 200, 200, 200, 200),
    ("/api/user/courses", 401, 200, 200, 200, 200),
    ("/api/user/courses/{course}", 401, 200, 200, 200, 200),
    ("/api/user/courses/{draft}", 401, 404, 404, 404, 404),
    ("/api/user/courses/absent", 401, 404, 404, 404, 404),
    ("/api/user/courses/{course}/lessons", 401, 200, 200, 200, 200),
    ("/api/user/courses/absent/lessons", 401, 404, 404, 404, 404),
    ("/api/user/courses/{course}/participants", 401, 403, 200, 403, 200),
    ("/api/user/courses/{draft}/participants", 401, 404, 404, 404, 200),
    ("/api/user/courses/absent/participants", 401, 404, 404, 404, 404),
    ("/api/user/lessons/{public}", 401, 200, 200, 200, 200),
    ("/api/user/lessons/{published}", 401, 403, 200, 403, 403),
    ("/api/user/lessons/{hidden}", 401, 404, 404, 404, 404),
    ("/api/user/lessons/absent", 401, 404, 404, 404, 404),
    ("/api/user/lessons/{published}/progress", 401, 200, 200, 200, 200),
    ("/api/user/lessons/{hidden}/progress", 401, 404, 404, 404, 404),
    ("/api/user/lessons/absent/progress", 401, 404, 404, 404, 404),
    ("/api/admin/courses", 401, 403, 403, 200, 200),
    ("/api/admin/courses/{course}", 401, 403, 403, 404, 200),
    ("/api/admin/courses/{draft}", 401, 403, 403, 404, 200),
    ("/api/admin/courses/absent", 401, 403, 403, 404, 404),
    ("/api/admin/courses/{course}/lessons", 401, 403, 403, 404, 200),
    ("/api/admin/courses/absent/lessons", 401, 403, 403, 404, 404),
    ("/api/admin/courses/{course}/lessons/{hidden}", 401, 403, 403, 404, 200),
    ("/api/admin/courses/{course}/lessons/absent", 401, 403, 403, 404, 404),
    ("/api/admin/courses/{draft}/lessons/{hidden}", 401, 403, 403, 404, 404),
    ("/api/admin/courses/{course}/participants", 401, 403, 403, 404, 200),
    ("/api/admin/courses/absent/participants", 401, 403, 403, 404, 404),
    ("/api/auth/me", 401, 200, 200, 200, 200),
    ("/api/test/cache?action=stats", 401, 403, 403, 200, 200),
    ("/healthz", 200, 200, 200, 200, 200),
    ("/readyz", 200, 200, 200, 200, 200),
    ("/api/nothing", 404, 404, 404, 404, 404),
    ("/api/", 404, 404, 404, 404, 404),
]

PROBLEM = "application/problem+json"


@pytest.mark.parametrize("row", READS, ids=[r[0] for r in READS])
def test_reads(stack, world, row):
    path = row[0].format(**vars(world))
    for who, status in zip(WHO, row[1:]):
        # Twice: the answer must not depend on what is cached.
        for _ in range(2):
            r = stack.get(path, world.token(who))
            assert r.status_code == status, f"{who}: {r.status_code} {r.text}"
            if status >= 400:
                assert r.headers["Content-Type"] == PROBLEM
                assert r.json()["status"] == status


COURSE = {"name": "New course", "image": "https://i.example/x.png", "presentation": "Text"}
LESSON = {"name": "New lesson", "content": "Text"}

# method, path, body, then the status for each of WHO
WRITES = [
    ("POST", "/api/admin/courses", COURSE, 401, 403, 403, 201, 201),
    ("PATCH", "/api/admin/courses/{course}", {"name": "Renamed"}, 401, 403, 403, 404, 200),
    ("PATCH", "/api/admin/courses/absent", {"name": "Renamed"}, 401, 403, 403, 404, 404),
    ("DELETE", "/api/admin/courses/absent", None, 401, 403, 403, 404, 404),
    ("POST", "/api/admin/courses/{course}/lessons", LESSON, 401, 403, 403, 404, 201),
    ("POST", "/api/admin/courses/absent/lessons", LESSON, 401, 403, 403, 404, 404),
    ("PATCH", "/api/admin/courses/{course}/lessons/{hidden}", {"rank": 9}, 401, 403, 403, 404,
     200),
    ("PATCH", "/api/admin/courses/{course}/lessons/absent", {"rank": 9}, 401, 403, 403, 404, 404),
    ("PATCH", "/api/admin/courses/{draft}/lessons/{hidden}", {"rank": 9}, 401, 403, 403, 404,
     404),
    ("DELETE", "/api/admin/courses/{course}/lessons/absent", None, 401, 403, 403, 404, 404),
    ("PUT", "/api/user/courses/{draft}/enrolment", None, 401, 404, 404, 404, 404),
    ("PUT", "/api/user/courses/absent/enrolment", None, 401, 404, 404, 404, 404),
    ("DELETE", "/api/user/courses/absent/enrolment", None, 401, 404, 404, 404, 404),
    ("DELETE", "/api/user/courses/{draft}/enrolment", None, 401, 404, 404, 404, 404),
    ("PUT", "/api/user/lessons/{published}/progress", {"progress": "COMPLETED"}, 401, 403, 200,
     403, 403),
    ("PUT", "/api/user/lessons/{hidden}/progress", {"progress": "COMPLETED"}, 401, 404, 404, 404,
     404),
    ("PUT", "/api/user/lessons/absent/progress", {"progress": "COMPLETED"}, 401, 404, 404, 404,
     404),
    ("POST", "/api/test/cache?action=stats", None, 401, 403, 403, 200, 200),
]


@pytest.mark.parametrize("row", WRITES, ids=[f"{r[0]} {r[1]}" for r in WRITES])
def test_writes(stack, world, row):
    method, path, body = row[:3]
    for who, status in zip(WHO, row[3:]):
        r = stack.ask(method, path.format(**vars(world)), world.token(who), json=body)
        assert r.status_code == status, f"{who}: {r.status_code} {r.text}"


def test_deletes_need_the_creator(stack, school):
    owner, owner_token = school.admin()
    rival, rival_token = school.admin()
    member, member_token = school.user()
    course = school.course(owner)
    lesson = school.lesson(course)
    school.join(member, course)
    for path in (f"/api/admin/courses/{course}/lessons/{lesson}", f"/api/admin/courses/{course}"):
        assert stack.ask("DELETE", path).status_code == 401
        assert stack.ask("DELETE", path, member_token).status_code == 403
        assert stack.ask("DELETE", path, rival_token).status_code == 404
        r = stack.ask("DELETE", path, owner_token)
        assert (r.status_code, r.json()) == (200, {"success": True})
        assert stack.ask("DELETE", path, owner_token).status_code == 404


def test_other_methods_are_405_with_allow(stack, world):
    cases = {
        "/api/public/lessons": "GET, HEAD",
        "/api/admin/courses": "GET, HEAD, POST",
        f"/api/admin/courses/{world.course}": "GET, HEAD, PATCH, DELETE",
        f"/api/user/courses/{world.course}/enrolment": "PUT, DELETE",
        "/api/auth/login": "POST",
        "/healthz": "GET, HEAD",
    }
    for path, allow in cases.items():
        for method in ("TRACE-LIKE", "OPTIONS", "PROPFIND", "PUT", "PATCH", "DELETE", "POST"):
            if method in allow:
                continue
            r = stack.ask(method, path, world.owner_token)
            assert r.status_code == 405, f"{method} {path}: {r.status_code}"
            assert r.headers["Allow"] == allow


def test_head_is_get_without_a_body(stack, world):
    for path in ("/api/public/lessons", f"/api/admin/courses/{world.course}", "/api/nothing"):
        get = stack.get(path, world.owner_token)
        head = stack.ask("HEAD", path, world.owner_token)
        assert head.status_code == get.status_code and head.content == b""
        assert head.headers.get("ETag") == get.headers.get("ETag")
        assert head.headers["Content-Type"] == get.headers["Content-Type"]


def test_a_shared_entry_does_not_leak(stack, school):
    """Warm by who may, then asked by who may not."""
    owner, owner_token = school.admin()
    member, member_token = school.user()
    _, stranger_token = school.user()
    course = school.course(owner)
    lesson = school.lesson(course, "PUBLISHED")
    school.join(member, course)
    stack.clear()
    for path in (f"/api/user/lessons/{lesson}", f"/api/user/courses/{course}/participants"):
        assert stack.get(path, member_token).status_code == 200
        assert stack.get(path, stranger_token).status_code == 403
        assert stack.get(path).status_code == 401


def test_joining_and_leaving_open_and_close(stack, school):
    owner, _ = school.admin()
    _, token = school.user()
    course = school.course(owner)
    lesson = school.lesson(course, "PUBLISHED")
    stack.clear()
    enrolment = f"/api/user/courses/{course}/enrolment"
    name = stack.get(f"/api/user/courses/{course}", token).json()["course"]["name"]
    for _ in range(2):
        assert stack.get(f"/api/user/lessons/{lesson}", token).status_code == 403
        for _ in range(2):  # idempotent
            r = stack.ask("PUT", enrolment, token)
            assert (r.status_code, r.json()) == (200, {"success": True, "courseName": name})
            assert stack.get(f"/api/user/lessons/{lesson}", token).status_code == 200
        for _ in range(2):
            r = stack.ask("DELETE", enrolment, token)
            assert (r.status_code, r.json()) == (200, {"success": True, "courseName": name})
    rows = stack.sql('select count(*) from "CourseOnUser" where "courseId" = %s', course)
    assert rows == [(0,)]


def test_canceled_is_not_joined(stack, school):
    owner, owner_token = school.admin()
    user, token = school.user()
    course = school.course(owner)
    lesson = school.lesson(course, "PUBLISHED")
    school.join(user, course, canceled=True)
    stack.clear()
    assert stack.get(f"/api/user/lessons/{lesson}", token).status_code == 403
    people = stack.get(f"/api/admin/courses/{course}/participants", owner_token).json()["users"]
    assert people[0]["canceledAt"] is not None
    assert stack.ask("PUT", f"/api/user/courses/{course}/enrolment", token).status_code == 200
    assert stack.get(f"/api/user/lessons/{lesson}", token).status_code == 200
    people = stack.get(f"/api/admin/courses/{course}/participants", owner_token).json()["users"]
    assert people[0]["canceledAt"] is None
