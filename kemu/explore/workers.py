# SPDX-License-Identifier: GPL-2.0-only
"""A search on several processes: seeds are dealt out by number, findings come together by cause. A worker that dies is named and
replaced.
"""
from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kemu.explore.crew import Crew, Ended, Message, Send
from kemu.explore.experiment import Experiment, registry
from kemu.explore.finding import Finding
from kemu.explore.plan import Done
from kemu.explore.progress import Listener, Progress, Recorded
from kemu.explore.run import LOST, why_lost
from kemu.explore.search import search, shrink_finding

DEATHS_OF_ONE = 2       # workers that one experiment may cost a share before it is given up there
DEATHS = 20             # of all of them


class _Share:
    """One worker's part of a search: what it has done, which survives it."""

    def __init__(self, number: int, experiments: Sequence[Experiment], examples: int):
        self.number = number
        self.experiments = list(experiments)
        self.examples = examples                # still to be run; 0: no limit
        self.ran = 0                            # by the workers before this one
        self.counted = 0                        # by this one
        self.per_experiment: dict[str, int] = {}
        self.before: dict[str, int] = {}        # the same, by the workers before this one
        self.deaths: dict[str, int] = {}
        self.now = mmap.mmap(-1, 4)             # number of the experiment that runs, plus one; seen by both processes

    def current(self) -> str:
        i: int = struct.unpack("i", self.now[:4])[0]
        return self.experiments[i - 1].name if i else ""


