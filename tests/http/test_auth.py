"""Sessions, login, logout, the same-origin proof, the gateway mode."""
import hashlib
import http.server
import threading

import pytest

import openapi
from client import Session
from stack import School, Stack, wait_until

SITE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def account(stack, school):
    email = f"{school.tag}@example.org"
    env_app = ["user", "create", "--email", email, "--name", "Pat", "--role", "ADMIN",
               "--password-stdin"]
    done = stack_with_input(stack, env_app, "correct horse\n")
    assert done.returncode == 0, done.stderr
    return email, "correct horse"


def stack_with_input(stack, words, text):
    import os
    import subprocess
    from stack import BINARY, ROOT
    env = {**os.environ, "RUN_DIR": stack.run, "PORT": str(stack.port), "APP": BINARY}
    return subprocess.run([os.path.join(ROOT, "deploy", "stack"), "app", *words], env=env,
                          input=text, capture_output=True, text=True, timeout=60)


def login(stack, email, password, session=None, **headers):
    return stack.ask("POST", "/api/auth/login", json={"email": email, "password": password},
                     headers=headers, session=session or Session())


def test_login_me_logout(stack, account):
    session = Session()
    r = login(stack, *account, session=session)
    assert r.status_code == 200 and r.json()["user"]["email"] == account[0]
    cookie = r.headers["Set-Cookie"]
    for part in ("pupitre.session-token=pup_", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="):
        assert part in cookie
    assert session.get(stack.url + "/api/auth/me").json()["user"]["role"] == "ADMIN"
    assert session.post(stack.url + "/api/auth/logout").status_code == 403  # no proof
    token = session.cookies["pupitre.session-token"]
    r = session.post(stack.url + "/api/auth/logout", headers=SITE)
    assert r.json() == {"success": True} and "Max-Age=0" in r.headers["Set-Cookie"]
    # At once, although the session was cached.
    assert stack.get("/api/auth/me", token).status_code == 401


def test_wrong_passwords_and_unknown_people_look_the_same(stack, account, school):
    user, _ = school.user()
    answers = [login(stack, account[0], "wrong horse"),
               login(stack, "nobody@example.org", "x"),
               login(stack, f"{user}@example.org", "x")]  # has no password
    bodies = [{**r.json(), "requestId": ""} for r in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    for r in answers:
        assert r.status_code == 401 and "Set-Cookie" not in r.headers


def test_login_from_another_site_is_refused(stack, account):
    assert login(stack, *account, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert login(stack, *account, **{"Origin": "https://evil.example"}).status_code == 403
    assert login(stack, *account, **{"Origin": stack.url}).status_code == 200


def test_many_logins_are_limited(stack, account):
    statuses = [login(stack, "x@example.org", "y").status_code for _ in range(40)]
    assert 429 in statuses and set(statuses) <= {401, 429, 503}
    # The limit is by address: let the later tests in again.
    import time
    time.sleep(6)


def test_who_is_deleted_while_they_log_in(stack, account):
    """The session cannot be made any more."""
    lock = stack.db()
    lock.autocommit = False
    lock.cursor().execute('delete from "User" where email = %s', (account[0],))
    answers = []
    thread = threading.Thread(target=lambda: answers.append(login(stack, *account)))
    thread.start()
    waiting = ("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
               " and application_name ~ '^pupitre( |$)'")
    wait_until(lambda: stack.sql(waiting)[0][0] > 0, 5, "the new session")
    lock.commit()
    lock.close()
    thread.join(10)
    assert answers[0].status_code == 409 and "Set-Cookie" not in answers[0].headers


NAMES = ["next-auth.session-token", "__Secure-next-auth.session-token", "authjs.session-token",
         "__Secure-authjs.session-token", "pupitre.session-token",
         "__Host-pupitre.session-token"]


@pytest.mark.parametrize("name", NAMES)
def test_cookies(stack, school, name):
    user, token = school.user()
    for cookie in (f"{name}={token}", f"a=b; {name}={token}; c=d"):
        r = stack.get("/api/auth/me", headers={"Cookie": cookie})
        assert r.status_code == 200 and r.json()["user"]["id"] == user
    for cookie in (f"x{name}={token}", f"{name}x={token}", f"{name.upper()}={token}",
                   f"a=b{name}={token}"):
        assert stack.get("/api/auth/me", headers={"Cookie": cookie}).status_code == 401


def test_bearer_wins_over_a_cookie(stack, school):
    user, token = school.user()
    _, other = school.user()
    r = stack.get("/api/auth/me", token, headers={"Cookie": f"authjs.session-token={other}"})
    assert r.json()["user"]["id"] == user
    r = stack.get("/api/auth/me", headers={"Authorization": f"bearer  {token}"})
    assert r.status_code == 200
    r = stack.get("/api/auth/me", headers={"Authorization": "Basic xyz"})
    assert r.status_code == 401


def test_expired_and_unknown_sessions_are_401(stack, school):
    user, token = school.user()
    stack.sql("update sessions set expires = (now() at time zone 'UTC') - interval '1 second'"
              " where user_id = %s", user)
    assert stack.get("/api/auth/me", token).status_code == 401
    for odd in ("x", "x" * 400, "pup_" + "0" * 64, "%", "..", "'or'1'='1"):
        assert stack.get("/api/auth/me", headers={
            "Authorization": f"Bearer {odd}"}).status_code == 401


def test_a_session_that_ends_while_cached_is_over(stack, school):
    import time
    user, token = school.user()
    stack.sql("update sessions set expires = (now() at time zone 'UTC') + interval '1 second'"
              " where user_id = %s", user)
    assert stack.get("/api/auth/me", token).status_code == 200
    time.sleep(1.1)
    assert stack.get("/api/auth/me", token).status_code == 401


def test_a_stored_hash_is_no_token(stack, school):
    user, _ = school.user()
    token = stack.app("session", "create", "--user", f"{user}@example.org")
    stored = stack.sql("select session_token from sessions where user_id = %s"
                       " and session_token like 'pupitre%%'", user)[0][0]
    assert stack.get("/api/auth/me", token).status_code == 200
    for forged in (stored, stored.split("$")[1], "pup_" + stored.split("$")[1],
                   hashlib.sha256(token.encode()).hexdigest()):
        for header in ({"Authorization": f"Bearer {forged}"},
                       {"Cookie": f"authjs.session-token={forged}"}):
            assert stack.get("/api/auth/me", headers=header).status_code == 401
    from fcgi import Connection
    c = Connection(stack)
    assert c.ask("/api/auth/me", SESSION_TOKEN=stored, SESSION_SOURCE="bearer")[0] == 401
    c.close()


def test_writes_with_a_cookie_need_a_proof(stack, school):
    owner, token = school.admin()
    course = school.course(owner)
    path = f"/api/admin/courses/{course}"

    def write(**headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        return stack.ask("PATCH", path, json={"name": "Changed"}, headers={
            "Cookie": f"authjs.session-token={token}", **headers}).status_code

    assert write() == 403
    assert write(Sec_Fetch_Site="cross-site") == 403
    assert write(Sec_Fetch_Site="same-site") == 403
    assert write(Sec_Fetch_Site="none") == 403
    assert write(Origin="https://evil.example") == 403
    assert write(Origin="null") == 403
    assert write(Origin=stack.url + ".evil.example") == 403
    assert write(Origin=stack.url, Sec_Fetch_Site="cross-site") == 403
    assert stack.sql('select name from "Course" where id = %s', course)[0][0] != "Changed"
    assert write(Sec_Fetch_Site="same-origin") == 200
    assert write(Origin=stack.url) == 200
    assert stack.ask("PATCH", path, token, json={"name": "By bearer"}).status_code == 200


def test_clearing_by_get_needs_the_proof_too(stack, school):
    _, token = school.admin()
    cookie = {"Cookie": f"authjs.session-token={token}"}
    path = "/api/test/cache?action=clear"
    assert stack.get(path, headers=cookie).status_code == 403
    assert stack.get(path, headers={**cookie, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert stack.get(path, headers={**cookie, **SITE}).status_code == 200


def test_the_operators_token_opens_the_test_route_alone(stack):
    assert stack.get("/api/test/cache?action=stats", stack.token).status_code == 200
    assert stack.get("/api/admin/courses", stack.token).status_code == 401
    assert stack.get("/api/test/cache?action=stats", stack.token[:-1]).status_code == 401


# ---- the gateway mode

class Gateway(http.server.BaseHTTPRequestHandler):
    """Lets in who says so in X-Test; sends the identity as a gateway would."""

    def do_GET(self):
        who = self.headers.get("X-Test", "")
        self.send_response({"refuse": 401, "forbid": 403}.get(who, 204))
        if ":" in who:
            user, role = who.split(":")
            self.send_header("X-User-Id", user)
            self.send_header("X-User-Role", role)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def gateway():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    s = Stack()
    conf = s.folder + "/gateway.conf"
    with open(conf, "w") as f:
        f.write("location = /_pupitre_auth { internal;"
                f" proxy_pass http://127.0.0.1:{server.server_port}/;"
                ' proxy_pass_request_body off; proxy_set_header Content-Length ""; }')
    s.settings["GATEWAY"] = conf
    try:
        yield s.up()
    finally:
        s.down()
        server.shutdown()


def test_the_gateway_mode(gateway):
    s, school = gateway, School(gateway)
    admin, token = school.admin()
    course = school.course(admin)
    path = f"/api/admin/courses/{course}"

    def ask(who, method="GET", **headers):
        return s.ask(method, path, headers={"X-Test": who, **headers},
                     json={"name": "Gateway"} if method == "PATCH" else None).status_code

    assert ask(f"{admin}:ADMIN") == 200
    assert ask(f"{admin}:USER") == 403
    assert ask("somebody:ADMIN") == 404
    assert ask("nobody") == 401
    assert ask("refuse") == 401
    # Neither a session nor forged headers count here.
    assert s.get(path, token, headers={"X-Test": "nobody"}).status_code == 401
    assert ask("nobody", **{"X-User-Id": admin, "AUTH_USER_ID": admin}) == 401
    assert ask(f"{admin}:ADMIN", "PATCH") == 403
    assert ask(f"{admin}:ADMIN", "PATCH", **SITE) == 200


def test_the_page_behind_a_gateway_is_for_its_admins(gateway):
    def ask(who, path="/admin/cache/", method="GET"):
        return gateway.ask(method, path, headers={"X-Test": who}, not_ours="files of the page")

    for path in ("/admin/cache/", "/admin/cache/js/main.js", "/admin/cache/vendor/uPlot.esm.js"):
        r = ask("somebody:ADMIN", path)
        assert r.status_code == 200
        assert "default-src 'none'" in r.headers["Content-Security-Policy"]
        for who, status in (("somebody:USER", 403), ("nobody", 403), ("forbid", 403),
                            ("refuse", 401), (":ADMIN2", 403), (":", 403)):
            assert ask(who, path).status_code == status, (who, path)
    assert "javascript" in ask("somebody:ADMIN", "/admin/cache/js/main.js").headers["Content-Type"]
    assert ask("somebody:ADMIN", method="POST").status_code == 405
    assert "where this site lets you" in ask("refuse").text
    assert ask("refuse", "/admin/cache/signin/signin.css").status_code == 200
    for path in ("/admin/cache/../../none", "/admin/cache/js/%2e%2e/index.html",
                 "/admin/cache//js/main.js", "/nobody/admin/cache/index.html"):
        assert ask("somebody:USER", path).status_code in (403, 404), path
    for who, status in (("somebody:ADMIN", 200), ("somebody:USER", 403), ("nobody", 401)):
        r = gateway.get("/api/test/cache?action=overview", headers={"X-Test": who})
        assert r.status_code == status


def test_whatever_the_gateway_refuses_is_a_problem(gateway):
    """401 and 403 are its own, whoever may call that operation otherwise."""
    for path, item in openapi.DOCUMENT["paths"].items():
        for method in (m for m in item if m in openapi.METHODS and path.startswith("/api/")):
            for who, status in (("refuse", 401), ("forbid", 403)):
                r = gateway.ask(method.upper(), path.format(courseId="x", lessonId="y"),
                                headers={"X-Test": who})
                assert r.status_code == status, (method, path)


def test_who_the_gateway_knows_and_we_do_not(gateway):
    school = School(gateway)
    course = school.course(school.admin()[0])
    stranger = {"X-Test": "stranger:ADMIN", **SITE}
    assert gateway.get("/api/auth/me", headers=stranger).status_code == 404
    for method, path, body in (
            ("PUT", f"/api/user/courses/{course}/enrolment", None),
            ("POST", "/api/admin/courses",
             {"name": "Abc", "image": "https://i.example/", "presentation": "x"})):
        r = gateway.ask(method, path, headers=stranger, json=body)
        assert r.status_code == 409 and r.json()["code"] == "conflict", r.text
