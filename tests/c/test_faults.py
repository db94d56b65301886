# SPDX-License-Identifier: GPL-2.0-only
"""Calls of the kernel's C that fail, and work in a chosen order: nothing dies or is left; and where it does, it is found."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kemu.explore import token
from kemu.explore.experiment import registry
from kemu.explore.run import Outcome, execute, replay
from kemu.explore.search import search
from kemu.explore.source import ListSource, PlanSource, SeedSource
from kemu.rung.asked import asked
from kemu.rung.c.build import Library, build
from kemu.rung.c.kernel import NEVER, Kernel
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.tree import Tree
from tests.c.planted import Plant
from tests.conftest import DATA

import erofs_memback.harness.experiments_c as experiments

IMAGES = sorted((DATA / "erofs").glob("*.erofs"))
MOST = int(os.environ.get("KEMU_FAULT_IMAGES", "5"))
SMALL = [p for p in IMAGES if p.stat().st_size <= 1 << 17][:MOST]
FAILING, ORDER = registry["erofs.failing-calls.c"], registry["erofs.any-order.c"]
UNCHECKED = Plant("unchecked-allocation", "fs/erofs/xattr.c",
                  "	if (!vi->xattr_shared_xattrs) {", "	if (0) {", "plain", "SIGSEGV at 0", "erofs_init_inode_xattrs")
LEFT = Plant("left-behind", "fs/erofs/super.c",
             "	if (!sbi->devs) {\n		kfree(sbi);\n", "	if (!sbi->devs) {\n", "asan", "LEAK", "erofs_init_fs_context")


@pytest.fixture(scope="module", autouse=True)
def one_kernel(library: Callable[[str], Library]) -> Iterator[None]:
    library("plain")
    yield
    asked("c").close()


@pytest.mark.parametrize("image", SMALL, ids=lambda p: p.stem)
def test_every_call_of_a_mount_and_a_walk_fails_once(kernel: Kernel, image: Path) -> None:
    kernel.erofs(image)
    whole = kernel.erofs(image, fail_nth=NEVER)
    assert whole.points > 30 and whole.fired is False and len(set(kernel.instance.fault_sites(whole.points))) > 15
    boots, failures = kernel.boots, set()
    before = experiments.live(kernel.instance)
    for n in range(1, whole.points + 1):
        part = kernel.erofs(image, fail_nth=n)
        assert part.crash is None, f"{n}: {part.console}"
        assert part.fired or part.points < n, f"{n} of {whole.points}"
        assert not experiments.wrong_entry(whole.entries, part.entries), n
        failures.add(part.mount_error)
        failures |= {e["error"] for e in part.entries}
    assert failures >= {None, "ENOMEM"} and failures <= {None, "ENOMEM", "EIO"}, failures
    again = kernel.erofs(image)
    assert (again.mount_error, again.entries) == (whole.mount_error, whole.entries)
    after = experiments.live(kernel.instance)
    assert kernel.boots == boots and after[0] - before[0] < 8, (before, after)


def test_where_a_call_was_made_has_the_same_number_in_every_kernel(library: Callable[[str], Library]) -> None:
    sites = []
    for _ in range(2):
        with Kernel(library=library("plain")) as k:
            n = k.erofs(SMALL[0], fail_nth=NEVER).points
            sites.append(k.instance.fault_sites(n))
    assert sites[0] == sites[1] and len(sites[0]) == n


def test_a_call_has_one_number_whatever_the_kernel_has_done_before(library: Callable[[str], Library]) -> None:
    archive = (DATA / "root.cpio").read_bytes()
    with Kernel(library=library("plain")) as used, Kernel(library=library("plain")) as fresh:
        for i in range(40):                     # sysfs's nodes have numbers beyond 64 and 128, caches are large
            used.erofs(IMAGES[i % len(IMAGES)], backend=("disk", "file")[i % 2])
        used.cpio(archive)
        for image in SMALL:
            for n in (NEVER, 1, 7, 18, 25, 26, 40, 77, 120):
                fresh.close()
                there = []
                for k in (used, fresh):
                    a = k.erofs(image, fail_nth=n)
                    there.append((a.points, a.fired, a.mount_error, a.entries, k.instance.fault_sites(min(a.points, n)),
                                  [(f.function, f.place) for f in k.instance.fault_trace()]))
                assert there[0] == there[1], (image.name, n)
                assert (n == NEVER) or there[0][1] is False or there[0][5], n
        for n in (NEVER, 3, 9, 15):
            fresh.close()
            a, b = (k.cpio(archive, fail_nth=n) for k in (used, fresh))
            assert (a.points, a.fired, a.message, a.crash, a.entries) == (b.points, b.fired, b.message, b.crash, b.entries), n
    assert fresh.boots > 40


@pytest.mark.parametrize("flavour", ["plain", "asan"])
def test_a_short_campaign_finds_nothing(flavour: str, library: Callable[[str], Library], monkeypatch: pytest.MonkeyPatch) -> None:
    library(flavour)
    monkeypatch.setattr(asked("c"), "flavour", flavour)
    p = search([FAILING, ORDER], examples=1500, rung="c", detect=False)
    assert p.examples == 1500 and not p.findings, "\n".join(f"{f.title}\n{f.token}\n" + "\n".join(f.report) for f in p.findings)
    seen = {b.partition(":")[2] for b in p.behaviours}
    assert {"mount ENOMEM", "file:ENOMEM"} <= seen and any(b.startswith("1 of ") for b in seen), seen


@pytest.mark.parametrize("plant", [UNCHECKED, LEFT], ids=lambda p: p.name)
def test_a_bug_on_an_error_path_is_found_shrunk_and_replayed(plant: Plant, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = build(Recipe(tree, patches=(plant.patch(Path(tree.path)),), slot="planted"), plant.flavour)
    kernels = asked("c")
    kernels.close()
    monkeypatch.setattr(kernels, "flavour", plant.flavour)
    monkeypatch.setattr(kernels, "_library", wrong)
    monkeypatch.setattr(kernels, "_built", kernels.recipe)
    p = search([FAILING], examples=1500, shrink_seconds=3.0, rung="c", detect=False)
    assert len(p.findings) == 1, [f.title for f in p.findings]
    f = p.findings[0]
    assert plant.said in f.title and any(plant.place in line for line in [*f.report, f.c_location]), f.report
    assert len(f.choices) == 1 and f.choices[0].startswith("fallible call ") and plant.file in f.choices[0], f.choices
    kernels.close()                             # as the command does
    again = replay(FAILING, token.decode(f.token), rung="c", detect=False)
    assert again.finding is not None and again.finding.cause == f.cause
    kernels.close()
    monkeypatch.undo()
    assert replay(FAILING, token.decode(f.token), rung="c", detect=False).finding is None
    kernels.close()


def with_choices() -> Outcome:
    """A run in which somebody could choose."""
    for seed in range(1, 400):
        out = execute(ORDER, SeedSource(seed), rung="c", detect=False)
        assert out.finding is None, out.finding
        if sum(n > 2 for n in out.task_points) >= 2:            # of two candidates the other one is no choice
            return out
    raise AssertionError("nobody ever had a choice")


def test_another_order_is_the_choosers(library: Callable[[str], Library]) -> None:
    plain = with_choices()
    values = [c.offset for c in plain.draws if c.name not in ("preempt", "task")]
    first = [n for n, candidates in enumerate(plain.task_points, 1) if candidates > 2]
    plan = PlanSource(ListSource(values), switches=((first[0], 1), (first[1], 1)))
    out = execute(ORDER, plan, rung="c", detect=False, trace=True)
    assert out.finding is None and [c.value for c in out.draws if c.name == "task"] == [1, 1]
    same = replay(ORDER, token.decode(out.token), rung="c", detect=False, trace=True)
    assert not same.diverged and same.trace is not None and out.trace is not None and same.trace.text() == out.trace.text()
    assert out.trace.text().count("/1 runs instead of ") == 2
