# SPDX-License-Identifier: GPL-2.0-only
"""What is read of a diff and of C text."""
from __future__ import annotations

import errno

from kemu.forge.pick import Pick
from kemu.rung.c.cover.case import Case
from kemu.rung.protocol import Answer, Packed
from kemu.series.review import changed, replay
from kemu.series.review.seen import compared
from kemu.series.review.trial import Seen, Trial
from kemu.series.review.watched import Told, locks, undone

TRIAL = Trial(Case(b"x"))


class Listed:
    """Choices that are written down."""

    def __init__(self, values: list[int]):
        self.values = iter(values)

    def value(self, name: str, low: int, high: int) -> int:
        return low + next(self.values)


def seen(told: dict[str, Told] | None = None, **fields: object) -> Seen:
    return Seen(Answer(packed=Packed(b"", 0), **fields), told=told or {})    # type: ignore[arg-type]


def test_conversions_are_counted_in_all_their_spellings() -> None:
    assert changed._conversions(["a = le32_to_cpu(b) + get_unaligned_le16(p);", "c = cpu_to_le64(d);", "e = f(g);"]) == 3


def test_errnos_that_a_function_names() -> None:
    assert changed._errnos(["if (err == -ENOTBLK)", "\treturn -EFSCORRUPTED;", "x = -E;"]) == {errno.ENOTBLK, errno.EUCLEAN}


def test_an_errno_is_part_of_a_token() -> None:
    trials = (Trial(Case(b"abc"), call="filp_open", nth=2, error=errno.ENOMEM, soon=True), Trial(Case(b"")))
    asked = replay.Asked((), (), trials)
    assert replay.drawn(Pick(Listed(replay.offsets_of(asked)))) == asked
    assert str(trials[0]).endswith("call 2 of filp_open() fails with ENOMEM")


def test_two_that_show_the_same_do_not_differ() -> None:
    assert compared(TRIAL, seen(kmsg=["a", "b"]), seen(kmsg=["b", "a"]), changed.Changed()) is None


def test_another_errno_is_a_difference() -> None:
    d = compared(TRIAL, seen(mount_error="EINVAL"), seen(mount_error="EIO"), changed.Changed())
    assert d is not None and d.kind == "errno" and d.title == "mount: EIO instead of EINVAL"


def test_a_message_in_other_words_is_none_if_the_patch_has_both() -> None:
    old, new = seen(kmsg=["bad magic 5"]), seen(kmsg=["no such magic 5"])
    assert compared(TRIAL, old, new, changed.Changed()) is not None
    assert compared(TRIAL, old, new, changed.Changed(words={"bad magic %u", "no such magic %u"})) is None


def test_a_crash_of_both_is_the_base_s() -> None:
    crash = {"crash": "splat", "message": "SIGSEGV at 0", "console": "SIGSEGV at 0\n  f at fs/erofs/super.c:1"}
    assert compared(TRIAL, seen(**crash), seen(**crash), changed.Changed()) is None
    d = compared(TRIAL, seen(), seen(**crash), changed.Changed())
    assert d is not None and (d.function, d.place) == ("f", "fs/erofs/super.c:1")


def test_locks_and_what_is_undone() -> None:
    told = {"mutex_lock": Told(3, 1, 0, 1, 5), "kobject_del": Told(1, 9, 0, 0, 9), "iput": Told(2, 2, 0, 0, 12)}
    assert locks(told) == ({"a mutex": 3}, ["a mutex"]) and undone(told) == ["kobject_del"]
    fewer = {**told, "mutex_lock": Told(2, 1, 0, 1, 5)}
    d = compared(TRIAL, seen(told), seen(fewer), changed.Changed())
    assert d is not None and d.kind == "locks"
    early = {**told, "iput": Told(2, 2, 0, 0, 4)}
    d = compared(TRIAL, seen(told), seen(early), changed.Changed())
    assert d is not None and d.kind == "order" and d.title.startswith("iput() now comes before kobject_del()")


