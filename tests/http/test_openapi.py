"""The document that describes the API, and that it is whole."""
import gzip
import re

import pytest

import openapi
from stack import ROOT

IDS = {"courseId": "none", "lessonId": "none"}


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


@pytest.mark.parametrize("status, body, why", [
    (200, b'{"status":"ok","more":1}', "Additional properties"),
    (200, b'{"state":"ok"}', "required|Additional"),
    (418, b"{}", "not documented"),
])
def test_a_breach_is_seen(status, body, why):
    with pytest.raises(AssertionError, match=why):
        openapi.check("GET", "/healthz", status, {"content-type": "application/json"}, body)


def test_answers_have_been_validated(stack):
    before = openapi.validated
    stack.get("/healthz")
    assert openapi.validated == before + 1
