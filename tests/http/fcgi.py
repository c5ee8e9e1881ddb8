"""A small FastCGI client that can also send what nginx never would, and a
listener between a client and the app.  With Connection.check every answer that
either of them sees is given to it, with the parameters and the body that it is
an answer to; conftest.py sets it."""
import collections
import json
import os
import select
import socket
import struct
import threading

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


class Asked:
    """The requests in what is sent over a connection, one at a time."""

    def __init__(self):
        self.data = b""
        self.waiting = []

    def feed(self, data):
        self.data += data
        at = 0
        while len(self.data) - at >= 8:
            _, kind, _, length, padding, _ = struct.unpack_from(">BBHHBB", self.data, at)
            if len(self.data) - at < 8 + length + padding:
                break
            self._record(kind, self.data[at + 8:at + 8 + length])
            at += 8 + length + padding
        self.data = self.data[at:]

    def _record(self, kind, content):
        if kind == BEGIN:
            self.waiting.append([b"", b""])
        elif kind in (PARAMS, STDIN) and self.waiting:
            self.waiting[-1][kind == STDIN] += content

    def take(self):
        """(parameters, body) of the oldest that has not been taken; of one that is
        under way yet, so far."""
        params, body = self.waiting.pop(0)
        return unpaired(params), body


def unpaired(data):
    """What pairs() made."""
    found, at = {}, 0
    while at < len(data):
        sizes = []
        for _ in range(2):
            n, = struct.unpack_from(">B" if data[at] < 128 else ">I", data, at)
            at += 1 if n < 128 else 4
            sizes.append(n & 0x7fffffff)
        name, value = data[at:at + sizes[0]], data[at + sizes[0]:at + sum(sizes)]
        found[name.decode()] = value.decode(errors="replace")
        at += sum(sizes)
    return found


class Said:
    """The answer in what comes back."""

    def __init__(self):
        self.data = self.out = b""

    def feed(self, data):
        """The Answer that this completes, or None."""
        self.data += data
        while len(self.data) >= 8:
            _, kind, _, length, padding, _ = struct.unpack_from(">BBHHBB", self.data)
            if len(self.data) < 8 + length + padding:
                return None
            if kind == STDOUT:
                self.out += self.data[8:8 + length]
            self.data = self.data[8 + length + padding:]
            if kind == END:
                return self._answer()
        return None

    def _answer(self):
        head, body = self.out.split(b"\r\n\r\n", 1)
        self.out = b""
        return Answer(int(head.split(b"Status: ")[1][:3]), head.decode(), body)


class Connection:
    """A connection to a stack's app, or to the socket of that path."""

    check = None

    def __init__(self, stack, timeout=20):
        path = stack if isinstance(stack, str) else os.path.join(
            os.path.realpath(stack.run), "app.sock")
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.asked, self.said = Asked(), Said()

    def send(self, data):
        if Connection.check:
            self.asked.feed(data)
        self.socket.sendall(data)

    def answer(self):
        """The next answer, or None when the server closed."""
        answer = None
        while answer is None:
            piece = self.socket.recv(65536)
            if not piece:
                return None
            answer = self.said.feed(piece)
        if Connection.check:
            Connection.check(*self.asked.take(), answer)
        return answer

    def ask(self, *args, **kwargs):
        self.send(request(*args, **kwargs))
        return self.answer()

    def close(self):
        self.socket.close()


def check_bytes(sent, said):
    """Of one request and its answer, whoever carried them; the Answer."""
    asked = Asked()
    asked.feed(sent)
    answer = Said().feed(said)
    Connection.check(*asked.take(), answer)
    return answer


class Witness:
    """A socket at PATH that passes everything on to UPSTREAM and back, and has
    the answers of that program's client checked too."""

    def __init__(self, path, upstream):
        self.path, self.upstream = path, upstream
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(path)
        self.listening.listen(16)
        self.checked = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        asked, said = Asked(), Said()
        app = socket.socket(socket.AF_UNIX)
        with client, app:
            try:
                app.connect(self.upstream)
                while True:
                    for one in select.select([client, app], [], [])[0]:
                        data = one.recv(65536)
                        if not data:
                            return
                        if one is client:
                            asked.feed(data)
                            app.sendall(data)
                            continue
                        answer = said.feed(data)
                        if answer:
                            self._check(*asked.take(), answer)
                        client.sendall(data)
            except OSError:
                pass  # either has gone

    def _check(self, *exchange):
        """Before the client hears of it, so that its test cannot be over."""
        try:
            Connection.check(*exchange)
        except AssertionError:
            pass  # it is kept among openapi.mismatches
        self.checked += 1

    def close(self):
        self.listening.close()
        os.unlink(self.path)
