# SPDX-License-Identifier: GPL-2.0-only
"""A series that brings a back end of its own, on the booted kernel: mounts from memory, and what is found of them."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kemu.machine.given import GivenImage, GivenMount
from kemu.rung.uml.errors import ConfigError
from kemu.rung.uml.oracle import Oracle
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.tree import Tree
from kemu.series.backend.glue import glue_of
from kemu.series.backend.page import read_backend
from kemu.series.backend.tried import page_of, side_of
from kemu.series.emit.report import of_series
from tests.conftest import DATA

EXAMPLE = Path(__file__).parents[2] / "examples" / "own-back-end" / "backend.py"
IMAGES = sorted((DATA / "erofs").glob("*.erofs"))[:6]


@pytest.fixture(scope="module")
def ours(tree: Tree) -> Iterator[Oracle]:
    """A kernel with our memback, as it is emitted in C."""
    series = [Patch("1", "memback", of_series("erofs-memback", tree).text.encode())]
    with Oracle("fast", patches=[*series, glue_of(read_backend(EXAMPLE), series, tree)], slot="own-backend") as o:
        yield o


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("memory, at", [("linear", 1), ("vmalloc", 4095), ("slab", 512)])
def test_it_mounts_from_memory(ours: Oracle, memory: str, at: int, inside: bool) -> None:
    assert IMAGES
    with Oracle(kernel=ours.kernel, inside=inside) as o:
        for image in IMAGES:
            disk, region = (o.erofs(image, at=at, memory=memory, backend=b) for b in ("disk", "region"))
            assert region.mount_error is None and region.entries == disk.entries, image
        assert o.erofs(bytes(8192), backend="region").mount_error == "EINVAL"


def test_a_kernel_without_it_says_so(kernel: object) -> None:
    with Oracle() as o, pytest.raises(ConfigError, match="kemu_backend_mount"):
        o.erofs(bytes(8192), backend="region")


def test_the_posted_design_reads_behind_the_end(tree: Tree) -> None:
    from erofs_memback.memback_rfc import series

    given = GivenMount("erofs", "memback-rfc", (GivenImage(b""),))
    page = page_of(given)
    assert page is not None
    side = side_of([series], page, tree)
    with Oracle("kasan", patches=side.patches, slot="own-backend") as o:
        answer = o.erofs(bytes(1024), at=4, memory="slab", backend="region")
        assert answer.crash == "splat" and "KASAN: slab-out-of-bounds" in (answer.message or "")
