# SPDX-License-Identifier: GPL-2.0-only
"""Search, shrinking, sweeps, exhaustion and traces, on experiments with known faults."""
from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemu.explore import experiment as registry_module
from kemu.explore import token
from kemu.explore.experiment import Experiment, UnknownExperiment, experiment, registry, select
from kemu.explore.run import Run, execute, replay
from kemu.explore.search import search
from kemu.explore.shrink import shrink
from kemu.explore.source import HypothesisSource, ListSource, SeedSource
from kemu.explore.sweep import exhaustive, fault_sweep, schedule_sweep
from kemu.explore.workers import search_on
from kemu.linux.mutex import mutex, mutex_lock, mutex_unlock
from kemu.linux.sched import cond_resched
from kemu.linux.slab import kfree, kmalloc
from kemu.linux.string import memset
from kemu.machine.current import this


def driver(n: int, at: int) -> int:
    """Forgets its first buffer when the third allocation fails, and writes one byte too many from offset 700 on."""
    p = kmalloc(n)
    if not p:
        return -12
    q = kmalloc(8)
    if not q:
        kfree(p)
        return -12
    r = kmalloc(8)
    if not r:
        kfree(q)
        return -12
    memset(p, 0, n + (at > 700))
    kfree(r)
    kfree(q)
    kfree(p)
    return 0


def buffers(run: Run) -> None:
    """The driver frees what it allocates and stays inside."""
    n = run.pick.int("n", 1, 4096)
    at = run.pick.int("at", 0, 4095)
    run.show(f"n={n} at={at}")
    with run.machine() as m, run.balanced(m):
        run.chooser.arm_faults()
        run.saw(str(driver(n, at)))


def two_locks(run: Run) -> None:
    """Two tasks that take two mutexes do not stop for ever."""
    with run.machine() as m:
        a, b = mutex("a"), mutex("b")

        def body(first: mutex, second: mutex) -> None:
            mutex_lock(first)
            cond_resched()
            mutex_lock(second)
            mutex_unlock(second)
            mutex_unlock(first)

        run.chooser.arm_schedule()
        m.sched.spawn("one", lambda: body(a, b))
        m.sched.spawn("two", lambda: body(b, a))
        m.sched.run_others()
        run.balanced(m)


def lost_update(run: Run) -> None:
    """Two increments make two."""
    with run.machine() as m:
        cell = [0]

        def body() -> None:
            v = cell[0]
            cond_resched()
            cell[0] = v + 1

        run.chooser.arm_schedule()
        m.sched.spawn("one", body)
        m.sched.spawn("two", body)
        m.sched.run_others()
        if cell[0] != 2:
            run.fail(f"counter is {cell[0]}", cause="lost update")


BUFFERS = Experiment("t.buffers", "t", buffers)
LOST = Experiment("t.lost", "t", lost_update)


@pytest.fixture
def registered() -> Iterator[None]:
    before = dict(registry)
    registry[BUFFERS.name] = BUFFERS
    registry[LOST.name] = LOST
    yield
    registry.clear()
    registry.update(before)


def test_both_faults_are_found_and_shrunk_to_the_smallest() -> None:
    p = search([BUFFERS], examples=3000)
    by_title = {f.title.split(" in ")[0]: f for f in p.findings}
    assert set(by_title) == {"BUG: memory leak", "BUG: KASAN: slab-out-of-bounds"}
    leak, oob = by_title["BUG: memory leak"], by_title["BUG: KASAN: slab-out-of-bounds"]
    assert (leak.input == ["n=1 at=0"] and len(leak.choices) == 1
            and leak.choices[0].startswith("fallible call 3 fails: failslab in kmalloc called by driver"))
    assert oob.input == ["n=1 at=701"] and oob.choices == []
    assert leak.severity == "medium" and oob.severity == "critical"


def test_a_finding_is_replayed_by_its_token() -> None:
    p = search([BUFFERS], examples=1500)
    for f in p.findings:
        out = replay(BUFFERS, token.decode(f.token))
        assert out.finding is not None and out.finding.title == f.title and not out.diverged
        assert len(f.token) <= 20


@given(st.data())
def test_hypothesis_drives_the_same_experiment(data: st.DataObject) -> None:
    out = execute(BUFFERS, HypothesisSource(data.draw))
    again = execute(BUFFERS, ListSource([c.offset for c in out.draws]))
    assert [c.value for c in again.draws] == [c.value for c in out.draws]
    assert (again.finding.title if again.finding else None) == (out.finding.title if out.finding else None)


def test_shrinking_keeps_the_cause() -> None:
    found = next(o for o in (execute(BUFFERS, SeedSource(s)) for s in range(500)) if o.finding
                 and "out-of-bounds" in o.finding.title)
    small = shrink(found, 5)
    assert small.finding is not None and small.finding.input == ["n=1 at=701"]


def test_fault_sweep_fails_each_call_once() -> None:
    outs = list(fault_sweep(BUFFERS))
    assert [[f.number for f in o_faults] for o_faults in (_numbers(o) for o in outs)] == [[1], [2], [3], []]
    assert [o.finding is not None for o in outs] == [False, False, True, False]


def _numbers(out: object) -> list[object]:
    from kemu.explore.chooser import Fault

    n = [c for c in out.draws if c.name == "fault" and c.value]         # type: ignore[attr-defined]
    return [Fault(c.value, "", "", "") for c in n if out.fault_points >= c.value]       # type: ignore[attr-defined]


