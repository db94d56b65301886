# SPDX-License-Identifier: GPL-2.0-only
"""The lowest free id, whatever was removed; and 60,000 of them are no matter of minutes."""
from __future__ import annotations

import random
import time

import pytest

from kemu.linux.errno import ENOSPC
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.idr import idr, idr_alloc, idr_find, idr_remove


@pytest.mark.parametrize("seed", range(8))
def test_it_is_the_lowest_free_one(seed: int, machine: object) -> None:
    rng, r, there = random.Random(seed), idr(), {}
    for step in range(400):
        if there and rng.random() < 0.45:
            i = rng.choice(sorted(there))
            assert idr_remove(r, i) == there.pop(i)
            continue
        start = rng.choice((0, 0, 1, 5, 17))
        want = next(i for i in range(start, 1000) if i not in there)
        end = rng.choice((0, want, want + 1))
        got = idr_alloc(r, step + 1, start, end, GFP_KERNEL)
        assert got == (-ENOSPC if end and want >= end else want)
        if got >= 0:
            there[got] = step + 1
        assert idr_find(r, want) == there.get(want)


def test_as_many_as_an_image_has_devices(machine: object) -> None:
    r, begun = idr(), time.process_time()
    assert [idr_alloc(r, 1, 0, 0, GFP_KERNEL) for _ in range(60_000)] == list(range(60_000))
    assert time.process_time() - begun < 5
