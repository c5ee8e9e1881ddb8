"""The document that describes the API: that it is whole, that no test goes
around it, and that everything in it is so."""
import ast
import glob
import gzip
import json
import os
import re
import threading

import pytest

import openapi
from client import exchange, get
from stack import ROOT, School, wait_until

HERE = os.path.join(ROOT, "tests", "http")
IDS = {"courseId": "none", "lessonId": "none"}
BIG = "a" * 70000
SITE = {"Sec-Fetch-Site": "same-origin"}


def operations(status=None, name=None):
    """(method, path with ids of nothing) of those that document that status, as
    the component of that name."""
    return [(method.upper(), path.format(**IDS)) for path, item in openapi.DOCUMENT["paths"].items()
            for method in openapi.METHODS if method in item
            and (not status or status in item[method]["responses"])
            and (not name or item[method]["responses"][status].get("$ref", "").endswith(
                "/" + name))]


# ---- the document


def test_it_is_served(stack):
    r = stack.get("/api/openapi.json")
    assert r.status_code == 200 and r.json() == openapi.DOCUMENT
    assert r.headers["Content-Type"] == "application/json"
    again = stack.get("/api/openapi.json", headers={"If-None-Match": r.headers["ETag"]})
    assert again.status_code == 304 and not again.content
    plain = stack.get("/api/openapi.json", headers={"Accept-Encoding": "identity"})
    assert plain.json() == openapi.DOCUMENT and "Content-Encoding" not in plain.headers
    direct = stack.instance("app").ask("GET", "/api/openapi.json")
    assert len(direct.body) * 5 < len(gzip.decompress(direct.body))


def routes():
    """METHOD and path of every entry of the table, but nginx's own question."""
    with open(f"{ROOT}/routes/routes.c") as f:
        found = re.findall(r'\{ \{ (GET|POST|PUT|PATCH|DELETE), "([^"]+)" \}', f.read())
    return {(m.lower(), re.sub(r":(\w+)", r"{\1}", p)) for m, p in found
            if not p.startswith("/_")}


def test_it_has_every_route_and_no_other():
    documented = {(method, path) for path, item in openapi.DOCUMENT["paths"].items()
                  for method in item if method in ("get", "post", "put", "patch", "delete")}
    assert documented == routes() and len(documented) > 25


def words_of(path, pattern):
    with open(os.path.join(ROOT, path)) as f:
        return set(re.findall(pattern, f.read()))


def test_it_has_every_code_of_an_error_and_no_other():
    ours = words_of("app/base/status.h", r'X\(\w+, [45]\d\d, "(\w+)"')
    of_nginx = words_of("deploy/nginx/pupitre-errors.conf", r'"code":"(\w+)"')
    documented = openapi.DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert set(documented) == ours | of_nginx and len(ours) > 10 and len(of_nginx) > 5
    text = json.dumps(openapi.DOCUMENT["components"]["responses"])
    assert all(f"`{code}`" in text for code in documented)


def test_it_has_every_cookie_and_no_other():
    read = words_of("deploy/nginx/pupitre-http.conf", r"\(\?:\^\|; \*\)([\w\\.-]+)=")
    schemes = openapi.DOCUMENT["components"]["securitySchemes"].values()
    assert {s["name"] for s in schemes if s["type"] == "apiKey"} == {
        name.replace("\\.", ".") for name in read} and len(read) == 6
    assert sorted(s["scheme"] for s in schemes if s["type"] == "http") == ["bearer", "bearer"]


