"""Several pupitres behind one nginx: deploy/stack with INSTANCES."""
import signal
import time

import pytest

from stack import Stack, wait_until


@pytest.fixture(scope="module")
def three():
    s = Stack(INSTANCES=3)
    try:
        yield s.up()
    finally:
        s.down()


def answers(stack, count):
    return [stack.get("/healthz").status_code for _ in range(count)]


def all_answer(stack):
    """nginx leaves one that failed out for up to two seconds."""
    wait_until(lambda: answers(stack, 20) == [200] * 20, 5, "answers alone")


def test_each_instance_is_a_process_of_its_own(three):
    assert three.apps() == ["app", "app2", "app3"]
    assert len({three.pid(part) for part in three.apps()}) == 3
    for part in three.apps():
        assert three.instance(part).get("/readyz").status == 200
    assert three.stack("status").count("runs, process") == 6


def test_each_of_them_is_asked_by_nginx(three):
    for alone in three.apps():
        others = [part for part in three.apps() if part != alone]
        for part in others:
            three.stack("stop", part)
        all_answer(three)
        for part in others:
            three.stack("start", part)


def test_a_dead_instance_costs_few_requests(three):
    all_answer(three)
    three.hurt("app2", signal.SIGKILL)
    end = time.monotonic() + 2.5
    codes = []
    while time.monotonic() < end:
        codes += answers(three, 10)
    three.stack("start", "app2")
    # Each of nginx's two processes tries it once a second.
    assert codes.count(200) + codes.count(503) == len(codes) > 200
    assert codes.count(503) <= 8


def test_the_command_line_knows_the_number(three):
    """`status` and `start` without INSTANCES mean what `up` was told."""
    number = three.settings.pop("INSTANCES")
    try:
        assert "app3" in three.stack("status")
        three.stack("start", "nginx")
        with open(three.run + "/nginx/pupitre-http.conf") as f:
            assert f.read().count("/app") == 3
    finally:
        three.settings["INSTANCES"] = number


def test_fewer_instances_end_the_others(three):
    pids = [three.pid(part) for part in three.apps()]
    three.stack("up", INSTANCES=2)
    assert three.pid("app") == pids[0] and three.pid("app2") == pids[1]
    with pytest.raises(FileNotFoundError):
        three.pid("app3")
    all_answer(three)