def test_schedules_with_few_preemptions_first() -> None:
    outs = []
    for out in schedule_sweep(LOST, preemptions=2):
        outs.append(out)
        if out.finding is not None:
            break
    assert outs[0].finding is None
    assert outs[-1].finding is not None and outs[-1].finding.cause == "lost update"
    assert len(outs) < 10
    assert len([c for c in outs[-1].draws if c.name == "preempt" and c.value]) == 1


def test_exhaustion_visits_every_small_choice() -> None:
    seen: set[tuple[int, ...]] = set()

    def body(run: Run) -> None:
        a = run.pick.int("a", 0, 2)
        b = run.pick.int("b", 0, 3) if a else 0
        c = run.pick.int("c", 0, 100)
        seen.add((a, b, c))

    outs = list(exhaustive(Experiment("t.x", "t", body), widest=3))
    assert len(outs) == len(seen)
    assert {(a, b, c) for a in range(3) for b in ((0,) if not a else range(4)) for c in (0, 1, 2, 100)} == seen


def test_an_abba_deadlock_names_both_sides() -> None:
    outs = [o for o in schedule_sweep(Experiment("t.locks", "t", two_locks), preemptions=1) if o.finding is not None]
    assert outs
    titles = {o.finding.title.split(" in ")[0] for o in outs if o.finding}
    assert "WARNING: possible circular locking dependency detected" in titles


def test_a_loop_without_scheduling_points_is_reported() -> None:
    def spins() -> None:
        while True:
            pass

    def body(run: Run) -> None:
        with run.machine():
            spins()

    out = execute(Experiment("t.spin", "t", body, run_seconds=0.3), ListSource([]))
    assert out.finding is not None and "soft lockup" in out.finding.title and out.finding.function == "spins"


def test_one_that_waits_for_what_never_comes_is_reported() -> None:
    def waits() -> None:
        while True:
            time.sleep(0.01)

    out = execute(Experiment("t.wait", "t", lambda run: waits(), run_seconds=0.05), ListSource([]))
    assert out.finding is not None and "soft lockup" in out.finding.title


def test_a_busy_machine_is_no_soft_lockup() -> None:
    def body(run: Run) -> None:
        time.sleep(0.4)

    assert execute(Experiment("t.sleep", "t", body, run_seconds=0.2), ListSource([])).finding is None


@pytest.mark.parametrize("mistake,title", [
    (lambda: None.i_size, "NULL pointer dereference"), (lambda: (5).i_size,
                                                        "error pointer is used"),       # type: ignore[attr-defined]
    (lambda: list(range(2))[3], "array-index-out-of-bounds"), (lambda: 1 // 0, "divide error")])
def test_python_errors_become_what_c_would_do(mistake: object, title: str) -> None:
    def body(run: Run) -> None:
        with run.machine():
            mistake()       # type: ignore[operator]

    out = execute(Experiment("t.err", "t", body), ListSource([]))
    assert out.finding is not None and title in out.finding.title


def test_two_workers_find_what_one_finds(registered: None) -> None:
    p = search_on(2, [BUFFERS], examples=1200)
    assert {f.title.split(" in ")[0] for f in p.findings} == {"BUG: memory leak", "BUG: KASAN: slab-out-of-bounds"}
    assert p.examples >= 1200


def test_selection_by_name_glob_series(registered: None) -> None:
    assert [e.name for e in select(["t.buffers"])] == ["t.buffers"]
    assert [e.name for e in select(["t.*"])] == ["t.buffers", "t.lost"]
    assert [e.name for e in select(["t"])] == ["t.buffers", "t.lost"]
    with pytest.raises(UnknownExperiment, match="t.buffers"):
        select(["t.bufers"])


def test_variants_make_one_experiment_for_each_series() -> None:
    before = dict(registry)
    try:
        @experiment("{backend}.same", variants={"a-series": {"backend": "a"}, "b-series": {"backend": "b"}})
        def same(run: Run, backend: str) -> None:
            """Same."""
            run.show(backend)

        assert [e.name for e in select(["a-series", "b-series"])] == ["a.same", "b.same"]
        assert execute(registry["b.same"], ListSource([])).finding is None

        @experiment("{backend}.beside.{rung}", variants={"a-series": {"backend": "a"}, "b-series": {"backend": "b"}},
                    rungs=("linux", "c"), base="a-series")
        def beside(run: Run, backend: str) -> None:
            """Beside the kernel."""

        both = [e.name for e in select(["*.beside.*"])]
        assert both == ["a.beside.c", "a.beside.linux", "b.beside.c", "b.beside.linux"]
        of_b = registry["b.beside.c"]
        assert of_b.rungs == ("c",) and of_b.below is registry["a.beside.c"]
        assert of_b.on("linux") is registry["b.beside.linux"] and of_b.on("c") is of_b and of_b.on("py") is None
    finally:
        registry.clear()
        registry.update(before)
    assert registry_module.registry is registry


_TRACE = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.unit.explore.test_search import BUFFERS, LOST
from kemu.explore.run import execute
from kemu.explore.source import SeedSource
for e in (BUFFERS, LOST):
    for seed in (3, 77, 1234):
        out = execute(e, SeedSource(seed), trace=True)
        print(out.token, out.finding and out.finding.report)
        print(out.trace.text())
"""


def test_the_trace_is_the_same_in_every_process_and_under_every_hash_seed() -> None:
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    texts = {subprocess.run([sys.executable, "-c", _TRACE, top], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True,
                            check=True).stdout
             for seed in ("0", "1", "4711")}
    assert len(texts) == 1
    assert b"switch" in texts.pop()


def test_this_machine_is_gone_afterwards() -> None:
    execute(BUFFERS, SeedSource(1))
    assert this.chooser is None and this.watch is None