def test_its_bounds_of_the_query_are_those_of_the_table():
    with open(f"{ROOT}/routes/routes.c") as f:
        table = f.read()
    for path, of in (("/api/public/lessons", "page"), ("/api/test/cache", "action")):
        text = re.search(r"struct param %s\[\] = \{(.*?)\n\};" % of, table, re.S).group(1)
        rows = {row.group(1): dict(re.findall(r"\.(\w+) = (\d+)", row.group(0)))
                for row in re.finditer(r'\{ "(\w+)".*?\}', text)}
        item = openapi.DOCUMENT["paths"][path]
        listed = item.get("parameters", []) + item["get"].get("parameters", [])
        for p in (p for p in map(openapi.followed, listed) if p["in"] == "query"):
            row, schema = rows.pop(p["name"]), p["schema"]
            if schema["type"] == "integer":
                assert (schema["minimum"], schema["maximum"], schema["default"]) == tuple(
                    int(row[k]) for k in ("min", "max", "fallback"))
            elif "enum" in schema:
                assert max(map(len, schema["enum"])) <= int(row["max"])
            else:
                assert schema["maxLength"] == int(row["max"])
        assert not rows


def test_it_says_of_every_route_who_may_call():
    with open(f"{ROOT}/routes/routes.c") as f:
        found = re.findall(r'\{ \{ ([A-Z]+), "([^"]+)" \},\s+([A-Z_]+)', f.read())
    assert len(found) > 25
    sessions = openapi.DOCUMENT["security"]
    assert {name for one in sessions for name in one} == set(
        openapi.DOCUMENT["components"]["securitySchemes"]) - {"operator"}
    wanted = {"ANYONE": [], "NETWORK": [], "SIGNED_IN": sessions, "ADMIN": sessions,
              "OPERATOR": [{"operator": []}, *sessions]}
    for method, path, who in found:
        if not path.startswith("/_"):
            path = re.sub(r":(\w+)", r"{\1}", path)
            operation = openapi.DOCUMENT["paths"][path][method.lower()]
            assert operation.get("security", sessions) == wanted[who], (method, path)


def fields_of_the_table():
    """{name of a table in routes.c: {field: (type, required, the rest)}}"""
    with open(f"{ROOT}/routes/routes.c") as f:
        text = f.read()
    tables = re.findall(r"struct field (\w+)\[\] = \{(.*?)\n\};", text, re.S)
    used = re.findall(r'\{ \{ ([A-Z]+), "([^"]+)" \},[^{]*?\.fields = (\w+)', text)
    rows = {name: {field: (kind, bool(required), rest) for field, kind, required, rest in
                   re.findall(r'\{ "(\w+)", FIELD_(\w+)(, true)?(.*?) \}', body)}
            for name, body in tables}
    return {(method.lower(), re.sub(r":(\w+)", r"{\1}", path)): rows[table]
            for method, path, table in used}


def test_its_bodies_are_those_of_the_table():
    found = fields_of_the_table()
    assert len(found) == 6
    longest, = words_of("app/auth/password.h", r"#define PASSWORD_MAX_BYTES (\d+)")
    for (method, path), rows in found.items():
        schema = openapi.followed(openapi.DOCUMENT["paths"][path][method]["requestBody"][
            "content"]["application/json"]["schema"])
        assert schema["additionalProperties"] is False
        assert set(schema["properties"]) == set(rows)
        assert set(schema.get("required", [])) == {n for n, row in rows.items() if row[1]}
        assert ("required" in schema) != ("minProperties" in schema)
        for name, (kind, _, rest) in rows.items():
            bounds = {k: int(v) for k, v in re.findall(
                r"\.(min|max) = (\d+)", rest.replace("PASSWORD_MAX_BYTES", longest))}
            has = schema["properties"][name]
            if kind == "WORD":
                assert " ".join(has["enum"]) == re.search(r'choices = "(.*?)"', rest).group(1)
            elif kind == "RANK":
                has = has["anyOf"][0]
                assert {"min": has["minimum"], "max": has["maximum"]} == bounds
            else:
                assert has["maxLength"] == bounds["max"]
                assert kind == "URL" or has.get("minLength", 0) == bounds["min"]


@pytest.mark.parametrize("path", openapi.DOCUMENT["paths"])
def test_what_is_not_documented_is_refused(stack, path):
    concrete = path.format(**IDS)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        if method.lower() not in openapi.DOCUMENT["paths"][path]:
            assert stack.ask(method, concrete).status_code == 405


