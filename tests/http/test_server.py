"""The server as a process: connections, hostile bytes, signals, commands."""
import concurrent.futures
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

import fcgi
from client import Session, Wire
from fcgi import Connection
from stack import BINARY, BUILD, ROOT, School, Stack, wait_until


def test_idle_and_half_open_connections_slow_nobody(stack, school):
    _, token = school.admin()
    idle = [Connection(stack) for _ in range(300)]
    for c in idle:
        assert c.ask("/healthz")[0] == 200
    whole = fcgi.request("/api/public/lessons")
    half = [Connection(stack) for _ in range(200)]
    for i, c in enumerate(half):
        c.send(whole[:1 + i % (len(whole) - 1)])
    # And towards nginx: requests that never end.
    slow = []
    for _ in range(100):
        slow.append(Wire(stack))
        slow[-1].send(b"GET /api/public/lessons HTTP/1.1\r\nHost: x\r\n")
    for _ in range(50):
        began = time.monotonic()
        assert stack.get("/api/admin/courses", token).status_code == 200
        assert time.monotonic() - began < 1
    for c in idle[:20]:
        assert c.ask("/healthz")[0] == 200
    for c in idle + half:
        c.close()
    for s in slow:
        s.close()


def test_forged_records_in_a_body_reach_no_handler(stack, school):
    """Through the real nginx: a 64 KB body of FastCGI records, at many offsets,
    on a route that answers early."""
    user, _ = school.admin()
    victim = school.course(user)
    forged = fcgi.request(f"/api/admin/courses/{victim}", "DELETE", AUTH_USER_ID=user,
                          AUTH_USER_ROLE="ADMIN", SESSION_SOURCE="bearer",
                          REQUEST_ID="forged-request")
    session = Session()
    for offset in range(0, 900, 9):
        body = b"x" * offset
        while len(body) + len(forged) <= 65536:
            body += forged
        body += b"x" * (65536 - len(body))
        r = stack.ask("POST", "/api/admin/courses", data=body, session=session,
                      headers={"Content-Type": "application/json"})
        assert r.status_code == 401
        r = stack.get("/healthz", session=session)
        assert r.status_code == 200 and r.json() == {"status": "ok"}
    assert "forged-request" not in stack.log_text()
    assert stack.sql('select count(*) from "Course" where id = %s', victim) == [(1,)]


def test_forged_records_straight_to_the_socket(stack, school):
    forged = fcgi.request("/healthz", REQUEST_ID="forged-direct")
    c = Connection(stack)
    for offset in range(0, 200):
        body = b"x" * offset + forged * 100
        assert c.ask("/api/admin/courses", "POST", body[:60000])[0] == 401
        assert c.ask("/healthz", REQUEST_ID="honest")[0] == 200
    c.close()
    assert "forged-direct" not in stack.log_text()


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, fcgi.begin(role=2), fcgi.begin(role=3),
    fcgi.record(fcgi.GET_VALUES, fcgi.pairs({"FCGI_MAX_CONNS": ""}) * 20, 0),
    fcgi.begin() + fcgi.record(fcgi.GET_VALUES, b"", 0),
    fcgi.begin() + fcgi.record(fcgi.PARAMS, b"\xff\xff\xff\xff\xff\xff\xff\xffab"),
    fcgi.begin() + fcgi.record(fcgi.PARAMS, b"\x01\x05ab") + fcgi.record(fcgi.PARAMS),
    fcgi.begin() + fcgi.begin(), fcgi.begin() + fcgi.record(fcgi.STDIN, b"x"),
    fcgi.begin() + fcgi.record(fcgi.ABORT), b"\x01\x01\x00\x01\xff\xff\xff\x00" + b"x" * 65536,
])
def test_bytes_that_are_no_request_end_their_connection(stack, data):
    c = Connection(stack)
    c.send(data)
    c.socket.shutdown(socket.SHUT_WR)
    try:
        assert c.answer() is None
    except ConnectionResetError:
        pass
    c.close()
    assert stack.get("/healthz").status_code == 200


def test_a_storm_is_answered_or_refused_at_once(school, stack):
    _, token = school.admin()
    _, cold = school.user()
    stack.clear()
    stack.get("/api/admin/courses", token)

    def read(i):
        with Session() as session:
            return [stack.get(f"/api/user/courses?search=x{i}-{j}", cold,
                              session=session).status_code for j in range(20)]

    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        statuses = sum(pool.map(read, range(60)), [])
    assert set(statuses) <= {200, 503} and statuses.count(200) > 600


