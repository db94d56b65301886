# SPDX-License-Identifier: GPL-2.0-only
"""Shrinkers (mm/shrinker.c): memory pressure is something an experiment makes by calling shrink_slab()."""
from __future__ import annotations

from typing import Any

from kemu.linux.include.shrinker import SHRINK_EMPTY, SHRINK_STOP, shrink_control, shrinker
from kemu.linux.include.slab import _fails
from kemu.linux.port.honesty import custom
from kemu.machine.current import NULL, this

C = "mm/shrinker.c"


class _Shrinkers:
    """``shrinker_list`` of one machine."""

    __slots__ = ("all",)

    def __init__(self) -> None:
        self.all: list[shrinker] = []


def _list() -> list[shrinker]:
    return this.machine.part(_Shrinkers).all


@custom(C, "shrinker_alloc", "a list that the machine asks when memory is short")
def shrinker_alloc(flags: int, fmt: str, *args: Any) -> shrinker:
    """``struct shrinker *shrinker_alloc(unsigned int flags, const char *fmt, ...)``: None on failure."""
    if this.chooser is not None and _fails(0xCC0, "shrinker_alloc"):
        return NULL             # type: ignore[no-any-return]
    s = shrinker(fmt % args if args else fmt)
    if this.watch is not None:
        this.watch.alloc("shrinker", s, 0)
    return s


@custom(C, "shrinker_register", "a list that the machine asks when memory is short")
def shrinker_register(s: shrinker) -> None:
    """``void shrinker_register(struct shrinker *shrinker)``"""
    _list().append(s)


@custom(C, "shrinker_free", "a list that the machine asks when memory is short")
def shrinker_free(s: shrinker | None) -> None:
    """``void shrinker_free(struct shrinker *shrinker)``"""
    if s is None:
        return
    if s in _list():
        _list().remove(s)
    if this.watch is not None:
        this.watch.free("shrinker", s)


@custom(C, "shrink_slab", "every shrinker is asked once")
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
