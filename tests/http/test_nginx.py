"""What nginx answers itself, before pupitre hears of it."""
import json
import socket

import pytest

BIG = "a" * 70000
CLOSE = "Host: school.example\r\nConnection: close\r\n"


def raw(stack, text):
    """Send TEXT; the code, the header lines in lower case, and the body."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=10) as s:
        s.sendall(text.encode())
        data = b""
        try:
            while piece := s.recv(65536):
                data += piece
        except ConnectionResetError:
            pass  # it has answered, and did not read all that was sent
    head, _, body = data.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    return int(head.split()[1]), lines, body


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
    status, lines, body = raw(stack, text)
    assert status == code
    assert lines["content-type"] == "application/problem+json"
    problem = json.loads(body)
    assert problem["status"] == code and problem["requestId"] == lines["x-request-id"]
    assert lines["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("what", ["a target too long", "a header too large", "TRACE"])
def test_other_paths_keep_nginx_pages(stack, what):
    code, text = ODD[what]
    status, lines, body = raw(stack, text.replace("/api/x", "/page"))
    assert status == code and lines["content-type"] == "text/html" and b"<html>" in body


def test_error_pages_cannot_be_asked_for(stack):
    assert stack.get("/_pupitre/503").status_code == 404


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
    r = stack.get("/")
    assert r.status_code == 200 and "pupitre" in r.text and "//" not in r.text.split("<body")[0]
    assert r.headers["Server"] == "nginx"
