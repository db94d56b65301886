# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the deterministic kernel: schedules of a small compressed image mounted, read by two tasks, and unmounted."""
from __future__ import annotations

import resource
import time
from pathlib import Path

from benchmarks.erofs import DATA
from benchmarks.measure import Figure

SECONDS = 5.0


def _spent() -> float:
    """Processor time of this process and of the kernels that have ended."""
    each = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in each)


def _rate(flavour: str) -> tuple[float, float, float]:
    """Schedules per second of processor time and of the wall's, and scheduling points of one; choices from outside, booting
    included.
    """
    from kemu.rung.uml.build import Recipe, build
    from kemu.rung.uml.sched.kernel import Sched
    from kemu.rung.uml.sched.program import MNT, ROOM, Plan, Program, Step, close, mount, open_, read, umount
    from kemu.rung.uml.sched.strategy import Strategy, orders
    from kemu.rung.uml.sched.wire import What
    from kemu.rung.uml.tree import find_tree

    path, pages = MNT + "/etc/text", range(0, 24576, 4096)
    program = Program([mount(f"{ROOM}/dev/kemu0")],
                      [[open_(0, path), *(read(0, at, 4096) for at in pages), close(0)],
                       [open_(1, path), *(read(1, at, 4096) for at in reversed(pages)), close(1)]],
                      [umount(), Step(What.SETTLE), Step(What.SUPERS, "erofs")])
    kernel = Path(build(Recipe(find_tree(None), flavour)).path)
    done = points = 0
    spent, begun = _spent(), time.monotonic()
    with Sched(kernel, [(DATA / "demo.erofs").read_bytes()]) as k:
        k.learn(program)
        traces = [(plan, k.trace(program, plan)) for plan in (Plan((), order) for order in orders(2))]
        for batch in Strategy(traces, 1).batches(1 << 30):
            outs = k.run(program, batch)
            assert outs[-1].wrong is None and outs[-1].crash is None, outs[-1]
            done += len(outs)
            points += sum(o.points for o in outs)
            if time.monotonic() - begun > SECONDS:
                break
        wall = time.monotonic() - begun
    return done / (_spent() - spent), done / wall, points / done


def schedules() -> list[Figure]:
    """Both flavours, and the port's experiment of the same kind."""
    out = []
    for flavour, aim in (("sched", "2,500/s"), ("sched-kasan", "600/s")):
        own, wall, points = _rate(flavour)
        out.append(Figure(f"flavour {flavour}: demo.erofs mounted, read by two tasks, unmounted, choices from outside",
                          f"{own:.0f} schedules/s of processor time, {wall:.0f}/s of the wall's; {points:.0f} questions in each",
                          aim, "python -m benchmarks schedules"))
    out.append(Figure("the port: bdev.readers-and-umount, schedules and all else from seeds", f"{_port():.0f} examples/s", "",
                      "python -m benchmarks schedules"))
    return out


def _port() -> float:
    """Examples per second of processor time of the port's experiment of the same kind, without detectors."""
    from kemu.explore.experiment import load_entry_points, registry
    from kemu.explore.run import execute
    from kemu.explore.source import SeedSource

    load_entry_points()
    exp = registry["bdev.readers-and-umount"]
    spent, n = time.process_time(), 0
    while time.process_time() - spent < SECONDS:
        execute(exp, SeedSource(n), detect=False)
        n += 1
    return n / (time.process_time() - spent)


ALL = {"schedules": schedules}
