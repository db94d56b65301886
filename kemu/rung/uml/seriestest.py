# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series test``: apply, build, warnings, KUnit, and the same answers as the plain tree for what the series does not
concern.
"""
from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kemu.rung.uml import links, same
from kemu.rung.uml.build import Kernel, Recipe, build, held_objects
from kemu.rung.uml.errors import BuildError, PatchError
from kemu.rung.uml.kunit import run_kunit
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.oracle import Oracle
from kemu.rung.uml.series import Series
from kemu.rung.uml.tree import Tree


@dataclass
class Step:
    """One step of a test: ``ok``, ``not ok`` or ``skip``; ``details`` are the compiler's or the kernel's words; ``code`` the exit
    code
    that a failure of it stands for."""

    name: str
    status: str = "ok"
    details: str = ""
    seconds: float = 0.0
    code: int = 1
    why: str = "it does not build"     # of a skip


SAME = "same answers as the plain tree"
ASK = 8.0                              # seconds after which an input is a hang
LINKS = ("links without what it does not depend on", "links on 32 bits")


def planned(series: Series, bisectable: bool = False, images: Sequence[Path] = (), configs: bool = False,
            examples: int | None = None) -> int:
    """How many steps :func:`run_steps` gives."""
    return ((max(len(series.patches) - 1, 0) if bisectable else 0) + 2 + bool(images or examples is not None)
            + (len(LINKS) if configs else 0))


def run_steps(series: Series, tree: Tree, flavour: str = "fast", bisectable: bool = False, images: Sequence[Path] = (),
              say: Say = nothing, jobs: int = 0, timeout: float = 120.0, configs: bool = False, examples: int | None = None,
              seed: int = 0) -> Iterator[Step]:
    """The steps of a test as they are done. After one that does not build the rest is skipped.

    ``images``: files for which nothing may change; ``examples``: about how many inputs of ``seed`` are made besides those of
    every kind of difference (0: none; None: the step is left out where there are no images). ``configs``: other configurations
    too.
    """
    kernel: Kernel | None = None
    count = len(series.patches)
    built = True
    for upto in [*(range(1, count) if bisectable else ()), count]:
        name = "builds" if upto == count else f"builds at patch {upto} of {count}: {series.patches[upto - 1].subject}"
        if built:
            step, kernel = _build_step(name, series.recipe(tree, flavour, upto=upto), say, jobs)
            built = kernel is not None
            yield step
        else:
            yield Step(name, "skip")
    if kernel is None or not built:
        yield Step("KUnit", "skip")
        if images or examples is not None:
            yield Step(SAME, "skip")
        for name in LINKS if configs else ():
            yield Step(name, "skip")
        return
    done = kernel
    yield _timed("KUnit", lambda s: _kunit(s, series, done, tree, timeout))
    if images or examples is not None:
        yield _timed(SAME, lambda s: _same_answers(s, done, Recipe(tree, flavour),
                                                   itertools.chain(same.from_files(images), same.forged(examples or 0, seed)),
                                                   str(series.path if series.path.is_file() or "/" in series.name
                                                       else series.name), say, jobs))
    if configs:
        recipe = series.recipe(tree, flavour)
        with held_objects(recipe, say, jobs) as own:
            yield _timed(LINKS[0], lambda s: _links(s, links.without(series, own, recipe, say, jobs)))
            yield _timed(LINKS[1], lambda s: _links(s, links.on_32_bits(series, own, recipe, say, jobs)))


def _links(step: Step, lines: list[str]) -> None:
    if lines:
        step.status, step.code, step.details = "not ok", BuildError.exit_code, "\n".join(lines)


def _timed(name: str, action: Callable[[Step], None]) -> Step:
    step = Step(name)
    started = time.monotonic()
    action(step)
    step.seconds = time.monotonic() - started
    return step


def _build_step(name: str, recipe: Recipe, say: Say, jobs: int) -> tuple[Step, Kernel | None]:
    """Warnings are failures: the compiler's, and modpost's (a reference from kept code to discarded code crashes later)."""
    step, kernel = Step(name), None
    started = time.monotonic()
    try:
        kernel = build(recipe, say, jobs)
    except PatchError as e:
        step.status, step.details = "not ok", str(e)
    except BuildError as e:
        step.status, step.details, step.code = "not ok", e.output or str(e), e.exit_code
    else:
        if kernel.warnings:
            step.status, step.details, step.code = "not ok", "\n".join(kernel.warnings), 4
    step.seconds = time.monotonic() - started
    return step, kernel if step.status == "ok" else None


def _kunit(step: Step, series: Series, kernel: Kernel, tree: Tree, timeout: float) -> None:
    run = run_kunit(kernel, tree.path, timeout=timeout)
    names = sorted({case.name.split(".")[0] for case in run.outcome.cases})
    step.name = f"KUnit: {run.outcome.summary} ({', '.join(names)})"
    if run.end != "done" or run.exit_code:
        step.status, step.code = "not ok", run.exit_code or 1
        bad = [f"{case.name}: {case.status}\n" + "\n".join(f"  {line}" for line in case.log)
               for case in run.outcome.cases if case.status not in ("passed", "skipped")]
        step.details = "\n".join([run.message or run.splat or run.outcome.summary,
                                  *bad] + ([] if bad else run.console.splitlines()[-30:]))
    elif series.kunit:
        ran = run_kunit(kernel, tree.path, series.kunit, timeout=timeout).outcome
        if not ran.total:
            step.status, step.code, step.details = "not ok", 125, f"no suite matches {series.kunit!r} of series.toml"


def _same_answers(step: Step, kernel: Kernel, plain: Recipe, samples: Iterable[same.Sample], name: str, say: Say,
                  jobs: int) -> None:
    # the plain kernel is held while it is used: see build._stored()
    with Oracle(kernel=build(plain, say, jobs), timeout=ASK) as before, Oracle(kernel=kernel, timeout=ASK) as after:
        done = same.compare(before, after, samples, name)
    total = sum(done.counts.values())
    if not total:
        step.status, step.details = "skip", "nothing was compared: there are no images, and none were made"
        step.why = "nothing was compared"
        return
    step.name = f"{SAME} for {total}: {done.summary()}"
    lines = []
    for d in same.firsts(done.different):
        n = sum(x.cause == d.cause for x in done.different)
        lines += [f"{d.cause} ({n} of {total}): {d.kept}", *(f"  {line}" for line in d.lines), f"  {d.sample.label}",
                  f"  {same.ask_words(d)} --series {name}    (and without --series)"]
    if done.given_up:
        lines.append(f"after {len(done.different)} differences no more were looked for")
    if done.unstable:
        lines.append(f"{done.unstable} answers differ from one plain kernel to the next, and are not counted")
    step.details = "\n".join(lines)
    if done.different:
        step.status = "not ok"
