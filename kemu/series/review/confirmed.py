# SPDX-License-Identifier: GPL-2.0-only
"""Differences that an image or an archive shows, tried on two booted kernels: one with the series, one without."""
from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

from kemu.explore.finding import Finding
from kemu.rung.differential import first_field
from kemu.rung.protocol import Answer
from kemu.rung.uml.build import Recipe, build
from kemu.rung.uml.errors import RungError
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.oracle import Oracle
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.tree import find_tree
from kemu.series.confirm import OF_MEMORY
from kemu.series.review.search import Found
from kemu.series.review.session import BELOW, SLOT
from kemu.series.review.trial import CAP, Trial


def confirm(findings: Sequence[Finding], found: Sequence[Found], patches: Sequence[Patch], config: Sequence[str],
            below: Sequence[Patch] = (), say: Say = nothing) -> None:
    """Fill ``Finding.confirmed`` of those that a search has found. ``patches``: all, those below, too."""
    kernels: dict[str, tuple[Oracle, Oracle]] = {}
    by_title = {f.difference.title: f for f in found}
    with ExitStack() as stack:
        for finding in findings:
            of = by_title.get(finding.title)
            if of is None:
                continue
            why = not_shown(of)
            if why:
                finding.confirmed = {"c": True, "linux": None, "why": why}
                continue
            flavour = "kasan" if finding.detector in OF_MEMORY else "fast"
            try:
                if flavour not in kernels:
                    say(f"two kernels to boot ({flavour})")
                    tree, slot = find_tree(os.environ.get("KEMU_TREE")), BELOW if below else "plain"
                    recipe = Recipe(tree, flavour, tuple(config), tuple(below), slot, lenient=True)
                    base = Oracle(kernel=build(recipe, say))
                    stack.callback(base.close)
                    series = Oracle(flavour, config=config, patches=patches, slot=SLOT, say=say)
                    stack.callback(series.close)
                    kernels[flavour] = base, series
                seen = _seen(*kernels[flavour], of, flavour)
                said = f"c (asan-review), linux {series_of(kernels[flavour][1])}UML {flavour}: {seen or 'nothing of the kind'}"
                finding.confirmed = {"c": True, "linux": bool(seen), "why": said}
            except RungError as e:
                finding.confirmed = {"c": True, "linux": None, "why": str(e).splitlines()[0]}


def _seen(base: Oracle, series: Oracle, of: Found, flavour: str) -> str:
    """In what the kernels part behind the same mounts. Only a slab object's end is watched to the byte there."""
    *before, last = of.trials
    for memory in dict.fromkeys((last.case.memory, *(["slab"] if last.region and flavour == "kasan" else []))):
        for trial in before:
            ask(base, trial, memory), ask(series, trial, memory, trial.region)
        seen = parting(ask(base, last, memory), ask(series, last, memory, last.region), last.region)
        if seen:
            return seen if memory == last.case.memory else f"{seen}, in {memory} memory"
    return ""


def series_of(kernel: Oracle) -> str:
    """Its version and a space, where its place says it."""
    name = next((part for part in kernel.kernel.parts if part.startswith("linux-source-")), "")
    return f"{name.removeprefix('linux-source-')} " if name else ""


def not_shown(found: Found) -> str:
    """Why no booted kernel can be given this; "" if one can."""
    trial = found.trials[-1]
    if len(found.trials) > 1 and not any(t.region for t in found.trials):
        return "it needs what was mounted before in the same kernel"
    if any(t.faulty for t in found.trials):
        return "a call that fails has another number in another kernel"
    if found.difference.kind in ("leak", "locks", "order", "byte order"):
        return f"a booted kernel does not tell of this ({found.difference.kind})"
    if trial.soon or trial.case.kind == "module" or (trial.case.kind == "cpio" and (trial.case.options or trial.case.devices)):
        return "the booted kernel's agent does not ask this"
    if found.difference.kind == "look" or (trial.look and found.difference.kind == "crash"):
        return "it is asked more than a walk of the tree"
    return ""


def ask(kernel: Oracle, trial: Trial, memory: str = "", region: bool = False) -> Answer:
    """One trial; ``region``: by the series' own back end."""
    case = trial.case
    if trial.region:
        return kernel.erofs(case.data, at=case.at, options=case.options, backend="region" if region else "disk",
                            memory=memory, cap=CAP)
    if case.kind == "cpio":
        return kernel.cpio(case.data, at=case.at, memory=case.memory, cap=CAP)
    return kernel.erofs(case.data, at=case.at, options=case.options, devices=case.devices, backend=case.backend,
                        memory=case.memory, cap=CAP, facts=True)


def parting(was: Answer, now: Answer, region: bool = False) -> str:
    """In what two kernels part, in a few words; "" if in nothing."""
    if now.crash:
        return "" if was.crash == now.crash and was.message == now.message else (now.message or now.crash).splitlines()[0]
    if was.mount_error != now.mount_error:
        return f"mount: {now.mount_error or 'success'} instead of {was.mount_error or 'success'}"
    if was.message != now.message and not region:
        return f"{now.message or 'no error'} instead of {was.message or 'none'}"
    if was.entries != now.entries:
        path, name, right, got = first_field(was.entries, now.entries)
        return f"{path}: {name}: {str(got)[:40]} instead of {str(right)[:40]}"
    if was.facts != now.facts:
        return next((f"{b.strip()[:80]!r}" for a, b in zip(was.facts, now.facts) if a != b), "another number of facts")
    return ""
