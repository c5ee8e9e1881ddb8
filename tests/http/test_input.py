"""Bad input of every kind gets its clear 4xx and touches nothing."""
import json

import pytest

import client
from fcgi import Connection

GOOD = {"name": "A course", "image": "https://i.example/a.png", "presentation": "About it"}


@pytest.fixture(scope="module")
def admin(stack):
    from stack import School
    s = School(stack)
    user, token = s.admin()
    return user, token


def count(stack, user):
    return stack.sql('select count(*) from "Course" where "creatorId" = %s', user)[0][0]


def fields_of(r):
    return sorted(e["field"] for e in r.json()["errors"])


BODIES = [
    ({**GOOD, "name": "ab"}, ["name"]),
    ({**GOOD, "name": "x" * 41}, ["name"]),
    ({**GOOD, "name": "   "}, ["name"]),
    ({**GOOD, "name": 12345}, ["name"]),
    ({**GOOD, "name": None}, ["name"]),
    ({**GOOD, "name": ["abc"]}, ["name"]),
    ({**GOOD, "name": "a\tb\nc"}, ["name"]),
    ({**GOOD, "presentation": ""}, ["presentation"]),
    ({**GOOD, "presentation": "x" * 301}, ["presentation"]),
    ({**GOOD, "image": "ftp://i.example/x"}, ["image"]),
    ({**GOOD, "image": "javascript:alert(1)"}, ["image"]),
    ({**GOOD, "image": "https://"}, ["image"]),
    ({**GOOD, "image": "not a url"}, ["image"]),
    ({**GOOD, "state": "OPEN"}, ["state"]),
    ({**GOOD, "state": "published"}, ["state"]),
    ({**GOOD, "creatorId": "me", "id": "x"}, ["creatorId", "id"]),
    ({"name": "x"}, ["image", "name", "presentation"]),
    ({}, ["image", "name", "presentation"]),
    ([], ["body"]),
    ("text", ["body"]),
    (None, ["body"]),
]


@pytest.mark.parametrize("i", range(len(BODIES)))
def test_bodies(stack, admin, i):
    body, fields = BODIES[i]
    before = count(stack, admin[0])
    r = stack.ask("POST", "/api/admin/courses", admin[1], data=json.dumps(body),
                  headers={"Content-Type": "application/json"})
    assert r.status_code == 400, r.text
    assert r.headers["Content-Type"] == "application/problem+json"
    assert fields_of(r) == fields
    assert count(stack, admin[0]) == before


RAW = [
    b"", b"{", b"null", b'{"name":"abc"', b'{"name":"abc"}}', b"{'name':'abc'}",
    b'{"name":"abc","name":"abd","image":"https://i.example/a","presentation":"x"}',
    b'{"name":"a\xffbc","image":"https://i.example/a","presentation":"x"}',
    b'{"name":"abc\\u0000","image":"https://i.example/a","presentation":"x"}',
    b'{"name\\u0000":"abc","image":"https://i.example/a","presentation":"x"}',
    b'\xef\xbb\xbf{"name":"abc","image":"https://i.example/a","presentation":"x"}',
    b'{"name":"abc","image":"https://i.example/a","presentation":"x"} // comment',
    b"[" * 3000, b'{"a":' * 3000, b"\0", b"1e999999",
]


@pytest.mark.parametrize("i", range(len(RAW)))
def test_what_is_not_strict_json(stack, admin, i):
    before = count(stack, admin[0])
    r = stack.ask("POST", "/api/admin/courses", admin[1], data=RAW[i],
                  headers={"Content-Type": "application/json"})
    assert r.status_code == 400 and r.json()["errors"], r.text
    assert count(stack, admin[0]) == before


def test_lone_surrogates_do_not_reach_the_database(stack, admin):
    r = stack.ask("POST", "/api/admin/courses", admin[1], headers={
        "Content-Type": "application/json"},
        data=b'{"name":"abc\\ud800","image":"https://i.example/a","presentation":"x"}')
    assert r.status_code in (201, 400)
    if r.status_code == 201:
        r.json()["course"]["name"].encode()


def test_other_media_types_are_415(stack, admin):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None):
        r = stack.ask("POST", "/api/admin/courses", admin[1], data=json.dumps(GOOD).encode(),
                      headers={"Content-Type": kind} if kind else {})
        assert r.status_code == 415


def test_bodies_over_64_KiB_are_413(stack, admin):
    before = count(stack, admin[0])
    for size in (65537, 200000, 3000000):
        body = b'{"name":"' + b"x" * size + b'"}'
        r = stack.ask("POST", "/api/admin/courses", admin[1], data=body,
                      headers={"Content-Type": "application/json"})
        assert r.status_code == 413 and r.json()["code"] == "too_large"
    # And without nginx in front.
    c = Connection(stack)
    status, _, body = c.ask("/api/admin/courses", "POST", b"x" * 70000,
                            CONTENT_TYPE="application/json", SESSION_TOKEN=admin[1],
                            SESSION_SOURCE="bearer")
    assert status == 413 and json.loads(body)["code"] == "too_large"
    c.close()
    assert count(stack, admin[0]) == before


