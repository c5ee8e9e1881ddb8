"""Every answer of the HTTP tests against routes/openapi.json, and what was sent
for it as well.  client.py and fcgi.py bring them here; test_openapi.py sees to
it that no test goes another way."""
import collections
import functools
import gzip
import json
import os
import posixpath
import re
import threading
import urllib.parse

import jsonschema

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
with open(os.path.join(ROOT, "routes", "openapi.json")) as f:
    DOCUMENT = json.load(f)
METHODS = ("get", "post", "put", "patch", "delete")
RESOLVER = jsonschema.RefResolver.from_schema(DOCUMENT)
PATHS = {path: re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)) + "$")
         for path in DOCUMENT["paths"]}
FORMATS = jsonschema.FormatChecker([])
LOCK = threading.Lock()  # the resolver is no thing for threads

# What nginx, a gateway, or the router answers before there is an operation.
BEFORE = {"400": "BadRequest", "401": "GatewayUnauthenticated", "403": "GatewayForbidden",
          "413": "TooLarge", "414": "UriTooLong", "501": "NotImplemented", "503": "Unavailable"}
NO_METHOD = {**BEFORE, "405": "BadMethod"}
NO_PATH = {**NO_METHOD, "404": "NotFound"}
# HTTP's own headers; and what the document's introduction promises of all answers, by
# nginx and by the app.
USUAL = {"status", "date", "server", "connection", "keep-alive", "transfer-encoding", "vary",
         "content-type", "content-length", "content-encoding"}
PROMISED = {"x-content-type-options": "nosniff", "x-frame-options": "DENY",
            "referrer-policy": "no-referrer",
            "content-security-policy": "default-src 'none'; frame-ancestors 'none'"}
OF_THE_APP = {"cache-control": "private, no-cache"}

validated = 0
seen = set()  # (path, method, status, media type, schema if there are several)
mismatches = []  # also those that a thread kept to itself
not_ours = collections.Counter()  # answers that were let pass, by reason

Exchange = collections.namedtuple(
    "Exchange", "method target kind sent status headers body by_nginx",
    defaults=(None, None, None, {}, b"", True))
Exchange.__doc__ = """METHOD and TARGET as they were sent, with a content type and a body (None: not
known); headers of the answer with names in lower case; was it asked through nginx?"""


@FORMATS.checks("date-time")
def is_date_time(value):
    return not isinstance(value, str) or bool(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value))


def followed(node):
    while "$ref" in node:
        node = RESOLVER.resolve(node["$ref"])[1]
    return node


@functools.lru_cache(None)
def validator(schema):
    """Of a schema, given as JSON."""
    return jsonschema.Draft202012Validator(
        json.loads(schema), resolver=RESOLVER, format_checker=FORMATS)


def faults_in(schema, value, what):
    error = jsonschema.exceptions.best_match(
        validator(json.dumps(schema)).iter_errors(value))
    return [f"{what}: {error.message} at {list(error.absolute_path)}"] if error else []


# ---- which operation

def place(target):
    """The path as nginx passes it on: decoded, slashes merged, dots resolved."""
    path = re.sub("/+", "/", urllib.parse.unquote(target.partition("?")[0]))
    at_end = path.endswith(("/", "/.", "/.."))
    path = posixpath.normpath(path)
    return path + "/" if at_end and path != "/" else path


def is_ours(target):
    return any(re.match("/(api/|(healthz|readyz|metrics)$)", path)
               for path in (target.partition("?")[0], place(target)))


def path_of(path):
    """A path without parameters is meant before one with them."""
    found = [p for p, pattern in PATHS.items() if pattern.match(path)]
    return min(found, key=lambda p: p.count("{"), default=None)


def operation_of(e):
    """(path, method, operation) of the document; None where there is none."""
    path = path_of(place(e.target) if e.by_nginx else e.target.partition("?")[0])
    method = {"HEAD": "get"}.get(e.method, e.method.lower())
    return path, method, DOCUMENT["paths"].get(path, {}).get(method)


