# SPDX-License-Identifier: GPL-2.0-only
"""A planted bug of each kind is found, shrunk and shown again; without it the same input is fine."""
from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st

from kemu.rung.c import sparse
from kemu.rung.c.build import Library, build
from kemu.rung.c.kernel import Kernel
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.tree import Tree
from tests.c.planted import ENDIAN, PLANTS, Plant
from tests.conftest import DATA

IMAGES = sorted(p for p in (DATA / "erofs").glob("*.erofs") if p.stat().st_size < 200_000)
LIMITS: dict[str, Any] = {"cap": 1 << 20, "max_entries": 300}
Input = tuple[int, list[tuple[int, int, bool]]]
INPUTS: st.SearchStrategy[Input] = st.tuples(
    st.integers(0, len(IMAGES) - 1),
    st.lists(st.tuples(st.integers(0, 4095), st.sampled_from([0, 1, 2, 0x7f, 0x80, 0xff]), st.booleans()), max_size=2))


@functools.cache
def image_of(i: int) -> bytes:
    return IMAGES[i].read_bytes()


@functools.cache
def written(i: int) -> list[int]:
    """Where an image has something: its first bytes that are not zero, behind the boot block."""
    return [at for at, byte in enumerate(image_of(i)) if byte and at >= 1024][:4096]


def made(case: Input) -> bytes:
    """The image with its bytes changed."""
    data = bytearray(image_of(case[0]))
    places = written(case[0])
    for k, value, wide in case[1]:
        at = places[k % len(places)]
        if wide:                       # a whole 64-bit field
            data[at & ~7:(at & ~7) + 8] = bytes([value]) * 8
        else:
            data[at] = value
    return bytes(data)


class Judged:
    """What is said of an input by a kernel with the plant in it. Some plants show only beside another kernel: one without the
    plant, or one whose fresh memory holds other bytes (where Linux itself hands those out, and a damaged image can make it, that
    is no finding).
    """

    def __init__(self, plant: Plant, library: Library, good: Library):
        self.plant = plant
        self.kernel = Kernel(library=library, timeout=5.0)
        self.good = Kernel(library=good, timeout=5.0)
        self.filled = [[Kernel(library=lib, timeout=5.0, fill=byte) for byte in (0x5A, 0xA5)] for lib in (library, good)]

    def report(self, case: Input) -> str:
        """The finding, or nothing."""
        image = made(case)
        if self.plant.said == "uninitialised":
            bad, fine = ([self.seen(k, image) for k in pair] for pair in self.filled)
            return self.plant.said if bad[0] != bad[1] and fine[0] == fine[1] else ""
        a = self.kernel.erofs(image, **LIMITS)
        if a.crash:
            return a.console
        if self.plant.said == "differs":
            return self.plant.said if self.seen(self.kernel, image) != self.seen(self.good, image) else ""
        return self.kernel.leak(lambda: self.kernel.erofs(image, **LIMITS)) if self.plant.name == "leak" else ""

    def seen(self, kernel: Kernel, image: bytes) -> Any:
        """What can be compared."""
        a = kernel.erofs(image, **LIMITS)
        return a.mount_error, a.crash, a.packed.data if a.packed else b""

    def close(self) -> None:
        for k in (self.kernel, self.good, *self.filled[0], *self.filled[1]):
            k.close()


@pytest.mark.parametrize("plant", PLANTS, ids=lambda p: p.name)
def test_it_is_found_shrunk_and_shown_again(plant: Plant, tree: Tree, library: Callable[[str], Library]) -> None:
    good = library(plant.flavour)
    judged = Judged(plant, build(Recipe(tree, patches=(plant.patch(Path(tree.path)),), slot="planted"), plant.flavour), good)
    try:
        least = find(INPUTS, lambda case: judged.report(case).startswith(plant.said),
                     settings=settings(max_examples=20_000, derandomize=True, database=None, deadline=None,
                                       phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck)))
        judged.kernel.close()          # a kernel that has seen nothing else
        again = judged.report(least)
        assert again.startswith(plant.said) and plant.place in again, again
        assert len(least[1]) <= 2
        fine = Judged(plant, good, good)
        assert fine.report(least) == "", "the bug is the plant's"
        fine.close()
    finally:
        judged.close()


@pytest.mark.skipif(not sparse.there(), reason="sparse is not installed: apt-get install sparse")
@pytest.mark.parametrize("plant", ENDIAN, ids=lambda p: p.name)
def test_a_byte_order_that_is_not_converted_is_found(plant: Plant, tree: Tree) -> None:
    made = build(Recipe(tree, patches=(plant.patch(Path(tree.path)),), slot="planted"), plant.flavour)
    assert len(made.warnings) == 1
    assert made.warnings[0].startswith(plant.file) and plant.said in made.warnings[0]


@pytest.mark.skipif(not sparse.there(), reason="sparse is not installed: apt-get install sparse")
def test_erofs_itself_converts_all(tree: Tree, library: Callable[[str], Library]) -> None:
    objects = library("plain").source / "kemu-build-c-plain"
    names = [f"fs/erofs/{p.stem}.o" for p in (library("plain").source / "fs/erofs").glob("*.c")]
    assert sparse.byte_orders(objects, [n for n in names if (objects / n).exists()]) == []