def test_a_body_of_exactly_64_KiB_is_read(stack, admin):
    body = json.dumps({**GOOD, "presentation": ""}).encode()
    body = body[:-2] + b"x" * (65536 - len(body)) + b'"}'
    assert len(body) == 65536
    r = stack.ask("POST", "/api/admin/courses", admin[1], data=body,
                  headers={"Content-Type": "application/json"})
    assert r.status_code == 400 and fields_of(r) == ["presentation"]


IDS = ["%20", "a%20b", "a%2Fb", "..%2f..%2fetc", "%00", "a%00b", "%ff", "é", "a" * 65, "a:b",
       "a'b", "*", "a\\b", "%0a", "<script>"]


@pytest.mark.parametrize("i", range(len(IDS)))
def test_odd_ids(stack, admin, i):
    for path in (f"/api/user/courses/{IDS[i]}", f"/api/admin/courses/{IDS[i]}/lessons"):
        for method in ("GET", "DELETE"):
            r = stack.ask(method, path, admin[1])
            assert r.status_code in (400, 404, 405), f"{method} {path}: {r.status_code}"
            if "%00" not in path:  # which nginx refuses before any location
                assert r.headers["Content-Type"] == "application/problem+json"


SEARCHES = ["search=%ff", "search=%c3", "search=%00", "search=a%0ab", "search=%", "search=%zz",
            "search=" + "x" * 101, "search=a&search=b", "search=%ed%a0%80"]


@pytest.mark.parametrize("query", SEARCHES)
def test_odd_searches(stack, admin, query):
    r = client.get(stack, "/api/admin/courses?" + query, f"Authorization: Bearer {admin[1]}")
    assert r.status == 400
    assert [e["field"] for e in json.loads(r.body)["errors"]] == ["search"]


def test_unknown_parameters_change_nothing(stack, admin):
    stack.clear()
    assert stack.get("/api/admin/courses?_rsc=1x&page=1&foo=%zz&=&&", admin[1]).status_code == 200
    r = stack.get("/api/admin/courses", admin[1])
    assert "hit" in r.headers["Cache-Status"]


def test_one_question_has_one_key(stack, admin):
    stack.clear()
    for query in ("page=1", "page=01&limit=5", "limit=005&search=", "search=%20%20&page=1"):
        assert stack.get("/api/admin/courses?" + query, admin[1]).status_code == 200
    assert stack.stats()["totalKeys"] == 1


def test_odd_paths_reach_no_handler(stack, admin):
    for path in ("/api//admin/courses", "/api/./admin/courses", "/api/user/../admin/courses",
                 "/api/%61dmin/courses", "/api/admin/courses/", "/api/admin%2fcourses"):
        assert client.get(stack, path).status in (401, 404), path
    assert stack.get("/API/admin/courses", not_ours="no such file").status_code == 404


def test_an_empty_patch_and_a_bad_rank(stack, school):
    owner, token = school.admin()
    course = school.course(owner)
    lesson = school.lesson(course)
    path = f"/api/admin/courses/{course}/lessons/{lesson}"
    assert fields_of(stack.ask("PATCH", path, token, json={})) == ["body"]
    for rank in (-1, 1.5, "x", "", "1e3", 10 ** 30, True, None):
        r = stack.ask("PATCH", path, token, json={"rank": rank})
        assert r.status_code == 400 and fields_of(r) == ["rank"], rank
    for rank, text in ((7, "7"), ("12", "12")):
        assert stack.ask("PATCH", path, token, json={"rank": rank}).json()["lesson"][
            "rank"] == text


def test_progress_values(stack, school):
    owner, _ = school.admin()
    user, token = school.user()
    course = school.course(owner)
    lesson = school.lesson(course)
    school.join(user, course)
    path = f"/api/user/lessons/{lesson}/progress"
    for value in ("DONE", "", None, 1, "completed"):
        assert stack.ask("PUT", path, token, json={"progress": value}).status_code == 400
    for value in ("IN_PROGRESS", "COMPLETED", "NOT_STARTED"):
        assert stack.ask("PUT", path, token, json={"progress": value}).json() == {
            "success": True, "progress": value}
        assert stack.get(path, token).json() == {"progress": value}


def test_client_headers_cannot_become_parameters(stack):
    r = stack.get("/api/admin/courses", headers={
        "Auth-User-Id": "x", "AUTH_USER_ID": "x", "Session-Token": "x", "X-User-Role": "ADMIN",
        "Document-Uri": "/healthz", "Proxy": "x"})
    assert r.status_code == 401
