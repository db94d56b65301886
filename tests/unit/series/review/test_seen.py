# SPDX-License-Identifier: GPL-2.0-only
"""Lost conversions, places without their lock, and calls that fail where the two kernels have other ones."""
from __future__ import annotations

from dataclasses import replace

from kemu.rung.c.cover.case import Case
from kemu.rung.protocol import Answer, Packed
from kemu.series.review import changed
from kemu.series.review.guards import PLACE, Guards
from kemu.series.review.seen import beside, compared
from kemu.series.review.trial import Seen, Trial

TRIAL = Trial(Case(b"x"))


def seen(**fields: object) -> Seen:
    return Seen(Answer(packed=Packed(b"", 0)), **fields)    # type: ignore[arg-type]


def of_memory(locks: int, pc: int = 0, before: int = 0) -> Guards:
    return Guards(PLACE.pack(b"erofs_inode", 16, 700, locks, pc, before, 0), PLACE.pack(b"kmalloc", 8, 96, 0, 0, 0, 0))


def test_a_value_that_is_not_converted_any_more() -> None:
    base, series = seen(converted=frozenset({(0x1234, 2, 64), (5, 4, 8)})), seen(converted=frozenset({(5, 4, 8)}))
    d = compared(TRIAL, base, series, changed.Changed(raw=True))
    assert d is not None and d.kind == "byte order" and "0x1234" in d.title
    assert compared(TRIAL, base, series, changed.Changed()) is None
    assert compared(TRIAL, base, base, changed.Changed(raw=True)) is None


def test_a_place_that_has_lost_its_lock() -> None:
    base, series = seen(guards=of_memory(1)), seen(guards=of_memory(0, 0x500, 1))
    d = compared(TRIAL, base, series, changed.Changed())
    assert d is not None and d.kind == "locks" and d.at == 0x500
    assert d.title == ("byte 16 of a 700-byte object of erofs_inode is touched without byte 8 of a 96-byte object of kmalloc, "
                       "which guards it")
    assert compared(TRIAL, series, series, changed.Changed()) is None         # the base's own
    assert compared(TRIAL, base, seen(guards=of_memory(0)), changed.Changed()) is None      # not by what is changed


def test_what_no_failing_call_of_the_base_gives() -> None:
    trial = replace(TRIAL, apart=True)
    base = [seen(), Seen(Answer(mount_error="ENOMEM")), Seen(Answer(mount_error="EIO"))]
    assert beside(trial, Seen(Answer(mount_error="EIO")), base) is None
    d = beside(trial, Seen(Answer(mount_error="EINVAL")), base)
    assert d is not None and d.kind == "errno"
    d = beside(trial, Seen(Answer(mount_error="EIO"), left=(2, 0)), base)
    assert d is not None and d.kind == "leak"
