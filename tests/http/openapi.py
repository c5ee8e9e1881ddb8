"""Every answer of the HTTP tests against routes/openapi.json."""
import functools
import gzip
import json
import os
import re

import jsonschema

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
with open(os.path.join(ROOT, "routes", "openapi.json")) as f:
    DOCUMENT = json.load(f)
RESOLVER = jsonschema.RefResolver.from_schema(DOCUMENT)
PATHS = {path: re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + "$")
         for path in DOCUMENT["paths"]}
FORMATS = jsonschema.FormatChecker([])
validated = 0


@FORMATS.checks("date-time")
def is_date_time(value):
    return not isinstance(value, str) or bool(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value))


def followed(node):
    while "$ref" in node:
        node = RESOLVER.resolve(node["$ref"])[1]
    return node


def path_of(path):
    """A path without parameters is meant before one with them."""
    found = [p for p, pattern in PATHS.items() if pattern.match(path)]
    return min(found, key=lambda p: p.count("{"), default=None)


@functools.lru_cache(None)
def validator(path, method, status, media):
    content = followed(DOCUMENT["paths"][path][method]["responses"][status])["content"]
    return jsonschema.Draft202012Validator(
        content[media]["schema"], resolver=RESOLVER,
        format_checker=FORMATS)


def check(method, target, status, headers, body):
    """AssertionError if an answer of the API is not as the document says.
    HEADERS have names in lower case."""
    global validated
    path = path_of(target.partition("?")[0])
    if not path:
        return
    method = {"HEAD": "get"}.get(method, method.lower())
    known = DOCUMENT["paths"][path]
    media = headers.get("content-type", "").partition(";")[0]
    what = f"{method.upper()} {path}: {status}"
    if method not in known:
        # 400, 404: the address is only like that path.
        assert status in (400, 404, 405) and media == "application/problem+json", what
        return
    responses = known[method]["responses"]
    assert str(status) in responses, f"{what} is not documented"
    answer = followed(responses[str(status)])
    for name in answer.get("headers", {}):
        if name in ("ETag", "Allow", "Retry-After"):
            assert name.lower() in headers, f"{what} lacks {name}"
    if not body:
        return
    assert media in answer.get("content", {}), f"{what} as {media} is not documented"
    validated += 1
    if "json" not in media:
        return
    if headers.get("content-encoding") == "gzip" and body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    error = jsonschema.exceptions.best_match(
        validator(path, method, str(status), media).iter_errors(json.loads(body)))
    assert error is None, f"{what}: {error.message} at {list(error.absolute_path)}"
