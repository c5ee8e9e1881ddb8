"""What happens to a stack while it is judged.  Each fault is a function that
does its harm, and leaves the system whole again."""
import signal
import subprocess
import time

import psycopg2
import redis


def _quietly(call):
    try:
        return call()
    except (psycopg2.Error, redis.RedisError, OSError, AssertionError,
            subprocess.SubprocessError):
        return None


class Faults:
    def __init__(self, stack, instances, random):
        self.stack, self.random = stack, random
        self.apps = ["app"] + [f"app{n}" for n in range(2, instances + 1)]

    def _an_app(self):
        return self.random.choice(self.apps)

    def _redis(self, *words):
        _quietly(lambda: self.stack.redis().execute_command(*words))

    def _halt(self, part, seconds):
        self.stack.hurt_all(part, signal.SIGSTOP)
        time.sleep(seconds)
        self.stack.hurt_all(part, signal.SIGCONT)

    # -- instances

    def app_killed(self):
        app = self._an_app()
        self.stack.hurt(app, signal.SIGKILL)
        time.sleep(self.random.uniform(0, 0.5))
        self.stack.stack("start", app)

    def app_halted(self):
        self._halt(self._an_app(), self.random.uniform(0.2, 2))

    def app_restarted(self):
        app = self._an_app()
        self.stack.stack("stop", app)
        self.stack.stack("start", app)

    # -- Redis

    def redis_killed(self):
        self.stack.hurt("redis", signal.SIGKILL)
        time.sleep(self.random.uniform(0, 0.5))
        self.stack.stack("start", "redis")

    def redis_halted(self):
        self._halt("redis", self.random.uniform(0.1, 2))

    def redis_flushed(self):
        self._redis("FLUSHALL")

    def redis_forgets_its_metadata(self):
        self._redis("DEL", "pupitre:meta")

    def redis_full(self):
        """Nothing can be stored, and everything is evicted."""
        self._redis("CONFIG", "SET", "maxmemory", "1mb")
        time.sleep(self.random.uniform(0.1, 1))
        self._redis("CONFIG", "SET", "maxmemory", "256mb")

    def redis_refuses_writes(self):
        self._redis("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self._redis("CONFIG", "SET", "maxmemory", "1")
        time.sleep(self.random.uniform(0.1, 1))
        self._redis("CONFIG", "SET", "maxmemory", "256mb")
        self._redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

    def redis_read_only(self):
        self._redis("REPLICAOF", "127.0.0.1", "1")
        time.sleep(self.random.uniform(0.1, 1))
        self._redis("REPLICAOF", "NO", "ONE")

    def redis_forgets_scripts(self):
        self._redis("SCRIPT", "FLUSH")

    def redis_connections_cut(self):
        self._redis("CLIENT", "KILL", "TYPE", "normal")

    # -- PostgreSQL

    def backends_terminated(self):
        _quietly(lambda: self.stack.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'pupitre'"))

    def backend_killed(self):
        """The server takes its shared memory for damaged, and starts again."""
        rows = _quietly(lambda: self.stack.sql(
            "select pid from pg_stat_activity where application_name = 'pupitre' limit 1"))
        if rows:
            subprocess.run(["kill", "-KILL", str(rows[0][0])], check=False)
        time.sleep(0.5)

    def postgres_halted(self):
        self._halt("postgres", self.random.uniform(0.2, 2))

    def postgres_killed(self):
        self.stack.hurt_all("postgres", signal.SIGKILL)
        self.stack.stack("start", "postgres")

    ALL = ("app_killed app_halted app_restarted redis_killed redis_halted redis_flushed"
           " redis_forgets_its_metadata redis_full redis_refuses_writes redis_read_only"
           " redis_forgets_scripts redis_connections_cut backends_terminated backend_killed"
           " postgres_halted postgres_killed").split()
    REDIS = [name for name in ALL if name.startswith("redis")]
