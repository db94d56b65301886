# SPDX-License-Identifier: GPL-2.0-only
"""A search on several processes: seeds are dealt out by number, findings come together by cause."""
from __future__ import annotations

import multiprocessing
import queue
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any

from kemu.explore.experiment import Experiment, registry
from kemu.explore.finding import Finding
from kemu.explore.search import Progress, search, shrink_finding


class WorkerError(RuntimeError):
    """A worker process ended without a result."""


def _work(names: list[str], number: int, of: int, limits: dict[str, Any], out: Any) -> None:
    last = 0.0

    def tell(p: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > 0.5:
            last = now
            out.put(("progress", number, p.examples, set(p.behaviours), p.current))

    try:
        p = search([registry[n] for n in names], shard=(number, of), tell=tell, found=lambda f: out.put(("finding", number, f)), **limits)
        out.put(("done", number, p.examples, set(p.behaviours), p.per_experiment, p.of_base))
    except KeyboardInterrupt:
        out.put(("done", number, 0, set(), {}, []))
    except BaseException:
        out.put(("error", number, traceback.format_exc()))


def _shrink_one(job: tuple[Finding, float, dict[str, Any]]) -> Finding:
    finding, seconds, options = job
    return shrink_finding(finding, registry[finding.experiment], seconds, **options)


def shrink_on(workers: int, findings: list[Finding], seconds: float, **options: Any) -> list[Finding]:
    """Shrink every finding, all within ``seconds``, in the order given."""
    if not findings:
        return []
    deadline = time.monotonic() + seconds
    todo = list(findings)
    done: list[Finding] = []
    if workers <= 1:
        while todo:
            each = max(0.5, (deadline - time.monotonic()) / len(todo))
            done.append(_shrink_one((todo.pop(0), each, options)))
        return done
    with ProcessPoolExecutor(min(workers, len(todo)), multiprocessing.get_context("fork")) as pool:
        running: set[Future[Finding]] = set()
        while todo or running:
            while todo and len(running) < workers:
                # what the easy ones leave over, the others get
                each = max(0.5, (deadline - time.monotonic()) * workers / (len(todo) + len(running)))
                running.add(pool.submit(_shrink_one, (todo.pop(0), each, options)))
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            done += [f.result() for f in finished]
    return done


def review_on(workers: int, experiments: Sequence[Experiment], seconds: float, *, tell: Callable[[Progress], None] | None = None,
              **options: Any) -> Progress:
    """Search for half of the time, or a little longer if not every call has failed once; then shrink what was found: many findings, each small."""
    start = time.monotonic()
    p = search_on(workers, experiments, seconds=seconds * 0.5, patience=seconds * 0.8, shrink_seconds=0.0, tell=tell, **options)
    rest = {k: v for k, v in options.items() if k not in ("seed", "examples")}
    if not p.findings:                              # nothing to shrink: go on looking, from other seeds
        more = search_on(workers, experiments, seconds=start + seconds - time.monotonic(), seed=int(options.get("seed", 0)) + (1 << 32), tell=tell, **rest)
        more.examples += p.examples
        more.behaviours |= p.behaviours
        more.of_base += [f for f in p.of_base if f.cause not in {g.cause for g in more.of_base}]
        for name, n in p.per_experiment.items():
            more.per_experiment[name] = more.per_experiment.get(name, 0) + n
        more.seconds = time.monotonic() - start
        return more
    p.findings = shrink_on(workers, p.sorted_findings(), start + seconds - time.monotonic(), **rest)
    # what was made smaller may turn out to be one
    p.findings = list({f.cause: f for f in reversed(p.findings)}.values())
    p.seconds = time.monotonic() - start
    return p


def search_on(workers: int, experiments: Sequence[Experiment], *, seconds: float = 0.0, examples: int = 0, seed: int = 0,
              tell: Callable[[Progress], None] | None = None, found: Callable[[Finding], None] | None = None, **options: Any) -> Progress:
    """:func:`kemu.explore.search.search` on ``workers`` processes (1: in this one)."""
    if workers <= 1:
        return search(experiments, seconds=seconds, examples=examples, seed=seed, tell=tell, found=found, **options)
    start = time.monotonic()
    ctx = multiprocessing.get_context("fork")
    out = ctx.Queue()
    names = [e.name for e in experiments]
    limits = {"seconds": seconds, "examples": -(-examples // workers) if examples else 0, "seed": seed, **options}
    procs = [ctx.Process(target=_work, args=(names, i, workers, limits, out), daemon=True) for i in range(workers)]
    for proc in procs:
        proc.start()
    total = Progress()
    counts: dict[int, int] = {}
    known: set[str] = set()
    running = set(range(workers))
    try:
        while running:
            try:
                message = out.get(timeout=1.0)
            except queue.Empty:
                dead = [i for i in running if not procs[i].is_alive()]
                if dead and out.empty():
                    raise WorkerError(f"worker {dead[0]} ended with exit code {procs[dead[0]].exitcode}") from None
                continue
            kind, number = message[0], message[1]
            if kind == "finding":
                if message[2].cause not in known:
                    known.add(message[2].cause)
                    total.findings.append(message[2])
                    if found is not None:
                        found(message[2])
            elif kind == "error":
                raise WorkerError(message[2].strip().split("\n")[-1])
            else:
                counts[number] = message[2]
                total.behaviours |= message[3]
                if kind == "done":
                    running.discard(number)
                    total.of_base += [f for f in message[5] if f.cause not in {g.cause for g in total.of_base}]
                    for name, n in message[4].items():
                        total.per_experiment[name] = total.per_experiment.get(name, 0) + n
                else:
                    total.current = message[4]
            total.examples = sum(counts.values())
            total.seconds = time.monotonic() - start
            if tell is not None:
                tell(total)
    finally:
        for proc in procs:
            if proc.is_alive():
                proc.terminate()
            proc.join(2)
    return total