def test_the_parameters_are_those_of_the_table(stack):
    """What the document says is out of bounds is refused, and its bounds are not."""
    for name, bad, good in (("page", 1000001, 1000000), ("limit", 101, 100),
                            ("search", "x" * 101, "x" * 100)):
        schema = openapi.DOCUMENT["components"]["parameters"][name]["schema"]
        assert schema.get("maximum", schema.get("maxLength")) in (good, len(str(good)))
        assert stack.get(f"/api/public/lessons?{name}={bad}").status_code == 400
        assert stack.get(f"/api/public/lessons?{name}={good}").status_code == 200




# ---- the validation itself

GOOD = openapi.Exchange(
    "GET", "/healthz", None, b"", 200, {
        "content-type": "application/json", "x-request-id": "0" * 32, **openapi.PROMISED},
    b'{"status":"ok"}')
LOGIN = GOOD._replace(
    method="POST", target="/api/auth/login", kind="application/json",
    sent=b'{"email":"a@b","password":"x"}',
    headers={**GOOD.headers, "set-cookie": "pupitre.session-token=x; Path=/; HttpOnly;"
             " SameSite=Lax; Max-Age=10"},
    body=b'{"user":{"id":"u","name":null,"email":null,"image":null,"role":"USER"}}')
REFUSED = GOOD._replace(
    target="/api/public/lessons?page=0", status=400,
    headers={**GOOD.headers, "content-type": "application/problem+json"},
    body=json.dumps({
        "type": "about:blank", "title": "Bad Request", "status": 400, "code": "bad_request",
        "detail": "The address is not valid; see errors.", "requestId": "0" * 32,
        "errors": [{"field": "page", "detail": "must be ..."}]}, separators=(",", ":")).encode())


def test_what_is_as_documented_passes():
    for e in (GOOD, LOGIN, REFUSED, GOOD._replace(method="HEAD", body=b"")):
        assert openapi.faults(e)[0] == []


@pytest.mark.parametrize("breach, why", [
    (GOOD._replace(body=b'{"status":"ok","more":1}'), "Additional properties"),
    (GOOD._replace(body=b'{"state":"ok"}'), "required|Additional"),
    (GOOD._replace(body=b""), "no body"),
    (GOOD._replace(method="HEAD"), "HEAD has a body"),
    (GOOD._replace(status=418), "not documented"),
    (GOOD._replace(target="/api/none"), "not documented"),
    (GOOD._replace(target="/page"), "no path of the API"),
    (GOOD._replace(headers={"content-type": "application/json"}),
     "lacks x-request-id.*x-content-type-options is None"),
    (GOOD._replace(headers={**GOOD.headers, "x-powered-by": "C"}), "x-powered-by"),
    (GOOD._replace(headers={**GOOD.headers, "content-type": "text/html"}), "as text/html"),
    (GOOD._replace(headers={**GOOD.headers, "server-timing": "soon"}), "server-timing"),
    (LOGIN._replace(headers=GOOD.headers), "lacks set-cookie"),
    (LOGIN._replace(sent=b'{"email":"a@b","password":"x","more":1}'), "forbids it.*Additional"),
    (LOGIN._replace(sent=b'{"email":"a@b","email":"a@b","password":"x"}'), "forbids it.*twice"),
    (LOGIN._replace(kind="text/plain"), "forbids it.*text/plain"),
    (LOGIN._replace(sent=b""), "forbids it.*JSON"),
    (REFUSED._replace(target="/api/public/lessons?page=1"), "called invalid"),
    (REFUSED._replace(status=401), "not documented|says 400"),
    (REFUSED._replace(body=REFUSED.body.replace(b'"status":400', b'"status":404')), "says 404"),
    (REFUSED._replace(body=REFUSED.body.replace(b"bad_request", b"odd")), "is not one of"),
    (REFUSED._replace(body=REFUSED.body.replace(b"0" * 32, b"1" * 32)), "requestId"),
    (REFUSED._replace(method="DELETE", status=405,
                      body=REFUSED.body.replace(b"400", b"405")), "lacks allow"),
])
def test_a_breach_is_seen(breach, why):
    found = "; ".join(openapi.faults(breach)[0])
    assert re.search(why, found), found


