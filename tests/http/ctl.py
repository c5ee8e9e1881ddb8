"""Runs pupitrectl against a stack, on a terminal, or against a socket that only
pretends to be pupitre's."""
import json
import os
import pty
import select
import socket
import subprocess
import termios
import threading
import time

from stack import BINARY

CTL = os.path.join(os.path.dirname(BINARY), "pupitrectl")


def environment(stack, **more):
    """Those of the stack's app, and these; None takes one away."""
    env = stack.app_environment()
    env["PUPITRE_LISTEN"] = stack.witness().path  # what it is told is validated
    env.update(more)
    return {name: value for name, value in env.items() if value is not None}


def ctl(stack, *words, code=0, **more):
    """What it prints; when it should fail, what it says on stderr too."""
    done = subprocess.run([CTL, *words], env=environment(stack, **more), capture_output=True,
                          text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stdout + done.stderr


def ctl_json(stack, *words, code=0, **more):
    """Its one line on stdout."""
    done = subprocess.run([CTL, "--json", *words], env=environment(stack, **more),
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    assert done.stdout.count("\n") == 1 and done.stdout.endswith("\n"), done.stdout
    return json.loads(done.stdout)


def nginx_dump(stack):
    run = os.path.realpath(stack.run)
    path = os.path.join(run, "dump.txt")
    done = subprocess.run(["/usr/sbin/nginx", "-T", "-p", run, "-c", f"{run}/nginx/nginx.conf",
                           "-e", f"{run}/nginx-error.log"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with open(path, "w") as f:
        f.write(done.stdout)
    return path


def cooked(fd):
    """Does the terminal give lines, and show what is typed?"""
    wanted = termios.ICANON | termios.ECHO
    return termios.tcgetattr(fd)[3] & wanted == wanted


class Terminal:
    """What pupitrectl prints on one.  Each step is (until, do): `do(pid, fd)` is
    done once, when `until` shows behind what the step before saw.  .text, .code,
    and whether the terminal was .cooked at the first step and .after all."""

    def __init__(self, stack, words, *steps, **more):
        # Ours as well, so that its state can be seen when the program has gone.
        fd, mine = pty.openpty()
        env = {"TERM": "xterm", "COLUMNS": "100", "LINES": "40", **environment(stack, **more)}
        self.process = subprocess.Popen(["setsid", "--ctty", CTL, *words], stdin=mine,
                                        stdout=mine, stderr=mine, env=env)
        self.cooked = None
        try:
            self.text = self._follow(fd, mine, list(steps)).decode(errors="replace")
            self.code = self.process.wait(10)
            self.after = cooked(mine)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(mine)
            os.close(fd)

    def _follow(self, fd, mine, steps):
        text, looked, end = b"", 0, time.monotonic() + 20
        while time.monotonic() < end:
            if select.select([fd], [], [], 0.05)[0]:
                text += os.read(fd, 65536)
            elif self.process.poll() is not None:
                break
            if steps and steps[0][0] in text[looked:]:
                if self.cooked is None:
                    self.cooked = cooked(mine)
                looked = len(text)
                steps.pop(0)[1](self.process.pid, fd)
        return text


def types(what):
    return lambda pid, fd: os.write(fd, what)


# ---- a socket that pretends

END = b"\x01\x03\x00\x01\x00\x08\x00\x00" + b"\0" * 8


def record(body, kind=6):
    return b"\x01" + bytes([kind]) + b"\x00\x01" + len(body).to_bytes(2, "big") + b"\0\0" + body


def answers(body, status="200 OK"):
    """A whole FastCGI answer; `body` is bytes, or becomes JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    text = f"Status: {status}\r\nContent-Type: application/json\r\n\r\n".encode() + body
    return b"".join(record(text[i:i + 65000]) for i in range(0, len(text), 65000)) + END


class Pretender:
    """Listens at `path`; `answer(client, question)` for each who asks, or bytes."""

    def __init__(self, path, answer):
        self.answer = answer
        self.asked = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen(4)
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()

    def _serve(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            try:
                with client:
                    question = client.recv(65536)
                    self.asked.append(question)
                    if callable(self.answer):
                        self.answer(client, question)
                    else:
                        client.sendall(self.answer)
            except OSError:
                pass