def test_hup_reads_the_file_again(school):
    s = Stack()
    env_file = os.path.join(s.folder, "env")

    def write(text):
        with open(env_file, "w") as f:
            f.write(text)
        os.chmod(env_file, 0o644)

    write("# settings\nPUPITRE_TTL_COURSE_DETAIL_S=1000\nPUPITRE_LOG_LEVEL='info'\n")
    s.settings["PUPITRE_ENV_FILE"] = env_file
    try:
        s.up()
        here = School(s)
        admin, token = here.admin()

        def life():
            course = here.course(admin)
            s.get(f"/api/admin/courses/{course}", token)
            return s.redis().ttl(s.redis_key(f"admin:course:details:courseId:{course}"))

        assert 880 <= life() <= 1000
        write("PUPITRE_TTL_COURSE_DETAIL_S=50\nPUPITRE_LOG_LEVEL=error\n")
        s.hurt("app", signal.SIGHUP)
        wait_until(lambda: life() <= 50, 5, "the reload")
        lines = len(s.log_lines("request"))
        assert s.get("/healthz").status_code == 200
        assert len(s.log_lines("request")) == lines
        write("PUPITRE_TTL_COURSE_DETAIL_S=none\n")
        s.hurt("app", signal.SIGHUP)
        wait_until(lambda: "kept as it was" in s.log_text(), 5, "the refusal")
        assert life() <= 50
    finally:
        s.down()


def test_term_finishes_what_is_under_way_and_exits_0(school):
    s = Stack()
    try:
        s.up()
        here = School(s)
        admin, token = here.admin()
        course = here.course(admin)
        path = f"/api/admin/courses/{course}"
        blocker = s.db()
        blocker.autocommit = False
        with blocker.cursor() as cursor:
            cursor.execute('select 1 from "Course" where id = %s for update', (course,))
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            writing = pool.submit(s.ask, "PATCH", path, token, json={"name": "Last words"})
            time.sleep(0.3)
            pid = s.pid("app")
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.2)
            blocker.rollback()
            assert writing.result().status_code == 200
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "the end")
        assert s.sql('select name from "Course" where id = %s', course) == [("Last words",)]
        assert [e["message"] for e in s.log_lines("stop")] == ["finishing requests under way"]
    finally:
        s.down()


