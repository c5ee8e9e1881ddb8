"""Every row of the contract's table of reads: body, key, life, role."""
import re

import pytest

from stack import School

ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


class World:
    """A small school that the reads are asked about."""

    def __init__(self, stack):
        s = School(stack)
        self.admin, self.admin_token = s.admin(name="Ada Admin")
        self.user, self.token = s.user(name="Uma User")
        self.other, self.other_token = s.user(name="Otto Other")
        self.course = s.course(self.admin, name="Graph theory")
        self.public = s.lesson(self.course, "PUBLIC", "Vertices", "1", created_at="2025-01-01")
        self.published = s.lesson(self.course, "PUBLISHED", "Edges", "2", created_at="2025-01-02")
        self.hidden = s.lesson(self.course, "HIDDEN", "Proofs", "3", created_at="2025-01-03")
        s.join(self.user, self.course)
        stack.clear()


@pytest.fixture(scope="module")
def world(stack):
    return World(stack)


def page(data, total, **more):
    return {"data": data, "total": total, "page": 1, "limit": 5, "totalPages": -(-total // 5),
            **more}


def reads(w):
    """(path, token, cache key, life, body as expected or a check of it)"""
    return [
        (f"/api/user/courses/{w.course}", w.token, f"user:course:details:courseId:{w.course}",
         3600, {"course": {"id": w.course, "name": "Graph theory", "presentation": "About it",
                           "image": "https://i.example/c.png", "totalUsers": 1}}),
        (f"/api/user/courses/{w.course}/lessons", w.token,
         f"lessons:course:courseId:{w.course}:limit:5:page:1:search::userId:{w.user}", 300,
         page([{"id": i, "name": n, "rank": r, "users": [], "progress": "NOT_STARTED"}
               for i, n, r in ((w.public, "Vertices", "1"), (w.published, "Edges", "2"))], 2)),
        (f"/api/user/lessons/{w.published}", w.token, f"lesson:lessonId:{w.published}", 1800,
         {"lesson": {"id": w.published, "name": "Edges", "content": "# Text", "rank": "2",
                     "courseId": w.course, "state": "PUBLISHED"}}),
        (f"/api/user/lessons/{w.published}/progress", w.token,
         f"user-progress:lesson:lessonId:{w.published}:userId:{w.user}", 600,
         {"progress": "NOT_STARTED"}),
        ("/api/admin/courses", w.admin_token,
         f"admin:courses:adminId:{w.admin}:limit:5:page:1:search:", 300,
         page([{"id": w.course, "name": "Graph theory", "image": "https://i.example/c.png",
                "presentation": "About it"}], 1)),
        ("/api/admin/courses?search=GRAPH&limit=7", w.admin_token,
         f"admin:courses:adminId:{w.admin}:limit:7:page:1:search:GRAPH", 300,
         {**page([{"id": w.course, "name": "Graph theory", "image": "https://i.example/c.png",
                   "presentation": "About it"}], 1), "limit": 7}),
        (f"/api/user/courses?search=no-such-course-anywhere&page=3", w.token,
         f"user:courses:limit:5:page:3:search:no-such-course-anywhere:userId:{w.user}", 300,
         {**page([], 0), "page": 3}),
    ]


def check_redis(stack, key, life):
    ttl = stack.redis().ttl(stack.redis_key(key))
    assert life * 0.9 - 2 <= ttl <= life, f"{key}: {ttl} s"


@pytest.mark.parametrize("i", range(7))
def test_body_key_and_life(stack, world, i):
    path, token, key, life, body = reads(world)[i]
    r = stack.get(path, token)
    assert r.status_code == 200, r.text
    assert r.json() == body
    assert key in stack.stats()["sampleKeys"]
    check_redis(stack, key, life)
    assert r.headers["Content-Type"] == "application/json"
    assert r.headers["Cache-Control"] == "private, no-cache"


def test_order_of_keys_in_bodies(stack, world):
    r = stack.get(f"/api/user/courses/{world.course}/lessons", world.token)
    assert list(r.json()) == ["data", "total", "page", "limit", "totalPages"]
    assert list(r.json()["data"][0]) == ["id", "name", "rank", "users", "progress"]


def test_public_lessons_are_public_ones_of_anybody(stack, world):
    body = stack.get("/api/public/lessons?limit=100").json()
    mine = [item for item in body["data"] if item["id"] == world.public]
    assert mine == [{"id": world.public, "name": "Vertices", "state": "PUBLIC",
                     "content": "# Text"}]
    assert {item["state"] for item in body["data"]} == {"PUBLIC"}
    key = "public:lessons:limit:100:page:1:search:"
    assert key in stack.stats()["sampleKeys"]
    check_redis(stack, key, 300)


def test_user_courses_say_what_is_joined(stack, world):
    def mine(token):
        body = stack.get("/api/user/courses?limit=100", token).json()
        return [c for c in body["data"] if c["id"] == world.course][0]

    assert mine(world.token) == {
        "image": "https://i.example/c.png", "id": world.course, "name": "Graph theory",
        "presentation": "About it", "alreadyJoined": True}
    assert mine(world.other_token)["alreadyJoined"] is False
    assert mine(world.admin_token)["alreadyJoined"] is False


def test_drafts_are_not_listed(stack, school):
    admin, _ = school.admin()
    _, token = school.user()
    draft = school.course(admin, "DRAFT")
    stack.clear()
    body = stack.get("/api/user/courses?limit=100", token).json()
    assert draft not in [c["id"] for c in body["data"]]
    assert stack.get(f"/api/user/courses/{draft}", token).status_code == 404
    assert stack.get(f"/api/user/courses/{draft}/lessons", token).status_code == 404


def test_admin_details(stack, world):
    r = stack.get(f"/api/admin/courses/{world.course}", world.admin_token)
    course = r.json()["course"]
    assert list(course) == ["id", "name", "presentation", "image", "createdAt", "state",
                            "totalUsers"]
    assert ISO.match(course["createdAt"]) and course["state"] == "PUBLISHED"
    check_redis(stack, f"admin:course:details:courseId:{world.course}", 3600)


def test_admin_lessons_show_all_states(stack, world):
    r = stack.get(f"/api/admin/courses/{world.course}/lessons", world.admin_token)
    data = r.json()["data"]
    assert [lesson["state"] for lesson in data] == ["PUBLIC", "PUBLISHED", "HIDDEN"]
    assert list(data[0]) == ["id", "name", "rank", "content", "state", "createdAt"]
    assert data[0]["createdAt"] == "2025-01-01T00:00:00.000Z"
    check_redis(
        stack, f"admin:lessons:course:courseId:{world.course}:limit:5:page:1:search:", 300)


def test_admin_lesson_details(stack, world):
    path = f"/api/admin/courses/{world.course}/lessons/{world.hidden}"
    lesson = stack.get(path, world.admin_token).json()["lesson"]
    assert lesson == {"id": world.hidden, "name": "Proofs", "state": "HIDDEN",
                      "content": "# Text", "courseId": world.course, "rank": "3",
                      "createdAt": "2025-01-03T00:00:00.000Z"}
    check_redis(stack,
                f"admin:lesson:details:courseId:{world.course}:lessonId:{world.hidden}", 1800)


@pytest.mark.parametrize("side", ["user", "admin"])
def test_participants(stack, world, side):
    token = world.token if side == "user" else world.admin_token
    r = stack.get(f"/api/{side}/courses/{world.course}/participants", token)
    body = r.json()
    assert list(body) == ["users", "total", "page", "limit", "totalPages"]
    person = {"id": world.user, "name": "Uma User", "image": f"https://i.example/{world.user}"}
    if side == "admin":
        person["email"] = f"{world.user}@example.org"
    one = body["users"][0]
    assert list(one) == ["id", "userId", "courseId", "createdAt", "canceledAt", "user"]
    assert one["user"] == person and one["canceledAt"] is None and ISO.match(one["createdAt"])
    assert (body["total"], body["totalPages"]) == (1, 1)
    check_redis(stack, f"{side}:course:participants:courseId:{world.course}"
                ":limit:5:page:1:search:", 300)


def test_participants_are_in_order_of_name(stack, school):
    admin, token = school.admin()
    course = school.course(admin)
    for name in ("Zoe", "Ana", "Mia"):
        school.join(school.user(name=name)[0], course)
    stack.clear()
    path = f"/api/admin/courses/{course}/participants"
    names = [p["user"]["name"] for p in stack.get(path, token).json()["users"]]
    assert names == ["Ana", "Mia", "Zoe"]
    found = stack.get(path + "?search=mI", token).json()
    assert [p["user"]["name"] for p in found["users"]] == ["Mia"] and found["total"] == 1


def test_pages(stack, school):
    admin, token = school.admin()
    courses = [school.course(admin, created_at=f"2025-02-0{i + 1}") for i in range(7)]
    stack.clear()
    seen = []
    for number in (1, 2, 3, 4):
        body = stack.get(f"/api/admin/courses?limit=3&page={number}", token).json()
        assert (body["total"], body["page"], body["limit"], body["totalPages"]) == (7, number, 3, 3)
        seen += [c["id"] for c in body["data"]]
    assert seen == courses
    last = stack.get("/api/admin/courses?limit=100&page=1000000", token).json()
    assert last["data"] == [] and last["total"] == 7


def test_progress_is_in_the_list(stack, world):
    path = f"/api/user/lessons/{world.public}/progress"
    r = stack.ask("PUT", path, world.token, json={"progress": "COMPLETED"})
    assert r.json() == {"success": True, "progress": "COMPLETED"}
    body = stack.get(f"/api/user/courses/{world.course}/lessons", world.token).json()
    assert body["data"][0]["progress"] == "COMPLETED"
    assert body["data"][0]["users"] == [{"progress": "COMPLETED"}]
    other = stack.get(f"/api/user/courses/{world.course}/lessons", world.other_token).json()
    assert other["data"][0]["progress"] == "NOT_STARTED"
    assert stack.get(path, world.token).json() == {"progress": "COMPLETED"}


def test_me(stack, world):
    user = stack.get("/api/auth/me", world.token).json()["user"]
    assert user == {"id": world.user, "name": "Uma User", "email": f"{world.user}@example.org",
                    "image": f"https://i.example/{world.user}", "role": "USER"}


def test_statistics_have_the_originals_shape(stack, world):
    body = stack.get("/api/test/cache?action=stats", world.admin_token).json()
    assert body["success"] is True and body["action"] == "stats" and ISO.match(body["timestamp"])
    data = body["data"]
    assert isinstance(data["totalKeys"], int)
    assert re.match(r"^\d+\.\d\d MB$", data["estimatedMemory"])
    assert len(data["sampleKeys"]) <= 5 and ISO.match(data["timestamp"])
    assert {"hits", "misses", "stale", "collapsed", "hitRatio", "prefixes"} <= set(data)


def test_clear_answers_as_the_original(stack, world):
    for method in ("POST", "GET"):
        r = stack.ask(method, "/api/test/cache?action=clear", world.admin_token)
        body = r.json()
        assert ISO.match(body.pop("timestamp"))
        assert body == {"success": True, "action": "clear", "message": "Cache cleared"}
    assert stack.stats()["totalKeys"] == 0


def test_another_action_is_invalid(stack, world):
    for query in ("", "?action=", "?action=drop"):
        r = stack.get("/api/test/cache" + query, world.admin_token)
        assert r.status_code == 400
        assert r.json() == {"success": False, "error": "Invalid action"}
