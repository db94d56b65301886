# SPDX-License-Identifier: GPL-2.0-only
"""A case is one call: what it is given, what it leaves behind, and how it ends when it cannot be run."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kemu.rung.c.build import Library
from kemu.rung.c.kernel import NEVER, Instance, Kernel
from kemu.rung.uml.errors import RungError
from tests.conftest import DATA

SMALL = (DATA / "small.erofs").read_bytes()
LZ4 = (DATA / "small-lz4.erofs").read_bytes()
MEMORY = 64 << 20


@pytest.fixture(scope="module", params=["plain", "asan"])
def small(request: Any, library: Callable[[str], Library]) -> Iterator[Kernel]:
    """A kernel with little memory."""
    with Kernel(library=library(request.param), memory=MEMORY) as k:
        yield k


def pages(k: Kernel) -> int:
    """How many are in use."""
    return k.instance.counters()["pages"]


def test_images_of_all_sizes_leave_no_page_behind(small: Kernel) -> None:
    """Those of one size after the other have one place; of another size, or an image that is large, they have not."""
    want = {len(image): small.erofs(image, at=17) for image in (SMALL, LZ4)}
    left = pages(small)
    for padding in (0, 1, 4096 - 17, 4096, 8192, 0, 300_000, 4096, 3 << 20, 0):
        for image in (SMALL, LZ4, LZ4):
            for at in (17, 0, 4095):
                assert small.erofs(image + bytes(padding), at=at).entries == want[len(image)].entries
        assert pages(small) == left
    assert small.boots == 1


def test_an_image_of_which_there_is_no_room(small: Kernel) -> None:
    """Nor is there any for the first of two of them: it goes again."""
    first, before = small.erofs(SMALL), pages(small)
    for _ in range(2):
        with pytest.raises(RungError, match=rf"no memory for {MEMORY + 4096} bytes \(ENOMEM\)"):
            small.erofs(SMALL, devices=[bytes(MEMORY + 4096)])
        assert pages(small) == before and small.erofs(SMALL) == first


def test_then_is_given_what_is_mounted(kernel: Kernel) -> None:
    seen: list[bytes] = []

    def then(k: Instance) -> None:
        seen.append(b"".join(p for p in k.contents("/mnt/etc/motd") if isinstance(p, bytes)))

    image = (DATA / "demo.erofs").read_bytes()
    answer = kernel.erofs(image, then=then)
    assert len(seen) == 1 and seen[0] and answer == kernel.erofs(image)
    assert kernel.erofs(b"\0" * 8192, then=then).mount_error == "EINVAL" and len(seen) == 1


def test_a_then_that_raises_is_heard(small: Kernel) -> None:
    def then(k: Instance) -> None:
        raise KeyError("of its own")

    with pytest.raises(KeyError):
        small.erofs(SMALL, then=then)
    small.close()                      # it is still mounted
    assert small.erofs(SMALL).mount_error is None


def test_calls_that_can_fail_have_one_number_however_often(kernel: Kernel) -> None:
    counted = {kernel.erofs(LZ4, fail_nth=NEVER).points for _ in range(3)}
    assert len(counted) == 1 and min(counted) > 0
