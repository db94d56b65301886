# SPDX-License-Identifier: GPL-2.0-only
"""struct shrinker (include/linux/shrinker.h)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.port.honesty import dup

P = "include/linux/shrinker.h"

SHRINK_EMPTY = (1 << 64) - 2
SHRINK_STOP = (1 << 64) - 1


@dup(P)
class shrink_control:
    """``struct shrink_control``"""

    __slots__ = ("gfp_mask", "nr_scanned", "nr_to_scan")

    def __init__(self, nr_to_scan: int = 128):
        self.gfp_mask = 0
        self.nr_to_scan = nr_to_scan
        self.nr_scanned = nr_to_scan


@dup(P)
class shrinker:
    """``struct shrinker``"""

    __slots__ = ("count_objects", "name", "scan_objects")

    def __init__(self, name: str):
        self.name = name
        self.count_objects: Callable[[Any, shrink_control], int] | None = None
        self.scan_objects: Callable[[Any, shrink_control], int] | None = None
