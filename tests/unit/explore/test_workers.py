# SPDX-License-Identifier: GPL-2.0-only
"""Workers that are killed, raise, or lose their rung: named, replaced, and nothing that they had sent is lost."""
from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from kemu.explore.crew import Crew, Ended, Message, Send
from kemu.explore.experiment import Experiment, registry
from kemu.explore.progress import Listener, Progress
from kemu.explore.run import Run, RungLost
from kemu.explore.stop import Stop, on_signals
from kemu.explore.workers import review_on, search_on
from tests.unit.explore.test_search import BUFFERS

PARENT = os.getpid()


def killer(run: Run) -> None:
    """Ends its own process at some values."""
    if run.pick.int("n", 0, 50) == 50 and os.getpid() != run_parent():
        os.kill(os.getpid(), signal.SIGKILL)


def run_parent() -> int:
    return PARENT


def deadly(run: Run) -> None:
    """Ends its own process always."""
    if os.getpid() != run_parent():
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)


def fails(run: Run) -> None:
    """Fails from 3 on."""
    n = run.pick.int("n", 0, 1000)
    if n >= 3:
        run.fail("too large", cause="large")


class _Gone(RungLost):
    exit_code = 4


def loses(run: Run) -> None:
    """The third value has no kernel."""
    if run.pick.int("n", 0, 1000) > 500:
        raise _Gone("no kernel")
    run.fail("seen before", cause="before")


KILLER, DEADLY, FAILS, LOSES = (Experiment(f"w.{fn.__name__}", "w", fn) for fn in (killer, deadly, fails, loses))


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    global PARENT
    PARENT = os.getpid()
    before = dict(registry)
    registry.update({e.name: e for e in (KILLER, DEADLY, FAILS, LOSES, BUFFERS)})
    yield
    registry.clear()
    registry.update(before)


def test_messages_before_the_end_and_how_it_ended() -> None:
    def body(send: Send, n: int) -> None:
        send("hello", "x" * 100_000)
        if n == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if n == 2:
            os._exit(3)
        if n == 3:
            raise ValueError("what")

    seen: dict[int, list[str]] = {n: [] for n in range(4)}
    with Crew() as crew:
        for n in range(4):
            crew.start(n, body, n)
        while crew:
            for e in crew.events(1.0):
                seen[e.key].append(e.what[0] if isinstance(e, Message) else e.how)
    assert (seen == {0: ["hello", ""], 1: ["hello", "was killed by SIGKILL"], 2: ["hello", "ended with exit code 3"],
                     3: ["hello", "failed: ValueError: what"]})


def test_a_half_sent_message_does_not_hold_the_others() -> None:
    def half(send: Send) -> None:
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
        send("x" * (64 << 20))                  # more than a pipe holds

    def whole(send: Send) -> None:
        send("whole")

    with Crew() as crew:
        crew.start(0, half)
        crew.start(1, whole)
        time.sleep(0.5)
        start = time.monotonic()
        seen: list[Message | Ended] = []
        while crew:
            seen += list(crew.events(1.0))
    assert time.monotonic() - start < 5
    assert (Message(1, ("whole",)) in seen and [e.how for e in seen if isinstance(e, Ended) and e.key == 0]
            == ["was killed by SIGKILL"])


def test_a_dead_worker_is_named_and_replaced() -> None:
    said: list[str] = []
    p = search_on(2, [KILLER, FAILS], examples=400, listen=Listener(trouble=said.append))
    assert said and "was killed by SIGKILL in w.killer" in said[0] and "pid " in said[0] and said == p.trouble
    assert [f.cause for f in p.findings] == ["large"]
    assert p.examples >= 300


def test_an_experiment_that_ends_every_worker_is_given_up_and_the_others_go_on() -> None:
    p = search_on(2, [DEADLY, FAILS], examples=300)
    assert "w.deadly" in p.given_up and any("SIGSEGV in w.deadly" in line for line in p.trouble)
    assert [f.cause for f in p.findings] == ["large"] and p.per_experiment["w.fails"] > 100


def test_only_deadly_ones_come_to_an_end() -> None:
    p = search_on(2, [DEADLY], seconds=20)
    assert p.given_up and p.seconds < 15


@pytest.mark.parametrize("workers", [1, 2])
def test_a_lost_rung_leaves_what_was_found(workers: int) -> None:
    p = search_on(workers, [LOSES], examples=400)
    assert p.lost == ("no kernel", 4) and [f.cause for f in p.findings] == ["before"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_ends_with_what_there_is(workers: int) -> None:
    stop = Stop()
    met: list[str] = []

    def example(p: Progress) -> None:
        if p.findings:
            stop.signal = "SIGINT"

    listen = Listener(example=example, met=lambda f: met.append(f.cause), stop=stop)
    start = time.monotonic()
    p = review_on(workers, [FAILS, BUFFERS], 30.0, listen=listen)
    assert p.interrupted and time.monotonic() - start < 10
    assert set(met) == {f.cause for f in p.findings} and met


def test_the_first_signal_asks_and_the_second_ends() -> None:
    told: list[str] = []
    at_first = signal.signal(signal.SIGINT, signal.default_int_handler)        # whoever started the tests may have it ignored
    before = signal.getsignal(signal.SIGINT)
    with on_signals(Stop(), told.append) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop and told == ["SIGINT"]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGINT) is before
    signal.signal(signal.SIGINT, at_first)


def test_found_is_told_after_met_and_with_the_smaller_trigger() -> None:
    order: list[tuple[str, bool]] = []
    listen = Listener(met=lambda f: order.append(("met", f.small)), found=lambda f: order.append(("found", f.small)))
    p = search_on(1, [FAILS], examples=200, listen=listen)
    assert order == [("met", False), ("found", True)] and p.findings[0].small


def test_other_runs_of_the_same_fault_are_kept_beside_it() -> None:
    p = search_on(1, [FAILS], examples=200)
    assert len(p.findings) == 1 and 1 <= len(p.findings[0].also) <= 4 and p.findings[0].token not in p.findings[0].also
