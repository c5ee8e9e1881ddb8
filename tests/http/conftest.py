import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from stack import School, Stack  # noqa: E402


@pytest.fixture(autouse=True)
def no_reports():
    """A sanitizer's report fails the test that brought it about."""
    before = {s: s.reports() for s in Stack.running}
    yield
    for s in Stack.running:
        report = s.reports()
        assert report == before.get(s, ""), report


@pytest.fixture(scope="session")
def stack():
    """One stack for all tests that do no harm to it."""
    s = Stack()
    try:
        yield s.up()
    finally:
        s.down()


@pytest.fixture
def school(stack):
    return School(stack)


@pytest.fixture(scope="module")
def fragile():
    """A stack of a module's own, for tests that kill and stop its parts."""
    s = Stack()
    try:
        yield s.up()
    finally:
        s.down()