def response_of(e, path, operation):
    """What the document says of this answer, or None."""
    status = str(e.status)
    if operation:
        found = operation["responses"].get(status)
    else:
        name = (NO_METHOD if path else NO_PATH).get(status)
        found = name and DOCUMENT["components"]["responses"][name]
    return found and followed(found)


# ---- the answer

def header_faults(e, response):
    found = []
    documented = {name.lower(): followed(h) for name, h in response.get("headers", {}).items()}
    for name, header in documented.items():
        value = e.headers.get(name)
        if value is None:
            if header.get("required") and (e.by_nginx or name != "x-request-id"):
                found.append(f"lacks {name}")
            continue
        if header["schema"]["type"] == "integer" and value.isdigit():
            value = int(value)
        found += faults_in(header["schema"], value, name)
    promised = {**(PROMISED if e.by_nginx else {}),
                **(OF_THE_APP if "server-timing" in e.headers else {})}
    found += [f"{name} is {e.headers.get(name)}" for name, value in promised.items()
              if e.headers.get(name) != value]
    extra = set(e.headers) - set(documented) - set(promised) - USUAL
    return found + [f"has {name}, which is not documented" for name in sorted(extra)]


def problem_faults(e, problem):
    """What a schema cannot say."""
    found = []
    if problem.get("status") != e.status:
        found.append(f"the body says {problem.get('status')}")
    if e.by_nginx and problem.get("requestId") != e.headers.get("x-request-id"):
        found.append("the body has another requestId than the header")
    wanted = {405: "allow", 429: "retry-after", 503: "retry-after"}.get(e.status)
    # TRACE is refused by nginx, which does not know what the path takes.
    if (wanted and wanted not in e.headers and e.method != "TRACE"
            and problem.get("code") != "unknown_outcome"):
        found.append(f"lacks {wanted}")
    return found


def unpacked(e):
    body = e.body
    if e.headers.get("content-encoding") == "gzip" and body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    return body.decode()


def branch_of(schema, value):
    """Of several schemas the name of the one that fits."""
    fit = [one["$ref"].rpartition("/")[2] for one in schema.get("oneOf", [])
           if validator(json.dumps(one)).is_valid(value)]
    return fit[0] if len(fit) == 1 else None


def body_faults(e, response):
    """(faults, media type, schema's name if there are several)"""
    content = response.get("content", {})
    media = e.headers.get("content-type", "").partition(";")[0] or None
    if not content:
        return ([f"has a body of {len(e.body)} bytes"] if e.body else []), None, None
    if media not in content:
        return [f"as {media} is not documented"], media, None
    if e.method == "HEAD":
        return (["HEAD has a body"] if e.body else []), media, None
    if not e.body:
        return ["has no body"], media, None
    schema = content[media]["schema"]
    value = json.loads(unpacked(e)) if "json" in media else unpacked(e)
    branch = branch_of(schema, value)
    found = [] if branch else faults_in(schema, value, "body")
    if media == "application/problem+json" and not found:
        found = problem_faults(e, value)
    return found, media, branch


# ---- the request

