# SPDX-License-Identifier: GPL-2.0-only
"""Looking for findings: what an experiment offers to be varied is varied systematically first, then from seeds, for as long as
there is time.

Each new cause is told at once, then shrunk, and counted once. Experiments share the time evenly by weight. A seed that showed new
behaviour is kept and varied further (its choices, a few changed at a time).
"""
from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from kemu.explore.depends import depends_on
from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.matters import immaterial
from kemu.explore.plan import Done, Plan
from kemu.explore.progress import Listener, Progress, Recorded
from kemu.explore.run import LOST, Outcome, execute, why_lost
from kemu.explore.shrink import shrink
from kemu.explore.source import ListSource
from kemu.machine.series import Series

Below = tuple[Series, ...] | None


def _of_base(out: Outcome, options: dict[str, Any], against: Below) -> bool:
    """Whether the same choices show the same with the series below, or with ``against`` alone."""
    cases = [] if against is None else [(out.experiment, {**options, "series": against})]
    if out.experiment.below is not None:
        cases.append((out.experiment.below, options))
    for exp, how in cases if out.finding is not None else ():
        there = execute(exp, ListSource([c.offset for c in out.draws]), **how)
        if there.finding is not None and out.finding is not None and there.finding.cause == out.finding.cause:
            return True
    return False


def _shrunk(out: Outcome, seconds: float, listen: Listener, options: dict[str, Any], against: Below) -> Finding:
    """The finding of ``out`` with the smallest trigger that is found in ``seconds``, and that is none of ``against``."""
    assert out.finding is not None
    small = shrink(out, seconds, stop=listen.stop, **options)
    if against is not None and small is not out and _of_base(small, options, against):
        small = out
    finding = small.finding or out.finding
    finding.offsets = [c.offset for c in small.draws]
    finding.examples = out.finding.examples
    finding.small = not listen.stop
    finding.config = [] if listen.stop else depends_on(finding, out.experiment, **options)
    finding.immaterial = [] if listen.stop else immaterial(finding, out.experiment, **options)
    return finding


def shrink_finding(finding: Finding, exp: Experiment, seconds: float, listen: Listener | None = None,
                   against: Below = None, **options: Any) -> Finding:
    """The finding with the smallest trigger that is found in ``seconds``; itself if it does not come again."""
    out = execute(exp, ListSource(finding.offsets), **options)
    if out.finding is None or out.finding.cause != finding.cause:
        return finding
    out.finding.examples = finding.examples
    return _shrunk(out, seconds, listen or Listener(), options, against)


def search(experiments: Sequence[Experiment], *, seconds: float = 0.0, examples: int = 0, seed: int = 0,
           shard: tuple[int, int] = (0, 1),
           shrink_seconds: float = 4.0, patience: float = 0.0, listen: Listener | None = None, progress: Progress | None = None,
           first: Recorded | None = None, done: Mapping[str, Done] | None = None, against: Below = None,
           **options: Any) -> Progress:
    """Run experiments until the time or the number of examples is used up (0: no limit of that kind), nothing is left to run, or
    ``listen.stop`` says so.

    ``shard``: (number, of how many): seeds are dealt out, schedule sweeps belong to shard 0. ``patience``: how many seconds it
    may take until everything that is done once has been done. ``first``: recorded choices to begin with. ``done``: what an
    earlier search of the same share has done already.
    ``against``: what shows the same with these series alone is theirs, and no finding.
    ``progress``: where the results go; it has them too when something ends the search from outside.
    """
    start = time.monotonic()
    listen = listen or Listener()
    p = progress if progress is not None else Progress()
    plans = [Plan(e, seed, shard, options, (first or {}).get(e.name, ()), (done or {}).get(e.name, Done())) for e in experiments]
    reached = p.done.setdefault(shard[0], {})
    known = {f.cause for f in [*p.findings, *p.of_base]}
    spent_before = p.seconds
    examples_before = p.examples

    def seconds_here() -> float:
        return time.monotonic() - start

    while plans:
        late = seconds and seconds_here() >= seconds
        plan = min([q for q in plans if q.urgent] if late else plans,
                   key=lambda q: q.spent / q.exp.weight / (3 if q.urgent else 1))
        before = time.monotonic()
        name = plan.exp.name
        p.current = name
        listen.begin(name)
        try:
            out = next(plan, None)
        except LOST as e:
            p.lost = why_lost(e), e.exit_code
            break
        reached[name] = plan.done
        if out is None:                     # everything that it can do has been seen
            plans.remove(plan)
            if seconds and seconds_here() >= seconds and not any(q.urgent for q in plans):
                break
            continue
        p.examples += 1
        p.per_experiment[name] = p.per_experiment.get(name, 0) + 1
        new = {b for b in out.behaviour if f"{name}:{b}" not in p.behaviours}
        if new:
            p.behaviours |= {f"{name}:{b}" for b in new}
            listen.novel(name, out.token, new)
        if out.finding is not None:
            out.finding.offsets = [c.offset for c in out.draws]
            out.finding.examples = p.per_experiment[name]
            p.note_met(out.finding)
            if out.finding.cause in known:
                p.again(out.finding)
            else:
                known.add(out.finding.cause)
                left = seconds - seconds_here() if seconds else shrink_seconds
                try:
                    _judge(out, p, max(0.2, min(shrink_seconds, left)) if shrink_seconds else 0.0, listen, options, against)
                except LOST as e:
                    p.lost = why_lost(e), e.exit_code
                    break
        plan.spent += time.monotonic() - before
        p.seconds = spent_before + seconds_here()
        listen.example(p)
        if listen.stop:
            p.interrupted = True
            break
        if seconds and seconds_here() >= seconds and not (seconds_here() < patience and any(q.urgent for q in plans)):
            break
        if examples and p.examples - examples_before >= examples:
            break
    return p


def _judge(out: Outcome, p: Progress, shrink_seconds: float, listen: Listener, options: dict[str, Any],
           against: Below) -> None:
    """A cause that has not been seen: the base's, or one finding more, told before it is shrunk."""
    assert out.finding is not None
    if _of_base(out, options, against):
        p.of_base.append(out.finding)
        listen.base(out.finding)
        return
    p.add(out.finding)
    listen.met(out.finding)
    if shrink_seconds:
        small = _shrunk(out, shrink_seconds, listen, options, against)
        p.add(small)
        listen.found(small)
    else:
        listen.found(out.finding)
