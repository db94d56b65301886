# SPDX-License-Identifier: GPL-2.0-only
"""Real images from real tools, mounted, read to the end and unmounted under every detector: none of them has anything to say.

A part of the corpus is looked at in every run, all of it in a slow one. What was reported and is true is in ``TRUE`` with its
reason.
"""
from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import pytest

from kemu.check.suite import all_detectors
from kemu.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kemu.linux.mm import page_address
from kemu.machine.splat import Splat
from kemu.report.walk import walk
from tests.conftest import DATA
from tests.fidelity.corpus import SHARED, index

from erofs_memback.harness.mount import MountError, machine_for, mount_in, settle, start, unload_module

LOCAL = DATA / "erofs"
WHOLE = SHARED / "erofs"
CAP = 1 << 22           # bytes of a file; the slow run reads all
WAYS = (("bdev", 0), ("bdev", 777), ("memback", 0), ("memback", 777))
SOME = 20

# what the detectors say of an image, and rightly: (name, backend) -> the report's first line
TRUE: dict[tuple[str, str], str] = {}


def images(folder: Path) -> list[str]:
    return list(index(folder)) if folder.is_dir() else []


def some() -> list[str]:
    """Small ones, from all over the corpus."""
    names = sorted(n for n in images(WHOLE) if (WHOLE / f"{n}.erofs").stat().st_size < 1 << 17 and n not in images(LOCAL))
    return names[::max(1, len(names) // SOME)][:SOME]


def alarm(folder: Path, case: dict[str, Any], backend: str, at: int, cap: int = CAP, spoil: Any = None) -> str:
    """The report that the detectors make of one image, with where it comes from; empty if there is none. ``spoil(mount)``: called
    before the umount.
    """
    image = folder / f"{case['name']}.erofs"
    devices = [folder / d for d in case["devices"]]
    watch = all_detectors()
    machine = machine_for(image, devices, backend=backend, watch=watch)
    watch.attach(machine)
    try:
        with machine:
            start()
            machine.idle()
            watch.mark()
            try:
                m = mount_in(machine, image, backend=backend, at=at, devices=devices, options=case["mount_options"])
            except MountError:
                pass
            else:
                deque(walk(m.path, cap=cap), maxlen=0)
                if spoil is not None:
                    spoil(m)
                m.umount()
            unload_module(machine)
            settle()
            watch.finish()
    except Splat as s:
        return "\n".join([s.title, *s.details])
    return "\n".join(line for line in machine.log.lines() if "WARNING: " in line or "BUG: " in line)


@pytest.mark.parametrize("backend,at", WAYS)
@pytest.mark.parametrize("name", images(LOCAL))
def test_nothing_is_reported(name, backend, at):
    assert alarm(LOCAL, index(LOCAL)[name], backend, at) == ""


@pytest.mark.skipif(not WHOLE.is_dir(), reason=f"no corpus at {SHARED}")
@pytest.mark.parametrize("name", some())
def test_nothing_is_reported_for_a_part_of_the_corpus(name):
    for backend, at in WAYS[1::2]:
        if backend == "bdev" or not index(WHOLE)[name]["devices"]:
            assert alarm(WHOLE, index(WHOLE)[name], backend, at) == "", f"{backend} at {at}"


@pytest.mark.slow
@pytest.mark.skipif(not WHOLE.is_dir(), reason=f"no corpus at {SHARED}")
@pytest.mark.parametrize("backend,at", WAYS)
@pytest.mark.parametrize("name", images(WHOLE))
def test_nothing_is_reported_for_the_corpus(name, backend, at):
    case = index(WHOLE)[name]
    if backend == "memback" and case["devices"]:
        pytest.skip("memback has one region")
    text = alarm(WHOLE, case, backend, at, cap=1 << 26)
    assert text.startswith(TRUE.get((name, backend), "")) and bool(text) == ((name, backend) in TRUE), text


@pytest.mark.parametrize("backend", ("bdev", "memback"))
def test_it_would_be_reported(backend):
    """The other side: a page that somebody forgets, and a byte read beyond one that is gone."""

    def forgets(m: Any) -> None:
        alloc_page(GFP_KERNEL)

    def reads(m: Any) -> None:
        page = alloc_page(GFP_KERNEL)
        va = page_address(page)
        __free_page(page)
        m.machine.mem.load(va, 1)

    case = index(LOCAL)["tiny-plain"]
    assert "leak" in alarm(LOCAL, case, backend, 0, spoil=forgets)
    assert "use-after-free" in alarm(LOCAL, case, backend, 0, spoil=reads)