def _work(send: Send, share: _Share, of: int, first: Recorded, done: Mapping[str, Done], limits: dict[str, Any]) -> None:
    last = 0.0
    numbers = {e.name: i for i, e in enumerate(share.experiments, 1)}

    def state(p: Progress) -> tuple[Any, ...]:
        return p.examples, dict(p.per_experiment), p.current, dict(p.done.get(share.number, {})), dict(p.met)

    def begin(name: str) -> None:
        share.now[:4] = struct.pack("i", numbers[name])

    def example(p: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > 0.5:
            last = now
            send("progress", *state(p))

    p = search(share.experiments, shard=(share.number, of), first=first, done=done, **limits, listen=Listener(
        begin=begin, example=example, met=lambda f: send("met", f), found=lambda f: send("found", f),
        base=lambda f: send("base", f),
        novel=lambda *what: send("novel", *what)))
    send("progress", *state(p))
    if p.lost:
        send("lost", *p.lost)


def search_on(workers: int, experiments: Sequence[Experiment], *, seconds: float = 0.0, examples: int = 0, seed: int = 0,
              listen: Listener | None = None, progress: Progress | None = None, first: Recorded | None = None,
              **options: Any) -> Progress:
    """:func:`kemu.explore.search.search` on ``workers`` processes (1: in this one). ``progress``: an earlier search that is gone
    on with.
    """
    listen = listen or Listener()
    total = progress if progress is not None else Progress()
    if workers <= 1:
        return search(experiments, seconds=seconds, examples=examples, seed=seed, listen=listen, progress=total, first=first,
                      done=total.done.get(0), **options)
    start = time.monotonic()
    spent_before, before = total.seconds, (total.examples, dict(total.per_experiment))
    shares = [_Share(i, experiments, -(-examples // workers) if examples else 0) for i in range(workers)]
    with Crew() as crew:

        def launch(share: _Share) -> None:
            share.now[:4] = struct.pack("i", 0)
            left = max(0.5, seconds - (time.monotonic() - start)) if seconds else 0.0
            limits = {"seconds": left, "examples": share.examples and share.examples - share.ran, "seed": seed, **options}
            crew.start(share.number, _work, share, workers, first or {}, total.done.get(share.number, {}), limits)

        def count() -> None:
            total.examples = before[0] + sum(s.ran + s.counted for s in shares)
            total.per_experiment = dict(before[1])
            for s in shares:
                for name, n in s.per_experiment.items():
                    total.per_experiment[name] = total.per_experiment.get(name, 0) + n
            total.seconds = spent_before + time.monotonic() - start

        for share in shares:
            launch(share)
        while crew:
            for event in crew.stop() if listen.stop or total.lost else crew.events(0.25):
                share = shares[event.key]
                if isinstance(event, Message):
                    _take(event.what, share, total, listen)
                elif not (listen.stop or total.lost) and _died(event, share, total, listen, examples):
                    launch(share)
            count()
            listen.example(total)
    count()
    total.interrupted = bool(listen.stop)
    return total


def _take(what: tuple[Any, ...], share: _Share, total: Progress, listen: Listener) -> None:
    """One message of a worker."""
    kind = what[0]
    if kind == "progress":
        share.counted, ran, total.current = what[1], what[2], what[3]
        for name, n in ran.items():
            share.per_experiment[name] = share.before.get(name, 0) + n
        total.done[share.number] = what[4]
        for name, causes in what[5].items():
            total.met[name] = {**total.met.get(name, {}), **causes}
    elif kind in ("met", "found"):
        finding: Finding = what[1]
        known = total.finding(finding.cause)
        if known is None or (kind == "found" and finding.small and not known.small):
            total.add(finding)
            (listen.met if kind == "met" else listen.found)(finding)
        elif known.token != finding.token:
            total.again(finding)
        elif kind == "found":
            listen.found(known)
    elif kind == "base":
        if all(f.cause != what[1].cause for f in total.of_base):
            total.of_base.append(what[1])
            listen.base(what[1])
    elif kind == "novel":
        name, token, new = what[1:]
        new = {b for b in new if f"{name}:{b}" not in total.behaviours}
        if new:
            total.behaviours |= {f"{name}:{b}" for b in new}
            listen.novel(name, token, new)
    elif kind == "lost":
        total.lost = what[1], what[2]


def _died(event: Ended, share: _Share, total: Progress, listen: Listener, examples: int) -> bool:
    """Whether a worker is to be started in its place: not if it had done its part, nor if the same experiment ends one after the
    other.
    """
    if not event.how:
        return False
    name = share.current()
    line = f"worker {share.number + 1} (pid {event.pid}) {event.how}" + (f" in {name}" if name else "")
    share.deaths[name] = share.deaths.get(name, 0) + 1
    share.ran += share.counted
    share.counted = 0
    share.before = dict(share.per_experiment)
    again = not examples or share.ran < share.examples
    if share.deaths[name] >= DEATHS_OF_ONE:
        share.experiments = [e for e in share.experiments if e.name != name]
        total.given_up.append(name or f"worker {share.number + 1}")
        line += f", the second one there: {name or 'this share'} is given up"
        again = again and bool(name)
    again = again and bool(share.experiments) and sum(share.deaths.values()) < DEATHS
    line += "; another one goes on in its place" if again else ""
    total.trouble.append(line)
    listen.trouble(line)
    return again


# ------------------------------------------------------------ shrinking

def _shrink_one(send: Send, finding: Finding, seconds: float, options: dict[str, Any]) -> None:
    try:
        send("small", shrink_finding(finding, registry[finding.experiment], seconds, **options))
    except LOST as e:
        send("lost", why_lost(e), e.exit_code)


def shrink_on(workers: int, total: Progress, seconds: float, listen: Listener, **options: Any) -> None:
    """Shrink every finding of ``total``, all within ``seconds``, worst first, each in a process of its own. One that cannot be
    stays as it is.
    """
    deadline = time.monotonic() + seconds
    todo = [f for f in total.sorted_findings() if not f.small]
    running: dict[int, Finding] = {}
    with Crew() as crew:
        started = 0
        while (todo or crew) and not total.lost:
            while todo and len(crew) < max(1, workers) and not listen.stop:
                # what the easy ones leave over, the others get
                each = max(0.5, (deadline - time.monotonic()) * workers / (len(todo) + len(crew)))
                running[started] = todo.pop(0)
                crew.start(started, _shrink_one, running[started], each, options)
                started += 1
            for event in crew.stop() if listen.stop else crew.events(0.25):
                finding = running[event.key]
                if isinstance(event, Message):
                    if event.what[0] == "lost":
                        total.lost = event.what[1], event.what[2]
                        continue
                    small = replace(event.what[1], small=True)
                    total.add(small, finding)
                    listen.found(small)
                elif event.how and not listen.stop:
                    line = (f"a worker (pid {event.pid}) {event.how} while it shrank {finding.token}; the finding stays as it "
                            f"was found")
                    total.trouble.append(line)
                    listen.trouble(line)
            if listen.stop:
                total.interrupted = True
                todo = []
            listen.example(total)


def review_on(workers: int, experiments: Sequence[Experiment], seconds: float, *, listen: Listener | None = None,
              progress: Progress | None = None,
              **options: Any) -> Progress:
    """Search for half of the time, or a little longer if not every call has failed once; then shrink what was found: many
    findings, each small.

    ``progress``: an interrupted review that is gone on with; its time counts.
    """
    listen = listen or Listener()
    p = progress if progress is not None else Progress()
    start = time.monotonic() - p.seconds
    rest = {k: v for k, v in options.items() if k not in ("seed", "first")}
    half = seconds * 0.5 - p.seconds
    if half > 0:
        search_on(workers, experiments, seconds=half, patience=seconds * 0.8 - p.seconds, shrink_seconds=0.0, listen=listen,
                  progress=p, **options)
    left = start + seconds - time.monotonic()
    # nothing to shrink: go on looking, from other seeds
    if not p.findings and not p.interrupted and not p.lost and left > 0:
        p.done = {}
        search_on(workers, experiments, seconds=left, seed=int(options.get("seed", 0)) + (1 << 32), listen=listen, progress=p,
                  **rest)
    elif not p.interrupted and not p.lost:
        shrink_on(workers, p, left, listen, **rest)
    p.seconds = time.monotonic() - start
    return p
