# SPDX-License-Identifier: GPL-2.0-only
"""What is right for those who ask for something while a kernel boots, and for the initrd's pages."""
from __future__ import annotations

import errno
import zlib

import pytest

from kemu.rung.uml.sched.callers import Caller, Got, Ledger, Seen, cmdline_of, got_of, is_early, ledger_of, wrong_pages

SEEN = Seen(b"card" * 100, b"last")
CARD = Got(400, zlib.crc32(SEEN.firmware))


def test_callers_are_words_of_the_command_line() -> None:
    assert cmdline_of([Caller("6", "h", "t"), Caller("s", "F", "i")]) == "kemu_callers=6ht,sFi"
    assert cmdline_of([]) == ""


@pytest.mark.parametrize("word", ["8ht", "6zt", "6hq", "5ft", "1Fi", "4gt"])
def test_what_there_is_not(word: str) -> None:
    with pytest.raises(ValueError):
        Caller(*word)


@pytest.mark.parametrize("kind, right", [("h", Got(64)), ("x", Got(0)), ("n", Got(0)), ("f", CARD), ("F", CARD),
                                         ("l", Got(0, zlib.crc32(b"last")))])
def test_who_waits_gets_all_of_it(kind: str, right: Got) -> None:
    for level in "r67":
        assert SEEN.wrong(Caller(level, kind, "t"), right) == ""
        for other in (Got(-errno.ENOENT), Got(-errno.ETXTBSY), Got(-errno.EBUSY), Got(65), Got(right.value, 1)):
            assert SEEN.wrong(Caller(level, kind, "t"), other)


def test_who_has_nothing_to_wait_for_may_find_nothing() -> None:
    helper, card, look = Caller("s", "h", "t"), Caller("s", "f", "t"), Caller("1", "l", "t")
    assert not SEEN.wrong(helper, Got(-errno.EBUSY)) and not SEEN.wrong(helper, Got(64))
    assert SEEN.wrong(helper, Got(-errno.ENOENT)) == "a thread at level s: a helper gets ENOENT instead of 64 or EBUSY"
    assert SEEN.wrong(helper, Got(66))
    assert not SEEN.wrong(card, Got(-errno.ENOENT)) and not SEEN.wrong(card, CARD)
    assert SEEN.wrong(card, Got(200, 7)) and SEEN.wrong(card, Got(-errno.EBUSY))
    assert not SEEN.wrong(look, Got(7))


def test_the_log_tells_what_they_got_and_what_became_of_the_initrd() -> None:
    log = ("Freeing initrd memory: 32K\nRun /init as init process\nkemu: caller 0: -16, 00000000\n"
           "kemu: caller 1: 10240, bbce3b9d\nkemu: initrd: 36820 bytes, 8 pages, 0 of them kept; in sysfs: -2, 00000000\n")
    assert got_of(log) == [Got(-errno.EBUSY), Got(10240, 0xBBCE3B9D)]
    assert ledger_of(log) == Ledger(36820, 8, 0, Got(-errno.ENOENT), (32,))
    assert ledger_of("Run /init as init process\n") is None


def test_pages_are_freed_once_or_kept_and_shown() -> None:
    data = bytes(9000)
    freed, kept = Ledger(9000, 2, 0, Got(-errno.ENOENT), (8,)), Ledger(9000, 2, 2, Got(9000, zlib.crc32(data)))
    assert not wrong_pages(freed, data, False) and not wrong_pages(kept, data, True)
    assert wrong_pages(freed, data, True) and wrong_pages(kept, data, False)
    assert wrong_pages(Ledger(9000, 2, 0, Got(-errno.ENOENT), (8, 8)), data, False)
    assert wrong_pages(Ledger(9000, 2, 1, Got(-errno.ENOENT), (4,)), data, False)
    assert wrong_pages(Ledger(9000, 2, 2, Got(9000, 1)), data, True)
    assert not wrong_pages(Ledger(100, 0, 0, Got(-errno.ENOENT)), bytes(100), False)


def test_what_is_said_because_somebody_is_early() -> None:
    early, same, late = Caller("s", "f", "t"), Caller("s", "g", "t"), Caller("6", "f", "t")
    warned = "wait_for_initramfs() called before rootfs_initcalls"
    failed = " kemu: Direct firmware load for %s.bin failed with error -2"
    assert is_early(warned, [late, early]) and not is_early(warned, [late]) and not is_early(warned, [])
    assert is_early(failed % "early", [early]) and not is_early(failed % "early", [late])
    assert is_early(failed % "kemu", [same]) and not is_early(failed % "kemu", [early, late])
