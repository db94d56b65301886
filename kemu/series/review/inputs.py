# SPDX-License-Identifier: GPL-2.0-only
"""What a review begins with."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from kemu.rung.c.cover import begin
from kemu.rung.c.cover.case import Case


def first(seed: int) -> Iterator[Case]:
    """Forged images and archives, then boots and modules."""
    yield from begin.forged(seed + 1)
    yield from begin.boots(seed + 1)


def files(paths: Sequence[Path]) -> Iterator[Case]:
    """Files and folders that were named."""
    yield from begin.files(paths)
