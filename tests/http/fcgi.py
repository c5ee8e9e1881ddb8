"""A small FastCGI client that can also send what nginx never would."""
import collections
import json
import os
import socket
import struct

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, GET_VALUES = 1, 2, 3, 4, 5, 6, 7, 9


def record(kind, content=b"", request=1):
    return struct.pack(">BBHHBB", 1, kind, request, len(content), 0, 0) + content


def begin(keep=True, role=1):
    return record(BEGIN, struct.pack(">HB5x", role, 1 if keep else 0))


def pairs(params):
    out = b""
    for name, value in params.items():
        for text in (name, value):
            n = len(text.encode())
            out += bytes([n]) if n < 128 else struct.pack(">I", n | 1 << 31)
        out += name.encode() + value.encode()
    return out


def request(path, method="GET", body=b"", keep=True, **params):
    fixed = {"REQUEST_METHOD": method, "DOCUMENT_URI": path}
    fixed.update(params)
    out = begin(keep) + record(PARAMS, pairs(fixed)) + record(PARAMS)
    for at in range(0, len(body), 60000):
        out += record(STDIN, body[at:at + 60000])
    return out + record(STDIN)


class Answer(collections.namedtuple("Answer", "status head body")):
    """A code, the header lines as text, and bytes."""

    def json(self):
        return json.loads(self.body)


class Connection:
    """A connection to a stack's app, or to the socket of that path."""

    def __init__(self, stack, timeout=20):
        path = stack if isinstance(stack, str) else os.path.join(
            os.path.realpath(stack.run), "app.sock")
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)

    def send(self, data):
        self.socket.sendall(data)

    def _read(self, n):
        data = b""
        while len(data) < n:
            piece = self.socket.recv(n - len(data))
            if not piece:
                return None
            data += piece
        return data

    def answer(self):
        """The next answer, or None when the server closed."""
        out = b""
        while True:
            head = self._read(8)
            if head is None:
                return None
            _, kind, _, length, padding, _ = struct.unpack(">BBHHBB", head)
            content = self._read(length + padding)
            if content is None:
                return None
            if kind == STDOUT:
                out += content[:length]
            if kind == END:
                head, body = out.split(b"\r\n\r\n", 1)
                status = int(head.split(b"Status: ")[1][:3])
                return Answer(status, head.decode(), body)

    def ask(self, *args, **kwargs):
        self.send(request(*args, **kwargs))
        return self.answer()

    def close(self):
        self.socket.close()
