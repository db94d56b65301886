# SPDX-License-Identifier: GPL-2.0-only
"""Seconds and nanoseconds (include/linux/time64.h)."""
from __future__ import annotations

from typing import Any, NamedTuple

from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import this

P = "include/linux/time64.h"

NSEC_PER_SEC = 1_000_000_000
TIME64_MAX = (1 << 63) - 1
TIME64_MIN = -(1 << 63)
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2


@custom(P, "timespec64", "immutable: assignment is C's assignment of the structure")
class timespec64(NamedTuple):
    """``struct timespec64``"""

    tv_sec: int = 0
    tv_nsec: int = 0


@dup(P)
def timespec64_equal(a: timespec64, b: timespec64) -> bool:
    """``int timespec64_equal(const struct timespec64 *a, const struct timespec64 *b)``"""
    return a == b


@dup(P)
def timespec64_compare(lhs: timespec64, rhs: timespec64) -> int:
    """``int timespec64_compare(const struct timespec64 *lhs, const struct timespec64 *rhs)``"""
    return (lhs > rhs) - (lhs < rhs)


@custom("include/linux/timekeeping.h", "ktime_get_real_ts64", "virtual time, counted from the machine's boot epoch")
def ktime_get_real_ts64() -> timespec64:
    """``void ktime_get_real_ts64(struct timespec64 *tv)``"""
    clock = this.machine.clock
    sec, nsec = divmod(clock.now_ns, NSEC_PER_SEC)
    return timespec64(clock.boot_epoch + sec, nsec)


@custom("include/linux/timekeeping.h", "ktime_get_coarse_real_ts64", "virtual time at the last jiffy")
def ktime_get_coarse_real_ts64() -> timespec64:
    """``void ktime_get_coarse_real_ts64(struct timespec64 *tv)``: the time at the last tick."""
    clock = this.machine.clock
    tick = clock.now_ns // 10_000_000
    if _coarse[0] != tick or _coarse[1] != clock.boot_epoch:
        sec, nsec = divmod(tick * 10_000_000, NSEC_PER_SEC)
        _coarse[:] = tick, clock.boot_epoch, timespec64(clock.boot_epoch + sec, nsec)
    return _coarse[2]           # type: ignore[no-any-return]


_coarse: list[Any] = [-1, 0, None]     # tick, epoch and what they gave: the answer depends on nothing else