def run_app(*words, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PUPITRE_")}
    return subprocess.run([BINARY, *words], env={**clean, **env}, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=30)


def test_a_process_of_its_own_ends_with_0_on_term(stack, tmp_path):
    path = str(tmp_path / "own.sock")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PUPITRE_")}
    process = subprocess.Popen([BINARY], stderr=subprocess.PIPE, text=True, env={
        **clean, "PUPITRE_LISTEN": path, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x",
        "PUPITRE_LOG_FORMAT": "logfmt"})
    wait_until(lambda: os.path.exists(path), 10, "the socket")
    assert os.stat(path).st_mode & 0o777 == 0o660
    second = run_app(PUPITRE_LISTEN=path, DATABASE_URL="postgresql://x@127.0.0.1:1/x")
    assert second.returncode == 1 and "another process answers" in second.stderr
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "level=info event=start" in err and not os.path.exists(path)


def test_a_socket_from_systemd_is_used(stack, tmp_path):
    """As systemd hands it over: descriptor 3, LISTEN_FDS, LISTEN_PID."""
    path = str(tmp_path / "systemd.sock")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(16)
    env = {**stack.app_environment(), "LISTEN_FDS": "1"}
    process = subprocess.Popen(
        ["/bin/bash", "-c", f"LISTEN_PID=$$ exec {BINARY} 3<&{listening.fileno()}"], env=env,
        pass_fds=[listening.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        listening.close()
        assert fcgi.Connection(path).ask("/readyz").status == 200
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_strangers_are_not_answered(stack):
    """The socket's mode keeps them out; the check behind it does so too."""
    if os.getuid():
        pytest.skip("only root can become a stranger")
    path = os.path.join(os.path.realpath(stack.run), "app.sock")
    script = ("import os, socket, sys\n"
              "s = socket.socket(socket.AF_UNIX)\n"
              "s.connect(sys.argv[1])\n"
              "s.sendall(sys.stdin.buffer.read())\n"
              "while piece := s.recv(65536):\n"
              "    sys.stdout.buffer.write(piece)\n")
    before = os.stat(path).st_mode, os.stat(os.path.dirname(path)).st_mode

    asked = fcgi.request("/healthz", keep=False)

    def ask(user):
        done = subprocess.run(
            ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "/usr/bin/python3",
             "-c", script, path], input=asked, capture_output=True, timeout=20)
        return done.stdout

    try:
        os.chmod(path, 0o666)
        os.chmod(os.path.dirname(path), 0o755)
        assert fcgi.check_bytes(asked, ask("www-data")).status == 200
        assert ask("65534") == b""
    finally:
        os.chmod(path, before[0])
        os.chmod(os.path.dirname(path), before[1])
    wait_until(lambda: stack.log_lines("peer"), 5, "the refusal in the log")


def test_help_and_bad_settings():
    shown = run_app("--help")
    assert shown.returncode == 0
    for word in ("DATABASE_URL", "PUPITRE_MEMORY_BYTES", "migrate", "session create"):
        assert word in shown.stdout
    assert run_app("--version").stdout.startswith("pupitre ")
    assert run_app("dance").returncode == 2
    bad = run_app("--check", PUPITRE_WORKER="3", PUPITRE_QUEUE="many", PUPITRE_DB_POOL="0",
                  PUPITRE_LOG_LEVEL="loud", UPSTASH_REDIS_REST_URL="https://x.example",
                  PUPITRE_OPERATOR_TOKEN="short")
    assert bad.returncode == 1
    for word in ("PUPITRE_WORKER: there is no such setting; did you mean PUPITRE_WORKERS?",
                 "PUPITRE_QUEUE", "PUPITRE_DB_POOL", "PUPITRE_LOG_LEVEL",
                 "UPSTASH_REDIS_REST_TOKEN", "PUPITRE_OPERATOR_TOKEN"):
        assert word in bad.stderr
    assert "short" not in bad.stderr
    nothing = run_app(DATABASE_URL="postgresql://x@127.0.0.1:1/x")
    assert nothing.returncode == 1 and "spawn-fcgi" in nothing.stderr


def test_check_says_what_is_wrong_and_no_secret(stack):
    out = stack.stack("app", "--check")
    for name in ("PostgreSQL   ok", "migrations   ok", "outbox       ok", "Redis        ok"):
        assert name in out
    assert stack.token not in out
    bad = run_app("--check", DATABASE_URL="postgresql://me:s3cret@127.0.0.1:1/x",
                  REDIS_URL="redis://:s3cret@127.0.0.1:1")
    assert bad.returncode == 1 and "s3cret" not in bad.stdout + bad.stderr
    assert "PostgreSQL   FAILED" in bad.stdout and "Redis        FAILED" in bad.stdout


def test_commands(stack, school):
    assert stack.app("migrate") == stack.app("migrate")  # twice is fine
    user, _ = school.user()
    token = stack.app("session", "create", "--user", f"{user}@example.org")
    assert stack.get("/api/auth/me", token).json()["user"]["id"] == user
    email = f"new-{school.tag}@example.org"
    created = stack.app("user", "create", "--email", email, "--role", "ADMIN")
    token = stack.app("session", "create", "--user", email)
    assert stack.get("/api/auth/me", token).json()["user"]["id"] == created
    for words in (["user", "create", "--email", email], ["user", "create", "--email", "no"],
                  ["session", "create", "--user", "nobody@example.org"],
                  ["session", "create"], ["user", "create", "--email", "a@b", "--role", "KING"]):
        with pytest.raises(AssertionError):
            stack.app(*words)


@pytest.mark.skipif(BUILD != "release", reason="it starts the release build")
@pytest.mark.parametrize("through", ["socket", "nginx"])
def test_the_command_line_test(stack, through):
    stack.app("demo")
    words = ["--url", stack.url] if through == "nginx" else []
    done = subprocess.run(
        [os.path.join(ROOT, "tests/test-cache"), "--reads", "3", *words], text=True, timeout=60,
        capture_output=True, env={**os.environ, "RUN_DIR": stack.run, "PORT": str(stack.port),
                             "VALIDATE": "1"})
    assert done.returncode == 0, done.stderr
    assert "3. second read" in done.stdout and "improvement: " in done.stdout
    assert "9 answers are as documented" in done.stdout, done.stdout
    stack.clear()


def test_on_a_database_of_prismas_migrations_add_only_ours(stack):
    """The application's tables are there already; nothing of them changes."""
    stack.sql("create database existing")
    host = os.path.join(os.path.realpath(stack.run), "pg")
    url = f"postgresql:///existing?host={host}&user=pupitre&schema=public&connection_limit=5"
    import psycopg2
    connection = psycopg2.connect(host=host, dbname="existing", user="pupitre")
    connection.autocommit = True
    cursor = connection.cursor()
    with open(os.path.join(ROOT, "sql/migrations/0001_tables.sql")) as f:
        cursor.execute(f.read())

    def shape():
        cursor.execute("select table_name, column_name, data_type, column_default"
                       " from information_schema.columns where table_schema = 'public'"
                       " order by 1, 2")
        columns = cursor.fetchall()
        cursor.execute("select indexname from pg_indexes where schemaname = 'public'"
                       " and indexname not like 'pupitre\\_%' order by 1")
        return columns, cursor.fetchall()

    before = shape()
    done = run_app("migrate", DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    assert shape() == before
    cursor.execute("select nspname from pg_namespace where nspname = 'pupitre'")
    assert cursor.fetchall()
    connection.close()


def test_the_include_beside_a_frontend(stack, tmp_path):
    """In somebody's own server block, with files of a frontend."""
    prefix = tmp_path / "etc"
    done = subprocess.run(["make", "-s", "install", f"DESTDIR={tmp_path}/root", "prefix=/usr"],
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    installed = tmp_path / "root/usr/share/pupitre/nginx"
    prefix.mkdir()
    for f in installed.iterdir():
        text = f.read_text().replace("/usr/share/pupitre/nginx/", f"{prefix}/")
        text = text.replace("/run/pupitre/pupitre.sock",
                            os.path.join(os.path.realpath(stack.run), "app.sock"))
        (prefix / f.name).write_text(text)
    from stack import free_port
    port = free_port()
    (tmp_path / "www").mkdir()
    (tmp_path / "www/index.html").write_text("the frontend")
    (prefix / "nginx.conf").write_text(f"""
        {"user www-data;" if os.getuid() == 0 else ""}
        pid {tmp_path}/pid; error_log {tmp_path}/error.log; daemon off;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p;
            fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u;
            scgi_temp_path {tmp_path}/s;
            include {prefix}/pupitre-http.conf;
            server {{
                listen 127.0.0.1:{port};
                include {prefix}/pupitre-server.conf;
                location / {{ root {tmp_path}/www; }}
                location /api/auth/ {{ return 200 "Auth.js"; }}
            }}
        }}""")
    for folder in tmp_path.parents:
        if folder.owner() == "root" and str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o711)
    tmp_path.chmod(0o755)
    nginx = subprocess.Popen(["/usr/sbin/nginx", "-c", str(prefix / "nginx.conf"), "-e",
                              f"{tmp_path}/error.log"])
    try:
        url = f"http://127.0.0.1:{port}"
        session, frontend = Session(), Session(not_ours="a frontend's")

        def answers():
            try:
                return frontend.get(url).text == "the frontend"
            except OSError:
                return False
        wait_until(answers, 10, "nginx")
        r = session.get(url + "/api/public/lessons")
        assert r.status_code == 200 and r.headers["X-Content-Type-Options"] == "nosniff"
        assert session.get(url + "/readyz").status_code == 200
        assert frontend.get(url + "/api/auth/session").text == "Auth.js"
        assert session.get(url + "/api/auth/me").status_code == 401
    finally:
        nginx.terminate()
        nginx.wait(10)


@pytest.mark.skipif(BUILD != "release", reason="builds a whole copy: once is enough")
def test_a_cached_route_is_one_sql_file_and_one_table_entry(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(
        ".git", ".run", ".build", "__pycache__", ".pytest_cache"))
    sql = ("-- $1 userId, $2 limit\n"
           "select pupitre.list('data', string_agg(to_json(name)::text, ','), count(*), 1, $2::int)"
           " as body,\n"
           "  array['user:' || $1 || ':courses', 'courses:published'] as tags\n"
           'from "Course" c join "CourseOnUser" j on j."courseId" = c.id and j."userId" = $1\n')
    entry = ('\t{ { GET, "/api/user/joined" }, SIGNED_IN, page,\n'
             '\t    { "user:joined", SEARCH_RESULTS, KEYED_BY("userId", "limit") },\n'
             '\t    .query = SQL(user_joined) },\n\n')
    assert sql.count("\n") + entry.count("\n") <= 20
    (copy / "sql/queries/user_joined.sql").write_text(sql)
    table = copy / "routes/routes.c"
    at = '\t{ { GET, "/api/user/courses" }'
    table.write_text(table.read_text().replace(at, entry + at))
    done = subprocess.run(["make", "-s", "-j2"], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    s = Stack(APP=str(copy / ".build/release/pupitre"))
    try:
        s.up()
        school = School(s)
        admin, _ = school.admin()
        user, token = school.user()
        course = school.course(admin, name="Joined one")

        def joined(token=None):
            return s.get("/api/user/joined", token, not_ours="a route of this copy alone")

        assert joined(token).json()["data"] == []
        s.ask("PUT", f"/api/user/courses/{course}/enrolment", token)
        assert joined(token).json()["data"] == ["Joined one"]
        assert "hit" in joined(token).headers["Cache-Status"]
        assert joined().status_code == 401
        assert f"user:joined:limit:5:userId:{user}" in s.stats()["sampleKeys"]
    finally:
        s.down()
