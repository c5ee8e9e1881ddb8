"""Starts tests/faults/proxy.c between an app and a server, and tells it what
harm to do; `.build/release/proxy --help` lists the commands."""
import os
import subprocess

from stack import ROOT

BINARY = os.path.join(ROOT, ".build", "release", "proxy")


class Proxy:
    def __init__(self, listen, upstream):
        subprocess.run(["make", "-s", "-C", ROOT, ".build/release/proxy"], check=True)
        self.process = subprocess.Popen([BINARY, f"unix:{listen}", f"unix:{upstream}"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ok\n"

    def tell(self, command):
        """The answer before its "ok"."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer.endswith("ok\n"), f"{command}: {answer}"
        return answer[:-3]

    def count(self):
        """Connections so far, open now, cut; bytes."""
        return [int(n) for n in self.tell("count").split()]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


def before_redis(stack, name):
    """(proxy, the setting that leads through it)"""
    run = os.path.realpath(stack.run)
    path = os.path.join(run, f"{name}-redis.sock")
    return Proxy(path, os.path.join(run, "redis.sock")), {"REDIS_URL": f"unix://{path}"}


def before_postgres(stack, name):
    run = os.path.realpath(stack.run)
    folder = os.path.join(run, f"{name}-pg")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)
    proxy = Proxy(os.path.join(folder, ".s.PGSQL.5432"), os.path.join(run, "pg", ".s.PGSQL.5432"))
    return proxy, {"DATABASE_URL": f"postgresql:///pupitre?host={folder}&user=pupitre"}
