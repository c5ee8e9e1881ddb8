import os
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from database import ROOT, Database, without_prismas_parameters  # noqa: E402


@pytest.fixture(scope="session")
def server_url():
    if os.environ.get("DATABASE_URL"):
        yield without_prismas_parameters(os.environ["DATABASE_URL"])
        return
    # It lives until its standard input is closed, however these tests end.
    server = subprocess.Popen(
        [os.path.join(ROOT, "tests/unit/with-postgres"), "sh", "-c", 'echo "$DATABASE_URL"; cat'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = server.stdout.readline().strip()
    assert re.match("postgres", url), "the private PostgreSQL does not start"
    try:
        yield without_prismas_parameters(url)
    finally:
        server.stdin.close()
        server.wait(60)


@pytest.fixture
def empty(server_url):
    database = Database(server_url)
    yield database
    database.drop()


@pytest.fixture(scope="module")
def school(server_url):
    database = Database(server_url).migrate().demo(12)
    yield database
    database.drop()
