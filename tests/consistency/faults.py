"""What may go wrong, one function a fault.

Each takes a World and a random.Random, hurts the system and makes it whole
again, whatever happens in between.  It ends only processes of its own stack.
The first line of its docstring is what `run --help` says.
"""
import contextlib
import os
import signal
import time

import psycopg2
import redis

from stack import is_alive, wait_until

READY_S = 30
ALL = {}


def fault(function):
    ALL[function.__name__] = function
    return function


class World:
    """The stack, and how to see that it is whole."""

    def __init__(self, stack):
        self.stack = stack

    def is_whole(self):
        try:
            return all(self.is_ready(part) for part in self.stack.apps())
        except (OSError, AssertionError, ValueError):
            return False

    def is_ready(self, part):
        answer = self.stack.instance(part).get("/readyz")
        return answer.status == 200 and answer.json()["status"] == "ok"

    def wait_until_whole(self):
        wait_until(self.is_whole, READY_S, "a whole system")

    def redis(self):
        path = os.path.join(os.path.realpath(self.stack.run), "redis.sock")
        return redis.Redis(unix_socket_path=path, socket_timeout=10)

    def sql(self, text):
        """Rows; none if the server ended the connection under it."""
        try:
            return self.stack.sql(text)
        except psycopg2.Error:
            return []

    @contextlib.contextmanager
    def halted(self, part):
        self.stack.hurt_all(part, signal.SIGSTOP)
        try:
            yield
        finally:
            self.stack.hurt_all(part, signal.SIGCONT)

    def kill(self, part):
        self.stack.hurt_all(part, signal.SIGKILL)


def nap(rng, least, most):
    time.sleep(rng.uniform(least, most))


# ---- the app

@fault
def app_kill(world, rng):
    """kill -9 an instance, and start it again"""
    part = rng.choice(world.stack.apps())
    pid = world.stack.pid(part)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), 5, f"the end of {part}")
    nap(rng, 0, 0.5)
    world.stack.stack("start", part)


@fault
def app_halt(world, rng):
    """STOP an instance for a second, then CONT"""
    with world.halted(rng.choice(world.stack.apps())):
        nap(rng, 0.5, 1.5)


@fault
def app_restart(world, rng):
    """TERM an instance, and start it again, as a deployment does"""
    part = rng.choice(world.stack.apps())
    world.stack.stack("stop", part)
    world.stack.stack("start", part)


# ---- Redis

@fault
def redis_kill(world, rng):
    """kill -9 Redis, and start it empty"""
    try:
        world.kill("redis")
        nap(rng, 0, 1)
    finally:
        world.stack.stack("start", "redis")


@fault
def redis_halt(world, rng):
    """STOP Redis for 0.2 to 2 s, then CONT: it still has all of its data"""
    with world.halted("redis"):
        nap(rng, 0.2, 2)


@fault
def redis_flush(world, rng):
    """FLUSHALL"""
    world.redis().flushall()


@fault
def redis_full(world, rng):
    """maxmemory of next to nothing for a second: evictions, of the numbers of the
    tags too or of entries alone, then OOM"""
    client = world.redis()
    before = client.config_get("maxmemory*")
    try:
        client.config_set("maxmemory-policy", rng.choice(["allkeys-lru", "volatile-lru"]))
        client.config_set("maxmemory", rng.choice(["1", "1mb"]))
        nap(rng, 0.5, 1.5)
    finally:
        client.config_set("maxmemory", before["maxmemory"])
        client.config_set("maxmemory-policy", before["maxmemory-policy"])


@fault
def redis_no_metadata(world, rng):
    """DEL pupitre:meta, as an eviction would"""
    for _ in range(5):
        world.redis().delete("pupitre:meta")
        nap(rng, 0, 0.1)


@fault
def redis_readonly(world, rng):
    """a replica of nothing: every write is READONLY, until it is promoted"""
    client = world.redis()
    try:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        nap(rng, 0.3, 1.5)
    finally:
        client.execute_command("REPLICAOF", "NO", "ONE")


@fault
def redis_no_scripts(world, rng):
    """SCRIPT FLUSH"""
    world.redis().script_flush()


@fault
def redis_no_connections(world, rng):
    """CLIENT KILL TYPE normal, some times"""
    for _ in range(5):
        world.redis().execute_command("CLIENT", "KILL", "TYPE", "normal")
        nap(rng, 0, 0.1)


# ---- PostgreSQL

OURS = "application_name ~ '^pupitre( |$)'"


@fault
def postgres_no_connections(world, rng):
    """pg_terminate_backend of all connections of pupitre"""
    for _ in range(3):
        world.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where {OURS}")
        nap(rng, 0, 0.2)


@fault
def postgres_crash(world, rng):
    """kill -9 one backend: the server restarts itself"""
    rows = world.sql(f"select pid from pg_stat_activity where {OURS}")
    if rows:
        os.kill(rng.choice(rows)[0], signal.SIGKILL)
        nap(rng, 0.2, 0.5)


@fault
def postgres_halt(world, rng):
    """STOP all of PostgreSQL for a second, then CONT"""
    with world.halted("postgres"):
        nap(rng, 0.5, 1.5)


@fault
def postgres_kill(world, rng):
    """kill -9 all of PostgreSQL, and start it"""
    try:
        world.kill("postgres")
        nap(rng, 0, 0.5)
    finally:
        world.stack.stack("start", "postgres")
