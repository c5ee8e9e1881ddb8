import glob
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import fcgi  # noqa: E402
import openapi  # noqa: E402
from stack import School, Stack, check_fcgi  # noqa: E402

fcgi.Connection.check = check_fcgi


def is_whole(config, items):
    """Is every test of this folder to run?"""
    files = {os.path.basename(item.path) for item in items if str(item.path.parent) == HERE}
    narrowed = (config.option.keyword or config.option.markexpr or config.option.deselect
                or any("::" in word for word in config.args))
    return not narrowed and files == {
        os.path.basename(path) for path in glob.glob(os.path.join(HERE, "test_*.py"))}


def pytest_collection_modifyitems(config, items):
    """What looks back at all the others comes last, and not without them."""
    last = [item for item in items if item.get_closest_marker("after_all_others")]
    if not is_whole(config, items):
        for item in last:
            item.add_marker(pytest.mark.skip(reason="only after all the others"))
    items[:] = [item for item in items if item not in last] + last


def pytest_configure(config):
    config.addinivalue_line("markers", "after_all_others: looks back at the whole run")


@pytest.fixture(autouse=True)
def no_mismatch():
    """What is not as documented fails the test that came upon it, also when
    a thread did, or something that expected a failure."""
    before = len(openapi.mismatches)
    yield
    assert openapi.mismatches[before:] == []


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
