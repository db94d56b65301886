# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's memory: what is in the page cache goes when that grows, so that files larger than all memory can be read."""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kemu.forge import tree as t
from kemu.forge.erofs.plan import ImagePlan, InodePlan, ZPlan
from kemu.forge.erofs.writer import build
from kemu.rung.c.build import Library
from kemu.rung.c.kernel import Instance, Kernel

MEMORY = 64 << 20                      # bytes of RAM
CACHE = 24 << 20                       # bytes that the page cache may come to have
LINES = b"".join(b"%07d a line of a file that is larger than memory\n" % n for n in range(100_000))
CONTENTS = {"plain": LINES * 10, "full": LINES * 20}               # 48 MB, and 96 MB, which is more than there is


@pytest.fixture(scope="module", params=["plain", "asan"])
def small(request: Any, library: Callable[[str], Library]) -> Iterator[Kernel]:
    """A kernel with less memory than the files have."""
    with Kernel(library=library(request.param), memory=MEMORY) as k:
        yield k


@pytest.fixture(scope="module", params=["plain", "full"])
def image(request: Any) -> tuple[bytes, bytes]:
    """One large file, as it is or in pclusters of 16 blocks, beside a small one: the image, and what the large one has."""
    data = CONTENTS[request.param]
    node, plan = t.File(data=data), ImagePlan()
    plan.inodes = {id(node): InodePlan(data=request.param, extended=True, z=ZPlan(cuts=(1 << 17,), big=1, max_blocks=16))}
    return bytes(build(t.Dir(entries={b"large": node, b"small": t.File(data=LINES)}), plan).data), data


@pytest.mark.parametrize("at", [0, 17])
def test_files_are_read_in_little_memory(small: Kernel, image: tuple[bytes, bytes], at: int) -> None:
    peaks: list[int] = []

    def peak(k: Instance) -> None:
        peaks.append(k.counters()["pages_peak"] << 12)

    answer = small.erofs(image[0], at=at, cap=1 << 28, then=peak)
    assert answer.crash is None and [e["error"] for e in answer.entries] == [None] * 3
    assert {e["path"]: e["sha256"] for e in answer.entries if e["type"] == "file"} == {
        "/large": hashlib.sha256(image[1]).hexdigest(), "/small": hashlib.sha256(LINES).hexdigest()}
    assert peaks[0] < CACHE


def test_what_is_read_twice_is_the_same(small: Kernel, image: tuple[bytes, bytes]) -> None:
    with small.mounted(image[0]) as k:
        for _ in range(2):
            assert b"".join(p for p in k.contents("/large") if isinstance(p, bytes)) == image[1]
        counters = k.counters()
        assert counters["pages"] << 12 < CACHE and counters["slab_objects"] < 20_000


def test_read_ahead_is_what_was_asked_for(small: Kernel, image: tuple[bytes, bytes]) -> None:
    """The same bytes in fewer, larger requests."""
    bios = []
    for ahead in (0, 1 << 20):
        with small.mounted(image[0], read_ahead=ahead) as k:
            before = k.counters()["bios"]
            assert b"".join(p for p in k.contents("/large") if isinstance(p, bytes)) == image[1]
            bios.append(k.counters()["bios"] - before)
    assert bios[1] * 2 < bios[0]
