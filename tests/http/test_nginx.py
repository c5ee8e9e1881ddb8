"""What nginx answers itself, before pupitre hears of it."""
import json

import pytest

from client import exchange

BIG = "a" * 70000
CLOSE = "Host: school.example\r\nConnection: close\r\n"


ODD = {
    "a target too long": (414, f"GET /api/x?{BIG} HTTP/1.1\r\n{CLOSE}\r\n"),
    "a header too large": (400, f"GET /api/x HTTP/1.1\r\n{CLOSE}X: {BIG}\r\n\r\n"),
    "no host": (400, "GET /api/x HTTP/1.1\r\nConnection: close\r\n\r\n"),
    "a NUL in the path": (400, f"GET /api/%00 HTTP/1.1\r\n{CLOSE}\r\n"),
    "a path out of the root": (400, f"GET /api/../../x HTTP/1.1\r\n{CLOSE}\r\n"),
    "TRACE": (405, f"TRACE /api/x HTTP/1.1\r\n{CLOSE}\r\n"),
    "a chunk that is none": (
        400, f"POST /api/auth/login HTTP/1.1\r\n{CLOSE}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "two lengths": (400, f"POST /api/auth/login HTTP/1.1\r\n{CLOSE}Transfer-Encoding: chunked\r\n"
                         "Content-Length: 3\r\n\r\n0\r\n\r\n"),
    "an unknown encoding": (
        501, f"POST /api/auth/login HTTP/1.1\r\n{CLOSE}Transfer-Encoding: br\r\n\r\n"),
    "a body too large": (413, f"POST /api/admin/courses HTTP/1.1\r\n{CLOSE}Content-Length: 70000"
                              f"\r\n\r\n{BIG}"),
}


@pytest.mark.parametrize("what", ODD)
def test_nginx_errors_under_our_paths_are_problems(stack, what):
    code, text = ODD[what]
    r = exchange(stack, text)
    assert r.status == code
    assert r.headers["content-type"] == "application/problem+json"
    problem = json.loads(r.body)
    assert problem["status"] == code and problem["requestId"] == r.headers["x-request-id"]
    assert r.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("what", ["a target too long", "a header too large", "TRACE"])
def test_other_paths_keep_nginx_pages(stack, what):
    code, text = ODD[what]
    r = exchange(stack, text.replace("/api/x", "/page"), not_ours="the frontend's errors")
    assert r.status == code and r.headers["content-type"] == "text/html" and b"<html>" in r.body


def test_error_pages_cannot_be_asked_for(stack):
    assert stack.get("/_pupitre/503", not_ours="no such file").status_code == 404


def test_a_dead_app_is_503_with_retry_after(fragile):
    fragile.stack("stop", "app")
    try:
        r = fragile.get("/api/public/lessons")
        assert r.status_code == 503 and int(r.headers["Retry-After"]) > 0
        assert r.headers["Content-Type"] == "application/problem+json"
        assert r.json()["requestId"] == r.headers["X-Request-Id"]
    finally:
        fragile.app_restart()


def test_the_page_at_the_root_needs_nobody_else(stack):
    r = stack.get("/", not_ours="the page at the root")
    assert r.status_code == 200 and "pupitre" in r.text and "//" not in r.text.split("<body")[0]
    assert r.headers["Server"] == "nginx"