def test_answers_have_been_validated(stack):
    """Whichever way they came."""
    ways = [lambda: stack.get("/healthz"), lambda: stack.instance("app").get("/healthz"),
            lambda: stack.session.get(stack.url + "/healthz", stream=True),
            lambda: get(stack, "/healthz")]
    for way in ways:
        before = openapi.validated
        way()
        assert openapi.validated == before + 1


# What may ask, and what may talk of sockets for another reason.
WAYS = {"client.py", "fcgi.py", "stack.py"}
OTHER_SOCKETS = {
    ("conftest.py", "a switch"): "which it is that turns the validation of fcgi.py on",
    ("ctl.py", "socket"): "servers that speak nonsense to pupitrectl",
    ("test_ctl_doctor.py", "socket"): "a pooler between the doctor and PostgreSQL",
    ("test_server.py", "socket"): "a socket handed over as systemd does; one end shut down",
    ("test_server.py", "a script"): "a stranger's, whose bytes go to fcgi.check_bytes",
    ("test_wire_faults.py", "socket"): "the proxy's own test: its words are no requests",
}
# Reasons of what is asked of somebody else, with how many places say so.
NOT_OURS = {
    "Prometheus' own API": 1,
    "a frontend's": 1,
    "files of the page": 1,
    "a route of this copy alone": 1,
    "no such file": 2,
    "the frontend's errors": 1,
    "the page at the root": 1,
}
CLIENTS = {"requests", "http", "urllib3", "httpx", "aiohttp", "socket", "socketserver", "asyncio",
           "ssl", "pycurl", "httplib2", "xmlrpc"}
SERVERS = {"http", "http.server"}  # `from http import client` says http.client as well


def looked_at(path):
    """({modules and scripts that can ask}, [reasons of not_ours]) in a file."""
    with open(path) as f:
        tree = ast.parse(f.read())
    ways, reasons = set(), []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call):
            reasons += [k.value for k in node.keywords if k.arg == "not_ours"]
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            ways |= {"a switch" for name in ("check", "not_ours") if node.attr == name}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(
                r"\b(curl|wget|socat|ncat)\b|import [\w, ]*socket|/dev/tcp|consistency/run",
                node.value):
            ways.add("a script")
        for name in names:
            first = name.split(".")[0]
            if (first in CLIENTS or name == "urllib.request") and name not in SERVERS:
                ways.add(first)
    return ways, reasons


def test_no_test_goes_around_the_validation(tmp_path):
    found, reasons = set(), {}
    for path in sorted(glob.glob(os.path.join(HERE, "*.py"))):
        name = os.path.basename(path)
        ways, said = looked_at(path)
        if name not in WAYS:
            if name != "test_openapi.py":
                found |= {(name, way) for way in ways}
            for reason in said:
                assert isinstance(reason, ast.Constant), f"{name}: not_ours wants its reason there"
                reasons[reason.value] = reasons.get(reason.value, 0) + 1
    assert found == set(OTHER_SOCKETS)
    assert reasons == NOT_OURS
    for text in ("import requests", "from http import client", "import http.client as c",
                 "from urllib.request import urlopen", "import socket", "run(['curl', '-s'])",
                 "fcgi.Connection.check = None", "stack.session.not_ours = 'so'"):
        (tmp_path / "x.py").write_text(text)
        assert looked_at(tmp_path / "x.py")[0], text
    (tmp_path / "x.py").write_text("import http.server, urllib.parse; get(not_ours='so')")
    assert looked_at(tmp_path / "x.py")[0] == set() and len(looked_at(tmp_path / "x.py")[1]) == 1


# ---- what every operation answers

@pytest.mark.parametrize("status, lines, rest", [
    (400, f"X: {BIG}", ""),
    (413, "Content-Type: application/json\r\nContent-Length: 70000", BIG),
    (501, "Transfer-Encoding: br", ""),
])
def test_what_nginx_refuses(stack, status, lines, rest):
    for method, path in operations(str(status)):
        r = exchange(stack, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                            f"{lines}\r\n\r\n{rest}")
        assert r.status == status, (method, path)
    assert len(operations(str(status))) == len(operations())


