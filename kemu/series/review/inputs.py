# SPDX-License-Identifier: GPL-2.0-only
"""What a review begins with."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from kemu.rung.c.cover import begin
from kemu.rung.c.cover.case import Case
from kemu.series.review.kept import kept
from kemu.series.review.kept import reaching as reaching_count

MOST = 160                             # of those that come to what is changed, at first


def reaching(functions: Iterable[str]) -> Iterator[Case]:
    """Kept inputs that come to these functions."""
    names = set(functions)
    yield from islice(kept(names), min(MOST, reaching_count(names)))


def first(seed: int) -> Iterator[Case]:
    """Boots and modules, kept inputs of all kinds, forged images and archives."""
    yield from begin.boots(seed + 1)
    yield from begin.forged(seed + 1)
    yield from kept()


def files(paths: Sequence[Path]) -> Iterator[Case]:
    """Files and folders that were named."""
    yield from begin.files(paths)
