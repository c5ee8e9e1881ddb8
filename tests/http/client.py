"""The ways to ask over HTTP, each of which has every answer validated.  What is
asked of somebody else says so, and why: not_ours="..."; test_openapi.py lists
those."""
import http.client
import io
import socket

import requests

import openapi


class Session(requests.Session):
    """requests' own."""

    def __init__(self, *, not_ours=None):
        super().__init__()
        self.trust_env = False  # no proxy
        self.not_ours = not_ours

    def send(self, request, **kwargs):
        r = super().send(request, **kwargs)
        if self.not_ours:
            openapi.let_pass(self.not_ours)
            return r
        sent = request.body if request.body is not None else b""
        openapi.check(openapi.Exchange(
            request.method, request.path_url, request.headers.get("Content-Type"),
            sent.encode() if isinstance(sent, str) else sent, r.status_code,
            {k.lower(): v for k, v in r.headers.items()}, r.content))
        return r


class Bytes:
    """What http.client wants of a socket."""

    def __init__(self, data):
        self.data = data

    def makefile(self, *_):
        return io.BytesIO(self.data)


class Answer:
    """A code, the header lines with names in lower case, and the body as it came."""

    def __init__(self, asked, data):
        r = http.client.HTTPResponse(Bytes(data), method=asked.split(b" ", 1)[0].decode())
        r.begin()
        self.status = r.status
        self.headers = {k.lower(): v for k, v in r.getheaders()}
        self.body = r.read()


class Wire:
    """A connection to a stack's nginx for one request, to be written by hand."""

    def __init__(self, stack, *, not_ours=None):
        self.not_ours = not_ours
        self.socket = socket.create_connection(("127.0.0.1", stack.port), timeout=10)
        self.sent = self.said = b""

    def send(self, data):
        self.sent += data
        try:
            self.socket.sendall(data)
        except ConnectionError:
            pass  # it has answered, and did not read all that was sent

    def fileno(self):
        return self.socket.fileno()

    def listen(self):
        """What has come; False at the end."""
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            piece = b""
        self.said += piece
        return piece != b""

    def answer(self):
        """After the end: what was said."""
        answer = Answer(self.sent, self.said)
        if self.not_ours:
            openapi.let_pass(self.not_ours)
            return answer
        head, _, body = self.sent.partition(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        lines = {k.lower(): v for k, _, v in (
            line.partition(": ") for line in head.decode().split("\r\n")[1:])}
        openapi.check(openapi.Exchange(
            method, target, lines.get("content-type"),
            None if "transfer-encoding" in lines else body, answer.status, answer.headers,
            answer.body))
        return answer

    def close(self):
        self.socket.close()


def exchange(stack, text, *, not_ours=None):
    """Send TEXT, a request that wants its connection closed; the Answer."""
    wire = Wire(stack, not_ours=not_ours)
    try:
        wire.send(text.encode())
        while wire.listen():
            pass
        return wire.answer()
    finally:
        wire.close()


def get(stack, target, *lines):
    """An Answer to a target that is sent as it is, with these header lines."""
    return exchange(stack, "\r\n".join(
        [f"GET {target} HTTP/1.1", "Host: x", "Connection: close", *lines, "", ""]))