def test_addresses_that_are_too_long(stack):
    for method, path in operations("414"):
        r = exchange(stack, f"{method} {path}?{BIG} HTTP/1.1\r\nHost: x\r\n"
                            "Connection: close\r\n\r\n")
        assert r.status == 414, (method, path)


def test_without_an_app_everything_is_503(fragile):
    fragile.stack("stop", "app")
    try:
        for method, path in operations():
            assert fragile.ask(method, path).status_code == 503, (method, path)
    finally:
        fragile.app_restart()


def test_without_a_session_it_is_401(stack):
    for method, path in operations("401", "Unauthenticated"):
        if path != "/api/auth/login":
            assert stack.ask(method, path).status_code == 401, (method, path)


def test_what_is_not_json_is_415(stack, school):
    _, token = school.admin()
    for method, path in operations("415"):
        r = stack.ask(method, path, token, data="name=x", headers={"Content-Type": "text/plain"})
        assert r.status_code == 415, (method, path)


def test_bodies_that_are_no_objects_are_400(stack, school):
    _, token = school.admin()
    for method, path in operations("415"):
        r = stack.ask(method, path, token, json=["x"])
        assert [e["field"] for e in r.json()["errors"]] == ["body"], (method, path)


def test_ids_that_are_none_are_400(stack, school):
    _, token = school.admin()
    for method, path in operations():
        if "none" in path:
            r = stack.ask(method, path.replace("none", "a:b"), token,
                          **({"json": {}} if (method, path) in operations("415") else {}))
            assert r.status_code == 400 and r.json()["errors"], (method, path)


def test_what_who_calls_may_not(stack, school):
    """A user where it takes an admin; a cookie without the proof elsewhere."""
    _, user = school.user()
    for method, path in operations("403", "Forbidden"):
        if "/admin/" in path or "/test/" in path:
            assert stack.ask(method, path, user).status_code == 403, (method, path)
        elif method != "GET":
            r = stack.ask(method, path, json={"email": "abc", "password": "x"}, headers={
                "Cookie": f"authjs.session-token={user}", "Sec-Fetch-Site": "cross-site"})
            assert r.status_code == 403, (method, path)


def test_what_is_not_there(stack, school):
    _, token = school.admin()
    bodies = {"POST": {"name": "abc", "content": ""}, "PATCH": {"name": "abc"},
              "PUT": {"progress": "COMPLETED"}}
    for method, path in operations("404"):
        if path == "/api/test/cache":
            path += "?action=get&key=none"
        if path != "/api/auth/me":  # see test_auth.py's gateway
            assert stack.ask(method, path, token, json=bodies.get(method)).status_code == 404, path


