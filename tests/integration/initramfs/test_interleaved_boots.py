# SPDX-License-Identifier: GPL-2.0-only
"""Boots in which somebody else runs first, and in which a call fails as well: races that are planted are found, and their tokens
bring them back.

KEMU_EVERY_FAULT=1: let every single call of a boot fail, not one in seven.
"""
from __future__ import annotations

import os

import pytest

from kemu.explore import token as tokens
from kemu.explore.experiment import registry
from kemu.explore.progress import Listener
from kemu.explore.run import execute, replay
from kemu.explore.search import search
from kemu.explore.source import ListSource, PlanSource
from kemu.explore.sweep import scattered, schedule_sweep
from kemu.linux import firmware, umh
from kemu.linux.workqueue import INIT_WORK, schedule_work, work_struct
from kemu.machine.series import Series

from initramfs import initrd_owner, layered
from initramfs.harness import experiments_interleaved as _experiments  # noqa: F401

PACKAGES = ("initramfs", "kemu.linux.kernel.umh", "kemu.linux.drivers.base.firmware_loader")


def planted(name: str) -> Series:
    """A kernel with a race."""
    s = Series(name, PACKAGES)
    if name == "helpers do not wait":
        s.edits(umh.call_usermodehelper_exec_async, ("            wait_for_initramfs()\n", ""))
    elif name == "firmware is not waited for":
        s.edits(firmware.request_firmware, ("    wait_for_initramfs()\n", ""))
    elif name == "the fallback is not waited for":
        s.replaces(layered.layered_wait)(lambda: None)
    elif name == "the attempt is the worker's":
        # erofs and overlayfs are registered by initcalls that come later
        s.edits(layered.do_populate_rootfs, ("    if layered_claim():\n        init_flush_fput()\n",
                                             "    if layered_claim():\n        layered_initrd_setup()\n"))
    else:
        assert name == "the memory is freed early"

        owner_alloc = initrd_owner.owner_alloc

        def free(owner: initrd_owner.initrd_owner) -> None:
            w = work_struct()
            INIT_WORK(w, lambda _: initrd_owner.owner_free(owner, owner.start, owner.start + 4096) if not owner.committed
                      else None)
            schedule_work(w)

        def alloc(start: int, end: int, retain: bool) -> initrd_owner.initrd_owner | None:
            owner = owner_alloc(start, end, retain)
            if owner is not None:
                free(owner)
            return owner
        s.replaces(owner_alloc)(alloc)
    return s


@pytest.mark.parametrize(("plant", "experiment"), [
    ("helpers do not wait", "initramfs.interleavings"), ("firmware is not waited for", "initramfs.interleavings"),
    ("the fallback is not waited for", "layered.faults-anywhere"), ("the attempt is the worker's", "layered.interleavings"),
    ("the memory is freed early", "layered.interleavings"),
])
def test_a_planted_race_is_found(plant: str, experiment: str) -> None:
    exp = registry[experiment]
    series = (planted(plant),)
    assert execute(exp, ListSource([]), series=series).finding is None, "it takes another schedule"
    found: list[object] = []

    def enough(progress: object) -> None:
        if found:
            raise StopIteration

    options = {"series": series, "detect": plant == "the memory is freed early"}
    try:
        search([exp], examples=1500, shrink_seconds=1.0, listen=Listener(found=found.append, example=enough), **options)
    except StopIteration:
        pass
    assert found, "not found in 1,500 examples"
    finding = found[0]
    again = replay(exp, tokens.decode(finding.token), **options)        # type: ignore[attr-defined]
    assert again.finding is not None and again.finding.title == finding.title     # type: ignore[attr-defined]
    assert replay(exp, tokens.decode(finding.token)).finding is None    # type: ignore[attr-defined]  # the race is the plant's


@pytest.mark.parametrize("name", ["initramfs.interleavings", "layered.interleavings"])
def test_schedules_with_one_preemption(name: str) -> None:
    exp = registry[name]
    points = execute(exp, ListSource([]), detect=False).task_points
    assert len(points) > 200 and max(points) >= 5
    for k in scattered(len(points))[:60]:
        for task in range(1, points[k]):
            out = execute(exp, PlanSource(ListSource([]), switches=((k + 1, task),)), detect=False)
            assert out.finding is None, (out.finding.title, out.finding.token)
    for _, out in zip(range(30), schedule_sweep(exp, [0, 0, 0, 0, 1], 1)):       # with detectors
        assert out.finding is None, (out.finding.title, out.finding.token)


def test_every_single_failing_call_of_a_boot() -> None:
    exp = registry["layered.faults-anywhere"]
    plain = execute(exp, ListSource([]), detect=False)
    assert plain.fault_points > 350
    step = 1 if os.environ.get("KEMU_EVERY_FAULT") else 7
    seen: set[str] = set()
    for n in range(1, plain.fault_points + 1, step):
        out = execute(exp, PlanSource(ListSource([]), faults=(n,)), detect=False)
        assert out.finding is None, (out.finding.title, out.finding.token)
        seen |= out.behaviour
    assert {"complete", "undone"} <= seen


def test_a_failing_call_and_another_task_first() -> None:
    exp = registry["layered.faults-anywhere"]
    for seed in range(40):
        n, k = 90 + seed * 6, 20 + seed * 7
        out = execute(exp, PlanSource(ListSource([]), faults=(n,), switches=((k, 1 + seed % 3),)))
        assert out.finding is None, (out.finding.title, out.finding.token)
