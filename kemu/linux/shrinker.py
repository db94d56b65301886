# SPDX-License-Identifier: GPL-2.0-only
"""Shrinkers (include/linux/shrinker.h): memory pressure is something an experiment makes by calling shrink_slab()."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.honesty import custom, dup
from kemu.linux.slab import _fails
from kemu.machine.current import NULL, this

SHRINK_EMPTY = (1 << 64) - 2
SHRINK_STOP = (1 << 64) - 1


@dup("include/linux/shrinker.h")
class shrink_control:
    """``struct shrink_control``"""

    __slots__ = ("gfp_mask", "nr_scanned", "nr_to_scan")

    def __init__(self, nr_to_scan: int = 128):
        self.gfp_mask = 0
        self.nr_to_scan = nr_to_scan
        self.nr_scanned = nr_to_scan


@dup("include/linux/shrinker.h")
class shrinker:
    """``struct shrinker``"""

    __slots__ = ("count_objects", "name", "scan_objects")

    def __init__(self, name: str):
        self.name = name
        self.count_objects: Callable[[Any, shrink_control], int] | None = None
        self.scan_objects: Callable[[Any, shrink_control], int] | None = None


def _list() -> list[shrinker]:
    return this.machine.parts.setdefault("shrinkers", [])      # type: ignore[no-any-return]


@custom("mm/shrinker.c", "shrinker_alloc", "a list that the machine asks when memory is short")
def shrinker_alloc(flags: int, fmt: str, *args: Any) -> shrinker:
    """``struct shrinker *shrinker_alloc(unsigned int flags, const char *fmt, ...)``: None on failure."""
    if this.chooser is not None and _fails(0xCC0, "shrinker_alloc"):
        return NULL             # type: ignore[no-any-return]
    s = shrinker(fmt % args if args else fmt)
    if this.watch is not None:
        this.watch.alloc("shrinker", s, 0)
    return s


@custom("mm/shrinker.c", "shrinker_register", "a list that the machine asks when memory is short")
def shrinker_register(s: shrinker) -> None:
    """``void shrinker_register(struct shrinker *shrinker)``"""
    _list().append(s)


@custom("mm/shrinker.c", "shrinker_free", "a list that the machine asks when memory is short")
def shrinker_free(s: shrinker | None) -> None:
    """``void shrinker_free(struct shrinker *shrinker)``"""
    if s is None:
        return
    if s in _list():
        _list().remove(s)
    if this.watch is not None:
        this.watch.free("shrinker", s)


@custom("mm/shrinker.c", "shrink_slab", "every shrinker is asked once")
def shrink_slab(nr_to_scan: int = 128) -> int:
    """Memory pressure: ask every shrinker to free up to ``nr_to_scan`` objects; returns how many were freed."""
    freed = 0
    for s in list(_list()):
        sc = shrink_control(nr_to_scan)
        assert s.count_objects is not None and s.scan_objects is not None
        if s.count_objects(s, sc) not in (0, SHRINK_EMPTY):
            n = s.scan_objects(s, sc)
            freed += 0 if n == SHRINK_STOP else n
    return freed