def once(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a field twice")
    return dict(pairs)


def refuse(word):
    raise ValueError(f"{word} is no JSON")


def sent_faults(e, operation):
    """Why the document forbids this body."""
    wanted = operation.get("requestBody")
    if not wanted or e.sent is None:
        return []
    media = (e.kind or "").partition(";")[0].strip().lower()
    if media not in wanted["content"]:
        return [f"sent as {media or 'nothing'}"]
    if len(e.sent) > 65536:
        return ["sent more than 64 KiB"]
    try:
        value = json.loads(e.sent.decode(), object_pairs_hook=once, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        return [f"sent no strict JSON: {error}"]
    return faults_in(wanted["content"][media]["schema"], value, "sent")


def decoded(raw):
    """A value of the query, or None if it is not percent-encoded UTF-8."""
    if re.search("%(?![0-9A-Fa-f]{2})", raw):
        return None
    try:
        return urllib.parse.unquote_to_bytes(raw.replace("+", " ")).decode().strip(" \t\n\v\f\r")
    except UnicodeDecodeError:
        return None


def query_faults(query, parameter):
    name, schema = parameter["name"], parameter["schema"]
    given = [v for n, _, v in (pair.partition("=") for pair in query.split("&")) if n == name]
    if not given:
        return [f"{name} is missing"] if parameter.get("required") else []
    value = decoded(given[0])
    if len(given) > 1 or value is None:
        return [f"{name} is given twice, or not percent-encoded UTF-8"]
    if schema["type"] == "integer":
        if not re.fullmatch("[0-9]{1,18}", given[0]):
            return [f"{name} is no number"]
        value = int(value)
    return faults_in(schema, value, name)


def address_faults(e, path, operation):
    """Why the document forbids this address."""
    found = []
    _, _, query = e.target.partition("?")
    named = PATHS[path].match(place(e.target) if e.by_nginx else e.target.partition("?")[0])
    both = DOCUMENT["paths"][path].get("parameters", []) + operation.get("parameters", [])
    for parameter in map(followed, both):
        if parameter["in"] == "path":
            found += faults_in(parameter["schema"], named[parameter["name"]], parameter["name"])
        elif parameter["in"] == "query":
            found += query_faults(query, parameter)
    return found


def request_faults(e, path, operation):
    """What is done must be allowed by the document, and what it allows must not
    be called invalid."""
    forbidden = sent_faults(e, operation) + address_faults(e, path, operation)
    if 200 <= e.status < 300 and forbidden:
        return [f"was done, though the document forbids it: {forbidden}"]
    if e.status == 400 and not forbidden and b'"errors":[' in e.body:
        return [f"was called invalid, though the document allows it: {e.body[:500]} {e.sent}"]
    return []


# ---- all of it

def faults(e):
    """(what is wrong with it, and what of the document it has shown)"""
    path, method, operation = operation_of(e)
    if e.by_nginx and not is_ours(e.target):
        return ["no path of the API: say not_ours, and why, if that is meant"], None
    response = response_of(e, path, operation)
    if not response:
        return ["is not documented"], None
    wrong, media, branch = body_faults(e, response)
    wrong = wrong + header_faults(e, response)
    if operation:
        wrong += request_faults(e, path, operation)
    return wrong, (path, method, e.status, media, branch)


def check(e):
    """AssertionError if an exchange with the API is not as the document says."""
    global validated
    with LOCK:
        try:
            wrong, shown = faults(e)
        except ValueError as error:
            wrong, shown = [f"cannot be read: {error}"], None
        validated += 1
        if not wrong:
            note(*shown)
            return
        text = f"{e.method} {e.target[:200]}: {e.status}: " + "; ".join(wrong)
        mismatches.append(text)
    raise AssertionError(text)


def let_pass(reason):
    """An answer that is none of the API's."""
    with LOCK:
        not_ours[reason] += 1


# ---- what of the document has been seen

def note(path, method, status, media, branch):
    """405 is of the address: whatever method is listed there shares it."""
    if path is None:
        return
    known = [m for m in METHODS if m in DOCUMENT["paths"][path]]
    for one in known if status == 405 else [method]:
        if one in known:
            seen.add((path, one, status, media, branch))


def documented():
    """All that notes could be of."""
    found = set()
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            for status, response in item.get(method, {"responses": {}})["responses"].items():
                content = followed(response).get("content", {})
                for media in content or [None]:
                    several = content[media]["schema"].get("oneOf", []) if media else []
                    names = [one["$ref"].rpartition("/")[2] for one in several] or [None]
                    found |= {(path, method, int(status), media, name) for name in names}
    return found