def test_reads_are_304_for_who_has_them(stack, school):
    admin, token = school.admin()
    course = school.course(admin)
    lesson = school.lesson(course, "PUBLIC")
    for path, item in openapi.DOCUMENT["paths"].items():
        if "304" not in item.get("get", {}).get("responses", {}):
            continue
        path = path.format(courseId=course, lessonId=lesson)
        first = stack.get(path, token)
        assert first.status_code == 200, path
        again = stack.get(path, token, headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304, path


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_actions_on_the_cache(stack, school, method):
    admin, token = school.admin()
    stack.app_restart(PUPITRE_WARM_KEYS=10)
    try:
        stack.get("/api/admin/courses", token)
        key = f"admin:courses:adminId:{admin}:limit:5:page:1:search:"
        for query in ("stats", "overview", "keys", f"get&key={key}", "clear&dryRun=1", "clear",
                      "invalidate&tag=all&dryRun=1", f"invalidate&pattern={key}", "warm&dryRun=1",
                      "warm"):
            r = stack.ask(method, f"/api/test/cache?action={query}", token)
            assert r.status_code == 200 and r.json()["success"] is True, query
        for query in ("nothing", "get", "invalidate", "invalidate&tag=a&course=b"):
            r = stack.ask(method, f"/api/test/cache?action={query}", token)
            assert r.status_code == 400 and r.json()["success"] is False, query
        r = stack.ask(method, "/api/test/cache?action=keys&limit=0", token)
        assert r.status_code == 400 and [e["field"] for e in r.json()["errors"]] == ["limit"]
    finally:
        stack.app_restart(PUPITRE_WARM_KEYS=0)


def test_a_database_that_is_not_ours_any_more_is_500(fragile):
    school = School(fragile)
    _, token = school.admin()
    gone = ('sessions', '"Lesson"', "pupitre.credential")
    fragile.sql("; ".join(f"alter table {table} rename to gone_{i}"
                          for i, table in enumerate(gone)))
    try:
        for method, path in operations("500"):
            body = {"email": "a@b", "password": "x"} if path == "/api/auth/login" else None
            r = fragile.ask(method, path, token, json=body)
            assert r.status_code == 500 and r.json()["code"] == "internal", (method, path)
    finally:
        for i, table in enumerate(gone):
            schema, _, name = table.rpartition(".")
            fragile.sql(f"alter table {schema + '.' if schema else ''}gone_{i} rename to {name}")
    wait_until(lambda: fragile.get("/api/auth/me", token).status_code == 200, 5, "recovery")


def test_the_operators_network_is_asked_for_by_nginx(fragile):
    path = os.path.join(os.path.realpath(fragile.run), "nginx", "pupitre-operator.conf")
    with open(path) as f:
        text = f.read()

    with open(path, "w") as f:
        f.write("deny all;\n")
    fragile.hurt("nginx", 1)
    try:
        wait_until(lambda: fragile.get("/metrics").status_code == 403, 5, "the new rule")
    finally:
        with open(path, "w") as f:
            f.write(text)
        fragile.hurt("nginx", 1)
    wait_until(lambda: fragile.get("/metrics").status_code == 200, 5, "the old rule")


def gone_meanwhile(stack, user, ask):
    """The answer to who is deleted while we wait for a lock of the deletion."""
    answers = []
    connection = stack.db()
    connection.autocommit = False
    cursor = connection.cursor()
    cursor.execute('delete from "User" where id = %s', (user,))
    thread = threading.Thread(target=lambda: answers.append(ask()))
    thread.start()
    waiting = ("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
               " and application_name ~ '^pupitre( |$)'")
    wait_until(lambda: stack.sql(waiting)[0][0] > 0, 5, "the write")
    connection.commit()
    connection.close()
    thread.join(10)
    return answers[0]


def test_who_is_deleted_while_they_write_is_told_of_a_conflict(fragile):
    school = School(fragile)
    owner, _ = school.admin()
    course = school.course(owner)
    lesson = school.lesson(course)

    def learner():
        user, token = school.user()
        school.join(user, course)
        assert fragile.get("/api/auth/me", token).status_code == 200
        return user, token

    for method, path, body in (
            ("PUT", f"/api/user/lessons/{lesson}/progress", {"progress": "COMPLETED"}),
            ("POST", "/api/admin/courses",
             {"name": "Abc", "image": "https://i.example/", "presentation": "x"})):
        user, token = school.admin() if "admin" in path else learner()
        fragile.get("/api/auth/me", token)
        r = gone_meanwhile(fragile, user, lambda: fragile.ask(method, path, token, json=body))
        assert r.status_code == 409 and r.json()["code"] == "conflict", r.text


# ---- everything that is documented

# (path, method, status, media type, schema), of what no test can bring about: why
NOT_SEEN = {}


@pytest.mark.after_all_others
def test_everything_that_is_documented_has_been_seen():
    documented = openapi.documented()
    assert len(documented) > 250 and not openapi.seen - documented
    missing = documented - openapi.seen
    lines = [" ".join(map(str, one)) for one in sorted(missing - set(NOT_SEEN), key=str)]
    assert not lines, "documented, and never seen:\n" + "\n".join(lines)
    assert not set(NOT_SEEN) - missing, "seen after all, or not documented"
